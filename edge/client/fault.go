package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rest"
)

// Error is a refusal by the server, over REST or over the socket. Find it by errors.As.
type Error struct {
	Code       fault.Kind    // what to branch on; it never changes its meaning
	Message    string        // for a person: what to do about it
	RetryAfter time.Duration // when it is worth trying again; 0: not said
	RequestID  string        // what to tell the operator; empty for frames
}

// Error is the code and the message.
func (e *Error) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("%s: %s", e.Code, e.Code.Title())
	}
	return fmt.Sprintf("%s: %s", e.Code, e.Message)
}

// CodeOf is the code of the Error in err; empty when there is none.
func CodeOf(err error) fault.Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// Passes reports whether the refusal may pass by itself, so that the same thing is worth sending again.
func (e *Error) Passes() bool { return e.Code.Outcome() == fault.Retry && e.Code != fault.Internal }

// ErrorOf is the Error that a problem document tells.
func ErrorOf(p rest.Problem, requestID string) *Error {
	message := p.Detail
	if message == "" {
		message = p.Title
	}
	return &Error{Code: p.Code, Message: message, RetryAfter: seconds(p.RetryAfter), RequestID: requestID}
}

// Refusal is the Error of an HTTP answer. A body that is no problem document, such as the page of a proxy, leaves its
// status to say what it is.
func Refusal(status int, body []byte, requestID string) *Error {
	var p rest.Problem
	if json.Unmarshal(body, &p) == nil && p.Code != "" {
		return ErrorOf(p, requestID)
	}
	return &Error{Code: kindOf(status), Message: fmt.Sprintf("the server answered %d", status), RequestID: requestID}
}

// kindOf is the kind that a status most probably stands for when nobody says it. A server error of a proxy means
// that what is behind it does not answer.
func kindOf(status int) fault.Kind {
	for _, k := range []fault.Kind{
		fault.Unauthenticated, fault.Forbidden, fault.NotFound, fault.NotAllowed, fault.Conflict, fault.TooLarge, fault.RateLimited,
	} {
		if k.Status() == status {
			return k
		}
	}
	if status >= fault.Internal.Status() {
		return fault.Unavailable
	}
	return fault.Invalid
}

// seconds is a duration as the wire tells it. What no clock can hold is cut.
func seconds(s float64) time.Duration {
	const most = 24 * time.Hour
	return time.Duration(min(max(s, 0), most.Seconds()) * float64(time.Second))
}
