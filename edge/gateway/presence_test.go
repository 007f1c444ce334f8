package gateway_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/canopychat/canopy/edge/gateway"
	"github.com/canopychat/canopy/edge/presence"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
)

// people is a presence service that writes down what it is told.
type people struct {
	mu     sync.Mutex
	told   []string
	status map[chat.UserID]chat.Presence
	hold   chan struct{} // when set, queries wait for it
}

func (p *people) note(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told = append(p.told, fmt.Sprintf(format, args...))
}

func sorted(channels []chat.ChannelID) []chat.ChannelID {
	return slices.Sorted(slices.Values(channels))
}

func (p *people) Connected(who presence.Someone, channels []chat.ChannelID) {
	p.note("connected %s %v", who.UserID, sorted(channels))
}

func (p *people) Channels(who presence.Someone, channels []chat.ChannelID) {
	p.note("channels %s %v", who.UserID, sorted(channels))
}
func (p *people) Disconnected(who presence.Someone) { p.note("disconnected %s", who.UserID) }
func (p *people) Set(who presence.Someone, s chat.Presence) {
	p.note("set %s %s %s", who.UserID, s.Status, s.Text)
}
func (p *people) Typing(who presence.Someone, ch chat.ChannelID) {
	p.note("typing %s %s", who.UserID, ch)
}

func (p *people) Query(ctx context.Context, _ chat.WorkspaceID, users []chat.UserID) (map[chat.UserID]chat.Presence, error) {
	p.note("query %v", users)
	if p.hold != nil {
		select {
		case <-p.hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	found := map[chat.UserID]chat.Presence{}
	for _, user := range users {
		if s, ok := p.status[user]; ok {
			found[user] = s
		}
	}
	return found, nil
}

func (p *people) heard() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.told)
}

func withPeople(p *people) func(*hub, *gateway.Neighbours) {
	return func(_ *hub, n *gateway.Neighbours) { n.Presence = p }
}

func TestPresenceHearsOfSockets(t *testing.T) {
	p := &people{}
	w := start(t, options{to: withPeople(p)})
	w.member("alice", "c1", "c2")
	c := w.open("alice")
	c.write(text(`{"type":"presence.set","status":"away","text":"lunch","ref":1}`))
	if f := c.read(); f.Type != "presence.update" || f.UserID != "alice" || f.Status != "away" || f.Text != "lunch" || string(f.Ref) != "1" {
		t.Errorf("%+v", f)
	}
	c.collect(w.join("c3", "alice"))
	c.collect(w.leave("c1", "alice"))
	c.write(text(`{"type":"typing.start","channel_id":"c2"}`), text(`{"type":"typing.start","channel_id":"c1","ref":2}`))
	if f := c.read(); f.Code != "not_found" || string(f.Ref) != "2" {
		t.Errorf("%+v", f)
	}
	w.away(c)
	want := []string{
		"connected alice [c1 c2]", "set alice away lunch", "channels alice [c1 c2 c3]", "channels alice [c2 c3]", "typing alice c2", "disconnected alice",
	}
	w.eventually("it is told of the end", func() bool { return len(p.heard()) == len(want) })
	if got := p.heard(); !slices.Equal(got, want) {
		t.Errorf("%v", strings.Join(got, "\n"))
	}
}

// Above chat.BroadcastMembers nobody is told that somebody types, and presence is not told of the channel.
func TestLargeChannelsAreQuiet(t *testing.T) {
	p := &people{}
	w := start(t, options{to: withPeople(p)})
	w.with(func() { w.sizes = map[chat.ChannelID]int{"c1": chat.BroadcastMembers, "c2": chat.BroadcastMembers + 1} })
	w.member("alice", "c1", "c2")
	w.member("bob", "c1", "c2")
	alice, bob := w.open("alice"), w.open("bob")
	alice.write(text(`{"type":"typing.start","channel_id":"c1"}`), text(`{"type":"typing.start","channel_id":"c2"}`))
	alice.quiet()
	if got, want := fmt.Sprint(p.heard()), "[connected alice [c1] connected bob [c1] typing alice c1]"; got != want {
		t.Errorf("%s", got)
	}
	w.gw.DeliverTyping(ws, "c2", "alice")
	w.gw.DeliverTyping(ws, "c1", "alice")
	if f := bob.read(); f.Type != "typing" || f.ChannelID != "c1" || f.UserID != "alice" {
		t.Errorf("%+v", f)
	}
	one := w.join("c1", "carol") // too many
	alice.collect(one)
	bob.collect(one)
	alice.write(text(`{"type":"typing.start","channel_id":"c1"}`))
	alice.quiet() // one's own typing did not come, either
	if n := len(p.heard()); n != 3 {
		t.Errorf("%v", p.heard())
	}
	alice.collect(w.leave("c1", "carol"))
	alice.write(text(`{"type":"typing.start","channel_id":"c1"}`))
	alice.quiet()
	if n := len(p.heard()); n != 4 {
		t.Errorf("%v", p.heard())
	}
}

// nothing checks that no frame is on its way.
func (c *client) nothing() {
	c.t.Helper()
	c.write(text(`{"type":"ping","ref":"nothing"}`))
	if f := c.read(); f.Type != "pong" {
		c.t.Errorf("%+v", f)
	}
}

func TestPresenceReachesThoseWhoMayKnow(t *testing.T) {
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			p := &people{status: map[chat.UserID]chat.Presence{"dan": {Status: chat.StatusOnline, Text: "hi"}}}
			w := start(t, options{driver: d, to: withPeople(p)})
			w.member("alice", "c1", "c2")
			w.member("bob", "c2")
			w.member("carol", "c3")
			w.member("dan", "c1", "c2")
			w.member("gus", "c4")
			w.put(event.Event{Kind: event.MemberUpdated, UserID: "gus", Role: chat.RoleGuest})
			alice, bob, carol, gus := w.open("alice"), w.open("bob"), w.open("carol"), w.open("gus")
			carol.write(text(`{"type":"presence.query","user_ids":["dan","erin","dan"],"ref":"q"}`))
			var got []string
			for range 3 {
				f := carol.read()
				got = append(got, fmt.Sprint(f.Type, f.UserID, f.Status, f.Text, string(f.Ref)))
			}
			if want := `[presence.updatedanonlinehi"q" presence.updateerinoffline"q" presence.updatedanonlinehi"q"]`; fmt.Sprint(got) != want {
				t.Errorf("%v", got)
			}
			gus.write(text(`{"type":"presence.query","user_ids":["dan"],"ref":"q"}`)) // they share no channel
			if f := gus.read(); f.Type != "presence.update" || f.UserID != "dan" || f.Status != "offline" || f.Text != "" {
				t.Errorf("%+v", f)
			}
			w.gw.DeliverPresence(ws, "dan", chat.Presence{Status: chat.StatusAway}, []chat.ChannelID{"c1", "c2"})
			for _, c := range []*client{alice, bob, carol} { // once, also who is in both
				if f := c.read(); f.Type != "presence.update" || f.UserID != "dan" || f.Status != "away" || f.Ref != nil {
					t.Errorf("%+v", f)
				}
				c.nothing()
			}
			gus.nothing()
			carol.write(text(`{"type":"presence.query","user_ids":[]}`)) // and nobody is watched any more
			carol.nothing()
			w.gw.DeliverPresence(ws, "dan", chat.Presence{Status: chat.StatusOnline}, nil)
			carol.nothing()
		})
	}
}

// A guest knows of those with whom they share a channel, for as long as they do.
func TestAGuestAsks(t *testing.T) {
	online := chat.Presence{Status: chat.StatusOnline}
	p := &people{status: map[chat.UserID]chat.Presence{"dan": online, "erin": online, "fay": online}}
	w := start(t, options{to: withPeople(p)})
	w.member("dan", "c1")
	w.member("erin", "c1")
	w.member("fay", "c2")
	w.member("gus", "c1")
	w.put(event.Event{Kind: event.MemberUpdated, UserID: "gus", Role: chat.RoleGuest})
	gus := w.open("gus")
	ask := func(known ...chat.UserID) { // the others look as if nobody were there
		t.Helper()
		gus.write(text(`{"type":"presence.query","user_ids":["dan","erin","fay"],"ref":1}`))
		for _, user := range []chat.UserID{"dan", "erin", "fay"} {
			want := "offline"
			if slices.Contains(known, user) {
				want = "online"
			}
			if f := gus.read(); f.UserID != user || f.Status != want {
				t.Errorf("%+v, not %s %s", f, user, want)
			}
		}
		gus.nothing()
	}
	tell := func(user chat.UserID, want bool) {
		t.Helper()
		w.gw.DeliverPresence(ws, user, chat.Presence{Status: chat.StatusOnline}, nil)
		if want {
			if f := gus.read(); f.UserID != user {
				t.Errorf("%+v", f)
			}
		}
		gus.nothing()
	}
	ask("dan", "erin")
	tell("dan", true)
	tell("fay", false)
	gus.collect(w.leave("c1", "dan"))
	tell("dan", false)
	tell("erin", true)
	ask("erin")
	gus.collect(w.leave("c1", "gus"))
	tell("erin", false)
	ask()
}

// One query at a time; and what a session watches ends with it.
func TestQueriesThatWait(t *testing.T) {
	p := &people{hold: make(chan struct{})}
	w := start(t, options{to: withPeople(p)})
	w.member("alice", "c1")
	c := w.open("alice")
	c.write(text(`{"type":"presence.query","user_ids":["dan"],"ref":1}`), text(`{"type":"presence.query","user_ids":["dan"],"ref":2}`))
	if f := c.read(); f.Code != "rate_limited" || string(f.Ref) != "2" || f.RetryAfter == nil {
		t.Errorf("%+v", f)
	}
	close(p.hold)
	if f := c.read(); f.Type != "presence.update" || string(f.Ref) != "1" {
		t.Errorf("%+v", f)
	}
	w.away(c)
	w.gw.DeliverPresence(ws, "dan", chat.Presence{Status: chat.StatusOnline}, []chat.ChannelID{"c1"}) // to nobody
}

// A socket that takes nothing loses typing and presence; the log comes to it whole.
func TestWhatIsFleetingIsLostForABlockedSocket(t *testing.T) {
	p := &people{}
	w := start(t, options{narrow: true, to: withPeople(p), gw: gateway.Config{Heartbeat: slowBeat}})
	w.member("alice", "c1", "c2")
	c, from := w.stuck("alice")
	for i := range 50 {
		w.gw.DeliverTyping(ws, "c1", chat.UserID(fmt.Sprint("u", i)))
	}
	w.eventually("they are lost", func() bool { return w.gw.Counters().Dropped.All()["ephemeral_blocked"] == 50 })
	w.sees(c, "alice", from, w.head())
}

// A role that was given while the socket was open counts for what is sent from then on.
func TestANewRole(t *testing.T) {
	w := start(t, options{})
	w.member("alice", "c1")
	c := w.open("alice")
	role := func(id string) chat.Role {
		t.Helper()
		c.write(post(id, "c1", "x"))
		c.until("message.ack")
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.sent[len(w.sent)-1].Standing.Role
	}
	if r := role("m1"); r != chat.RoleMember {
		t.Errorf("first %s", r)
	}
	c.collect(w.put(event.Event{Kind: event.MemberUpdated, UserID: "alice", Role: chat.RoleAdmin}))
	if r := role("m2"); r != chat.RoleAdmin {
		t.Errorf("then %s", r)
	}
	c.collect(w.put(event.Event{Kind: event.MemberUpdated, UserID: "alice", Role: chat.RoleGuest}))
	hidden := w.put(eventOfWorkspace(1))
	last := w.put(event.Event{Kind: event.WorkspaceUpdated, Workspace: &event.WorkspaceState{Name: "New"}})
	if got := c.collect(last); slices.Contains(got, hidden) {
		t.Errorf("a guest got %v", got)
	}
}
