package storetest

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

// RunMessages is the suite of store.Messages. Each call of open gives a store to one test.
func RunMessages(t *testing.T, open func(t *testing.T) store.Messages) {
	for _, c := range []struct {
		name string
		run  func(t *testing.T, s store.Messages)
	}{
		{"RandomHistoriesEndAsTheirModel", randomHistories},
		{"EditBeforePost", editBeforePost},
		{"LatestEditWins", latestEditWins},
		{"DeleteDominates", deleteDominates},
		{"DeletedTextIsNowhere", deletedTextIsNowhere},
		{"ReactionsFollowTheirLatestEvent", reactions},
		{"ReactionsOfOneMessageAreBounded", manyReactions},
		{"PinsFollowTheirLatestEvent", pins},
		{"PinsAreBounded", manyPins},
		{"FirstSendWins", firstSendWins},
		{"SendsOfAnyIDAreFound", sendsOfAnyID},
		{"FirstSendWinsHoweverMuchLaterTheNext", sendsFarApart},
		{"OtherKindsLeaveNoRow", otherKinds},
		{"NothingBeforeThePost", nothingBeforeThePost},
		{"AnyTextComesBackAsItWas", anyText},
		{"PageBorders", pageBorders},
		{"PageRefusesBadQueries", badQueries},
		{"ThreadPages", threadPages},
		{"ChannelsAreApart", channelsAreApart},
		{"SparseChannelOverYears", sparseChannel},
		{"ProgressOnlyGrows", progress},
		{"ReadCursorsOnlyGrow", readCursors},
		{"ReadCursorsOfManyWriters", readCursorsRace},
		{"ThreadParticipants", participants},
		{"ThreadParticipantsAreTheLatest", manyParticipants},
		{"DeviceCursorsOnlyGrow", deviceCursors},
		{"DeviceCursorsAreApart", deviceCursorsApart},
		{"DeviceCursorsOfManyWriters", deviceCursorsRace},
		{"DevicesAreForgottenByAge", forgetDevices},
		{"DeliveriesMoveByRank", deliveries},
		{"DeliveriesOfOneRankAreNotMixed", deliveriesTie},
		{"DeliveriesOfManyWriters", deliveriesRace},
		{"DeliveriesAreApart", deliveriesApart},
		{"DeliveriesOfManyRecipients", manyRecipients},
		{"EndedContext", endedContext},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

// same fails unless got is want; nil and empty are the same.
func same(t testing.TB, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// ok fails the test at once.
func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// isKind fails unless err is of kind k.
func isKind(t testing.TB, what string, err error, k fault.Kind) {
	t.Helper()
	if !fault.Is(err, k) {
		t.Errorf("%s: %v; want %s", what, err, k)
	}
}

func apply(t testing.TB, s store.Messages, events ...event.Stored) {
	t.Helper()
	ok(t, s.Apply(within(t), events))
}

func read(t testing.TB, s store.Messages, channel chat.ChannelID, seq chat.Seq) chat.Message {
	t.Helper()
	m, err := s.Message(within(t), channel, seq)
	ok(t, err)
	return m
}

func page(t testing.TB, s store.Messages, q store.PageQuery) store.Page {
	t.Helper()
	p, err := s.Page(within(t), q)
	ok(t, err)
	return p
}

// writers is how many goroutines apply one history.
const writers = 4

func randomHistories(t *testing.T, s store.Messages) {
	histories, length := manyHistories, 150
	if testing.Short() {
		histories = 8
	}
	for seed := range uint64(histories) {
		r := rand.New(rand.NewPCG(seed, 1))
		h := NewHistory(r, length)
		deliver(t, s, r, h.Events)
		compare(t, s, r, h)
		if t.Failed() {
			t.Fatalf("history %d", seed)
		}
	}
}

// deliver applies events in any order, some of them often, in batches, from several goroutines.
func deliver(t *testing.T, s store.Messages, r *rand.Rand, events []event.Stored) {
	t.Helper()
	all := slices.Clone(events)
	for range len(events) / 2 {
		all = append(all, events[r.IntN(len(events))])
	}
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	batches := make(chan []event.Stored, len(all)) // closed here, when all are in it
	for len(all) > 0 {
		n := min(len(all), 1+r.IntN(20))
		batches <- all[:n]
		all = all[n:]
	}
	close(batches)
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for batch := range batches {
				if err := s.Apply(within(t), batch); err != nil {
					t.Errorf("Apply: %v", err)
				}
			}
		})
	}
	wg.Wait()
}

// compare reads everything in every way, and expects what the model says.
func compare(t *testing.T, s store.Messages, r *rand.Rand, h History) {
	t.Helper()
	model := NewModel(h.Events)
	for _, channel := range h.Channels {
		all := model.Messages(channel, 0)
		same(t, "walk back", all, walk(t, s, store.PageQuery{ChannelID: channel, Limit: 1 + r.IntN(20)}))
		for range 12 {
			q := store.PageQuery{ChannelID: channel, Limit: 1 + r.IntN(12)}
			seq := h.Events[r.IntN(len(h.Events))].Seq
			switch r.IntN(4) {
			case 0:
				q.Before = seq
			case 1:
				q.After = seq
			case 2:
				q.Around = seq
			}
			if r.IntN(3) == 0 && len(all) > 0 {
				q.Thread = all[r.IntN(len(all))].Seq
			}
			same(t, "page", model.Page(q), page(t, s, q))
		}
		for _, m := range all {
			same(t, "message", m, read(t, s, channel, m.Seq))
		}
		got, err := s.Pins(within(t), channel)
		ok(t, err)
		same(t, "pins", model.Pins(channel), got)
		for range 2 {
			root := h.Events[r.IntN(len(h.Events))].Seq
			in, err := s.Participants(within(t), channel, root)
			ok(t, err)
			same(t, "participants", model.Participants(channel, root), in)
		}
	}
	for key, first := range model.sends {
		got, err := s.Send(within(t), key)
		ok(t, err)
		same(t, "send", store.SendPlace{ChannelID: first.ChannelID, Seq: first.Seq, Epoch: first.Epoch}, got)
	}
}

// walk reads a channel page by page from its newest message to its oldest.
func walk(t testing.TB, s store.Messages, q store.PageQuery) []chat.Message {
	t.Helper()
	var all []chat.Message
	for {
		p := page(t, s, q)
		all = append(all, p.Messages...)
		if !p.HasMore {
			return all
		}
		if len(p.Messages) == 0 {
			t.Fatal("an empty page says that there is more")
		}
		q.Before = p.Messages[len(p.Messages)-1].Seq
	}
}
