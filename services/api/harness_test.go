package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rest"
	"github.com/canopychat/canopy/services/api"
	"github.com/canopychat/canopy/services/auth"
	"github.com/canopychat/canopy/services/directory"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/sqlite"
	"github.com/canopychat/canopy/streams"
)

const password = "correct horse"

// world is the API with the directory and the sign-in that it has in a deployment, over a SQLite file, and a log
// in memory. Alice owns the workspace, bob and carol are members, gus is a guest, eve has a workspace of her own.
type world struct {
	t      *testing.T
	db     *sqlite.Directory
	dir    *directory.Service
	signer *auth.Signer
	log    *memory
	logged *bytes.Buffer // what the API logged
	url    string
	tokens map[string]string
	ws     chat.WorkspaceID
	eves   chat.WorkspaceID
}

// person makes the id of one of the people.
func person(login string) chat.UserID { return chat.UserID("u" + login) }

// hashed is the hash of password: made once, because it is slow on purpose.
var hashed = sync.OnceValue(func() string {
	hash, err := auth.NewPasswords(1).Hash(context.Background(), password)
	if err != nil {
		panic(err)
	}
	return hash
})

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, log: &memory{}, logged: &bytes.Buffer{}, tokens: map[string]string{}}
	var err error
	w.db, err = sqlite.OpenDirectory(t.Context(), filepath.Join(t.TempDir(), "directory.db"))
	w.must(err)
	t.Cleanup(func() {
		if err := w.db.Close(); err != nil {
			t.Error(err)
		}
	})
	relay := directory.NewRelay(directory.RelayConfig{Outbox: w.db, Log: w.log, Poll: 10 * time.Millisecond})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- relay.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	w.dir, err = directory.New(directory.Config{Store: w.db, Shards: streams.Shards, Relay: relay})
	w.must(err)
	w.signer, err = auth.OpenSigner(t.Context(), auth.SignerConfig{Keyring: w.db})
	w.must(err)
	w.populate()
	w.serve()
	return w
}

func (w *world) populate() {
	w.t.Helper()
	ctx := w.t.Context()
	var users []store.NewUser
	for _, login := range []string{"alice", "bob", "carol", "gus", "eve"} {
		users = append(users, store.NewUser{PasswordHash: hashed(), User: chat.User{
			ID: person(login), Login: login, DisplayName: strings.ToUpper(login[:1]) + login[1:], CreatedAt: time.Now(),
		}})
		issued, err := w.signer.Issue(ctx, person(login))
		w.must(err)
		w.tokens[login] = issued.Token
	}
	w.must(w.db.CreateUsers(ctx, users))
	ws, err := w.dir.CreateWorkspace(ctx, person("alice"), "Canopy")
	w.must(err)
	eves, err := w.dir.CreateWorkspace(ctx, person("eve"), "Eve's")
	w.must(err)
	w.ws, w.eves = ws.Workspace.ID, eves.Workspace.ID
	w.must(w.db.AddMembers(ctx, person("alice"), []chat.Member{
		{WorkspaceID: w.ws, UserID: person("bob"), Role: chat.RoleMember},
		{WorkspaceID: w.ws, UserID: person("carol"), Role: chat.RoleMember},
		{WorkspaceID: w.ws, UserID: person("gus"), Role: chat.RoleGuest},
	}))
}

func (w *world) serve() {
	a := api.New(api.Config{
		SignIns:  auth.NewLogin(auth.LoginConfig{Accounts: w.db, Passwords: auth.NewPasswords(1), Signer: w.signer}),
		Tokens:   auth.NewVerifier(auth.VerifierConfig{Source: w.signer}),
		Accounts: w.dir, Workspaces: w.dir, Channels: w.dir, Joining: w.dir, Editing: w.dir, People: w.dir, Directs: w.dir,
		History: w.log, Log: w.log,
		Logger: slog.New(slog.NewTextHandler(w.logged, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	s := httptest.NewServer(a.Handler())
	w.t.Cleanup(s.Close)
	w.url = s.URL
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// reply is an answer with its body read.
type reply struct {
	t      *testing.T
	what   string
	status int
	header http.Header
	body   []byte
}

// call sends a request as a person; "" sends no token.
func (w *world) call(login, method, path, body string) reply {
	w.t.Helper()
	header := http.Header{}
	if login != "" {
		header.Set("Authorization", "Bearer "+w.tokens[login])
	}
	return w.send(method, path, header, strings.NewReader(body))
}

func (w *world) send(method, path string, header http.Header, body io.Reader) reply {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, body)
	w.must(err)
	for key, values := range header {
		req.Header[key] = values
	}
	resp, err := http.DefaultClient.Do(req)
	w.must(err)
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	w.must(err)
	return reply{t: w.t, what: method + " " + path, status: resp.StatusCode, header: resp.Header, body: got}
}

// ok checks the status and reads the body into v.
func (r reply) ok(status int, v any) {
	r.t.Helper()
	if r.status != status {
		r.t.Fatalf("%s answers %d, want %d: %s", r.what, r.status, status, r.body)
	}
	if v == nil {
		return
	}
	if got := r.header.Get("Content-Type"); got != "application/json" {
		r.t.Errorf("%s is of type %q", r.what, got)
	}
	if err := json.Unmarshal(r.body, v); err != nil {
		r.t.Fatalf("%s: %v in %s", r.what, err, r.body)
	}
}

// fails checks that it is a problem of the kind, in every field.
func (r reply) fails(kind fault.Kind) rest.Problem {
	r.t.Helper()
	var p rest.Problem
	if err := json.Unmarshal(r.body, &p); err != nil {
		r.t.Errorf("%.200s answers %d without a problem: %.200q", r.what, r.status, r.body)
		return p
	}
	if p.Code != kind || r.status != kind.Status() || p.Status != r.status || p.Title != kind.Title() ||
		p.Type != "urn:canopy:error:"+string(kind) || r.header.Get("Content-Type") != "application/problem+json" {
		r.t.Errorf("%.200s answers %d %+v, want %s", r.what, r.status, p, kind)
	}
	return p
}

// channel makes a channel by alice.
func (w *world) channel(name string, kind chat.ChannelType) rest.Channel {
	w.t.Helper()
	var c rest.Channel
	w.call("alice", "POST", "/workspaces/"+string(w.ws)+"/channels", `{"name":"`+name+`","type":"`+string(kind)+`"}`).ok(201, &c)
	return c
}

// messages is the address of a channel's messages.
func messages(c chat.ChannelID) string { return "/channels/" + string(c) + "/messages" }

// post sends a message.
func (w *world) post(login string, c chat.ChannelID, body, id string) rest.Ack {
	w.t.Helper()
	var ack rest.Ack
	w.call(login, "POST", messages(c), `{"body":"`+body+`","client_msg_id":"`+id+`"}`).ok(201, &ack)
	return ack
}
