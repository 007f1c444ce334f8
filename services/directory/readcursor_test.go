package directory_test

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/directory"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/sqlite"
)

func TestHowFarSomebodyHasRead(t *testing.T) {
	db, err := sqlite.OpenMessages(t.Context(), filepath.Join(t.TempDir(), "messages.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	w := newTown(t, func(c *directory.Config) { c.Read = db })
	ctx := t.Context()
	open := w.channel(alice, "open", chat.ChannelPublic)
	closed := w.channel(alice, "closed", chat.ChannelPrivate)
	w.must(w.dir.AddMembers(ctx, alice, closed.ID, []chat.UserID{bob}))
	for _, c := range []struct {
		what      string
		by        chat.UserID
		in        chat.ChannelID
		seq, then chat.Seq
		want      fault.Kind
	}{
		{"a channel", bob, open.ID, 7, 7, ""},
		{"further", bob, open.ID, 9, 9, ""},
		{"not back", bob, open.ID, 8, 9, ""},
		{"a private one", bob, closed.ID, 5, 5, ""},
		{"another's own", carol, open.ID, 3, 3, ""},
		{"one that is not theirs", carol, closed.ID, 5, 0, fault.NotFound},
		{"one of a guest's", guest, open.ID, 5, 0, fault.NotFound},
		{"a stranger's", eve, open.ID, 5, 0, fault.NotFound},
		{"nothing", bob, open.ID, 0, 0, fault.Invalid},
		{"more than a log has", bob, open.ID, chat.MaxSeq + 1, 0, fault.Invalid},
	} {
		read, err := w.dir.MarkRead(ctx, c.by, c.in, c.seq)
		wantKind(t, c.what, err, c.want)
		if err == nil && (read.Cursor != chat.Cursor{Epoch: 1, Seq: c.then} || read.UserID != c.by) {
			t.Errorf("%s: what counts is %+v", c.what, read)
		}
	}
	read := func(user chat.UserID) (all []chat.Cursor) {
		list, err := w.dir.ReadCursors(ctx, user, w.ws.ID)
		w.must(err)
		for _, r := range list {
			all = append(all, r.Cursor)
		}
		return all
	}
	if got := read(bob); !slices.Equal(got, []chat.Cursor{{Epoch: 1, Seq: 9}, {Epoch: 1, Seq: 5}}) {
		t.Errorf("bob has read %v", got)
	}
	if got := read(guest); got != nil {
		t.Errorf("the guest has read %v", got)
	}
	w.must(w.dir.Leave(ctx, bob, closed.ID))
	if got := read(bob); !slices.Equal(got, []chat.Cursor{{Epoch: 1, Seq: 9}}) {
		t.Errorf("after leaving a private channel bob has read %v", got)
	}
	_, err = db.SetRead(ctx, store.ReadCursor{WorkspaceID: w.ws.ID, ChannelID: open.ID, UserID: bob, Cursor: chat.Cursor{Epoch: 2, Seq: 1}})
	w.must(err)
	if got := read(bob); len(got) != 0 {
		t.Errorf("a place in another log is told: %v", got)
	}
	_, err = w.dir.ReadCursors(ctx, eve, w.ws.ID)
	wantKind(t, "a stranger's list", err, fault.NotFound)
	without := newTown(t, nil)
	_, err = without.dir.MarkRead(ctx, alice, open.ID, 1)
	wantKind(t, "where nothing is remembered", err, fault.Unsupported)
	_, err = without.dir.ReadCursors(ctx, alice, without.ws.ID)
	wantKind(t, "a list where nothing is remembered", err, fault.Unsupported)
}
