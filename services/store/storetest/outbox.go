package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

func (f *fixture) tenures(user chat.UserID, since chat.Seq) []store.TenureOf {
	f.t.Helper()
	list, err := f.d.Tenures(f.ctx, f.ws.ID, user, since)
	ok(f.t, err)
	return list
}

func tenures(t *testing.T, f *fixture) {
	c := f.channel(chat.ChannelPublic, "general", f.owner)
	old := f.newChannel(chat.ChannelPrivate, "old")
	old.Archived = true
	ok(t, f.d.CreateChannel(f.ctx, old, []chat.UserID{f.member}))
	f.record()
	inOld := store.TenureOf{Tenure: chat.Tenure{ChannelID: old.ID, JoinedSeq: f.seq}, Type: chat.ChannelPrivate, Archived: true}
	in := func(joined, left chat.Seq) store.TenureOf {
		return store.TenureOf{Tenure: chat.Tenure{ChannelID: c.ID, JoinedSeq: joined, LeftSeq: left}, Type: chat.ChannelPublic}
	}
	change := store.MemberChange{ChannelID: c.ID, By: f.member, UserIDs: []chat.UserID{f.member}}

	f.set(change)
	same(t, "joined, on its way to the log", []store.TenureOf{in(0, 0), inOld}, f.tenures(f.member, 0))
	first := f.record()[0]
	same(t, "joined", []store.TenureOf{in(first, 0), inOld}, f.tenures(f.member, 0))

	change.Leave = true
	f.set(change)
	same(t, "left, on its way to the log", []store.TenureOf{in(first, 0), inOld}, f.tenures(f.member, first+1000))
	firstEnd := f.record()[0]
	same(t, "left", []store.TenureOf{in(first, firstEnd), inOld}, f.tenures(f.member, 0))

	// Three changes on their way at once.
	for _, change.Leave = range []bool{false, true, false} {
		f.set(change)
	}
	same(t, "back, away, and back, on their way", []store.TenureOf{in(first, firstEnd), in(0, 0), in(0, 0), inOld}, f.tenures(f.member, 0))
	seqs := f.record()
	all := []store.TenureOf{in(first, firstEnd), in(seqs[0], seqs[1]), in(seqs[2], 0), inOld}
	same(t, "all", all, f.tenures(f.member, 0))
	same(t, "since the end of the first", all, f.tenures(f.member, firstEnd))
	same(t, "since after the end of the first", all[1:], f.tenures(f.member, firstEnd+1))
	same(t, "since after all ends", all[2:], f.tenures(f.member, seqs[1]+1))

	same(t, "of a stranger", []store.TenureOf{}, f.tenures(f.none, 0))
	list, err := f.d.Tenures(f.ctx, newID[chat.WorkspaceID](), f.member, 0)
	ok(t, err)
	same(t, "of another workspace", []store.TenureOf{}, list)
}

func outbox(t *testing.T, f *fixture) {
	c := f.channel(chat.ChannelPublic, "general", f.owner, f.member)
	rows := f.pending()
	same(t, "number of rows", 3, len(rows))
	if !slices.IsSortedFunc(rows, func(a, b store.OutboxRow) int { return int(a.ID - b.ID) }) || rows[0].ID <= 0 {
		t.Errorf("ids do not rise from 1: %+v", rows)
	}
	some, err := f.d.Unpublished(f.ctx, 2)
	ok(t, err)
	same(t, "the oldest two", rows[:2], some)
	for _, r := range rows {
		if _, err := event.Encode(r.Event); err != nil {
			t.Errorf("row %d cannot be published: %v", r.ID, err)
		}
	}

	// The relay dies between publishing and recording: it records the second only, and then all, twice.
	ok(t, f.d.Record(f.ctx, []store.OutboxDone{{ID: rows[1].ID, Seq: 501}}))
	same(t, "unpublished", []store.OutboxRow{rows[0], rows[2]}, f.pending())
	all := []store.OutboxDone{{ID: rows[0].ID, Seq: 500}, {ID: rows[1].ID, Seq: 501}, {ID: rows[2].ID, Seq: 502}}
	ok(t, f.d.Record(f.ctx, all))
	ok(t, f.d.Record(f.ctx, []store.OutboxDone{{ID: rows[1].ID, Seq: 700}, {ID: rows[2].ID, Seq: 701}}))
	ok(t, f.d.Record(f.ctx, nil))
	ok(t, f.d.Record(f.ctx, []store.OutboxDone{{ID: rows[2].ID + 1000, Seq: 600}})) // of no row
	f.told()
	same(t, "tenure", chat.Seq(501), f.tenures(f.owner, 0)[0].JoinedSeq)
	same(t, "tenure", chat.Seq(502), f.tenures(f.member, 0)[0].JoinedSeq)

	last := f.set(store.MemberChange{ChannelID: c.ID, By: f.owner, UserIDs: []chat.UserID{f.guest}})
	if last <= rows[2].ID {
		t.Errorf("row %d comes after row %d", last, rows[2].ID)
	}
}

func owed(t *testing.T, f *fixture) {
	other := chat.Workspace{ID: newID[chat.WorkspaceID](), Name: "Other", Epoch: 1, CreatedAt: atMicro}
	expect := func(ws chat.WorkspaceID, upTo, newest store.OutboxID, is bool) {
		t.Helper()
		id, err := f.d.Owed(f.ctx, ws)
		ok(t, err)
		same(t, "Owed", newest, id)
		got, err := f.d.OwedUpTo(f.ctx, ws, upTo)
		ok(t, err)
		same(t, "OwedUpTo", is, got)
	}
	expect(f.ws.ID, 1<<40, 0, false)
	f.channel(chat.ChannelPublic, "general", f.owner)
	rows := f.pending()
	first, second := rows[0].ID, rows[1].ID
	ok(t, f.d.CreateWorkspace(f.ctx, other, f.owner))
	theirs := f.pending()[2].ID

	expect(f.ws.ID, first-1, second, false)
	expect(f.ws.ID, first, second, true)
	expect(f.ws.ID, theirs, second, true)
	expect(other.ID, second, theirs, false)
	ok(t, f.d.Record(f.ctx, []store.OutboxDone{{ID: first, Seq: 900}}))
	expect(f.ws.ID, first, second, false)
	expect(f.ws.ID, second, second, true)
	ok(t, f.d.Record(f.ctx, []store.OutboxDone{{ID: second, Seq: 901}}))
	expect(f.ws.ID, second, 0, false)
	expect(other.ID, theirs, theirs, true)
	expect(newID[chat.WorkspaceID](), theirs, 0, false)
}

func recorded(t *testing.T, f *fixture) {
	expect := func(shard int, want chat.Seq) {
		t.Helper()
		got, err := f.d.Recorded(f.ctx, shard)
		ok(t, err)
		same(t, "Recorded", want, got)
	}
	expect(f.ws.Shard, f.seq) // the members that the fixture has
	c := f.channel(chat.ChannelPublic, "general", f.owner, f.member)
	expect(f.ws.Shard, f.seq)
	f.record()
	expect(f.ws.Shard, f.seq)
	f.set(store.MemberChange{ChannelID: c.ID, By: f.owner, UserIDs: []chat.UserID{f.member}, Leave: true})
	f.record()
	expect(f.ws.Shard, f.seq)
	ok(t, f.d.CreateWorkspace(f.ctx, chat.Workspace{ID: newID[chat.WorkspaceID](), Name: "Other", Shard: 0, Epoch: 1, CreatedAt: atMicro}, f.owner))
	expect(0, 0)
	f.record()
	expect(0, f.seq)
	expect(1, 0)

	f.set(store.MemberChange{ChannelID: c.ID, By: f.owner, UserIDs: []chat.UserID{f.member, f.guest}})
	rows := f.pending()
	ok(t, f.d.Record(f.ctx, []store.OutboxDone{{ID: rows[1].ID, Seq: 2000}}))
	ok(t, f.d.Record(f.ctx, []store.OutboxDone{{ID: rows[0].ID, Seq: 1000}}))
	expect(f.ws.Shard, 2000)
}

// together runs n goroutines and returns their errors.
func together(n int, run func(i int) error) []error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = run(i) })
	}
	wg.Wait()
	return errs
}

func raceForName(t *testing.T, f *fixture) {
	for name, create := range map[string]func() error{
		"one name": func() error {
			return f.d.CreateChannel(f.ctx, f.newChannel(chat.ChannelPublic, "general"), []chat.UserID{f.owner})
		},
		"the same people": func() error {
			return f.d.CreateChannel(f.ctx, f.newChannel(chat.ChannelDM, ""), []chat.UserID{f.owner, f.member})
		},
	} {
		won := 0
		for _, err := range together(writers, func(int) error { return create() }) {
			if err == nil {
				won++
			} else {
				isKind(t, name, err, fault.Conflict)
			}
		}
		same(t, name+": winners", 1, won)
	}
	same(t, "events", 2+3, len(f.pending())) // two channels, and who joined them
}

func raceToJoin(t *testing.T, f *fixture) {
	c := f.channel(chat.ChannelPublic, "general")
	f.record()
	ids := make([]store.OutboxID, writers)
	errs := together(writers, func(i int) (err error) {
		ids[i], err = f.d.SetMembers(f.ctx, store.MemberChange{ChannelID: c.ID, By: f.member, UserIDs: []chat.UserID{f.member}})
		return err
	})
	ok(t, errors.Join(errs...))
	same(t, "changes", writers-1, len(slices.DeleteFunc(ids, func(id store.OutboxID) bool { return id != 0 })))
	f.told(joined(c.ID, f.member, f.member, chat.RoleMember))
	same(t, "tenures", 1, len(f.tenures(f.member, 0)))
}

// raceForOutbox reads the outbox while others write to it: no row may appear below one that was seen.
func raceForOutbox(t *testing.T, f *fixture) {
	const each = 10
	finished := make(chan struct{}) // closed when the writers are done
	var watching sync.WaitGroup
	watching.Go(func() {
		var seen []store.OutboxRow
		for stop := false; !stop; {
			select {
			case <-finished:
				stop = true // and look once more
			default:
			}
			now, err := f.d.Unpublished(f.ctx, chat.MaxPageSize)
			if err != nil {
				t.Error(err)
				return
			}
			if len(now) < len(seen) || (len(seen) > 0 && now[len(seen)-1].ID != seen[len(seen)-1].ID) {
				t.Errorf("a row appeared below the %d that were there, or one went", len(seen))
			}
			seen = now
		}
		same(t, "rows", writers*each*2, len(seen))
	})
	errs := together(writers, func(i int) error {
		for j := range each {
			c := f.newChannel(chat.ChannelPublic, fmt.Sprintf("c-%d-%d", i, j))
			if err := f.d.CreateChannel(f.ctx, c, []chat.UserID{f.owner}); err != nil {
				return err
			}
		}
		return nil
	})
	close(finished)
	watching.Wait()
	ok(t, errors.Join(errs...))
}
