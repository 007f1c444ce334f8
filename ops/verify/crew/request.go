package crew

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/canopychat/canopy/edge/client"
)

// maxAnswer is how much of an answer is read, in bytes.
const maxAnswer = 16 << 20

// plain makes requests that follow no redirect: it would lead to what nobody asked for.
var plain = &http.Client{
	Timeout:       restBudget,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// request is one call that the client has no method for.
type request struct {
	method, path string
	body         string // JSON; empty: none
	out          any    // what the answer is read into; nil: nothing
}

// ask makes one request, once. The error is a *client.Error when the server refused.
func ask(ctx context.Context, c *client.Client, k request) error {
	token, err := c.Token(ctx)
	if err != nil {
		return err
	}
	return k.ask(ctx, c.URL(), token)
}

// ask makes the request at a server, with a token.
func (k request) ask(ctx context.Context, at, token string) error {
	r, err := http.NewRequestWithContext(ctx, k.method, at+k.path, strings.NewReader(k.body))
	if err != nil {
		return fmt.Errorf("%s %.200s: %w", k.method, k.path, err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if k.body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := plain.Do(r)
	if err != nil {
		return fmt.Errorf("%s %.200s: %w", k.method, k.path, err)
	}
	defer func() { _ = answer.Body.Close() }() // it was read, or is of no use
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("%s %.200s: %w", k.method, k.path, err)
	}
	if answer.StatusCode/100 != 2 { // a redirect leads nowhere
		return client.Refusal(answer.StatusCode, text, answer.Header.Get("X-Request-Id"))
	}
	if k.out == nil {
		return nil
	}
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(k.out); err != nil {
		return fmt.Errorf("%s %.200s: the answer does not parse: %w", k.method, k.path, err)
	}
	return nil
}
