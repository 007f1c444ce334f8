package directory_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/services/directory"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/sqlite"
	"github.com/canopychat/canopy/streams"
)

// The people of the tests.
const (
	alice = chat.UserID("a11ce") // owns the workspace
	bob   = chat.UserID("b0b")   // a member
	carol = chat.UserID("ca401") // a member
	guest = chat.UserID("9ue57")
	eve   = chat.UserID("e7e") // belongs to a workspace of her own
)

// town is a directory with people in it.
type town struct {
	t    *testing.T
	db   *sqlite.Directory
	log  *memoryLog
	cfg  directory.Config // of dir
	dir  *directory.Service
	ws   chat.Workspace
	eves chat.Workspace
}

func newTown(t *testing.T, change func(*directory.Config)) *town {
	t.Helper()
	db, err := sqlite.OpenDirectory(t.Context(), filepath.Join(t.TempDir(), "directory.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	log := &memoryLog{window: chat.DedupWindow}
	relay, stop := run(t, directory.RelayConfig{Outbox: db, Log: log, Poll: 5 * time.Millisecond})
	t.Cleanup(stop)
	cfg := directory.Config{Store: db, Shards: streams.Shards, Relay: relay, Settle: time.Minute} // the machine may be busy
	if change != nil {
		change(&cfg)
	}
	dir, err := directory.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w := &town{t: t, db: db, log: log, cfg: cfg, dir: dir}
	var users []store.NewUser
	for _, u := range []chat.UserID{alice, bob, carol, guest, eve} {
		users = append(users, store.NewUser{User: chat.User{ID: u, Login: string(u), DisplayName: string(u), CreatedAt: time.Now()}})
	}
	w.must(db.CreateUsers(t.Context(), users))
	w.ws = w.workspace(alice, "Canopy")
	w.eves = w.workspace(eve, "Eve's")
	w.must(db.AddMembers(t.Context(), alice, []chat.Member{
		{WorkspaceID: w.ws.ID, UserID: bob, Role: chat.RoleMember},
		{WorkspaceID: w.ws.ID, UserID: carol, Role: chat.RoleMember},
		{WorkspaceID: w.ws.ID, UserID: guest, Role: chat.RoleGuest},
	}))
	return w
}

// impatient lets changes from now on wait for the log for a moment only.
func (w *town) impatient() {
	w.t.Helper()
	w.cfg.Settle = 100 * time.Millisecond
	dir, err := directory.New(w.cfg)
	w.must(err)
	w.dir = dir
}

func TestNewWorkspacesAreSpreadOverTheirOwnShards(t *testing.T) {
	w := newTown(t, func(c *directory.Config) { c.Among = []streams.Shard{1, 3} })
	got := map[streams.Shard]int{}
	for i := range 40 {
		got[w.workspace(alice, fmt.Sprint("No ", i)).Shard]++
	}
	if got[1] == 0 || got[3] == 0 || got[1]+got[3] != 40 {
		t.Errorf("they lie in %v", got)
	}
	if _, err := directory.New(directory.Config{Store: w.db, Shards: 2, Among: []streams.Shard{2}}); err == nil {
		t.Error("a shard that does not exist was taken")
	}
}

func (w *town) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *town) workspace(by chat.UserID, name string) chat.Workspace {
	w.t.Helper()
	m, err := w.dir.CreateWorkspace(w.t.Context(), by, name)
	w.must(err)
	return m.Workspace
}

func (w *town) channel(by chat.UserID, name string, kind chat.ChannelType) chat.Channel {
	w.t.Helper()
	c, err := w.dir.CreateChannel(w.t.Context(), by, chat.Channel{WorkspaceID: w.ws.ID, Name: name, Type: kind})
	w.must(err)
	return c
}

// kinds are the events of a channel in the log.
func (w *town) kinds(c chat.ChannelID) []event.Kind {
	w.t.Helper()
	var kinds []event.Kind
	for _, e := range w.log.all() {
		if e.at.ChannelID == c {
			parsed, err := event.Parse([]byte(e.payload))
			w.must(err)
			kinds = append(kinds, parsed.Kind)
		}
	}
	return kinds
}

func wantKind(t *testing.T, what string, err error, kind fault.Kind) {
	t.Helper()
	if fault.KindOf(err) != kind {
		t.Errorf("%s: %v, want %q", what, err, kind)
	}
}

func TestWhatIsAnsweredIsInTheLog(t *testing.T) {
	w := newTown(t, nil)
	ctx := t.Context()
	c := w.channel(alice, "plans", chat.ChannelPublic)
	if got, want := w.kinds(c.ID), []event.Kind{event.ChannelCreated, event.MemberJoined}; !slices.Equal(got, want) {
		t.Errorf("after creating, the log has %v", got)
	}
	for range 2 { // the second time changes nothing
		if _, err := w.dir.Join(ctx, bob, c.ID); err != nil {
			t.Fatal(err)
		}
	}
	w.must(w.dir.Leave(ctx, bob, c.ID))
	w.must(w.dir.Leave(ctx, bob, c.ID))
	w.must(w.dir.AddMembers(ctx, alice, c.ID, []chat.UserID{carol, guest, carol}))
	want := []event.Kind{event.ChannelCreated, event.MemberJoined, event.MemberJoined, event.MemberLeft, event.MemberJoined, event.MemberJoined}
	if got := w.kinds(c.ID); !slices.Equal(got, want) {
		t.Errorf("the log has %v", got)
	}
}

func TestAWorkspaceIsSpreadOverTheShards(t *testing.T) {
	w := newTown(t, nil)
	shards := map[int]int{}
	for i := range 40 {
		shards[w.workspace(alice, fmt.Sprint("w", i)).Shard]++
	}
	for s := range shards {
		if s < 0 || s >= streams.Shards {
			t.Errorf("shard %d does not exist", s)
		}
	}
	if len(shards) < 2 {
		t.Errorf("40 workspaces lie in %v", shards)
	}
	for i := 41; i < directory.MaxWorkspaces; i++ {
		w.workspace(alice, fmt.Sprint("w", i))
	}
	_, err := w.dir.CreateWorkspace(t.Context(), alice, "one too many")
	wantKind(t, "one workspace too many", err, fault.Forbidden)
}

func TestWhoMayDoWhat(t *testing.T) {
	w := newTown(t, nil)
	ctx := t.Context()
	open := w.channel(alice, "open", chat.ChannelPublic)
	closed := w.channel(alice, "closed", chat.ChannelPrivate)
	dm, created, err := w.dir.OpenDirect(ctx, alice, w.ws.ID, []chat.UserID{bob})
	if err != nil || !created || dm.Type != chat.ChannelDM {
		t.Fatal(dm, created, err)
	}
	see := func(u chat.UserID, c chat.Channel) error { _, _, err := w.dir.Channel(ctx, u, c.ID); return err }
	join := func(u chat.UserID, c chat.Channel) error { _, err := w.dir.Join(ctx, u, c.ID); return err }
	leave := func(u chat.UserID, c chat.Channel) error { return w.dir.Leave(ctx, u, c.ID) }
	list := func(u chat.UserID, c chat.Channel) error {
		_, err := w.dir.ChannelMembers(ctx, store.PeopleQuery{ChannelID: c.ID, Asker: u, Limit: 10})
		return err
	}
	add := func(u chat.UserID, c chat.Channel) error { return w.dir.AddMembers(ctx, u, c.ID, []chat.UserID{carol}) }
	nowhere := chat.Channel{ID: "n0where"}
	for _, c := range []struct {
		what string
		err  error
		want fault.Kind
	}{
		{"a member sees a public channel", see(bob, open), ""},
		{"a guest does not", see(guest, open), fault.NotFound},
		{"nor does a stranger", see(eve, open), fault.NotFound},
		{"a private channel is not there", see(bob, closed), fault.NotFound},
		{"as if it did not exist", see(bob, nowhere), fault.NotFound},
		{"a direct message is its people's", see(bob, dm), ""},
		{"and nobody else's, not even an owner's of other things", see(carol, dm), fault.NotFound},
		{"joining a private channel", join(bob, closed), fault.NotFound},
		{"joining from another workspace", join(eve, open), fault.NotFound},
		{"a guest joining", join(guest, open), fault.NotFound},
		{"joining what one is in", join(alice, closed), ""},
		{"leaving what one is not in", leave(bob, open), ""},
		{"leaving a private channel that one is not in", leave(bob, closed), fault.NotFound},
		{"leaving a direct message", leave(bob, dm), fault.Forbidden},
		{"the members of a public channel", list(bob, open), ""},
		{"of a private one", list(bob, closed), fault.NotFound},
		{"adding to a channel one is not in", add(bob, open), fault.Forbidden},
		{"adding to one that is not there", add(bob, closed), fault.NotFound},
		{"adding to a direct message", add(alice, dm), fault.Forbidden},
		{"adding a stranger", w.dir.AddMembers(ctx, alice, closed.ID, []chat.UserID{bob, eve}), fault.NotFound},
		{"adding nobody", w.dir.AddMembers(ctx, alice, closed.ID, nil), fault.Invalid},
		{"adding somebody", add(alice, closed), ""},
	} {
		wantKind(t, c.what, c.err, c.want)
	}
	if _, _, err := w.dir.Channel(ctx, carol, closed.ID); err != nil {
		t.Errorf("who was added does not see the channel: %v", err)
	}
	if _, _, err := w.dir.Channel(ctx, bob, closed.ID); err == nil {
		t.Error("a refused addition has added half of the people")
	}
}

func TestWhatMayBeCreated(t *testing.T) {
	w := newTown(t, nil)
	w.channel(alice, "plans", chat.ChannelPrivate)
	for _, c := range []struct {
		by   chat.UserID
		ch   chat.Channel
		want fault.Kind
	}{
		{bob, chat.Channel{Name: "notes", Type: chat.ChannelPublic}, ""},
		{bob, chat.Channel{Name: "plans", Type: chat.ChannelPublic}, fault.Conflict},
		{bob, chat.Channel{Name: "Notes", Type: chat.ChannelPublic}, fault.Invalid},
		{bob, chat.Channel{Name: "", Type: chat.ChannelPublic}, fault.Invalid},
		{bob, chat.Channel{Name: "a b", Type: chat.ChannelPublic}, fault.Invalid},
		{bob, chat.Channel{Name: "x", Type: chat.ChannelDM}, fault.Invalid},
		{bob, chat.Channel{Name: "x", Type: "secret"}, fault.Invalid},
		{bob, chat.Channel{Name: "x", Type: chat.ChannelPublic, Topic: strings.Repeat("t", 251)}, fault.Invalid},
		{guest, chat.Channel{Name: "guests", Type: chat.ChannelPublic}, fault.Forbidden},
		{eve, chat.Channel{Name: "eves", Type: chat.ChannelPublic}, fault.NotFound},
	} {
		c.ch.WorkspaceID = w.ws.ID
		_, err := w.dir.CreateChannel(t.Context(), c.by, c.ch)
		wantKind(t, fmt.Sprintf("%+v by %s", c.ch, c.by), err, c.want)
	}
	for _, name := range []string{"", " x", strings.Repeat("x", 81), "a\x00b"} {
		_, err := w.dir.CreateWorkspace(t.Context(), bob, name)
		wantKind(t, fmt.Sprintf("workspace %.10q", name), err, fault.Invalid)
	}
}

func TestADirectMessageIsTheSameForTheSamePeople(t *testing.T) {
	w := newTown(t, nil)
	ctx := t.Context()
	var all sync.WaitGroup
	ids := make([]chat.ChannelID, 6)
	for i := range ids {
		by, other := alice, bob
		if i%2 == 1 {
			by, other = bob, alice
		}
		all.Go(func() {
			c, _, err := w.dir.OpenDirect(ctx, by, w.ws.ID, []chat.UserID{other, by, other})
			if err != nil {
				t.Error(err)
			}
			ids[i] = c.ID
		})
	}
	all.Wait()
	if len(slices.Compact(slices.Clone(ids))) != 1 {
		t.Errorf("two people have the channels %v", ids)
	}
	group, created, err := w.dir.OpenDirect(ctx, alice, w.ws.ID, []chat.UserID{carol, bob})
	if err != nil || !created || group.Type != chat.ChannelGroupDM || group.ID == ids[0] {
		t.Errorf("a third person: %+v, %v, %v", group, created, err)
	}
	if c, _, err := w.dir.OpenDirect(ctx, alice, w.ws.ID, []chat.UserID{alice}); err != nil || c.Type != chat.ChannelDM {
		t.Errorf("notes to oneself: %+v, %v", c, err)
	}
	for what, c := range map[string]struct {
		by     chat.UserID
		others []chat.UserID
		want   fault.Kind
	}{
		"nobody":              {alice, nil, fault.Invalid},
		"too many":            {alice, []chat.UserID{"1", "2", "3", "4", "5", "6", "7", "8", "9"}, fault.Invalid},
		"a stranger":          {alice, []chat.UserID{eve}, fault.NotFound},
		"somebody unknown":    {alice, []chat.UserID{"zzz"}, fault.NotFound},
		"a guest opens one":   {guest, []chat.UserID{bob}, fault.Forbidden},
		"another's workspace": {eve, []chat.UserID{alice}, fault.NotFound},
	} {
		_, _, err := w.dir.OpenDirect(ctx, c.by, w.ws.ID, c.others)
		wantKind(t, what, err, c.want)
	}
}

func TestListsShowWhatOneMaySee(t *testing.T) {
	w := newTown(t, nil)
	ctx := t.Context()
	open := w.channel(alice, "open", chat.ChannelPublic)
	w.channel(alice, "closed", chat.ChannelPrivate)
	names := func(u chat.UserID) (names []string) {
		list, err := w.dir.ListChannels(ctx, store.ChannelQuery{WorkspaceID: w.ws.ID, UserID: u, Role: chat.RoleOwner, Limit: 10})
		w.must(err)
		for _, c := range list {
			names = append(names, c.Name)
		}
		return names
	}
	if got := names(alice); len(got) != 3 {
		t.Errorf("alice sees %v", got)
	}
	if got := names(bob); !slices.Equal(got, []string{"general", "open"}) {
		t.Errorf("bob sees %v", got)
	}
	if got := names(guest); len(got) != 0 {
		t.Errorf("the guest sees %v", got)
	}
	w.must(w.dir.AddMembers(ctx, alice, open.ID, []chat.UserID{guest}))
	if got := names(guest); !slices.Equal(got, []string{"open"}) {
		t.Errorf("the guest sees %v", got)
	}
	_, err := w.dir.ListChannels(ctx, store.ChannelQuery{WorkspaceID: w.ws.ID, UserID: eve, Limit: 10})
	wantKind(t, "a stranger's list", err, fault.NotFound)
	_, err = w.dir.Members(ctx, store.PeopleQuery{WorkspaceID: w.ws.ID, Asker: guest, Limit: 10})
	wantKind(t, "a guest's list of members", err, fault.Forbidden)
	_, err = w.dir.Members(ctx, store.PeopleQuery{WorkspaceID: w.ws.ID, Asker: eve, Limit: 10})
	wantKind(t, "a stranger's list of members", err, fault.NotFound)
	members, err := w.dir.Members(ctx, store.PeopleQuery{WorkspaceID: w.ws.ID, Asker: bob, Limit: 10})
	if err != nil || len(members) != 4 {
		t.Errorf("the members are %v, %v", members, err)
	}
}

func TestAChangeIsKeptWhenTheLogDoesNotAnswer(t *testing.T) {
	w := newTown(t, nil)
	ctx := t.Context()
	c := w.channel(alice, "plans", chat.ChannelPublic)
	w.impatient()
	w.log.setDown(w.ws.Shard, true)
	_, err := w.dir.Join(ctx, bob, c.ID)
	wantKind(t, "joining while the log is down", err, fault.Unavailable)
	if p := fault.Public(err); !strings.Contains(p.Message, "kept") || p.RetryAfter <= 0 {
		t.Errorf("the user is told %+v", p)
	}
	_, err = w.dir.Join(ctx, bob, c.ID)
	wantKind(t, "trying again while it is down: nothing changes, and it is still not in the log", err, fault.Unavailable)
	_, err = w.dir.Session(ctx, rpc.SessionRequest{UserID: alice, WorkspaceID: w.ws.ID})
	wantKind(t, "a session of the workspace", err, fault.Unavailable)
	w.log.setDown(w.ws.Shard, false)
	for err = errDown; err != nil; {
		_, err = w.dir.Join(ctx, bob, c.ID)
		if err != nil && !fault.Is(err, fault.Unavailable) {
			t.Fatal(err)
		}
	}
	if got := w.kinds(c.ID); len(got) != 3 {
		t.Errorf("the log has %v", got)
	}
}
