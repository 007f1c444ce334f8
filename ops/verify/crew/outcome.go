package crew

import (
	"context"
	"errors"
	"strconv"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/edge/client/live"
	"github.com/canopychat/canopy/edge/wsconn"
	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/schemas/fault"
)

// judge fills in what came of an op. It is refused when the server said so for good, and nothing that went before may have been taken. Of the
// refusals that may pass, rate_limited alone is one: nothing was done. unavailable leaves it open, but counts as refused while capacity is
// measured, when it says when to come again: there it is what was asked for.
func judge(op *record.Op, err error, doubt bool) {
	if err == nil {
		op.Outcome = record.OK
		return
	}
	op.Outcome, op.Code = record.Unknown, reason(err)
	e := refusal(err)
	if e == nil {
		return
	}
	op.Code, op.RetryIn = string(e.Code), e.RetryAfter
	final := !e.Passes() && e.Code != fault.Internal || e.Code == fault.RateLimited
	honest := op.Phase != "" && e.RetryAfter > 0
	if !doubt && (final || honest) {
		op.Outcome = record.Refused
	}
}

// refusal is what a server said to an op, or to a socket; nil: it was none that did.
func refusal(err error) *client.Error {
	var e *client.Error
	var refused *wsconn.RefusedError
	var closed *wsconn.CloseError
	switch {
	case errors.As(err, &e):
		return e
	case errors.As(err, &refused):
		return client.Refusal(refused.Status, refused.Body, "")
	case errors.As(err, &closed):
		for _, k := range []fault.Kind{fault.Unauthenticated, fault.Forbidden, fault.NotFound, fault.Invalid} {
			if k.CloseCode() == closed.Code {
				return &client.Error{Code: k, Message: closed.Reason}
			}
		}
	}
	return nil
}

// reason is what an error is, in a few words.
func reason(err error) string {
	var e *client.Error
	var closed *wsconn.CloseError
	switch {
	case err == nil:
		return "closed"
	case errors.As(err, &e):
		return string(e.Code)
	case errors.As(err, &closed):
		return strconv.Itoa(closed.Code)
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer"
	case errors.Is(err, context.Canceled):
		return "given up"
	case errors.Is(err, live.ErrClosed):
		return "the conn has ended"
	}
	return err.Error()
}
