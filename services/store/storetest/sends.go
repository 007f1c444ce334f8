package storetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

func firstSendWins(t *testing.T, s store.Messages) {
	l := newLog()
	first, second := l.post("same"), l.post("same")
	l.epoch, l.last = 2, l.last+1000 // another epoch begins above
	third := l.post("same")
	second.ClientMsgID, third.ClientMsgID = first.ClientMsgID, first.ClientMsgID
	other := l.post("another workspace's")
	other.ClientMsgID, other.WorkspaceID = first.ClientMsgID, newID[chat.WorkspaceID]()

	_, err := s.Send(within(t), sendKey(first))
	isKind(t, "before it was applied", err, fault.NotFound)
	for i, order := range orders([]event.Stored{first, second, third}) {
		order = elsewhere(order)
		sender := newID[chat.UserID]()
		for j := range order {
			order[j].SenderID = sender
		}
		for _, e := range append(order, other) {
			apply(t, s, e)
		}
		isSent(t, fmt.Sprintf("order %d", i), s, order...)
		same(t, "messages in the channel", NewModel(order).Messages(order[0].ChannelID, 0),
			page(t, s, store.PageQuery{ChannelID: order[0].ChannelID, Limit: 10}).Messages)
	}
}

// isSent expects that the key that posts have in common stands for the one of the lowest version.
func isSent(t testing.TB, what string, s store.Messages, posts ...event.Stored) {
	t.Helper()
	first := slices.MinFunc(posts, func(a, b event.Stored) int { return int(a.Version() - b.Version()) })
	got, err := s.Send(within(t), sendKey(first))
	ok(t, err)
	same(t, what, store.SendPlace{ChannelID: first.ChannelID, Seq: first.Seq, Epoch: first.Epoch}, got)
}

// idMadeAt is a UUIDv7 whose time is at.
func idMadeAt(at time.Time) chat.ClientMsgID {
	random := uuid.NewString()
	ms := fmt.Sprintf("%012x", at.UnixMilli())
	return chat.ClientMsgID(ms[:8] + "-" + ms[8:] + "-7" + random[len("xxxxxxxx-xxxx-x"):])
}

// oddIDs are what clients may call a post that is stored at a time: by the contract any text of 1 to 64 characters.
func oddIDs(at time.Time) []chat.ClientMsgID {
	young := idMadeAt(at)
	return []chat.ClientMsgID{
		young, chat.ClientMsgID(strings.ToUpper(string(young))), chat.ClientMsgID(strings.ReplaceAll(string(young), "-", "")),
		"a", "-", "0", chat.ClientMsgID(strings.Repeat("z", chat.MaxClientMsgID)), chat.ClientMsgID(uuid.NewString()),
		idMadeAt(at.Add(-time.Second)), idMadeAt(at.Add(time.Second)), // clocks
		idMadeAt(at.Add(-72 * time.Hour)), idMadeAt(at.Add(30 * 365 * 24 * time.Hour)), // no clocks
		"00000000-0000-7000-8000-000000000000", "ffffffff-ffff-7fff-bfff-ffffffffffff",
	}
}

func sendsOfAnyID(t *testing.T, s store.Messages) {
	l := newLog()
	var all []event.Stored
	for _, id := range oddIDs(l.now) {
		for range 2 { // of two senders
			l.sender = newID[chat.UserID]()
			post := l.post("hello")
			post.ClientMsgID = id
			all = append(all, post)
		}
	}
	apply(t, s, all...)
	for _, post := range all {
		isSent(t, string(post.ClientMsgID), s, post)
		key := sendKey(post)
		key.SenderID = newID[chat.UserID]()
		_, err := s.Send(within(t), key)
		isKind(t, "somebody else's "+string(post.ClientMsgID), err, fault.NotFound)
	}
}

// sendsFarApart posts under one id at times that have nothing to do with each other nor, some of them, with the id.
func sendsFarApart(t *testing.T, s store.Messages) {
	l := newLog()
	var all [][]event.Stored // each of one sender and id, in one of the orders that they can be applied in
	for _, later := range []time.Duration{time.Second, time.Hour, 400 * 24 * time.Hour} {
		for _, id := range oddIDs(dawn) {
			var posts []event.Stored
			for _, at := range []time.Time{dawn, dawn.Add(later), dawn} { // a stream's clock may be set back
				l.now = at
				posts = append(posts, l.post("hello"))
			}
			for _, order := range orders(posts) {
				order = elsewhere(order)
				sender := newID[chat.UserID]()
				for i := range order {
					order[i].SenderID, order[i].ClientMsgID = sender, id
				}
				all = append(all, order)
			}
		}
	}
	for n := range 3 {
		var now []event.Stored
		for _, order := range all {
			now = append(now, order[n])
		}
		apply(t, s, now...)
		for _, order := range all {
			if n > 0 {
				isSent(t, fmt.Sprintf("%s at %s, with %s", order[0].ClientMsgID, order[0].At, order[1].At), s, order[:n+1]...)
			}
		}
	}
}
