package storetest

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

func aRead() store.ReadCursor {
	return store.ReadCursor{WorkspaceID: newID[chat.WorkspaceID](), ChannelID: newID[chat.ChannelID](), UserID: newID[chat.UserID](),
		Cursor: chat.Cursor{Epoch: 1, Seq: 10}, At: dawn}
}

func setRead(t testing.TB, s store.Messages, r, want store.ReadCursor) {
	t.Helper()
	got, err := s.SetRead(within(t), r)
	ok(t, err)
	same(t, "what counts", want, got)
}

func readCursors(t *testing.T, s store.Messages) {
	list := func(of store.ReadCursor) []store.ReadCursor {
		t.Helper()
		got, err := s.ReadCursorsOf(within(t), of.WorkspaceID, of.UserID)
		ok(t, err)
		return got
	}
	r := aRead()
	same(t, "before there is one", []store.ReadCursor{}, list(r))
	given := r
	given.At = r.At.In(time.FixedZone("", 3600))
	setRead(t, s, given, r)
	older := r
	older.Cursor.Seq, older.At = 9, dawn.Add(time.Hour)
	setRead(t, s, older, r)
	again := r
	again.At = dawn.Add(time.Hour)
	setRead(t, s, again, r)
	further := again
	further.Cursor.Seq = 11
	setRead(t, s, further, further)
	epoch := further
	epoch.Cursor = chat.Cursor{Epoch: 2, Seq: 0}
	setRead(t, s, epoch, epoch)
	setRead(t, s, further, epoch)
	same(t, "list", []store.ReadCursor{epoch}, list(r))

	second, theirs, elsewhere := r, r, r
	second.ChannelID = newID[chat.ChannelID]()
	second.Cursor = chat.Cursor{Epoch: chat.MaxEpoch, Seq: chat.MaxSeq}
	first := second
	first.ChannelID, first.At = "0", time.Time{}
	theirs.UserID = newID[chat.UserID]()
	elsewhere.WorkspaceID = newID[chat.WorkspaceID]()
	for _, c := range []store.ReadCursor{second, first, theirs, elsewhere} {
		setRead(t, s, c, c)
	}
	same(t, "by channel id", []store.ReadCursor{first, epoch, second}, list(r))
	same(t, "of another user", []store.ReadCursor{theirs}, list(theirs))
	same(t, "of another workspace", []store.ReadCursor{elsewhere}, list(elsewhere))

	for _, c := range []chat.Cursor{{}, {Seq: 1}, {Epoch: chat.MaxEpoch + 1}, {Epoch: 1, Seq: chat.MaxSeq + 1}} {
		bad := r
		bad.Cursor = c
		_, err := s.SetRead(within(t), bad)
		isKind(t, "a cursor of no log", err, fault.Invalid)
	}
	same(t, "after what was refused", []store.ReadCursor{first, epoch, second}, list(r))
}

// readCursorsRace lets many move one cursor at once: none is told less than it set, and the furthest stays.
func readCursorsRace(t *testing.T, s store.Messages) {
	r := aRead()
	seqs := rand.New(rand.NewPCG(1, 1)).Perm(many * 10)
	for _, err := range together(many, func(i int) error {
		for _, n := range seqs[i*10 : i*10+10] {
			mine := r
			mine.Cursor.Seq = chat.Seq(n)
			got, err := s.SetRead(within(t), mine)
			if err != nil {
				return err
			}
			if got.Cursor.Seq < mine.Cursor.Seq {
				t.Errorf("%d counts after %d was set", got.Cursor.Seq, n)
			}
		}
		return nil
	}) {
		ok(t, err)
	}
	r.Cursor.Seq = chat.Seq(slices.Max(seqs))
	got, err := s.ReadCursorsOf(within(t), r.WorkspaceID, r.UserID)
	ok(t, err)
	same(t, "the furthest", []store.ReadCursor{r}, got)
}
