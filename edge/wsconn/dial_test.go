package wsconn_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/canopychat/canopy/edge/wsconn"
)

// dialed is a Client at a server that upgrades, writes early with its answer, and then does what serve says with
// the connection's bytes.
func dialed(t *testing.T, early []byte, serve func(in <-chan wsconn.Event, out func([]byte))) *wsconn.Client {
	t.Helper()
	done := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(done)
		if got := r.Header.Get("Authorization"); got != "Bearer token" {
			t.Errorf("Authorization is %q", got)
		}
		conn, _, err := wsconn.Upgrade(w, r, wsconn.Rules{})
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		out := func(b []byte) { _, _ = conn.Write(b) } // a client that has gone fails the test by itself
		out(early)
		in := make(chan wsconn.Event, 100)
		go func() {
			defer close(in)
			var p wsconn.Parser
			buf := make([]byte, 1000)
			for {
				n, err := conn.Read(buf)
				if err != nil {
					return
				}
				if p.Feed(buf[:n], func(e wsconn.Event) error {
					e.Payload = append([]byte(nil), e.Payload...)
					in <- e
					return nil
				}) != nil {
					return
				}
			}
		}()
		serve(in, out)
	}))
	t.Cleanup(func() { <-done; server.Close() })
	c, err := wsconn.Dial(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http"), http.Header{"Authorization": {"Bearer token"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Conn().SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

func serverFrame(op ws.OpCode, fin bool, payload string) []byte {
	return ws.MustCompileFrame(ws.NewFrame(op, fin, []byte(payload)))
}

func TestAClientReadsAndWrites(t *testing.T) {
	early := append(serverFrame(ws.OpText, true, "early"), serverFrame(ws.OpPing, true, "are you there")...)
	c := dialed(t, early, func(in <-chan wsconn.Event, out func([]byte)) {
		for _, want := range []string{`text "hello"`, `pong "are you there"`} {
			if got := show(<-in); got != want {
				t.Errorf("the server got %s, want %s", got, want)
			}
		}
		out(serverFrame(ws.OpText, false, "in "))
		out(serverFrame(ws.OpPong, true, "between"))
		out(serverFrame(ws.OpContinuation, true, "pieces"))
		out(wsconn.AppendClose(nil, 1012, "restarting"))
		if got := show(<-in); got != `close 1012 "restarting"` {
			t.Errorf("the server got %s", got)
		}
	})
	defer c.Conn().Close()
	read := func(want string) {
		t.Helper()
		if got, err := c.Read(); err != nil || string(got) != want {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
	read("early")
	if err := c.Write([]byte("hello")); err != nil {
		t.Error(err)
	}
	read("in pieces")
	var over *wsconn.CloseError
	if _, err := c.Read(); !errors.As(err, &over) || over.Code != 1012 || over.Reason != "restarting" || !strings.Contains(over.Error(), "1012") {
		t.Errorf("%v", err)
	}
}

func TestAClientCloses(t *testing.T) {
	c := dialed(t, nil, func(in <-chan wsconn.Event, _ func([]byte)) {
		if got := show(<-in); got != `close 1000 ""` {
			t.Errorf("the server got %s", got)
		}
	})
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// A server cannot fill a client's memory: neither with one frame nor with fragments.
func TestAClientReadsNothingWithoutEnd(t *testing.T) {
	long := strings.Repeat("x", wsconn.MaxMessage)
	for name, frames := range map[string][]byte{
		"one frame": serverFrame(ws.OpText, true, long+long+"x"),
		"fragments": append(append(serverFrame(ws.OpText, false, long), serverFrame(ws.OpContinuation, false, long)...), serverFrame(ws.OpContinuation, false, "x")...),
	} {
		c := dialed(t, nil, func(in <-chan wsconn.Event, out func([]byte)) {
			out(frames)
			for range in { // until the client has gone
			}
		})
		if got, err := c.Read(); err == nil {
			t.Errorf("%s: %d bytes", name, len(got))
		}
		if err := c.Conn().Close(); err != nil {
			t.Error(err)
		}
	}
}

// The answer is shown though the connection stays open after it.
func TestAClientIsRefused(t *testing.T) {
	for name, write := range map[string]func(w http.ResponseWriter){
		"with a length": func(w http.ResponseWriter) { _, _ = w.Write([]byte("no room\n")) },
		"in chunks": func(w http.ResponseWriter) {
			_, _ = w.Write([]byte("no "))
			w.(http.Flusher).Flush()
			_, _ = w.Write([]byte("room"))
		},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
			write(w)
		}))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		_, err := wsconn.Dial(ctx, "ws"+strings.TrimPrefix(server.URL, "http"), nil)
		var refused *wsconn.RefusedError
		if !errors.As(err, &refused) || refused.Status != 503 || string(refused.Body) != "no room" || ctx.Err() != nil {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
		server.Close()
	}
	if _, err := wsconn.Dial(t.Context(), "ws://127.0.0.1:1", nil); err == nil || errors.As(err, new(*wsconn.RefusedError)) {
		t.Errorf("nobody there: %v", err)
	}
}
