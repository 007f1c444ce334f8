package ring

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/gocql/gocql"

	"github.com/canopychat/canopy/schemas/fault"
)

// Reason is why a call failed, for counting.
type Reason string

// The reasons. All but Refused are failures of the moment.
const (
	Ended         Reason = "ended"         // the caller's context did
	Timeout       Reason = "timeout"       // a node did not answer, or too few replicas did, in time
	NoConnection  Reason = "no_connection" // to any node, or it broke
	TooFew        Reason = "too_few"       // replicas are up for a quorum
	Overloaded    Reason = "overloaded"    // a node has too much to do
	Bootstrapping Reason = "bootstrapping" // a node is just starting
	Broken        Reason = "broken"        // replicas failed to read or write, or a node broke
	Unknown       Reason = "unknown"       // whether a condition was applied
	Refused       Reason = "refused"       // the statement, its arguments or the user: trying again would change nothing
)

// comeBack is when it is worth trying again: about as long as the driver needs to find a node that came back.
const comeBack = reconnectEvery

// reasonOf says what err of the driver means. It is empty for nil.
func reasonOf(err error) Reason {
	var request gocql.RequestError
	var network net.Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, new(noAgreement)):
		return Timeout
	case errors.As(err, &request):
		return reasonOfCode(request.Code())
	case errors.Is(err, gocql.ErrTimeoutNoResponse), errors.Is(err, gocql.ErrTooManyTimeouts):
		return Timeout
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return Ended
	case errors.Is(err, gocql.ErrUnavailable):
		return TooFew
	case errors.Is(err, gocql.ErrNoStreams):
		return Overloaded // by us: every stream of the connection is in use
	case errors.Is(err, gocql.ErrNoConnections), errors.Is(err, gocql.ErrConnectionClosed), errors.Is(err, gocql.ErrSessionClosed),
		errors.Is(err, gocql.ErrNoConnectionsStarted), errors.As(err, &network), isBroken(err):
		return NoConnection
	}
	return Refused
}

func reasonOfCode(code int) Reason {
	switch code {
	case gocql.ErrCodeWriteTimeout, gocql.ErrCodeReadTimeout:
		return Timeout
	case gocql.ErrCodeUnavailable:
		return TooFew
	case gocql.ErrCodeOverloaded:
		return Overloaded
	case gocql.ErrCodeBootstrapping:
		return Bootstrapping
	case gocql.ErrCodeServer, gocql.ErrCodeReadFailure, gocql.ErrCodeWriteFailure, gocql.ErrCodeCDCWriteFailure, gocql.ErrCodeTruncate:
		return Broken
	case gocql.ErrCodeCASWriteUnknown:
		return Unknown
	}
	return Refused
}

// isBroken reports whether err is of a connection that broke, in the words of what reads from it.
func isBroken(err error) bool {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
		return true
	}
	text := err.Error()
	return slices.ContainsFunc(brokenWords, func(words string) bool { return strings.Contains(text, words) })
}

// brokenWords are of the driver, where it has no error to compare with: what every question on a connection is answered
// by that the driver gives up, because the node does not answer its heartbeat or breaks off in the middle of an answer.
var brokenWords = []string{
	"gocql: heartbeat failed",
	"unable to read frame body: ",
	"error whilst trying to discard frame with invalid length: ",
	"gocql: unable to fetch prepared info: no connection available",
}

// isAbsent reports whether a node says that a statement of ours is invalid. They are not; so what it is about, a
// keyspace or a table, is not there.
func isAbsent(err error) bool {
	var request gocql.RequestError
	return errors.As(err, &request) && request.Code() == gocql.ErrCodeInvalid
}

// retriable reports whether a statement that may run twice is worth another try at once, on another node.
func (r Reason) retriable() bool {
	switch r {
	case Timeout, NoConnection, TooFew, Bootstrapping, Broken:
		return true
	}
	return false // an overloaded ring has enough to do
}

// failed says what err of the driver means for whoever asked for op. It is nil for nil, and keeps an error that
// has a kind already.
func failed(err error, op string) error {
	var kind *fault.Error
	switch reason := reasonOf(err); {
	case err == nil:
		return nil
	case errors.As(err, &kind):
		return err
	case reason == Refused:
		return fmt.Errorf("%s: %w", op, err)
	default:
		return unavailable(fmt.Errorf("%s: %s: %w", op, reason, err))
	}
}

// connectFailed says why there is no session with any of hosts. Everything is a failure of the moment, but what a
// node says about us and what its certificate says about it.
func connectFailed(err error, hosts []string) error {
	var request gocql.RequestError
	var certificate *tls.CertificateVerificationError
	var notTLS tls.RecordHeaderError
	at := strings.Join(hosts, ", ")
	switch {
	case errors.As(err, &request) && reasonOfCode(request.Code()) == Refused:
		return fmt.Errorf("cassandra: connect to %s: the ring refuses us, look at user and password: %w", at, err)
	case strings.Contains(err.Error(), "authentication required"):
		return fmt.Errorf("cassandra: connect to %s: the ring asks for a user and a password: %w", at, err)
	case errors.As(err, &certificate), errors.As(err, &notTLS):
		return fmt.Errorf("cassandra: connect to %s: TLS does not come about, look at the file of who signs: %w", at, err)
	}
	return unavailable(fmt.Errorf("cassandra: connect to %s: %w", at, err))
}

func unavailable(err error) error {
	return fault.Wrap(fault.Unavailable, err, "The database does not answer.").After(comeBack)
}
