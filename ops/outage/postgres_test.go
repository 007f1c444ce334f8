package outage_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/ops/engines"
	"github.com/canopychat/canopy/ops/faultproxy"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rest"
	"github.com/canopychat/canopy/services/store"
	directory "github.com/canopychat/canopy/services/store/postgres"
)

func TestPostgresIsAwayWhilePeopleChat(t *testing.T) {
	t.Parallel()
	e := postgres.start(t)
	t.Run("killed", func(t *testing.T) { postgresIsKilled(t, e) })
	t.Run("paused", func(t *testing.T) { postgresIsPaused(t, e) })
}

// Joins that were made just before PostgreSQL ended, and that nobody could tell the log about, come into the log in the
// order in which they were made, when it is back. Meanwhile sessions go on.
func postgresIsKilled(t *testing.T, e *engines.Engines) {
	direct := database(t, e, firstDatabase)
	w, network := throughNetwork(t, direct)
	rooms := w.rooms(8)
	talk := w.chatting(w.channel("talk"), false)
	talk.goesOn(20)

	network.Cut() // this deployment cannot reach it; somebody else still can
	owed := w.owed(direct, rooms)
	e.Postgres.Kill()
	network.Heal()
	w.says(http.StatusServiceUnavailable, "the directory's store does not answer")
	w.sessionsGoOn(talk)
	tried := w.allRefused(rooms)
	talk.goesOn(20)

	if err := e.Postgres.Start(within(t)); err != nil {
		t.Fatal(err)
	}
	back := time.Now()
	w.says(http.StatusOK)
	t.Logf("ready %v after PostgreSQL was back", time.Since(back).Round(time.Millisecond))
	until(t, "what was owed is in the log", func() (bool, string) {
		n := len(w.joinsOf(rooms))
		return n >= len(owed), fmt.Sprintf("%d of %d are", n, len(owed))
	})
	t.Logf("%d changes were owed, in the log %v after PostgreSQL was back", len(owed), time.Since(back).Round(time.Millisecond))
	if got := w.joinsOf(rooms); !slices.Equal(got, owed) {
		t.Errorf("the joins that were owed are in the log as\n%v, and were made as\n%v", got, owed)
	}
	w.checkOutboxOrder()
	w.allWorksAgain(talk, tried)
	all := talk.end()
	talk.checkHeard(all)
	talk.checkStored("REST", all, w.people[0].history(talk.channel, 0))
}

// A server that is stopped in the middle of everything takes connections and answers nobody.
func postgresIsPaused(t *testing.T, e *engines.Engines) {
	w, _ := throughNetwork(t, database(t, e, secondDatabase))
	rooms := w.rooms(8)
	talk := w.chatting(w.channel("talk"), false)
	talk.goesOn(20)

	e.Postgres.Pause()
	defer e.Postgres.Continue()
	w.says(http.StatusServiceUnavailable, "the directory's store does not answer")
	w.sessionsGoOn(talk)
	tried := w.allRefused(rooms)
	talk.goesOn(20)

	e.Postgres.Continue()
	back := time.Now()
	w.says(http.StatusOK)
	t.Logf("ready %v after PostgreSQL went on", time.Since(back).Round(time.Millisecond))
	w.allWorksAgain(talk, tried)
	w.checkOutboxOrder()
	all := talk.end()
	talk.checkHeard(all)
	talk.checkStored("REST", all, w.people[0].history(talk.channel, 0))
}

// throughNetwork is a town that reaches PostgreSQL through a network of its own.
func throughNetwork(t *testing.T, dsn string) (*town, *faultproxy.Proxy) {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	network := proxied(t, faultproxy.Config{Target: u.Host})
	u.Host = network.Address()
	cfg := settings(t)
	cfg.Postgres.DSN = u.String()
	return inhabit(t, cfg, 3), network
}

// rooms are public channels that alice alone is in.
func (w *town) rooms(n int) []chat.ChannelID {
	w.t.Helper()
	var all []chat.ChannelID
	for i := range n {
		c, err := w.people[0].CreateChannel(w.t.Context(), w.workspace, rest.NewChannel{Name: fmt.Sprintf("room-%d", i)})
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, c.ID)
	}
	return all
}

// joining is somebody who comes into a channel.
type joining struct {
	who   chat.UserID
	where chat.ChannelID
}

// owed has people come into rooms by another process that tells the log of nothing, in the order that it answers.
func (w *town) owed(dsn string, rooms []chat.ChannelID) []joining {
	w.t.Helper()
	d, err := directory.Open(within(w.t), directory.Config{DSN: dsn})
	if err != nil {
		w.t.Fatal(err)
	}
	defer d.Close()
	var all []joining
	for _, p := range w.people[1:] {
		for _, room := range rooms[1:] {
			id, err := d.SetMembers(within(w.t), store.MemberChange{ChannelID: room, UserIDs: []chat.UserID{p.id}, By: p.id})
			if err != nil || id == 0 {
				w.t.Fatalf("%s does not come into a room: %d, %v", p.login, id, err)
			}
			all = append(all, joining{p.id, room})
		}
	}
	return all
}

// joinsOf are the joins of rooms in the log, in its order, besides that of who made the room.
func (w *town) joinsOf(rooms []chat.ChannelID) []joining {
	w.t.Helper()
	var all []joining
	for _, c := range w.log.changes(w.workspace) {
		if c.Kind == event.MemberJoined && slices.Contains(rooms, c.ChannelID) && c.UserID != w.people[0].id {
			all = append(all, joining{c.UserID, c.ChannelID})
		}
	}
	return all
}

// checkOutboxOrder fails unless the Directory's changes are in the log in the order of their rows, each once.
func (w *town) checkOutboxOrder() {
	w.t.Helper()
	last := int64(0)
	for _, c := range w.log.changes(w.workspace) {
		if c.outbox <= last {
			w.t.Errorf("the change %d comes after %d in the log", c.outbox, last)
		}
		last = c.outbox
	}
	if last == 0 {
		w.t.Error("the log has no change of the directory")
	}
}

// sessionsGoOn has somebody lose their socket and come back to the same gateway with the cursor and the token they have.
func (w *town) sessionsGoOn(talk *talk) {
	w.t.Helper()
	from := talk.ears[1].Cursor()
	again := w.people[1].listen(from)
	talk.goesOn(20)
	_, upTo := talk.figures()
	again.hears(upTo)
	again.checkCalm(w.t)
	again.mu.Lock()
	if on := again.online[0]; !on.Resumed || on.UserID != w.people[1].id {
		w.t.Errorf("%s comes back as %+v", w.people[1].login, on)
	}
	again.mu.Unlock()
	again.close()
}

// attempt is a change that was asked for in an outage.
type attempt struct {
	name, method, path string
	by                 *person
	in                 any
}

// allRefused asks for everything that needs the Directory, all at once, and answers what was asked for. Each is refused
// as unavailable, and not left hanging.
func (w *town) allRefused(rooms []chat.ChannelID) []attempt {
	w.t.Helper()
	owner, member := w.people[0], w.people[2]
	ws, room, other := "/workspaces/"+string(w.workspace), "/channels/"+string(rooms[0]), "/channels/"+string(rooms[1])
	tried := []attempt{
		{"a login", http.MethodPost, "/login", nil, rest.Login{Login: member.login, Password: member.password}},
		{"a refresh", http.MethodPost, "/token/refresh", nil, map[string]string{"refresh_token": w.people[3].Session().RefreshToken}},
		{"a channel", http.MethodPost, ws + "/channels", owner, rest.NewChannel{Name: "made-in-the-outage"}},
		{"a workspace", http.MethodPost, "/workspaces", owner, rest.NewWorkspace{Name: "Made in the outage"}},
		{"an invite", http.MethodPost, ws + "/invites", owner, rest.NewInvite{}},
		{"a join", http.MethodPost, room + "/join", member, nil},
		{"a leave", http.MethodPost, other + "/leave", owner, nil},
		{"members", http.MethodPost, room + "/members", owner, rest.AddMembers{UserIDs: []chat.UserID{member.id}}},
		{"a role", http.MethodPatch, ws + "/members/" + string(member.id), owner, map[string]string{"role": "admin"}},
		{"a direct message", http.MethodPost, ws + "/dms", owner, rest.NewDirect{UserIDs: []chat.UserID{member.id}}},
		{"an archived channel", http.MethodPatch, room, owner, map[string]bool{"archived": true}},
		{"who am I", http.MethodGet, "/me", owner, nil},
		{"a list of channels", http.MethodGet, ws + "/channels", member, nil},
	}
	answers := make([]answer, len(tried))
	failed := make([]error, len(tried))
	var asking sync.WaitGroup
	for i, a := range tried {
		asking.Go(func() { answers[i], failed[i] = w.ask(a.by, a.method, a.path, a.in, nil) })
	}
	asking.Wait()
	for i, a := range tried {
		got := answers[i]
		if failed[i] != nil || got.status != http.StatusServiceUnavailable || got.problem.Code != fault.Unavailable {
			w.t.Errorf("%s in an outage: %v, %v", a.name, got, failed[i])
		}
		if failed[i] == nil && got.problem.RetryAfter <= 0 {
			w.t.Errorf("%s is refused and not told when it is worth trying again: %v", a.name, got)
		}
		w.t.Logf("%s: %v", a.name, got)
	}
	return tried
}

// allWorksAgain fails when something that was refused was done by half, or cannot be done now. What was refused may have
// been done whole only where the answer got lost: then the log tells of it too.
func (w *town) allWorksAgain(talk *talk, tried []attempt) {
	t := w.t
	t.Helper()
	for _, p := range w.people {
		c, err := client.Login(within(t), w.run.HTTP, p.login, p.password, "after the outage")
		if err != nil {
			t.Errorf("%s cannot log in: %v", p.login, err)
			continue
		}
		if me, err := c.Me(within(t)); err != nil || me.User.ID != p.id {
			t.Errorf("%s is %+v, %v", p.login, me, err)
		}
	}
	w.checkWhole()
	for _, a := range tried {
		if a.by == nil { // a login, which was tried above; a refresh token that may have been used must not be used again
			continue
		}
		if got, err := w.ask(a.by, a.method, a.path, a.in, nil); err != nil || got.status >= http.StatusBadRequest {
			t.Errorf("%s after the outage: %v, %v", a.name, got, err)
		}
	}
	w.checkWhole()
	talk.goesOn(10)
}

// checkWhole fails unless the log and the Directory say the same of who is in which channel.
func (w *town) checkWhole() {
	t := w.t
	t.Helper()
	inLog := map[chat.ChannelID]map[chat.UserID]bool{}
	for _, c := range w.log.changes(w.workspace) {
		switch {
		case c.ChannelID == "":
		case c.Kind == event.ChannelCreated:
			inLog[c.ChannelID] = map[chat.UserID]bool{}
		case c.Kind == event.MemberJoined:
			inLog[c.ChannelID][c.UserID] = true
		case c.Kind == event.MemberLeft:
			delete(inLog[c.ChannelID], c.UserID)
		}
	}
	listed := map[chat.ChannelID]bool{}
	for channel, err := range w.people[0].Channels(t.Context(), w.workspace) {
		if err != nil {
			t.Fatal(err)
		}
		listed[channel.ID] = true
		members := map[chat.UserID]bool{}
		for member, err := range w.people[0].ChannelMembers(t.Context(), channel.ID) {
			if err != nil {
				t.Fatal(err)
			}
			members[member.UserID] = true
		}
		if !maps.Equal(members, inLog[channel.ID]) {
			t.Errorf("in %s are %v by the directory, %v by the log", channel.Name, members, inLog[channel.ID])
		}
	}
	for id := range inLog {
		if !listed[id] {
			t.Errorf("the log has the channel %s, the directory has not", id)
		}
	}
}
