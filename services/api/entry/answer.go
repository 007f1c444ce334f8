package entry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rest"
)

// retryPause is what a client is told whose request ran out of time.
const retryPause = 2 * time.Second

// Fail writes a failure. It is the only place that does, and echo's error handler.
func (in *Entry) Fail(err error, c echo.Context) {
	if c.Response().Committed { // the client has half of an answer: it must not take it for a whole one
		panic(http.ErrAbortHandler)
	}
	err = kindly(err)
	c.Set(failureKey, err)
	p := rest.ProblemOf(err)
	in.cfg.Refused(p.Code)
	if p.Code == fault.Internal {
		in.cfg.Logger.Error("request failed", "route", c.Path(), "err", err,
			"request_id", c.Response().Header().Get(headerRequestID))
	}
	h := c.Response().Header()
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(p.RetryAfter))))
	}
	body, err := json.Marshal(p)
	if err == nil {
		err = writeProblem(c, p.Status, body)
	}
	if err != nil {
		in.cfg.Logger.Debug("the client went before its answer", "route", c.Path(), "err", err)
	}
}

// failureKey is where the failure that a request ended with is kept.
const failureKey = "canopy.failure"

// failureOf is what a request failed with; nil when it did not.
func failureOf(c echo.Context) error {
	err, _ := c.Get(failureKey).(error)
	return err
}

// writeProblem writes a Problem that is JSON already.
func writeProblem(c echo.Context, status int, body []byte) error {
	if status == fault.Unauthenticated.Status() {
		c.Response().Header().Set(echo.HeaderWWWAuthenticate, "Bearer")
	}
	return c.Blob(status, rest.ProblemType, body)
}

// kindly gives echo's own failures, and a request that ran out of time, a kind.
func kindly(err error) error {
	var known *fault.Error
	switch {
	case errors.As(err, &known):
		return err
	case errors.Is(err, echo.ErrNotFound):
		return fault.Wrap(fault.NotFound, err, "there is nothing at this address")
	case errors.Is(err, echo.ErrMethodNotAllowed):
		return fault.Wrap(fault.NotAllowed, err, "the header Allow says what this address takes")
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return fault.Wrap(fault.Unavailable, err, "it took too long; whether it was done is not known").After(retryPause)
	}
	return err
}

// Answer writes v as JSON, with text as people wrote it: an answer is never taken for HTML (nosniff).
func Answer(c echo.Context, status int, v any) error {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	return c.Blob(status, echo.MIMEApplicationJSON, bytes.TrimSuffix(body.Bytes(), []byte("\n")))
}

// Done answers a call that has nothing to say but whether it was done.
func Done(c echo.Context, err error) error {
	if err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
