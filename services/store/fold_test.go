package store_test

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/storetest"
)

// replay is the rule in its plainest form: events of a log in its order, each once, without a version.
func replay(events []event.Stored, channel chat.ChannelID) []chat.Message {
	messages := map[chat.Seq]*chat.Message{}
	for _, e := range events {
		if !e.Known() || e.ChannelID != channel {
			continue
		}
		if e.Kind == event.MessagePosted {
			messages[e.Seq] = &chat.Message{ChannelID: e.ChannelID, Seq: e.Seq, Epoch: e.Epoch, SenderID: e.SenderID,
				Body: e.Body, ClientMsgID: e.ClientMsgID, Thread: e.Thread, Attachments: e.Attachments, PostedAt: e.At}
		}
		m := messages[e.MessageSeq]
		if m == nil || m.Deleted {
			continue
		}
		switch e.Kind {
		case event.MessageEdited:
			m.Body, m.EditedAt = e.Body, e.At
		case event.MessageDeleted:
			*m = store.Erased(*m)
		case event.PinAdded, event.PinRemoved:
			m.Pinned = e.Kind == event.PinAdded
		case event.ReactionAdded, event.ReactionRemoved:
			m.Reactions = react(m.Reactions, e)
		}
	}
	var out []chat.Message
	for _, m := range messages {
		out = append(out, *m)
	}
	slices.SortFunc(out, func(a, b chat.Message) int { return cmp.Compare(b.Seq, a.Seq) })
	return out
}

// react puts one reaction into the sorted list, or takes it out.
func react(all []chat.Reaction, e event.Stored) []chat.Reaction {
	pairs := [][2]string{}
	for _, r := range all {
		for _, u := range r.UserIDs {
			if r.Emoji != e.Emoji || u != e.SenderID {
				pairs = append(pairs, [2]string{r.Emoji, string(u)})
			}
		}
	}
	if e.Kind == event.ReactionAdded {
		pairs = append(pairs, [2]string{e.Emoji, string(e.SenderID)})
	}
	slices.SortFunc(pairs, func(a, b [2]string) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) })
	return store.GroupReactions(pairs)
}

// drawn is a history and a source of chance, both of one seed, so that rapid can repeat them.
func drawn(t *rapid.T) (storetest.History, *rand.Rand) {
	r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
	return storetest.NewHistory(r, rapid.IntRange(0, 120).Draw(t, "events")), r
}

func equal(t *rapid.T, what string, want, got any) {
	if diff := gocmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("%s (-want +got):\n%s", what, diff)
	}
}

func TestStateIsThatOfTheLogsOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, r := drawn(t)
		all := slices.Concat(h.Events, h.Events)
		r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		model := storetest.NewModel(all)
		for _, channel := range h.Channels {
			equal(t, "messages", replay(h.Events, channel), model.Messages(channel, 0))
		}
	})
}

func TestStateTakesOnlyItsOwnEvents(t *testing.T) {
	mine := event.Stored{Seq: 1, Event: event.Event{V: 1, Kind: event.MessagePosted, Epoch: 1, ChannelID: "c", SenderID: "u", Body: "mine"}}
	other, foreign, edit := mine, mine, mine
	other.Seq, other.Body = 2, "other"
	foreign.ChannelID, foreign.Body = "d", "foreign"
	edit.Kind, edit.MessageSeq, edit.Seq, edit.Body = event.MessageEdited, 2, 3, "edit of other"
	var s store.State
	if _, ok := s.Message(); ok {
		t.Error("the zero State has a message")
	}
	for _, e := range []event.Stored{mine, other, foreign, edit} {
		s.Apply(e)
	}
	if m, ok := s.Message(); !ok || m.Body != "mine" || m.Seq != 1 {
		t.Errorf("%+v, %v", m, ok)
	}
}

// behind is a store that has all of the log up to some event, and of what follows any part; the tail
// is what follows, of one channel.
func behind(h storetest.History, r *rand.Rand, channel chat.ChannelID) (applied *storetest.Model, tail []event.Stored) {
	k := r.IntN(len(h.Events) + 1)
	some := slices.Clone(h.Events[:k])
	for _, e := range h.Events[k:] {
		if r.IntN(2) == 0 {
			some = append(some, e)
		}
		if e.ChannelID == channel {
			tail = append(tail, e)
		}
	}
	return storetest.NewModel(some), tail
}

func TestOverlayMakesUpForWhatTheStoreMisses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, r := drawn(t)
		for _, channel := range h.Channels {
			applied, tail := behind(h, r, channel)
			before := applied.Messages(channel, 0)
			kept := slices.Clone(before)
			equal(t, "messages", replay(h.Events, channel), store.Overlay(before, tail))
			equal(t, "the page that was given", kept, before)
		}
	})
}

// The post of a deleted message is erased from the log once the store has it: perhaps between the page and the tail.
func TestOverlayShowsWhatWasErasedInBetween(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 30, 45, 678901234, time.UTC)
	gone := event.Stored{Seq: 9, At: at.Add(time.Hour), Event: event.Event{
		V: 1, Kind: event.MessageDeleted, Epoch: 2, ChannelID: "c", SenderID: "admin", MessageSeq: 7,
		Post: &event.PostState{Epoch: 1, SenderID: "u", ClientMsgID: "m", Thread: 3, At: at},
	}}
	edit := event.Stored{Seq: 8, Event: event.Event{V: 1, Kind: event.MessageEdited, Epoch: 2, ChannelID: "c", SenderID: "u", MessageSeq: 7, Body: "secret"}}
	want := []chat.Message{{ChannelID: "c", Seq: 7, Epoch: 1, SenderID: "u", ClientMsgID: "m", Thread: 3, PostedAt: at, Deleted: true}}
	for _, tail := range [][]event.Stored{{gone}, {edit, gone}, {gone, edit}, {gone, gone}} {
		if diff := gocmp.Diff(want, store.Overlay(nil, tail)); diff != "" {
			t.Errorf("%d events: %s", len(tail), diff)
		}
	}
	var s store.State
	s.Apply(gone)
	if m, ok := s.Message(); ok {
		t.Errorf("a store shows a message whose post it has not got: %+v", m)
	}
	if left := store.Overlay(nil, []event.Stored{edit}); len(left) != 0 {
		t.Errorf("an edit of what is not there shows %+v", left)
	}
}

func TestOverlaidPageIsThatOfAStoreWithEverything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, r := drawn(t)
		if len(h.Events) == 0 {
			return
		}
		full := storetest.NewModel(h.Events)
		for _, channel := range h.Channels {
			applied, tail := behind(h, r, channel)
			q := store.PageQuery{ChannelID: channel, Limit: 1 + r.IntN(10)}
			seq := h.Events[r.IntN(len(h.Events))].Seq
			switch r.IntN(4) {
			case 0:
				q.Before = seq
			case 1:
				q.After = seq
			case 2:
				q.Around = seq
			}
			if all := full.Messages(channel, 0); len(all) > 0 && r.IntN(3) == 0 {
				q.Thread = all[r.IntN(len(all))].Seq
			}
			equal(t, "page", full.Page(q), q.Overlay(applied.Page(q), tail))
		}
	})
}
