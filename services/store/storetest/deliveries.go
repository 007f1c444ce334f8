package storetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

// atMilli is a time as deliveries keep it.
var atMilli = dawn.Truncate(time.Millisecond)

// aDelivery is a message that is owed, and was tried twice.
func aDelivery() chat.Delivery {
	return chat.Delivery{WorkspaceID: newID[chat.WorkspaceID](), ChannelID: newID[chat.ChannelID](), Seq: 42, UserID: newID[chat.UserID](),
		Status: chat.DeliveryPending, Why: chat.OwedMention, RoutedAt: atMilli, At: atMilli.Add(time.Minute), Next: atMilli.Add(time.Hour),
		Attempts: []chat.Attempt{
			{At: atMilli.Add(time.Second), Target: "push:1", Error: "410 \"gone\" <&> 🙂 '; --\x00\u2028"},
			{At: atMilli.Add(time.Minute), Error: "no target"},
		}}
}

func messageOf(d chat.Delivery) store.MessageKey {
	return store.MessageKey{WorkspaceID: d.WorkspaceID, Seq: d.Seq}
}

// hasState expects that want is the state of its message for its recipient, in both ways of asking.
func hasState(t testing.TB, what string, s store.Messages, want chat.Delivery) {
	t.Helper()
	got, err := s.DeliveriesFor(within(t), messageOf(want), []chat.UserID{want.UserID})
	ok(t, err)
	same(t, what+", of one user", []chat.Delivery{want}, got)
	all := allStates(t, s, messageOf(want), chat.MaxPageSize)
	i := slices.IndexFunc(all, func(d chat.Delivery) bool { return d.UserID == want.UserID })
	if i < 0 {
		t.Fatalf("%s: %s is not in the list", what, want.UserID)
	}
	same(t, what+", in the list", want, all[i])
}

// allStates reads the states of a message page after page.
func allStates(t testing.TB, s store.Messages, m store.MessageKey, limit int) (all []chat.Delivery) {
	t.Helper()
	for q := (store.DeliveryQuery{MessageKey: m, Limit: limit}); ; q.After = all[len(all)-1].UserID {
		page, err := s.DeliveriesOf(within(t), q)
		ok(t, err)
		if len(page) > limit {
			t.Fatalf("a page of %d has %d", limit, len(page))
		}
		if all = append(all, page...); len(page) < limit {
			return all
		}
	}
}

// lifeOf is states of one message for one recipient whose ranks rise: what became of it, through two rounds.
func lifeOf(d chat.Delivery) []chat.Delivery {
	var life []chat.Delivery
	for round := range 2 {
		d.Round, d.Status, d.Attempts, d.Reason, d.Next = round, chat.DeliveryPending, nil, "", time.Time{}
		for n := range 3 {
			d.At = d.At.Add(time.Second)
			life = append(life, d)
			d.Attempts = append(slices.Clone(d.Attempts), chat.Attempt{At: d.At, Target: fmt.Sprintf("webhook:%d", n), Error: strings.Repeat("x", n)})
			d.Next = d.At.Add(time.Minute)
		}
		d.Status, d.Reason, d.Next = chat.DeliveryDead, "given up", time.Time{}
		life = append(life, d)
	}
	d.Status, d.Reason = chat.DeliveryDelivered, "device:1"
	return append(life, d)
}

func deliveries(t *testing.T, s store.Messages) {
	want := aDelivery()
	got, err := s.DeliveriesFor(within(t), messageOf(want), []chat.UserID{want.UserID})
	ok(t, err)
	same(t, "before there is one", []chat.Delivery{}, got)
	same(t, "a list before there is one", []chat.Delivery{}, allStates(t, s, messageOf(want), 1))
	ok(t, s.SetDeliveries(within(t), nil))

	given := want
	zone := time.FixedZone("", 3600)
	given.At, given.RoutedAt, given.Next = want.At.Add(999_999).In(zone), want.RoutedAt.In(zone), want.Next.Add(1).In(zone)
	given.Attempts = slices.Clone(given.Attempts)
	given.Attempts[0].At = given.Attempts[0].At.Add(1).In(zone)
	ok(t, s.SetDeliveries(within(t), []chat.Delivery{given}))
	hasState(t, "in UTC, to the millisecond", s, want)
	least := chat.Delivery{WorkspaceID: want.WorkspaceID, Seq: chat.MaxSeq, UserID: "u", Status: chat.DeliveryPending}
	ok(t, s.SetDeliveries(within(t), []chat.Delivery{least}))
	hasState(t, "with nothing that need not be", s, least)

	r := rand.New(rand.NewPCG(3, 1))
	for i := range 20 {
		life := lifeOf(aDelivery())
		life = life[:1+r.IntN(len(life))]
		order := append(slices.Clone(life), life[:r.IntN(len(life))]...)
		r.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		if i%2 == 0 {
			ok(t, s.SetDeliveries(within(t), order))
		} else {
			for _, d := range order {
				ok(t, s.SetDeliveries(within(t), []chat.Delivery{d}))
			}
		}
		hasState(t, "the highest", s, life[len(life)-1])
	}
	for _, seq := range []chat.Seq{0, chat.MaxSeq + 1} {
		other, bad := aDelivery(), aDelivery()
		bad.Seq = seq
		isKind(t, "of no message", s.SetDeliveries(within(t), []chat.Delivery{other, bad}), fault.Invalid)
		same(t, "beside what was refused", []chat.Delivery{}, allStates(t, s, messageOf(other), 1))
		same(t, "the states of no message", []chat.Delivery{}, allStates(t, s, messageOf(bad), 1))
	}
}

// deliveriesTie writes states of one rank that have nothing in common.
func deliveriesTie(t *testing.T, s store.Messages) {
	for range 5 {
		a := aDelivery()
		b := a
		b.ChannelID, b.Why, b.Next, b.RoutedAt, b.At = newID[chat.ChannelID](), chat.OwedKeyword, time.Time{}, a.RoutedAt.Add(1e9), a.At.Add(1e9)
		b.Attempts = []chat.Attempt{{At: b.At, Target: "push:2"}, {At: b.At, Target: "push:3"}}
		for _, err := range together(writers, func(i int) error {
			return s.SetDeliveries(within(t), [][]chat.Delivery{{a}, {b}, {a, b}, {b, a}}[i])
		}) {
			ok(t, err)
		}
		got, err := s.DeliveriesFor(within(t), messageOf(a), []chat.UserID{a.UserID})
		ok(t, err)
		if len(got) != 1 || !cmp.Equal(got[0], a, cmpopts.EquateEmpty()) && !cmp.Equal(got[0], b, cmpopts.EquateEmpty()) {
			t.Errorf("of two states there is %+v", got)
		}
		hasState(t, "for every reader the same", s, got[0])
	}
}

func deliveriesRace(t *testing.T, s store.Messages) {
	r := rand.New(rand.NewPCG(4, 1))
	d := aDelivery()
	var all, want []chat.Delivery
	for range 20 {
		d.UserID = newID[chat.UserID]()
		life := lifeOf(d)
		life = life[:1+r.IntN(len(life))]
		all = append(all, life...)
		want = append(want, life[len(life)-1])
	}
	for _, err := range together(writers, func(i int) error {
		r := rand.New(rand.NewPCG(4, uint64(i)))
		mine := slices.Clone(all) // each of them writes everything
		r.Shuffle(len(mine), func(i, j int) { mine[i], mine[j] = mine[j], mine[i] })
		for some := range slices.Chunk(mine, 1+9*i) {
			if err := s.SetDeliveries(within(t), some); err != nil {
				return err
			}
		}
		return nil
	}) {
		ok(t, err)
	}
	same(t, "the highest of each", want, allStates(t, s, messageOf(d), 7))
}

func deliveriesApart(t *testing.T, s store.Messages) {
	d := aDelivery()
	var all []chat.Delivery
	var users []chat.UserID
	for _, odd := range oddTexts {
		theirs := d
		theirs.UserID, theirs.Reason = chat.UserID(odd), odd
		next := theirs
		next.Seq++
		elsewhere := theirs
		elsewhere.WorkspaceID = chat.WorkspaceID(string(d.WorkspaceID) + odd)
		all = append(all, theirs, next, elsewhere)
		users = append(users, theirs.UserID)
	}
	ok(t, s.SetDeliveries(within(t), all))
	for _, m := range []store.MessageKey{messageOf(all[0]), messageOf(all[1]), messageOf(all[2])} {
		var want []chat.Delivery
		for _, d := range all {
			if messageOf(d) == m {
				want = append(want, d)
			}
		}
		byUser(want)
		same(t, "by user id", want, allStates(t, s, m, 4))
		got, err := s.DeliveriesFor(within(t), m, append(users, d.UserID, users[0])) // one of them has none, one is named twice
		ok(t, err)
		byUser(got)
		same(t, "of users", want, got)
		got, err = s.DeliveriesFor(within(t), m, users[:1])
		ok(t, err)
		same(t, "of a user with a quote", []chat.Delivery{all[slices.IndexFunc(all, func(d chat.Delivery) bool {
			return messageOf(d) == m && d.UserID == users[0]
		})]}, got)
		got, err = s.DeliveriesFor(within(t), m, nil)
		ok(t, err)
		same(t, "of nobody", []chat.Delivery{}, got)
	}
	_, err := s.DeliveriesFor(within(t), messageOf(d), make([]chat.UserID, chat.MaxPageSize+1))
	isKind(t, "more users than a question is about", err, fault.Invalid)
	for _, limit := range []int{-1, 0, chat.MaxPageSize + 1} {
		_, err := s.DeliveriesOf(within(t), store.DeliveryQuery{MessageKey: messageOf(d), Limit: limit})
		isKind(t, fmt.Sprintf("a limit of %d", limit), err, fault.Invalid)
	}
}

func byUser(states []chat.Delivery) {
	slices.SortFunc(states, func(a, b chat.Delivery) int { return strings.Compare(string(a.UserID), string(b.UserID)) })
}

// manyRecipients is one message to everybody in a large channel.
func manyRecipients(t *testing.T, s store.Messages) {
	const recipients = manyPeople
	d := aDelivery()
	d.Status, d.Attempts, d.Why = chat.DeliveryPending, nil, chat.OwedChannel
	all := make([]chat.Delivery, 0, recipients)
	for i := range recipients {
		d.UserID = chat.UserID(fmt.Sprintf("user-%05d", i))
		all = append(all, d)
	}
	shuffled := slices.Clone(all)
	rand.New(rand.NewPCG(5, 1)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	ok(t, s.SetDeliveries(within(t), shuffled))
	listed := allStates(t, s, messageOf(d), chat.MaxPageSize)
	if len(listed) != recipients {
		t.Fatalf("%d states are listed", len(listed))
	}
	for i, got := range listed {
		if got.UserID != all[i].UserID || got.Status != d.Status || !got.Next.Equal(d.Next) { // cmp takes seconds for all of it
			t.Fatalf("the state %d is %+v", i, got)
		}
	}
	same(t, "the last", all[recipients-1], listed[recipients-1])
	var users []chat.UserID
	for i := range chat.MaxPageSize {
		users = append(users, all[i*recipients/chat.MaxPageSize].UserID)
	}
	got, err := s.DeliveriesFor(within(t), messageOf(d), users)
	ok(t, err)
	same(t, "of some of them", len(users), len(got))
}
