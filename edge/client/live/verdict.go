package live

import (
	"errors"
	"time"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/edge/wsconn"
	"github.com/canopychat/canopy/schemas/fault"
)

// ErrClosed says that a Conn has ended. What it had not heard the answer of may or may not be stored.
var ErrClosed = errors.New("the connection has ended; whether the log has this is not known")

// verdict is what the end of a connection, or the failure to open one, means.
type verdict struct {
	err     error
	final   bool          // coming back is of no use
	signIn  bool          // the token was refused: another one may help
	atLeast time.Duration // how long to stay away
}

// judge says what to do after err ended a connection.
func judge(err error) verdict {
	var refused *wsconn.RefusedError
	if errors.As(err, &refused) {
		e := client.Refusal(refused.Status, refused.Body, "")
		return verdict{err: e, final: e.Code.Outcome() != fault.Retry, signIn: e.Code == fault.Unauthenticated, atLeast: e.RetryAfter}
	}
	var closed *wsconn.CloseError
	if errors.As(err, &closed) {
		v := verdict{err: closed, final: !fault.Reconnect(closed.Code) && closed.Code != noCode}
		v.signIn = closed.Code == fault.Unauthenticated.CloseCode()
		return v
	}
	var e *client.Error
	if errors.As(err, &e) {
		return verdict{err: e, final: e.Code.Outcome() != fault.Retry, signIn: e.Code == fault.Unauthenticated, atLeast: e.RetryAfter}
	}
	return verdict{err: err}
}

// noCode is what a close frame without a code counts as (RFC 6455 §7.1.5): nobody said to stay away.
const noCode = fault.CloseNormal + 5
