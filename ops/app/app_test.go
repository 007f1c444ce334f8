package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/canopychat/canopy/edge/wsconn"
	"github.com/canopychat/canopy/ops/app"
	"github.com/canopychat/canopy/ops/config"
)

// patience bounds every wait of these tests: generous, because machines are slow under the race detector.
const patience = 30 * time.Second

// deployment is a whole Canopy in this process.
type deployment struct {
	t    *testing.T
	cfg  config.Config
	run  app.Running
	stop func()
}

// testLog shows warnings; CANOPY_TEST_LOG=debug shows everything.
func testLog() *slog.Logger {
	level := slog.LevelWarn
	if os.Getenv("CANOPY_TEST_LOG") == "debug" {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}

func testConfig(t *testing.T) config.Config {
	cfg := config.Default(config.Together)
	cfg.Data, cfg.Listen = t.TempDir(), "127.0.0.1:0"
	cfg.Edge.DrainSpread = 100 * time.Millisecond
	return cfg
}

// up starts everything, and stops it when the test ends.
func up(t *testing.T, cfg config.Config) *deployment {
	t.Helper()
	a, err := app.New(cfg, app.AllRoles, testLog())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ready := make(chan app.Running, 1)
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx, func(r app.Running) { ready <- r }) }()
	d := &deployment{t: t, cfg: cfg}
	stopped := false
	d.stop = func() {
		cancel()
		if stopped {
			return
		}
		stopped = true
		if err := <-ended; err != nil {
			t.Errorf("the deployment ended with: %v", err)
		}
	}
	t.Cleanup(d.stop)
	select {
	case d.run = <-ready:
	case err := <-ended:
		stopped = true
		t.Fatalf("the deployment did not start: %v", err)
	case <-time.After(patience):
		t.Fatal("the deployment did not start in time")
	}
	return d
}

// user is somebody who is signed in.
type user struct {
	d     *deployment
	id    string
	token string
}

func (d *deployment) signIn(login string) *user {
	d.t.Helper()
	for _, l := range d.run.Logins {
		if l.Login == login {
			var in struct {
				Token string `json:"token"`
				User  struct {
					ID string `json:"id"`
				} `json:"user"`
			}
			(&user{d: d}).must(http.StatusOK, "POST", "/login", map[string]any{"login": l.Login, "password": l.Password}, &in)
			return &user{d: d, id: in.User.ID, token: in.Token}
		}
	}
	d.t.Fatalf("nobody is called %s", login)
	return nil
}

// call makes a REST call and answers its status and body.
func (u *user) call(method, path string, body any) (int, []byte) {
	u.d.t.Helper()
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			u.d.t.Fatal(err)
		}
		in = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(u.d.t.Context(), method, u.d.run.HTTP+path, in)
	if err != nil {
		u.d.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if u.token != "" {
		req.Header.Set("Authorization", "Bearer "+u.token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		u.d.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		u.d.t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp.StatusCode, out
}

// must is call that wants a status, and reads the answer into out.
func (u *user) must(status int, method, path string, body, out any) {
	u.d.t.Helper()
	got, text := u.call(method, path, body)
	if got != status {
		u.d.t.Fatalf("%s %s: %d, want %d: %s", method, path, got, status, text)
	}
	if out != nil {
		if err := json.Unmarshal(text, out); err != nil {
			u.d.t.Fatalf("%s %s: %v in %s", method, path, err, text)
		}
	}
}

// channel is the id of a channel by its name.
func (u *user) channel(name string) string {
	u.d.t.Helper()
	var list struct {
		Channels []struct{ ID, Name string } `json:"channels"`
	}
	u.must(http.StatusOK, "GET", "/workspaces/"+u.d.run.Workspace.ID+"/channels", nil, &list)
	for _, c := range list.Channels {
		if c.Name == name {
			return c.ID
		}
	}
	u.d.t.Fatalf("there is no channel %s", name)
	return ""
}

// frame is any frame of a gateway.
type frame struct {
	Type        string  `json:"type"`
	Kind        string  `json:"kind"`
	ChannelID   string  `json:"channel_id"`
	UserID      string  `json:"user_id"`
	Seq         uint64  `json:"seq"`
	Prev        uint64  `json:"prev"`
	Head        uint64  `json:"head"`
	Epoch       int     `json:"epoch"`
	Resumed     bool    `json:"resumed"`
	Duplicate   bool    `json:"duplicate"`
	ClientMsgID string  `json:"client_msg_id"`
	Code        string  `json:"code"`
	Reason      string  `json:"reason"`
	Ref         any     `json:"ref"`
	RetryAfter  float64 `json:"retry_after"`
	TS          string  `json:"ts"`
	MessageSeq  uint64  `json:"message_seq"`
	Message     *struct {
		Seq         uint64 `json:"seq"`
		ServerMsgID string `json:"server_msg_id"`
		SenderID    string `json:"sender_id"`
		Body        string `json:"body"`
		ClientMsgID string `json:"client_msg_id"`
		TS          string `json:"ts"`
		Deleted     bool   `json:"deleted"`
	} `json:"message"`
	raw string
}

// socket is an open socket.
type socket struct {
	t     *testing.T
	c     *wsconn.Client
	hello frame
}

// dial opens a socket; query is added to the URL.
func (u *user) dial(query string) (*wsconn.Client, error) {
	url := "ws" + strings.TrimPrefix(u.d.run.HTTP, "http") + "/socket?workspace=" + u.d.run.Workspace.ID + query
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return wsconn.Dial(ctx, url, http.Header{"Authorization": {"Bearer " + u.token}})
}

// open opens a socket from the head, or from a cursor when one is given.
func (u *user) open(cursor ...uint64) *socket {
	u.d.t.Helper()
	query := ""
	if len(cursor) > 0 {
		query = fmt.Sprintf("&cursor=1.%d", cursor[0])
	}
	c, err := u.dial(query)
	if err != nil {
		u.d.t.Fatal(err)
	}
	s := &socket{t: u.d.t, c: c}
	u.d.t.Cleanup(func() { _ = c.Close() })
	s.hello = s.next()
	if s.hello.Type != "hello" {
		u.d.t.Fatalf("the first frame is %s", s.hello.raw)
	}
	return s
}

// read is the next frame, or what ended the socket.
func (s *socket) read() (frame, error) {
	if err := s.c.Conn().SetReadDeadline(time.Now().Add(patience)); err != nil {
		return frame{}, err
	}
	text, err := s.c.Read()
	if err != nil {
		return frame{}, err
	}
	f := frame{raw: string(text)}
	if err := json.Unmarshal(text, &f); err != nil {
		return frame{}, fmt.Errorf("%w in %s", err, text)
	}
	return f, nil
}

// next is the next frame.
func (s *socket) next() frame {
	s.t.Helper()
	f, err := s.read()
	if err != nil {
		s.t.Fatal(err)
	}
	return f
}

// want is the next frame of a type; others are passed over.
func (s *socket) want(types ...string) frame {
	s.t.Helper()
	for {
		f := s.next()
		for _, t := range types {
			if f.Type == t {
				return f
			}
		}
		if f.Type == "error" || f.Type == "resync" {
			s.t.Fatalf("wanted %v, got %s", types, f.raw)
		}
	}
}

// ended reads until the server closes, and answers the close code.
func (s *socket) ended() int {
	s.t.Helper()
	for {
		_, err := s.read()
		var closed *wsconn.CloseError
		if errors.As(err, &closed) {
			return closed.Code
		}
		if err != nil {
			s.t.Fatalf("the socket ended without a close frame: %v", err)
		}
	}
}

func (s *socket) send(f map[string]any) {
	s.t.Helper()
	b, err := json.Marshal(f)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.c.Write(b); err != nil {
		s.t.Fatal(err)
	}
}

func newMsgID() string { return uuid.Must(uuid.NewV7()).String() }

// post sends a message and answers its client_msg_id.
func (s *socket) post(channel, body string) string {
	s.t.Helper()
	id := newMsgID()
	s.send(map[string]any{"type": "message.send", "channel_id": channel, "body": body, "client_msg_id": id})
	return id
}
