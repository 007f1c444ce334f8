package entry

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

const (
	headerKey      = "Idempotency-Key"
	headerReplayed = "Idempotent-Replayed"
)

// lease is how long a request with a key is believed to be done still: the longest that one takes, and the keeping
// of its answer.
const lease = budget + keepBudget

// keepBudget is how long the keeping of an answer may take. It goes on when the client has gone.
const keepBudget = 5 * time.Second

// once does a request with an Idempotency-Key, or answers it as it was answered before.
func (in *Entry) once(c echo.Context, me Asker, next Handler) error {
	given := c.Request().Header.Values(headerKey)
	if len(given) == 0 {
		return next(c, me)
	}
	if len(given) > 1 || !isKey(given[0]) {
		return fault.New(fault.Invalid, "%s is one text of 1 to %d visible ASCII characters", headerKey, chat.MaxIdempotencyKey)
	}
	if in.cfg.Idempotency == nil {
		return fault.New(fault.Unsupported, "this server takes no %s", headerKey)
	}
	request, err := requestSum(c)
	if err != nil {
		return err
	}
	key := store.IdempotencyKey{UserID: me.ID, Key: nameOf(given[0]), Request: request, At: in.cfg.Now(), Lease: lease}
	kept, done, err := in.cfg.Idempotency.Begin(c.Request().Context(), key)
	if err != nil {
		return err
	}
	envelope := sealedBy(given[0], key)
	if done {
		return replay(c, kept, envelope)
	}
	return in.keep(c, key, envelope, func(c echo.Context) error { return next(c, me) })
}

// isKey takes what a header can carry without anybody on the way changing it.
func isKey(s string) bool {
	if s == "" || len(s) > chat.MaxIdempotencyKey {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// nameOf is what the store calls a key. It has the hash alone, because the key opens what was answered.
func nameOf(key string) string {
	sum := sha256.Sum256([]byte("name\x00" + key))
	return hex.EncodeToString(sum[:])
}

// requestSum is what makes a request the same as another, and leaves the body to be read again.
func requestSum(c echo.Context) (store.Secret, error) {
	r := c.Request()
	body, err := readBody(r)
	if err != nil {
		return store.Secret{}, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\n%s\n", r.Method, r.URL.RequestURI()) // a hash takes everything
	sum.Write(body)
	return store.Secret(sum.Sum(nil)), nil
}

// keep does a request and keeps its answer before any of it leaves: when this process dies in between, the request
// that is sent again gets the answer, and is not done again.
func (in *Entry) keep(c echo.Context, key store.IdempotencyKey, e envelope, do echo.HandlerFunc) error {
	w := c.Response()
	held := &heldAnswer{to: w.Writer}
	w.Writer = held
	var kept store.Answered // without a status: forgotten, so that the request can be tried again
	whole := false
	defer func() { // also when the handler ends the connection
		ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Request().Context()), keepBudget)
		defer cancel()
		if err := in.cfg.Idempotency.End(ctx, key, kept); err != nil {
			in.cfg.Logger.Warn("an answer was not kept for its Idempotency-Key", "route", c.Path(), "err", err,
				"request_id", w.Header().Get(headerRequestID))
		}
		if w.Writer = held.to; whole {
			held.send()
		}
	}()
	if err := in.guarded(c, do); err != nil {
		in.Fail(err, c)
	}
	whole = true
	if held.status == fault.RateLimited.Status() || held.status >= fault.Internal.Status() {
		return nil
	}
	sealed, err := e.seal(held.body.Bytes())
	if err != nil {
		return nil // there is no chance to be had; the answer goes out, and is not kept
	}
	kept = store.Answered{Status: held.status, Body: sealed}
	return nil
}

// replay answers as it was answered before.
func replay(c echo.Context, kept store.Answered, e envelope) error {
	body, err := e.open(kept.Body)
	if err != nil {
		return fmt.Errorf("open a kept answer: %w", err)
	}
	c.Response().Header().Set(headerReplayed, "true")
	if len(body) == 0 {
		return c.NoContent(kept.Status)
	}
	if kept.Status >= fault.Invalid.Status() {
		return writeProblem(c, kept.Status, body)
	}
	return c.Blob(kept.Status, echo.MIMEApplicationJSON, body)
}

// heldAnswer keeps an answer back. Its headers go straight into those of the connection.
type heldAnswer struct {
	to     http.ResponseWriter
	status int // 0: nothing was answered
	body   bytes.Buffer
}

func (h *heldAnswer) Header() http.Header         { return h.to.Header() }
func (h *heldAnswer) WriteHeader(status int)      { h.status = status }
func (h *heldAnswer) Write(b []byte) (int, error) { return h.body.Write(b) }

// send lets the answer go. A client that has gone does not get it; it asks again.
func (h *heldAnswer) send() {
	if h.status == 0 {
		return
	}
	h.to.WriteHeader(h.status)
	if h.body.Len() > 0 {
		_, _ = h.to.Write(h.body.Bytes()) // the client has gone
	}
}

// readBody reads a whole body.
func readBody(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(r.Body)
	var over *http.MaxBytesError
	if errors.As(err, &over) {
		return nil, fault.Wrap(fault.TooLarge, err, "a request has at most %d bytes", over.Limit)
	}
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "the body ended too early")
	}
	return body, nil
}
