package api

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rest"
)

const (
	headerRequestID = "X-Request-Id"
	maxRequestID    = 64
)

// around is what every request goes through, also one to an address that does not exist: an id, headers, limits of
// time and size, and one line in the log.
func (a *API) around(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start := time.Now()
		r, w := c.Request(), c.Response()
		ctx, cancel := context.WithTimeout(r.Context(), requestBudget)
		defer cancel()
		r = r.WithContext(ctx)
		r.Body = http.MaxBytesReader(w, r.Body, rest.MaxRequest)
		c.SetRequest(r)
		setHeaders(w.Header(), r.Header)
		if err := a.guarded(c, next); err != nil {
			c.Error(err)
		}
		a.cfg.Logger.LogAttrs(ctx, slog.LevelDebug, "request", slog.String("method", r.Method),
			slog.String("route", c.Path()), slog.Int("status", w.Status), slog.Duration("took", time.Since(start)),
			slog.String("peer", c.RealIP()), slog.String("request_id", w.Header().Get(headerRequestID)))
		return nil
	}
}

// setHeaders sets what every answer carries: nothing of it is to be kept, guessed at, framed or run.
func setHeaders(h, request http.Header) {
	h.Set(headerRequestID, requestID(request.Get(headerRequestID)))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
}

// requestID is the client's own when it can be logged as it is, or a new one.
func requestID(given string) string {
	if given != "" && len(given) <= maxRequestID && strings.Trim(given, tokenCharacters) == "" {
		return given
	}
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		return "" // it only connects lines of logs
	}
	return chat.IDFromBytes(id)
}

const tokenCharacters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_."

// guarded runs a handler and makes a panic of it an error, so that the client gets an answer and the others
// do not notice. The text of a panic is for the log only.
func (a *API) guarded(c echo.Context, next echo.HandlerFunc) (err error) {
	defer func() {
		p := recover()
		if p == http.ErrAbortHandler {
			panic(p) // net/http's own way to end a connection
		}
		if p != nil {
			a.cfg.Logger.Error("a handler panicked", "route", c.Path(), "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic in %s", c.Path())
		}
	}()
	return next(c)
}

// signedIn lets in who has a valid token of an account that still is one, and hands the account on. Only the header
// counts: an address gets into logs.
func (a *API) signedIn(next func(echo.Context, chat.User) error) echo.HandlerFunc {
	return func(c echo.Context) error {
		given := c.Request().Header.Values(echo.HeaderAuthorization)
		if len(given) != 1 {
			return fault.New(fault.Unauthenticated, `sign in, and send the token as "Authorization: Bearer <token>"`)
		}
		scheme, raw, _ := strings.Cut(given[0], " ")
		if !strings.EqualFold(scheme, "Bearer") || raw == "" {
			return fault.New(fault.Unauthenticated, `send the token as "Authorization: Bearer <token>"`)
		}
		ctx := c.Request().Context()
		claims, err := a.cfg.Tokens.Verify(ctx, strings.TrimSpace(raw))
		if err != nil {
			return err
		}
		user, err := a.cfg.Accounts.User(ctx, claims.UserID)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		if err != nil || user.Deactivated {
			return fault.New(fault.Unauthenticated, "the account does not exist, or no longer")
		}
		return next(c, user)
	}
}
