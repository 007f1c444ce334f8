package api

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

// fail writes a failure. It is the only place that does, and echo's error handler.
func (a *API) fail(err error, c echo.Context) {
	if c.Response().Committed { // the client has half of an answer: it must not take it for a whole one
		panic(http.ErrAbortHandler)
	}
	err = kindly(err)
	p := rest.ProblemOf(err)
	if p.Code == fault.Internal {
		a.cfg.Logger.Error("request failed", "route", c.Path(), "err", err,
			"request_id", c.Response().Header().Get(headerRequestID))
	}
	h := c.Response().Header()
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(p.RetryAfter))))
	}
	if p.Code == fault.Unauthenticated {
		h.Set(echo.HeaderWWWAuthenticate, "Bearer")
	}
	body, err := json.Marshal(p)
	if err == nil {
		err = c.Blob(p.Status, rest.ProblemType, body)
	}
	if err != nil {
		a.cfg.Logger.Debug("the client went before its answer", "route", c.Path(), "err", err)
	}
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

// answer writes v as JSON, with text as people wrote it: an answer is never taken for HTML (nosniff).
func answer(c echo.Context, status int, v any) error {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	return c.Blob(status, echo.MIMEApplicationJSON, bytes.TrimSuffix(body.Bytes(), []byte("\n")))
}
