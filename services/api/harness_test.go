package api_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rest"
	"github.com/canopychat/canopy/schemas/rest/resttest"
	"github.com/canopychat/canopy/services/api"
	"github.com/canopychat/canopy/services/store"
)

const (
	password  = "correct horse"
	setupCode = "let-me-in"
)

// world is the API over a town and a log in memory, whose every exchange is held against the OpenAPI document. Alice
// owns the workspace, bob and carol are members, gus is a guest, eve has a workspace of her own.
type world struct {
	t      *testing.T
	town   *town
	log    *memory
	desk   *desk
	kept   *kept
	api    *api.API
	logged *bytes.Buffer // what the API logged
	http   *http.Client
	seen   *resttest.Recorder
	url    string
	tokens map[string]string
	ws     chat.WorkspaceID
	eves   chat.WorkspaceID
}

// person makes the id of one of the people.
func person(login string) chat.UserID { return chat.UserID("u" + login) }

// document is the OpenAPI document of this build.
var document = sync.OnceValue(func() *resttest.Document {
	d, err := resttest.Open()
	if err != nil {
		panic(err)
	}
	return d
})

func newWorld(t *testing.T, change ...func(*api.Config)) *world {
	t.Helper()
	w := emptyWorld(t, change...)
	for _, login := range []string{"alice", "bob", "carol", "gus", "eve"} {
		u := w.town.add(store.Newcomer{Login: login, DisplayName: strings.ToUpper(login[:1]) + login[1:], Password: password})
		w.tokens[login] = w.town.begin(u, store.Device{Name: "laptop"}).Issued.Token
	}
	w.ws, w.eves = w.town.found(person("alice"), "Canopy").Workspace.ID, w.town.found(person("eve"), "Eve's").Workspace.ID
	members := w.town.members[w.ws]
	members[person("bob")], members[person("carol")], members[person("gus")] = chat.RoleMember, chat.RoleMember, chat.RoleGuest
	return w
}

// emptyWorld has nobody in it.
func emptyWorld(t *testing.T, change ...func(*api.Config)) *world {
	t.Helper()
	w := &world{t: t, town: newTown(), log: &memory{seq: 1}, kept: newKept(), logged: &bytes.Buffer{}, tokens: map[string]string{}}
	w.desk = newDesk(w.town, w.log)
	cfg := config(w.town, w.log)
	cfg.Notify = w.desk.config()
	cfg.Idempotency = w.kept
	cfg.Logger = slog.New(slog.NewTextHandler(w.logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	for _, f := range change {
		f(&cfg)
	}
	w.api = api.New(cfg)
	s := httptest.NewServer(w.api.Handler())
	t.Cleanup(s.Close)
	w.url = s.URL
	w.seen = resttest.NewRecorder(t, document(), nil)
	w.http = &http.Client{Transport: w.seen}
	return w
}

func config(w *town, log *memory) api.Config {
	return api.Config{
		SignIns: w, Sessions: w, Tokens: w, Accounts: w, Founding: w, Workspaces: w, Roles: w, Invites: w, Channels: w, Joining: w,
		Editing: w, People: w, Directs: w, Gateways: w, History: log, Log: log, SetupCode: setupCode,
	}
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
	resp, err := w.http.Do(req)
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
