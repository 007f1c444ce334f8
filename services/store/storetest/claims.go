package storetest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

// ofRelays are the rules of who takes the outbox to the log.
var ofRelays = []aRule{
	{"ClaimsAreOfOneRelay", claims},
	{"ClaimsAreOfWorkspacesThatAreNotExcepted", claimsExcept},
	{"ManyRelaysShareTheOutbox", raceToClaim},
	{"WhatIsWrittenIsTold", watched},
}

// places makes some workspaces, whose events are recorded.
func (f *fixture) places(n int) []chat.Workspace {
	f.t.Helper()
	all := make([]chat.Workspace, n)
	for i := range all {
		all[i] = chat.Workspace{ID: newID[chat.WorkspaceID](), Name: "W", Shard: i % 3, Epoch: 1, CreatedAt: atMicro}
		ok(f.t, f.d.CreateWorkspace(f.ctx, all[i], f.owner))
	}
	f.record()
	return all
}

// rename writes a row for a workspace.
func (f *fixture) rename(w chat.WorkspaceID, name string) store.OutboxID {
	f.t.Helper()
	id, err := f.d.UpdateWorkspace(f.ctx, w, f.owner, name)
	ok(f.t, err)
	return id
}

func (f *fixture) claim(limit int, except ...chat.WorkspaceID) store.Claim {
	f.t.Helper()
	c, err := f.d.Claim(f.ctx, limit, except)
	ok(f.t, err)
	f.t.Cleanup(c.Release)
	return c
}

func idsOf(rows []store.OutboxRow) []store.OutboxID {
	ids := make([]store.OutboxID, 0, len(rows))
	for _, r := range rows {
		ids = append(ids, r.ID)
	}
	return ids
}

func claims(t *testing.T, f *fixture) {
	same(t, "of an outbox with nothing in it", []store.OutboxID{}, idsOf(f.claim(10).Rows))
	w := f.places(2)
	a1, b1, a2 := f.rename(w[0].ID, "a1"), f.rename(w[1].ID, "b1"), f.rename(w[0].ID, "a2")

	mine := f.claim(10)
	same(t, "all, in the order of their ids", []store.OutboxID{a1, b1, a2}, idsOf(mine.Rows))
	same(t, "as Unpublished reads them", f.pending(), mine.Rows)
	a3 := f.rename(w[0].ID, "a3")
	same(t, "of a claimed workspace, also what came later", []store.OutboxID{}, idsOf(f.claim(10).Rows))
	ok(t, f.d.Record(f.ctx, []store.OutboxDone{{ID: a1, Seq: 7000}, {ID: a2, Seq: 7001}}))
	mine.Release()
	mine.Release()

	again := f.claim(10)
	same(t, "what is left, after the release", []store.OutboxID{b1, a3}, idsOf(again.Rows))
	again.Release()
	first := f.claim(1)
	same(t, "at most limit", []store.OutboxID{b1}, idsOf(first.Rows))
	first.Release()
	_, err := f.d.Claim(f.ctx, 0, nil)
	isKind(t, "a limit of none", err, fault.Invalid)
}

func claimsExcept(t *testing.T, f *fixture) {
	w := f.places(3)
	a, b, c := f.rename(w[0].ID, "a"), f.rename(w[1].ID, "b"), f.rename(w[2].ID, "c")
	mine := f.claim(10, w[0].ID, w[2].ID)
	same(t, "without those excepted", []store.OutboxID{b}, idsOf(mine.Rows))
	same(t, "for another relay", []store.OutboxID{a, c}, idsOf(f.claim(10).Rows))
}

// raceToClaim has relays publish what many write: no row twice, and those of a workspace in their order.
func raceToClaim(t *testing.T, f *fixture) {
	const each, relays = 5, 3
	w := f.places(6)
	var mu sync.Mutex
	var log []store.OutboxRow // guarded by mu
	written := make(chan struct{})
	relay := func() error {
		for last := false; ; {
			select {
			case <-written:
				last = true
			default:
			}
			c, err := f.d.Claim(f.ctx, 10, nil)
			if err != nil {
				return err
			}
			var done []store.OutboxDone
			mu.Lock()
			for _, r := range c.Rows {
				log = append(log, r)
				done = append(done, store.OutboxDone{ID: r.ID, Seq: chat.Seq(10_000 + len(log))})
			}
			mu.Unlock()
			err = f.d.Record(f.ctx, done)
			c.Release()
			if err != nil || (last && len(c.Rows) == 0) {
				return err
			}
		}
	}
	errs := together(relays+1, func(n int) error {
		if n < relays {
			return relay()
		}
		defer close(written)
		return errors.Join(together(len(w), func(i int) error {
			for j := range each {
				if _, err := f.d.UpdateWorkspace(f.ctx, w[i].ID, f.owner, string(rune('a'+j))); err != nil {
					return err
				}
			}
			return nil
		})...)
	})
	ok(t, errors.Join(errs...))
	same(t, "rows that were published", len(w)*each, len(log))
	for _, of := range w {
		ids := idsOf(slices.DeleteFunc(slices.Clone(log), func(r store.OutboxRow) bool { return r.WorkspaceID != of.ID }))
		if !slices.IsSorted(ids) || len(slices.Compact(ids)) != each {
			t.Errorf("the rows of a workspace were published as %v", ids)
		}
	}
	f.told()
}

func watched(t *testing.T, f *fixture) {
	ctx, cancel := context.WithCancel(f.ctx)
	told := make(chan struct{}, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- f.d.Watch(ctx, func() {
			select {
			case told <- struct{}{}:
			default:
			}
		})
	}()
	wait := func(what string) {
		t.Helper()
		select {
		case <-told:
		case <-f.ctx.Done():
			t.Fatalf("%s: nobody told", what)
		}
	}
	wait("at the beginning")
	for _, name := range []string{"one", "two", "three"} {
		for len(told) > 0 { // of what was before
			<-told
		}
		f.rename(f.ws.ID, name)
		wait(name)
	}
	cancel()
	ok(t, <-ended)
}
