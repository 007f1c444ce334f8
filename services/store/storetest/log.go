package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/services/store"
)

// answerWithin is how long a store may take for one call: far longer than any does, so that only a hang fails.
const answerWithin = time.Minute

// within is a context for one test.
func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
	t.Cleanup(cancel)
	return ctx
}

// newID is an id that no other test uses, and sorts after those made before it.
func newID[T ~string]() T { return T(chat.IDFromBytes(uuid.Must(uuid.NewV7()))) }

// dawn is when the logs of the tests begin. It has nanoseconds, as the log has.
var dawn = time.Date(2026, 3, 1, 23, 59, 0, 123456789, time.UTC)

// aLog writes the events of one workspace in order, as the log would have stored them.
type aLog struct {
	workspace chat.WorkspaceID
	channel   chat.ChannelID // of the next events
	sender    chat.UserID    // of the next events
	epoch     chat.Epoch
	last      chat.Seq
	now       time.Time
}

func newLog() *aLog {
	return &aLog{workspace: newID[chat.WorkspaceID](), channel: newID[chat.ChannelID](),
		sender: newID[chat.UserID](), epoch: 1, now: dawn}
}

// add stores e. What e does not say is filled in.
func (l *aLog) add(e event.Event) event.Stored {
	l.last++
	l.now = l.now.Add(time.Second)
	if e.V == 0 {
		e.V = event.Version
	}
	e.Epoch, e.SenderID = l.epoch, l.sender
	if e.ChannelID == "" {
		e.ChannelID = l.channel
	}
	return event.Stored{Event: e, WorkspaceID: l.workspace, Seq: l.last, At: l.now}
}

func (l *aLog) post(body string) event.Stored {
	return l.add(event.Event{Kind: event.MessagePosted, Body: body, ClientMsgID: chat.ClientMsgID(uuid.NewString())})
}

func (l *aLog) reply(root event.Stored, body string) event.Stored {
	e := l.post(body)
	e.Thread = root.Seq
	return e
}

func (l *aLog) edit(of event.Stored, body string) event.Stored {
	return l.add(event.Event{Kind: event.MessageEdited, MessageSeq: of.Seq, Body: body})
}

func (l *aLog) about(of event.Stored, kind event.Kind) event.Stored {
	return l.add(event.Event{Kind: kind, MessageSeq: of.Seq})
}

func (l *aLog) react(of event.Stored, kind event.Kind, emoji string) event.Stored {
	return l.add(event.Event{Kind: kind, MessageSeq: of.Seq, Emoji: emoji})
}

// posts stores n posts.
func (l *aLog) posts(n int) []event.Stored {
	out := make([]event.Stored, 0, n)
	for i := range n {
		out = append(out, l.post(fmt.Sprintf("message %d", i+1)))
	}
	return out
}

// sendKey is the key that a post is found by.
func sendKey(e event.Stored) store.SendKey {
	return store.SendKey{WorkspaceID: e.WorkspaceID, SenderID: e.SenderID, ClientMsgID: e.ClientMsgID}
}

// orders are all orders of three or fewer events, and for more the forward and the backward one.
func orders(events []event.Stored) [][]event.Stored {
	switch len(events) {
	case 1:
		return [][]event.Stored{events}
	case 2, 3:
		var out [][]event.Stored
		for i := range events {
			rest := append(append([]event.Stored{}, events[:i]...), events[i+1:]...)
			for _, o := range orders(rest) {
				out = append(out, append([]event.Stored{events[i]}, o...))
			}
		}
		return out
	}
	backward := make([]event.Stored, 0, len(events))
	for i := range events {
		backward = append(backward, events[len(events)-1-i])
	}
	return [][]event.Stored{events, backward}
}

// elsewhere is the same events in a channel of their own.
func elsewhere(events []event.Stored) []event.Stored {
	channel := newID[chat.ChannelID]()
	out := append([]event.Stored{}, events...)
	for i := range out {
		out[i].ChannelID = channel
	}
	return out
}
