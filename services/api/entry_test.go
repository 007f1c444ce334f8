package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rest"
	"github.com/canopychat/canopy/services/api"
	"github.com/canopychat/canopy/services/store"
)

// gate lets so many through and counts who came.
type gate struct {
	mu        sync.Mutex
	addresses map[netip.Addr]int
	users     map[chat.UserID]int
	room      int // of an address and of a user
}

func newGate(room int) *gate {
	return &gate{addresses: map[netip.Addr]int{}, users: map[chat.UserID]int{}, room: room}
}

func (g *gate) Address(from netip.Addr) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.addresses[from]++
	return g.full(g.addresses[from])
}

func (g *gate) User(id chat.UserID) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.users[id]++
	return g.full(g.users[id])
}

func (g *gate) full(n int) error {
	if n > g.room {
		return fault.New(fault.RateLimited, "slower").After(1500 * time.Millisecond)
	}
	return nil
}

func TestAddressesAndUsersAreLimited(t *testing.T) {
	g := newGate(3)
	w := newWorld(t, func(c *api.Config) { c.Gate = g })
	for range 3 {
		w.call("", "GET", "/nothing", "").fails(fault.NotFound)
	}
	for _, path := range []string{"/", "/nothing", "/me"} {
		if r := w.call("alice", "GET", path, ""); r.fails(fault.RateLimited).RetryAfter != 1.5 || r.header.Get("Retry-After") != "2" {
			t.Errorf("%s: Retry-After is %q", path, r.header.Get("Retry-After"))
		}
	}
	if len(g.users) != 0 {
		t.Errorf("who was refused by address was counted as %v", g.users)
	}
	g.addresses, g.room = map[netip.Addr]int{}, 100
	g.users["ualice"] = 100
	w.call("alice", "GET", "/me", "").fails(fault.RateLimited)
	w.call("bob", "GET", "/me", "").ok(200, &rest.Me{})
	w.tokens["nobody"] = "x"
	w.call("nobody", "GET", "/me", "").fails(fault.Unauthenticated)
	if g.users["ualice"] != 101 || g.users["ubob"] != 1 || len(g.users) != 2 {
		t.Errorf("the users are %v", g.users)
	}
}

func TestGuessingTheSetupCodeIsSlow(t *testing.T) {
	g := newGate(50)
	w := emptyWorld(t, func(c *api.Config) { c.Gate = g })
	w.call("", "POST", "/setup", setupBody("wrong")).fails(fault.Forbidden)
	w.call("", "POST", "/setup", setupBody("wrong")).fails(fault.Forbidden)
	w.call("", "POST", "/setup", setupBody("wrong")).fails(fault.RateLimited)
	w.call("", "POST", "/setup", setupBody(setupCode)).fails(fault.RateLimited)
}

func TestWhereARequestComesFrom(t *testing.T) {
	for _, tt := range []struct {
		name      string
		proxies   []string
		forwarded []string
		want      string
	}{
		{"nobody is believed by default", nil, []string{"1.2.3.4"}, "127.0.0.1"},
		{"not who is no proxy", []string{"10.0.0.0/8"}, []string{"1.2.3.4"}, "127.0.0.1"},
		{"a proxy", []string{"127.0.0.0/8"}, []string{"1.2.3.4"}, "1.2.3.4"},
		{"a proxy says nothing", []string{"127.0.0.0/8"}, nil, "127.0.0.1"},
		{"what the client wrote before does not count", []string{"127.0.0.0/8"}, []string{"6.6.6.6, 1.2.3.4"}, "1.2.3.4"},
		{"also in a header of its own", []string{"127.0.0.0/8"}, []string{"6.6.6.6", "1.2.3.4"}, "1.2.3.4"},
		{"two proxies", []string{"127.0.0.0/8", "10.0.0.0/8"}, []string{"6.6.6.6, 1.2.3.4 , 10.1.1.1"}, "1.2.3.4"},
		{"all are proxies", []string{"127.0.0.0/8", "10.0.0.0/8"}, []string{"10.2.2.2,10.1.1.1"}, "10.2.2.2"},
		{"what is no address", []string{"127.0.0.0/8", "10.0.0.0/8"}, []string{"1.2.3.4, unknown, 10.1.1.1"}, "10.1.1.1"},
		{"IPv6", []string{"127.0.0.0/8"}, []string{"2001:db8::1"}, "2001:db8::1"},
		{"IPv4 in IPv6 is one address with IPv4", []string{"127.0.0.0/8"}, []string{"::ffff:1.2.3.4"}, "1.2.3.4"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newGate(100)
			w := newWorld(t, func(c *api.Config) {
				c.Gate = g
				for _, p := range tt.proxies {
					c.Proxies = append(c.Proxies, netip.MustParsePrefix(p))
				}
			})
			header := http.Header{"X-Forwarded-For": tt.forwarded, "X-Real-Ip": {"9.9.9.9"}}
			w.send("POST", "/login", header, strings.NewReader(`{"login":"alice","password":"`+password+`"}`)).ok(200, nil)
			if w.town.device.Address != tt.want || g.addresses[netip.MustParseAddr(tt.want)] != 1 {
				t.Errorf("it comes from %s, counted as %v, want %s", w.town.device.Address, g.addresses, tt.want)
			}
		})
	}
}

// keyed sends a POST with an Idempotency-Key.
func (w *world) keyed(login, key, path, body string) reply {
	w.t.Helper()
	return w.send("POST", path, http.Header{"Authorization": {"Bearer " + w.tokens[login]}, "Idempotency-Key": {key}}, strings.NewReader(body))
}

func TestAPostWithAKeyIsDoneOnce(t *testing.T) {
	w := newWorld(t)
	path := "/workspaces/" + string(w.ws) + "/channels"
	first, again := w.keyed("alice", "k1", path, `{"name":"plans"}`), w.keyed("alice", "k1", path, `{"name":"plans"}`)
	first.ok(201, &rest.Channel{})
	again.ok(201, &rest.Channel{})
	if string(first.body) != string(again.body) || first.header.Get("Idempotent-Replayed") != "" || again.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("%s, then %s", first.body, again.body)
	}
	w.keyed("alice", "k2", path, `{"name":"plans"}`).fails(fault.Conflict) // is done, and the name is taken
	if r := w.keyed("alice", "k2", path, `{"name":"plans"}`); r.fails(fault.Conflict).Detail == "" || r.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("a refusal is kept too: %v", r.header)
	}
	w.keyed("alice", "k1", path, `{"name":"other"}`).fails(fault.Conflict)
	w.keyed("alice", "k1", path+"?limit=1", `{"name":"plans"}`).fails(fault.Conflict)
	w.keyed("alice", "k1", "/workspaces", `{"name":"plans"}`).fails(fault.Conflict)
	w.keyed("bob", "k1", path, `{"name":"bobs"}`).ok(201, &rest.Channel{}) // a key is its user's
	w.call("alice", "POST", path, `{"name":"plans"}`).fails(fault.Conflict)

	var c rest.Channel
	w.keyed("alice", "k3", path, `{"name":"third"}`).ok(201, &c)
	join := "/channels/" + string(c.ID)
	w.keyed("bob", "k4", join+"/leave", "").ok(204, nil)
	if r := w.keyed("bob", "k4", join+"/leave", ""); r.status != 204 || len(r.body) != 0 || r.header.Get("Idempotent-Replayed") != "true" || r.header.Get("Content-Type") != "" {
		t.Errorf("without a body: %d %v %q", r.status, r.header, r.body)
	}
	w.keyed("alice", "k5", join+"/messages", `{"body":"x","client_msg_id":"m"}`).ok(201, &rest.Ack{})
	w.keyed("alice", "k5", join+"/messages", `{"body":"x","client_msg_id":"m"}`).ok(201, &rest.Ack{})
	w.keyed("alice", strings.Repeat("k", 255), "/workspaces", `{"name":"long"}`).ok(201, &rest.Workspace{})
}

func TestWhatIsKeptSaysNothingToWhoReadsTheStore(t *testing.T) {
	w := newWorld(t)
	var made rest.Invite
	w.keyed("alice", "the-clients-key", "/workspaces/"+string(w.ws)+"/invites", `{}`).ok(201, &made)
	for at, row := range w.kept.rows {
		if strings.Contains(string(row.Body), made.Code) || strings.Contains(at, "the-clients-key") || len(row.Body) == 0 {
			t.Errorf("%s keeps %q", at, row.Body)
		}
	}
}

func TestWhatWentWrongHereIsTriedAgain(t *testing.T) {
	w := newWorld(t)
	c := w.channel("plans", chat.ChannelPublic)
	const body = `{"body":"x","client_msg_id":"m"}`
	for _, trouble := range []struct {
		fail   error
		boom   bool
		status int
	}{
		{fault.New(fault.Unavailable, "the log does not answer"), false, 503}, {fault.New(fault.RateLimited, "slower"), false, 429},
		{errors.New("a secret"), false, 500}, {nil, true, 500},
	} {
		w.log.set(trouble.fail, trouble.boom)
		if r := w.keyed("alice", "k", messages(c.ID), body); r.status != trouble.status {
			t.Errorf("answers %d %s", r.status, r.body)
		}
	}
	w.log.set(nil, false)
	if r := w.keyed("alice", "k", messages(c.ID), body); r.status != 201 || r.header.Get("Idempotent-Replayed") != "" {
		t.Errorf("answers %d %s", r.status, r.body)
	}
}

func TestASecondRequestWhileTheFirstIsBeingDoneIsAConflict(t *testing.T) {
	w := newWorld(t)
	c := w.channel("plans", chat.ChannelPublic)
	entered, leave := make(chan struct{}), make(chan struct{})
	w.log.wait = func() { entered <- struct{}{}; <-leave }
	var first reply
	var done sync.WaitGroup
	done.Go(func() { first = w.keyed("alice", "k", messages(c.ID), `{"body":"x","client_msg_id":"m"}`) })
	<-entered
	w.keyed("alice", "k", messages(c.ID), `{"body":"x","client_msg_id":"m"}`).fails(fault.Conflict)
	close(leave)
	done.Wait()
	first.ok(201, &rest.Ack{})
}

func TestWithoutAStoreKeysAreRefused(t *testing.T) {
	w := newWorld(t, func(c *api.Config) { c.Idempotency = nil })
	w.keyed("alice", "k", "/workspaces", `{"name":"x"}`).fails(fault.Unsupported)
	w.call("alice", "POST", "/workspaces", `{"name":"x"}`).ok(201, &rest.Workspace{})
}

// broken keeps nothing.
type broken struct{ at string }

func (b broken) Begin(context.Context, store.IdempotencyKey) (store.Answered, bool, error) {
	if b.at == "begin" {
		return store.Answered{}, false, errors.New("the disk is full")
	}
	return store.Answered{}, false, nil
}
func (broken) End(context.Context, store.IdempotencyKey, store.Answered) error {
	return errors.New("the disk is full")
}

func TestAnAnswerThatIsNotKeptIsStillAnAnswer(t *testing.T) {
	w := newWorld(t, func(c *api.Config) { c.Idempotency = broken{at: "end"} })
	w.keyed("alice", "k", "/workspaces", `{"name":"x"}`).ok(201, &rest.Workspace{})
	if !strings.Contains(w.logged.String(), "the disk is full") {
		t.Errorf("nobody is told: %s", w.logged)
	}
	w = newWorld(t, func(c *api.Config) { c.Idempotency = broken{at: "begin"} })
	w.keyed("alice", "k", "/workspaces", `{"name":"x"}`).fails(fault.Internal) // not done, for it might be done twice
	var list rest.WorkspaceList
	if w.call("alice", "GET", "/workspaces", "").ok(200, &list); len(list.Workspaces) != 1 {
		t.Errorf("it was done: %+v", list)
	}
}

// spans is a tracer that begins a trace of its own for who has none.
type spans struct {
	mu    sync.Mutex
	ended []string
}

const ownTrace = "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-00000000000000%02d-01"

func (s *spans) Start(_ context.Context, name, parent string) (string, func(error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	own := fmt.Sprintf(ownTrace, len(s.ended)+1)
	if parent != "" {
		own = parent[:35] + own[35:]
	}
	return own, func(err error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ended = append(s.ended, fmt.Sprint(name, " ", parent != "", " ", fault.KindOf(err)))
	}
}

func TestRequestsAreTraced(t *testing.T) {
	tracer := &spans{}
	w := newWorld(t, func(c *api.Config) { c.Tracer = tracer })
	c := w.channel("plans", chat.ChannelPublic)
	const given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	header := http.Header{"Authorization": {"Bearer " + w.tokens["alice"]}, "Traceparent": {given}}
	r := w.send("POST", messages(c.ID), header, strings.NewReader(`{"body":"x","client_msg_id":"m"}`))
	if got := w.log.lastChange().TraceParent; got[:35] != given[:35] || got == given || r.header.Get("X-Trace-Id") != given[3:35] {
		t.Errorf("the log is told %s, the client %s", got, r.header.Get("X-Trace-Id"))
	}
	zero := "00-" + strings.Repeat("0", 32) + "-00f067aa0ba902b7-01"
	r = w.send("GET", "/channels/n0where", http.Header{"Authorization": header["Authorization"], "Traceparent": {zero}}, nil)
	if r.fails(fault.NotFound); r.header.Get("X-Trace-Id") != strings.Repeat("a", 32) {
		t.Errorf("its trace is %s", r.header.Get("X-Trace-Id"))
	}
	w.keyed("alice", "k", "/workspaces", `{"name":""}`).fails(fault.Invalid)
	want := []string{
		"POST /workspaces/:workspace/channels false ", "POST /channels/:channel/messages true ", "GET /channels/:channel false not_found",
		"POST /workspaces false invalid",
	}
	if !slices.Equal(tracer.ended, want) {
		t.Errorf("the spans are %q", tracer.ended)
	}
	if !strings.Contains(w.logged.String(), "trace_id="+given[3:35]) {
		t.Errorf("the log does not name the trace: %s", w.logged)
	}
}

func TestRequestsAndRefusalsAreCounted(t *testing.T) {
	var mu sync.Mutex
	var requests []string
	var refused []fault.Kind
	w := newWorld(t, func(c *api.Config) {
		c.Request = func(route, method string, status int, took time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			requests = append(requests, fmt.Sprint(method, " ", route, " ", status, " ", took > 0))
		}
		c.Refused = func(k fault.Kind) {
			mu.Lock()
			defer mu.Unlock()
			refused = append(refused, k)
		}
	})
	w.call("alice", "GET", "/workspaces/"+string(w.ws), "").ok(200, &rest.Workspace{})
	w.call("eve", "GET", "/workspaces/"+string(w.ws), "").fails(fault.NotFound)
	w.call("", "GET", "/"+strings.Repeat("x", 1000), "").fails(fault.NotFound)
	w.keyed("alice", "k", "/workspaces", `{"name":""}`).fails(fault.Invalid)
	mu.Lock()
	defer mu.Unlock()
	if want := []string{"GET /workspaces/:workspace 200 true", "GET /workspaces/:workspace 404 true", "GET  404 true", "POST /workspaces 400 true"}; !slices.Equal(requests, want) {
		t.Errorf("the requests are %q", requests)
	}
	if want := []fault.Kind{fault.NotFound, fault.NotFound, fault.Invalid}; !slices.Equal(refused, want) {
		t.Errorf("the refusals are %q", refused)
	}
}
