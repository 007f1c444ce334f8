package persist_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/persist"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/sqlite"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/dlq"
)

// hands is a Persister over a real store, with no consumer beside it.
type hands struct {
	t         *testing.T
	persister *persist.Persister
	store     *sqlite.Messages
	log       *shelf
	floor     *script
}

func newHands(t *testing.T) *hands {
	t.Helper()
	h := &hands{t: t, log: &shelf{page: 10}, floor: &script{}}
	var err error
	if h.store, err = sqlite.OpenMessages(t.Context(), filepath.Join(t.TempDir(), "messages.db")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.store.Close(); err != nil {
			t.Error(err)
		}
	})
	h.persister = persist.New(persist.Config{Store: h.store, Shown: h.store, Source: h.floor, Log: h.log, Shards: 1, Logger: slog.New(slog.DiscardHandler)})
	return h
}

// entry is an event as the log holds it.
func (h *hands) entry(seq chat.Seq, e event.Event) bus.Entry {
	h.t.Helper()
	e.Epoch, e.ChannelID, e.SenderID = 1, "c1", "u1"
	payload, err := event.Encode(e)
	if err != nil {
		h.t.Fatal(err)
	}
	return bus.Entry{Place: streams.Place{WorkspaceID: "w1", ChannelID: "c1"}, Seq: seq, At: time.Unix(1_700_000_000, int64(seq)*1000).UTC(), Payload: payload}
}

func (h *hands) post(seq chat.Seq) bus.Entry {
	return h.entry(seq, event.Event{Kind: event.MessagePosted, ClientMsgID: chat.ClientMsgID(fmt.Sprint("m", seq)), Body: fmt.Sprint("said at ", seq)})
}

// letter is the dead letter of an event.
func letter(e bus.Entry) dlq.Letter {
	return dlq.Letter{Stream: "CHAT_0", Consumer: "persist", Subject: "chat.0.w1.c1", Seq: e.Seq, StoredAt: e.At, Payload: e.Payload}
}

func (h *hands) redrive(l dlq.Letter) string {
	h.t.Helper()
	place, err := h.persister.Redrive(h.t.Context(), l, false)
	if err != nil {
		h.t.Fatal(err)
	}
	return place
}

// page is the bodies of the channel, by seq.
func (h *hands) page() map[chat.Seq]string {
	h.t.Helper()
	p, err := h.store.Page(h.t.Context(), store.PageQuery{ChannelID: "c1", Limit: 100})
	if err != nil {
		h.t.Fatal(err)
	}
	bodies := map[chat.Seq]string{}
	for i, m := range p.Messages {
		if i > 0 && m.Seq >= p.Messages[i-1].Seq {
			h.t.Errorf("%d comes after %d", m.Seq, p.Messages[i-1].Seq)
		}
		bodies[m.Seq] = m.Body
	}
	return bodies
}

func TestALetterIsStoredAtItsPlaceOnce(t *testing.T) {
	h := newHands(t)
	h.redrive(letter(h.post(3)))
	h.redrive(letter(h.post(1)))
	l := letter(h.post(2))
	if place, err := h.persister.Redrive(t.Context(), l, true); err != nil || place != "stored at its place: seq 2 of channel c1" {
		t.Errorf("dry: %q, %v", place, err)
	}
	if got := h.page(); len(got) != 2 {
		t.Errorf("dry: %v", got)
	}
	for range 2 {
		if place := h.redrive(l); place != "stored at its place: seq 2 of channel c1" {
			t.Errorf("place %q", place)
		}
	}
	if diff := cmp.Diff(map[chat.Seq]string{1: "said at 1", 2: "said at 2", 3: "said at 3"}, h.page()); diff != "" {
		t.Error(diff)
	}
	m, err := h.store.Message(t.Context(), "c1", 2)
	if err != nil || !m.PostedAt.Equal(l.StoredAt) {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestALetterDoesNotSayAgainWhatADeleteTookBack(t *testing.T) {
	h := newHands(t)
	h.redrive(letter(h.entry(5, event.Event{Kind: event.MessageDeleted, MessageSeq: 2})))
	h.redrive(letter(h.entry(4, event.Event{Kind: event.MessageEdited, MessageSeq: 2, Body: "said better"})))
	h.redrive(letter(h.post(2)))
	m, err := h.store.Message(t.Context(), "c1", 2)
	if err != nil || !m.Deleted || m.Body != "" {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestALetterThatCannotBeStoredSaysWhy(t *testing.T) {
	h := newHands(t)
	foreign, gone, elsewhere, garbage := letter(h.post(1)), letter(h.post(2)), letter(h.post(3)), letter(h.post(4))
	foreign.Subject = "chat.0.by.hand.somebody"
	gone.Gone, gone.GoneBecause, gone.Payload = true, "it grew too old", nil
	elsewhere.Subject = "chat.0.w1.c2"
	garbage.Payload = []byte("hello")
	for l, says := range map[*dlq.Letter]struct {
		kind fault.Kind
		text string
	}{
		&foreign:   {fault.Invalid, "It can never be stored: the subject is not one of ours"},
		&gone:      {fault.NotFound, "The event is gone: it grew too old"},
		&elsewhere: {fault.Invalid, "It can never be stored: the event says that it is of another channel than its subject"},
		&garbage:   {fault.Invalid, "It can never be stored: malformed event: "},
	} {
		_, err := h.persister.Redrive(t.Context(), *l, false)
		if got := fault.Public(err); !fault.Is(err, says.kind) || len(got.Message) < len(says.text) || got.Message[:len(says.text)] != says.text {
			t.Errorf("%d: %v, want %q", l.Seq, err, says.text)
		}
	}
	if got := h.page(); len(got) != 0 {
		t.Errorf("stored: %v", got)
	}
	broken := persist.New(persist.Config{Store: &memoryStore{refuse: func([]event.Stored) error { return errors.New("no route to host") }}, Logger: slog.New(slog.DiscardHandler)})
	if _, err := broken.Redrive(t.Context(), letter(h.post(1)), false); err == nil {
		t.Error("a store that fails: no error")
	}
}

func TestMissingIsWhatTheStoreLacks(t *testing.T) {
	h := newHands(t)
	has := []bus.Entry{
		h.post(1), h.post(2), h.post(3),
		h.entry(4, event.Event{Kind: event.MessageEdited, MessageSeq: 1, Body: "better"}),
		h.entry(5, event.Event{Kind: event.MessageDeleted, MessageSeq: 2}),
		h.entry(6, event.Event{Kind: event.ReactionAdded, MessageSeq: 1, Emoji: "👍"}),
		h.entry(7, event.Event{Kind: event.ReactionRemoved, MessageSeq: 1, Emoji: "👍"}),
	}
	for _, e := range has {
		h.redrive(letter(e))
	}
	garbage := bus.Entry{Place: streams.Place{WorkspaceID: "w1", ChannelID: "c1"}, Seq: 11, Payload: []byte("hello")}
	lacks := []bus.Entry{
		h.post(8), h.entry(9, event.Event{Kind: event.MessageEdited, MessageSeq: 3, Body: "best"}), h.entry(10, event.Event{Kind: event.MessageDeleted, MessageSeq: 1}),
		garbage,
	}
	if _, err := h.persister.Missing(t.Context(), append(has, lacks...)); !fault.Is(err, fault.Unavailable) {
		t.Errorf("while the store is filled: %v", err)
	}
	if err := h.store.NoteProgress(t.Context(), 0, 11); err != nil {
		t.Fatal(err)
	}
	got, err := h.persister.Missing(t.Context(), append(has, lacks...))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(lacks, got); diff != "" {
		t.Error(diff)
	}
	m, err := h.store.Message(t.Context(), "c1", 1)
	if err != nil || len(m.Reactions) != 0 || m.Deleted || m.Body != "better" {
		t.Errorf("looking changed the message: %+v, %v", m, err)
	}
	down := persist.New(persist.Config{Store: h.store, Shown: deaf{}, Logger: slog.New(slog.DiscardHandler)})
	if _, err := down.Missing(t.Context(), has); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a store that does not answer: %v", err)
	}
}

// deaf is a store that does not answer.
type deaf struct{}

func (deaf) Message(context.Context, chat.ChannelID, chat.Seq) (chat.Message, error) {
	return chat.Message{}, errors.New("no route to host")
}
