package live_test

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/edge/client/live"
	"github.com/canopychat/canopy/edge/wsconn"
	"github.com/canopychat/canopy/schemas/fault"
)

// What the end of a socket means: whether to come back, whether with another token, and how soon.
func TestVerdicts(t *testing.T) {
	closed := func(code int) error { return fmt.Errorf("read: %w", &wsconn.CloseError{Code: code}) }
	refused := func(status int, body string) error { return &wsconn.RefusedError{Status: status, Body: []byte(body)} }
	for _, tt := range []struct {
		err           error
		final, signIn bool
		atLeast       time.Duration
	}{
		{err: io.ErrUnexpectedEOF},
		{err: closed(fault.Moving.CloseCode())},
		{err: closed(fault.SlowReader.CloseCode())},
		{err: closed(fault.CloseGoingAway)},
		{err: closed(1005)}, // without a code: nobody said to stay away
		{err: closed(fault.CloseNormal), final: true},
		{err: closed(fault.NotFound.CloseCode()), final: true},
		{err: closed(fault.Unauthenticated.CloseCode()), final: true, signIn: true},
		{err: refused(503, `{"code":"moving","retry_after":1.5}`), atLeast: 1500 * time.Millisecond},
		{err: refused(503, `{"code":"unavailable","retry_after":1e300}`), atLeast: 24 * time.Hour},
		{err: refused(503, `{"code":"unavailable","retry_after":-1}`)},
		{err: refused(502, `<html>`)},
		{err: refused(429, ``)},
		{err: refused(404, `{"code":"not_found"}`), final: true},
		{err: refused(404, `a proxy`), final: true},
		{err: refused(401, `{"code":"unauthenticated"}`), final: true, signIn: true},
		{err: &client.Error{Code: fault.Unavailable, RetryAfter: time.Second}, atLeast: time.Second},
		{err: &client.Error{Code: fault.Unauthenticated}, final: true, signIn: true},
	} {
		final, signIn, atLeast := live.Judge(tt.err)
		if final != tt.final || signIn != tt.signIn || atLeast != tt.atLeast {
			t.Errorf("%v: final %t, sign in %t, after %v", tt.err, final, signIn, atLeast)
		}
	}
}
