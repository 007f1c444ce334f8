package history_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/history"
	"github.com/canopychat/canopy/services/store"
)

// Whatever the persister has done so far, a message is what the log says.
func TestAMessageIsWhatTheLogSays(t *testing.T) {
	w := newWorld(t, history.Config{})
	w.post("the first", 0)
	for range 6 {
		w.talk(40)
		w.persist(chat.Seq(w.rand.IntN(int(w.log.last())+1)), w.rand.Float64())
		all := map[chat.Seq]chat.Message{}
		for _, m := range w.truth(store.PageQuery{Limit: 10_000}, w.log.last()).Messages {
			all[m.Seq] = m
		}
		for seq := range w.log.last() + 2 {
			got, err := w.reader.Current(t.Context(), place, seq)
			want, is := all[seq]
			if fault.Is(err, fault.NotFound) == is || err != nil && is {
				t.Fatalf("%d of %d: %v, and it is there: %v", seq, w.log.last(), err, is)
			}
			if diff := cmp.Diff(want, got); is && diff != "" {
				t.Fatalf("%d of %d (-log +message):\n%s", seq, w.log.last(), diff)
			}
		}
	}
}

// A delete counts from its ack on, or nothing is told of the message.
func TestAMessageThatIsDeletedAheadOfTheStore(t *testing.T) {
	w := newWorld(t, history.Config{TailBytes: 2000})
	seq := w.post("secret", 0)
	w.persist(seq, 0)
	w.add(event.Event{Kind: event.MessageDeleted, MessageSeq: seq})
	if m, err := w.reader.Current(t.Context(), place, seq); err != nil || !m.Deleted || m.Body != "" {
		t.Errorf("%+v, %v", m, err)
	}
	w.log.set(func() { w.log.down = true })
	if _, err := w.reader.Current(t.Context(), place, seq); !fault.Is(err, fault.Unavailable) {
		t.Errorf("without the log: %v", err)
	}
	w.log.set(func() { w.log.down = false })
	for range 100 {
		w.post("and a tail that is too long to read", 0)
	}
	if _, err := w.reader.Current(t.Context(), place, seq); !fault.Is(err, fault.NotFound) {
		t.Errorf("with a long tail: %v", err)
	}
	w.store.set(true)
	if _, err := w.reader.Current(t.Context(), place, seq); !fault.Is(err, fault.Unavailable) {
		t.Errorf("without the store: %v", err)
	}
}
