package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/canopychat/canopy/schemas/fault"
)

// maxAnswer is how much of an answer is read, in bytes: a page of the largest messages fits.
const maxAnswer = 16 << 20

// tries is how often a call that may be repeated is made.
const tries = 4

// call is one request to the REST API.
type call struct {
	method string
	path   string
	in     any  // the body; nil: none
	out    any  // what the answer is read into; nil: nothing
	safe   bool // making it twice is the same as making it once
	keyed  bool // an Idempotency-Key makes it safe
	open   bool // made without a token
}

// do makes the call. One that may be repeated is, when the server does not answer or asks for patience. A token that
// is refused is refreshed once.
func (c *Client) do(ctx context.Context, k call) error {
	var body []byte
	if k.in != nil {
		var err error
		if body, err = json.Marshal(k.in); err != nil {
			return fmt.Errorf("%s %s: %w", k.method, k.path, err)
		}
	}
	var pauses Backoff
	key := ""
	if k.keyed {
		key = string(NewMsgID())
	}
	refreshed := false
	for try := 1; ; try++ {
		token := ""
		var err error
		if !k.open {
			if token, err = c.Token(ctx); err != nil {
				return err
			}
		}
		if err = c.once(ctx, k, body, credentials{token: token, key: key}); err == nil {
			return nil
		}
		if CodeOf(err) == fault.Unauthenticated && !k.open && !refreshed && c.Distrust(token) {
			refreshed = true
			continue
		}
		pause, again := again(err, &pauses)
		if !(k.safe || k.keyed) || !again || try == tries || ctx.Err() != nil {
			return err
		}
		if err := Wait(ctx, pause); err != nil {
			return err
		}
	}
}

// again says whether a failed call is worth repeating, and when. What is no Error came from the network.
func again(err error, pauses *Backoff) (time.Duration, bool) {
	var refused *Error
	if errors.As(err, &refused) {
		return pauses.Next(rand.Float64(), refused.RetryAfter), refused.Passes()
	}
	return pauses.Next(rand.Float64(), 0), true
}

// credentials are what a request says of itself in headers.
type credentials struct {
	token string // who asks; empty: nobody yet
	key   string // which request it is, however often it is made; empty: no matter
}

// once makes one request.
func (c *Client) once(ctx context.Context, k call, body []byte, as credentials) (err error) {
	r, err := http.NewRequestWithContext(ctx, k.method, c.url+k.path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%s %s: %w", k.method, k.path, err)
	}
	if len(body) > 0 {
		r.Header.Set("Content-Type", "application/json")
	}
	if as.token != "" {
		r.Header.Set("Authorization", "Bearer "+as.token)
	}
	if as.key != "" {
		r.Header.Set("Idempotency-Key", as.key)
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return fmt.Errorf("%s %s: %w", k.method, k.path, err)
	}
	defer func() { _ = answer.Body.Close() }() // it was read, or is of no use
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("%s %s: %w", k.method, k.path, err)
	}
	if answer.StatusCode/100 != 2 {
		return Refusal(answer.StatusCode, text, answer.Header.Get("X-Request-Id"))
	}
	if k.out == nil {
		return nil
	}
	if err := json.Unmarshal(text, k.out); err != nil {
		return fmt.Errorf("%s %s: the answer does not parse: %w", k.method, k.path, err)
	}
	return nil
}
