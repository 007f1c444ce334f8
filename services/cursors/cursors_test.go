package cursors_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/services/cursors"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/sqlite"
	"github.com/canopychat/canopy/streams"
)

const (
	alice chat.UserID = "ualice"
	bob   chat.UserID = "ubob"
	gus   chat.UserID = "ugus" // a guest
	eve   chat.UserID = "ueve" // of no workspace
)

// town is cursors over real stores, of which the test is the log.
type town struct {
	t       *testing.T
	db      *sqlite.Directory
	read    *sqlite.Messages
	devices *devices
	notices *notices
	cursors *cursors.Service
	now     time.Time
	lost    int
	seq     chat.Seq
}

const ws chat.WorkspaceID = "w1"

// logOf is a log that ends there.
type logOf chat.Seq

func (l logOf) Bounds(_ context.Context, shard streams.Shard) (first, last chat.Seq, err error) {
	if shard != 1 {
		return 0, 0, errors.New("another shard")
	}
	return 1, chat.Seq(l), nil
}

func newTown(t *testing.T) *town {
	t.Helper()
	w := &town{t: t, devices: &devices{}, notices: &notices{}, now: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)}
	var err error
	w.db, err = sqlite.OpenDirectory(t.Context(), filepath.Join(t.TempDir(), "directory.db"))
	w.must(err)
	t.Cleanup(func() { w.must(w.db.Close()) })
	w.read, err = sqlite.OpenMessages(t.Context(), filepath.Join(t.TempDir(), "messages.db"))
	w.must(err)
	t.Cleanup(func() { w.must(w.read.Close()) })
	w.cursors, err = cursors.New(cursors.Config{
		Directory: rules{w.db}, Tenures: w.db, Read: w.read, Log: logOf(1000), Delivered: w.devices, Notices: w.notices, Lost: func() { w.lost++ },
		Now: func() time.Time { return w.now },
	})
	w.must(err)
	var users []store.NewUser
	for _, u := range []chat.UserID{alice, bob, gus, eve} {
		users = append(users, store.NewUser{User: chat.User{ID: u, Login: string(u), DisplayName: string(u), CreatedAt: w.now}})
	}
	w.must(w.db.CreateUsers(t.Context(), users))
	w.must(w.db.CreateWorkspace(t.Context(), chat.Workspace{ID: ws, Name: "Canopy", Shard: 1, Epoch: 1, CreatedAt: w.now}, alice))
	w.must(w.db.AddMembers(t.Context(), alice, []chat.Member{{WorkspaceID: ws, UserID: bob, Role: chat.RoleMember}, {WorkspaceID: ws, UserID: gus, Role: chat.RoleGuest}}))
	w.settle()
	return w
}

func (w *town) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// settle gives what the directory owes to the log its seqs.
func (w *town) settle() {
	w.t.Helper()
	rows, err := w.db.Unpublished(w.t.Context(), 1000)
	w.must(err)
	done := make([]store.OutboxDone, len(rows))
	for i, r := range rows {
		w.seq++
		done[i] = store.OutboxDone{ID: r.ID, Seq: w.seq}
	}
	w.must(w.db.Record(w.t.Context(), done))
}

func (w *town) channel(id chat.ChannelID, kind chat.ChannelType, members ...chat.UserID) {
	w.t.Helper()
	c := chat.Channel{ID: id, WorkspaceID: ws, Name: string(id), Type: kind, CreatorID: alice, CreatedAt: w.now}
	if kind.Direct() {
		c.Name = ""
	}
	w.must(w.db.CreateChannel(w.t.Context(), c, members))
	w.settle()
}

func (w *town) move(id chat.ChannelID, user chat.UserID, leave bool) {
	w.t.Helper()
	_, err := w.db.SetMembers(w.t.Context(), store.MemberChange{ChannelID: id, By: user, UserIDs: []chat.UserID{user}, Leave: leave})
	w.must(err)
}

func (w *town) mark(user chat.UserID, ch chat.ChannelID, seq chat.Seq) store.ReadCursor {
	w.t.Helper()
	r, err := w.cursors.MarkRead(w.t.Context(), user, ch, seq)
	w.must(err)
	return r
}

func (w *town) list(user chat.UserID) []store.ReadIn {
	w.t.Helper()
	all, err := w.cursors.ReadCursors(w.t.Context(), user, ws)
	w.must(err)
	return all
}

// rules are the directory's, in short.
type rules struct{ db store.Directory }

func (r rules) Channel(ctx context.Context, by chat.UserID, id chat.ChannelID) (chat.Channel, chat.Standing, error) {
	standing, c, err := r.db.Standing(ctx, id, by)
	if err == nil && !standing.MaySee() {
		err = fault.New(fault.NotFound, "there is no such channel, or you may not see it")
	}
	return c, standing, err
}

func (r rules) Workspace(ctx context.Context, by chat.UserID, id chat.WorkspaceID) (store.Membership, error) {
	m, err := r.db.Member(ctx, id, by)
	if err != nil {
		return store.Membership{}, err
	}
	w, err := r.db.Workspace(ctx, id)
	return store.Membership{Workspace: w, Role: m.Role}, err
}

// notices hears what gateways would, and can fail.
type notices struct {
	mu    sync.Mutex
	heard []string
	err   error
}

func (n *notices) Read(_ context.Context, ws chat.WorkspaceID, user chat.UserID, r rpc.ReadNotice) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.heard = append(n.heard, fmt.Sprint(ws, " ", user, " ", r.ChannelID, " ", r.Seq))
	return n.err
}

func (n *notices) take() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	heard := n.heard
	n.heard = nil
	return heard
}

// devices keeps what SetDelivered is told.
type devices struct {
	store.DeviceCursors
	kept []store.DeviceCursor
	err  error
}

func (d *devices) SetDelivered(_ context.Context, all []store.DeviceCursor) error {
	d.kept = append(d.kept, all...)
	return d.err
}

func TestHowFarSomebodyHasRead(t *testing.T) {
	w := newTown(t)
	w.channel("copen", chat.ChannelPublic, alice)
	w.channel("cshut", chat.ChannelPrivate, alice, bob)
	for _, c := range []struct {
		what      string
		by        chat.UserID
		in        chat.ChannelID
		seq, then chat.Seq
		heard     string
		want      fault.Kind
	}{
		{"a channel that they may see", bob, "copen", 7, 7, "w1 ubob copen 7", ""},
		{"further", bob, "copen", 9, 9, "w1 ubob copen 9", ""},
		{"the same", bob, "copen", 9, 9, "", ""},
		{"not back", bob, "copen", 8, 9, "", ""},
		{"a private one", bob, "cshut", 5, 5, "w1 ubob cshut 5", ""},
		{"another's own", alice, "copen", 3, 3, "w1 ualice copen 3", ""},
		{"one of a guest's", gus, "copen", 5, 0, "", fault.NotFound},
		{"a stranger's", eve, "copen", 5, 0, "", fault.NotFound},
		{"none", bob, "cnone", 5, 0, "", fault.NotFound},
		{"nothing", bob, "copen", 0, 0, "", fault.Invalid},
		{"more than a log has", bob, "copen", chat.MaxSeq + 1, 0, "", fault.Invalid},
		{"more than this log has", bob, "copen", 1001, 0, "", fault.Invalid},
	} {
		w.now = w.now.Add(time.Second)
		read, err := w.cursors.MarkRead(t.Context(), c.by, c.in, c.seq)
		if (err != nil) != (c.want != "") || err != nil && !fault.Is(err, c.want) {
			t.Errorf("%s: %v, want %q", c.what, err, c.want)
		}
		if err == nil && (read.Cursor != chat.Cursor{Epoch: 1, Seq: c.then} || read.UserID != c.by || read.ChannelID != c.in) {
			t.Errorf("%s: what counts is %+v", c.what, read)
		}
		if heard := w.notices.take(); len(heard) != min(1, len(c.heard)) || len(heard) == 1 && heard[0] != c.heard {
			t.Errorf("%s: the devices hear %q, want %q", c.what, heard, c.heard)
		}
	}
}

// A notice that is lost fails nothing: it is counted.
func TestANoticeMayBeLost(t *testing.T) {
	w := newTown(t)
	w.channel("copen", chat.ChannelPublic, alice, bob)
	w.notices.err = errors.New("no hub")
	if got := w.mark(bob, "copen", 7); got.Cursor.Seq != 7 || w.lost != 1 {
		t.Errorf("it is answered %+v, and %d are lost", got, w.lost)
	}
	quiet, err := cursors.New(cursors.Config{Directory: rules{w.db}, Tenures: w.db, Read: w.read, Log: logOf(1000)})
	w.must(err)
	if got, err := quiet.MarkRead(t.Context(), bob, "copen", 8); err != nil || got.Cursor.Seq != 8 {
		t.Errorf("where nobody is told: %+v, %v", got, err)
	}
}

func TestEveryChannelThatSomebodyIsInIsListed(t *testing.T) {
	w := newTown(t)
	w.channel("ca", chat.ChannelPublic, alice, bob)
	joinedA := w.seq
	w.channel("cb", chat.ChannelPrivate, alice, bob)
	joinedB := w.seq
	w.channel("cc", chat.ChannelPublic, alice)
	w.channel("cd", chat.ChannelDM, alice, bob)
	joinedD := w.seq
	want := []store.ReadIn{
		{ChannelID: "ca", Joined: joinedA, Type: chat.ChannelPublic}, {ChannelID: "cb", Joined: joinedB, Type: chat.ChannelPrivate},
		{ChannelID: "cd", Joined: joinedD, Type: chat.ChannelDM},
	}
	check := func(what string) {
		t.Helper()
		if diff := cmp.Diff(want, w.list(bob)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	check("nothing was read")
	w.mark(bob, "cb", 40)
	w.mark(bob, "cc", 50) // which he may see, and is not in
	want[1].Read = 40
	check("one was read")

	w.move("cb", bob, true)
	w.settle()
	want = slices.Delete(want, 1, 2)
	check("one was left")

	w.move("cb", bob, false)
	check("coming back is on its way to the log")
	w.settle()
	want = slices.Insert(want, 1, store.ReadIn{ChannelID: "cb", Read: 40, Joined: w.seq, Type: chat.ChannelPrivate})
	check("back again: what was read before counts, and what was said in between does not")

	w.move("cb", bob, true)
	w.move("cb", bob, false)
	check("leaving and coming back are on their way: he is where he was, as far as the log knows")
	w.settle()
	want[1].Joined = w.seq
	check("and once more")

	_, err := w.read.SetRead(t.Context(), store.ReadCursor{WorkspaceID: ws, ChannelID: "ca", UserID: bob, Cursor: chat.Cursor{Epoch: 2, Seq: 60}})
	w.must(err)
	want[0].Read = 60
	check("a place counts in whichever of the logs it is")

	if got := w.list(gus); len(got) != 0 {
		t.Errorf("the guest is in %+v", got)
	}
	if _, err := w.cursors.ReadCursors(t.Context(), eve, ws); !fault.Is(err, fault.NotFound) {
		t.Errorf("a stranger's list: %v", err)
	}
}

func TestGatewaysMarkAsRead(t *testing.T) {
	w := newTown(t)
	w.channel("ca", chat.ChannelPublic, alice, bob)
	for _, c := range []struct {
		req  rpc.ReadRequest
		then chat.Seq
		want fault.Kind
	}{
		{rpc.ReadRequest{UserID: bob, ChannelID: "ca", Seq: 7}, 7, ""},
		{rpc.ReadRequest{UserID: bob, ChannelID: "ca", Seq: 5}, 7, ""},
		{rpc.ReadRequest{UserID: eve, ChannelID: "ca", Seq: 5}, 0, fault.NotFound},
		{rpc.ReadRequest{UserID: "*", ChannelID: "ca", Seq: 5}, 0, fault.NotFound},
		{rpc.ReadRequest{UserID: bob, ChannelID: "a.b", Seq: 5}, 0, fault.NotFound},
		{rpc.ReadRequest{UserID: bob, ChannelID: "ca"}, 0, fault.Invalid},
		{rpc.ReadRequest{}, 0, fault.NotFound},
	} {
		got, err := w.cursors.Read(t.Context(), c.req)
		if got.Seq != c.then || (err != nil) != (c.want != "") || err != nil && !fault.Is(err, c.want) {
			t.Errorf("%+v is answered %+v, %v", c.req, got, err)
		}
	}
}

func TestACursorsServiceNeedsItsNeighbours(t *testing.T) {
	if _, err := cursors.New(cursors.Config{}); err == nil {
		t.Error("it was made of nothing")
	}
}

// What was read stays read when the log begins anew; and who reads an old message then takes no mark back.
func TestMarksOutliveTheirLog(t *testing.T) {
	w := newTown(t)
	w.channel("copen", chat.ChannelPublic, alice, bob)
	w.mark(bob, "copen", 500)
	first := w.seq + 1<<30
	all, err := w.db.BeginEpoch(t.Context(), 1, first)
	w.must(err)
	if len(all) != 1 || all[0].Epoch != 2 {
		t.Fatalf("the workspaces are %+v", all)
	}
	if got := w.list(bob); len(got) != 1 || got[0].Read != 500 {
		t.Errorf("bob has read %+v", got)
	}
	if got := w.mark(bob, "copen", 7); got.Cursor.Seq != 500 {
		t.Errorf("at an old message he has read %+v", got)
	}
	w.mark(bob, "copen", 900)
	if got := w.list(bob); len(got) != 1 || got[0].Read != 900 {
		t.Errorf("then bob has read %+v", got)
	}
}
