package app_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// pair is a deployment, west, and a gateway in a process of its own, east, on the same leaf.
type pair struct {
	t       *testing.T
	west    *deployment
	east    *deployment // sockets alone
	process *process
	conf    string
	ada     *user
	bob     *user
	general string
}

func twoGateways(t *testing.T) *pair {
	t.Helper()
	cfg := testConfig(t)
	cfg.Empty, cfg.Leaf.Listen = true, freePort(t)
	p := &pair{t: t, west: up(t, cfg)}
	p.ada, _ = p.west.found("ada")
	p.bob, _ = p.ada.invite("bob", "member")
	p.general = p.ada.channel("general")

	data := t.TempDir()
	secrets, err := os.ReadFile(filepath.Join(cfg.Data, "secrets.json"))
	if err == nil {
		err = os.WriteFile(filepath.Join(data, "secrets.json"), secrets, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	sockets, admin := freePort(t), freePort(t)
	p.east = &deployment{t: t}
	p.east.run.HTTP, p.east.run.Admin = "http://"+sockets, "http://"+admin
	p.east.inherit(p.west)
	p.conf = filepath.Join(t.TempDir(), "edge.conf")
	text := fmt.Sprintf("data: %q\nlog_level: error\nadmin: %q\nleaf { url: %q }\nedge { listen: %q, drain_spread: \"2s\" }\n", data, admin, "nats://"+cfg.Leaf.Listen, sockets)
	if err := os.WriteFile(p.conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p.start()
	return p
}

// start starts the gateway of the east, and waits until it is found.
func (p *pair) start() {
	p.t.Helper()
	p.process = canopy(p.t, "edge", "--config", p.conf).serves()
	awaits(p.t, "both gateways are in the list", func() bool { return len(p.listed(p.west.run.Workspace.ID)) == 2 && p.eastID() != "" })
}

// listed are the gateways that GET /gateways answers for a workspace, in its order.
func (p *pair) listed(workspace string) []gatewayEntry {
	p.t.Helper()
	var list struct{ Gateways []gatewayEntry }
	p.ada.must(http.StatusOK, "GET", "/gateways?workspace="+workspace, nil, &list)
	return list.Gateways
}

type gatewayEntry struct {
	ID, URL, Region string
	Draining        bool
}

// eastID is the id of the gateway of the east; empty: it is not listed.
func (p *pair) eastID() string {
	p.t.Helper()
	for _, g := range p.listed(p.west.run.Workspace.ID) {
		if strings.Contains(g.URL, strings.TrimPrefix(p.east.run.HTTP, "http://")) {
			return g.ID
		}
	}
	return ""
}

// keys are those of the bucket presence, as `nats kv ls presence` shows them at the leaf.
func (p *pair) keys() []string {
	p.t.Helper()
	nc, err := nats.Connect(p.west.run.Leaf)
	if err != nil {
		p.t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.NewWithDomain(nc, "local")
	if err != nil {
		p.t.Fatal(err)
	}
	bucket, err := js.KeyValue(p.t.Context(), "presence")
	if err != nil {
		p.t.Fatal(err)
	}
	keys, err := bucket.Keys(p.t.Context())
	if err != nil && !errors.Is(err, jetstream.ErrNoKeysFound) {
		p.t.Fatal(err)
	}
	return keys
}

// asks queries the presence of a user until it is so.
func (s *socket) asks(user, status string) {
	s.t.Helper()
	awaits(s.t, "the presence "+status, func() bool {
		s.send(map[string]any{"type": "presence.query", "user_ids": []string{user}, "ref": "q"})
		for {
			f := s.want("presence.update")
			if f.UserID == user {
				var p struct{ Status string }
				mustJSON(s.t, f.raw, &p)
				return p.Status == status
			}
		}
	})
}

// again is another sign-in of bob.
func (p *pair) again() (*user, session) {
	p.t.Helper()
	var s session
	p.west.nobody().must(http.StatusOK, "POST", "/login", map[string]any{"login": "bob", "password": "battery staple"}, &s)
	return p.west.as(s), s
}

// Two gateways on one leaf are one to the people at them: presence, typing, tickets, sign-ins that end, cursors; and when
// one is killed, or drains, the other knows.
func TestTwoGatewaysOnOneLeaf(t *testing.T) {
	t.Parallel()
	p := twoGateways(t)
	t.Run("presence and typing cross", p.checkEphemeral)
	t.Run("both are services", func(t *testing.T) {
		want := slices.Sorted(slices.Values(append([]string{"gateway"}, services...)))
		if names := pinged(t, p.west.hub()); !slices.Equal(names, want) {
			t.Errorf("PING finds %v", names)
		}
	})
	t.Run("a ticket is good at either, once", p.checkTickets)
	t.Run("a cursor resumes at the other", p.checkCursor)
	t.Run("a sign-in that ends takes its sockets at both along", p.checkSignOut)
	var killed string
	t.Run("one is killed", func(t *testing.T) { killed = p.checkKill(t) })
	t.Run("one drains", p.checkDrain)
	if testing.Short() {
		return
	}
	t.Run("what the dead one has left is swept", func(t *testing.T) {
		awaits(t, "no key of it", func() bool {
			return !slices.ContainsFunc(p.keys(), func(key string) bool { return strings.HasSuffix(key, killed) })
		})
	})
}

func (p *pair) checkEphemeral(t *testing.T) {
	a := p.ada.open()
	b := p.bob.at(p.east).open()
	a.sees(p.bob.id, "online", "")
	b.asks(p.ada.id, "online")
	b.send(map[string]any{"type": "presence.set", "status": "away", "text": "at lunch"})
	a.sees(p.bob.id, "away", "at lunch")
	b.send(map[string]any{"type": "typing.start", "channel_id": p.general})
	if f := a.want("typing"); f.UserID != p.bob.id || f.ChannelID != p.general {
		t.Errorf("from the east: %s", f.raw)
	}
	a.send(map[string]any{"type": "typing.start", "channel_id": p.general})
	if f := b.want("typing"); f.UserID != p.ada.id || f.ChannelID != p.general {
		t.Errorf("from the west: %s", f.raw)
	}
	a.cut()
	b.cut()
}

func (p *pair) checkTickets(t *testing.T) {
	for i, at := range []*deployment{p.east, p.west} {
		var made struct{ Ticket string }
		p.ada.must(http.StatusCreated, "POST", "/socket/ticket", nil, &made)
		c, err := (&user{d: at}).dial("&ticket=" + made.Ticket)
		if err != nil {
			t.Fatalf("a ticket at gateway %d: %v", i, err)
		}
		s := &socket{t: t, c: c}
		if hello := s.next(); hello.UserID != p.ada.id {
			t.Errorf("it opens with %s", hello.raw)
		}
		_ = c.Close() // enough was seen
		for _, again := range []*deployment{p.east, p.west} {
			if _, err := (&user{d: again}).dial("&ticket=" + made.Ticket); err == nil || !strings.Contains(err.Error(), "401") {
				t.Errorf("once more: %v", err)
			}
		}
	}
}

func (p *pair) checkCursor(t *testing.T) {
	here := p.ada.open()
	defer here.cut()
	for i, at := range []*deployment{p.east, p.west, p.east} {
		cursor := here.say(p.general, "before")
		var last uint64
		for range 5 {
			last = here.say(p.general, "after")
		}
		s := p.bob.at(at).open(cursor)
		if got := s.until(last); !s.hello.Resumed || len(got) != 5 || got[0].Prev != cursor {
			t.Errorf("at %d: hello %s, then %d", i, s.hello.raw, len(got))
		}
		s.cut()
	}
}

func (p *pair) checkSignOut(t *testing.T) {
	who, of := p.again()
	west, east := who.open(), who.at(p.east).open()
	stays := p.bob.at(p.east).open()
	began := time.Now()
	p.bob.must(http.StatusNoContent, "DELETE", "/me/sessions/"+of.SessionID, nil, nil)
	for name, s := range map[string]*socket{"west": west, "east": east} {
		if code := s.ends(); code != 4501 {
			t.Errorf("the socket in the %s ends with %d", name, code)
		}
	}
	t.Logf("both are closed after %s", time.Since(began).Round(time.Millisecond))
	for name, at := range map[string]*deployment{"west": p.west, "east": p.east} {
		if _, err := who.at(at).dial(""); err == nil || !strings.Contains(err.Error(), "401") {
			t.Errorf("its token in the %s: %v", name, err)
		}
	}
	stays.say(p.general, "another sign-in of the same user")
	stays.cut()
}

// checkKill kills the east, and answers its id.
func (p *pair) checkKill(t *testing.T) string {
	carl, _ := p.ada.invite("carl", "member")
	east := p.eastID()
	a := p.ada.open()
	b := p.bob.at(p.east).open()
	carl.open()
	carl.at(p.east).open()
	a.asks(p.bob.id, "online")
	a.asks(carl.id, "online")
	ofBob := fmt.Sprintf("local.%s.%s.%s", p.west.run.Workspace.ID, p.bob.id, east)
	awaits(t, "the east has its keys", func() bool {
		keys := p.keys()
		return slices.Contains(keys, ofBob) && slices.Contains(keys, "local."+east)
	})
	cursor := b.hello.Head
	p.process.kill()
	began := time.Now()
	missed := a.say(p.general, "while bob is nowhere")
	a.sees(p.bob.id, "offline", "")
	t.Logf("bob is offline after %s", time.Since(began).Round(time.Second))
	a.asks(carl.id, "online")
	awaits(t, "the east is not in GET /gateways", func() bool { return p.eastID() == "" && len(p.listed(p.west.run.Workspace.ID)) == 1 })
	awaits(t, "the east is not in the registry", func() bool {
		_, r := statusOf(t, p.west.cfg.Data)
		return slices.Equal(rolesOf(r), []string{"api", "deliver", "gateway", "hub", "leaf", "persist"})
	})
	t.Logf("it is gone after %s", time.Since(began).Round(time.Second))
	back := p.bob.open(cursor)
	if got := back.until(missed); !back.hello.Resumed || len(got) == 0 {
		t.Errorf("bob resumes with %s and %d", back.hello.raw, len(got))
	}
	a.sees(p.bob.id, "online", "")
	return east
}

func (p *pair) checkDrain(t *testing.T) {
	p.start()
	east := p.eastID()
	// The order of two gateways depends on the workspace: one that is sent to the east first.
	workspace := p.west.run.Workspace.ID
	for i := 0; p.listed(workspace)[0].ID != east; i++ {
		if i == 20 {
			t.Fatalf("no workspace is sent to the east: %v", p.listed(workspace))
		}
		var made struct{ ID string }
		p.ada.must(http.StatusCreated, "POST", "/workspaces", map[string]any{"name": fmt.Sprint("Workspace ", i)}, &made)
		workspace = made.ID
		awaits(t, "both are healthy", func() bool { code, _ := statusOf(t, p.west.cfg.Data); return code == 0 })
	}
	s := p.bob.at(p.east).open()
	ended := make(chan int, 1)
	go func() { ended <- p.process.stop() }()
	// Bob reads nothing yet, so the gateway waits for him.
	awaits(t, "the east steps back, and is there still", func() bool {
		list := p.listed(workspace)
		return len(list) == 2 && list[1].ID == east && list[1].Draining
	})
	awaits(t, "it is not ready", func() bool {
		status, text := get(t, p.east.run.Admin, "/readyz?verbose")
		return status == http.StatusServiceUnavailable && strings.Contains(text, "[-]draining failed: draining\n") && strings.Contains(text, "[-]stop failed: stopping\n")
	})
	if f := s.want("error"); f.Code != "moving" {
		t.Errorf("bob is told %s", f.raw)
	}
	if code := s.ends(); code != 1012 {
		t.Errorf("bob's socket ends with %d", code)
	}
	if code := <-ended; code != 0 {
		t.Errorf("the east ended with %d: %s", code, p.process.errors)
	}
	if got := p.listed(workspace); len(got) != 1 {
		t.Errorf("after it has ended there are %v", got)
	}
}
