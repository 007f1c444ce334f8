package streams_test

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/streams"
)

func deliverySubject(ws chat.WorkspaceID, user chat.UserID, seq chat.Seq) (string, error) {
	if seq == 0 {
		return streams.DeliverySubject(ws, user)
	}
	return streams.DeliveryWaitSubject(ws, user, seq)
}

func schedSubject(ws chat.WorkspaceID, user chat.UserID, id string, due bool) (string, error) {
	if due {
		return streams.DueSubject(ws, user, id)
	}
	return streams.SchedSubject(ws, user, id)
}

func TestNamesOfWhatIsForLaterRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ws, user := chat.WorkspaceID(ids().Draw(t, "ws")), chat.UserID(ids().Draw(t, "user"))
		seq := chat.Seq(rapid.Uint64Range(0, uint64(chat.MaxSeq)).Draw(t, "seq"))
		job, err := deliverySubject(ws, user, seq)
		if err != nil {
			t.Fatal(err)
		}
		if w, u, s, err := streams.ParseDelivery(job); err != nil || w != ws || u != user || s != seq {
			t.Errorf("ParseDelivery(%q) = %q, %q, %d, %v", job, w, u, s, err)
		}
		if stream, err := streams.LaterStream(job); err != nil || stream != streams.StreamDelivery {
			t.Errorf("LaterStream(%q) = %q, %v", job, stream, err)
		}
		id, due := ids().Draw(t, "id"), rapid.Bool().Draw(t, "due")
		message, err := schedSubject(ws, user, id, due)
		if err != nil {
			t.Fatal(err)
		}
		if w, u, i, d, err := streams.ParseSched(message); err != nil || w != ws || u != user || i != id || d != due {
			t.Errorf("ParseSched(%q) = %q, %q, %q, %v, %v", message, w, u, i, d, err)
		}
		decided, err := streams.SchedDecidedSubject(ws, user, id)
		if err != nil {
			t.Fatal(err)
		}
		if stream, err := streams.LaterStream(decided); err != nil || stream != streams.StreamSched {
			t.Errorf("LaterStream(%q) = %q, %v", decided, stream, err)
		}
		if stream, err := streams.LaterStream(message); err != nil || stream != streams.StreamSched {
			t.Errorf("LaterStream(%q) = %q, %v", message, stream, err)
		}
	})
}

func TestNamesOfTheDeadRoundTrip(t *testing.T) {
	ids := map[string]string{}
	for _, stream := range streams.Streams() {
		consumers, err := streams.Consumers(stream)
		if err != nil {
			t.Fatal(err)
		}
		for _, consumer := range consumers {
			letter, err := streams.DLQSubject(stream, consumer)
			if err != nil {
				t.Fatal(err)
			}
			if s, c, err := streams.ParseDLQ(letter); err != nil || s != stream || c != consumer {
				t.Errorf("ParseDLQ(%q) = %q, %q, %v", letter, s, c, err)
			}
			note, err := streams.ParkedSubject(stream, consumer)
			if err != nil {
				t.Fatal(err)
			}
			if s, c, err := streams.ParseParked(note); err != nil || s != stream || c != consumer {
				t.Errorf("ParseParked(%q) = %q, %q, %v", note, s, c, err)
			}
			for _, seq := range []chat.Seq{1, 11, chat.MaxSeq} {
				id, err := streams.DeadMsgID(stream, consumer, seq)
				if err != nil || ids[id] != "" {
					t.Errorf("%s, %s, %d: id %q, %v; it is also that of %s", stream, consumer, seq, id, err, ids[id])
				}
				ids[id] = stream + " " + consumer
			}
		}
	}
	if len(ids) != 3*(2*streams.Shards+3) {
		t.Errorf("%d ids", len(ids))
	}
}

func TestAParserOfWhatIsForLaterTakesOnlyWhatItsBuilderMakes(t *testing.T) {
	long := strings.Repeat("w", 27)
	for _, subject := range append([]string{
		"delivery", "delivery.", "delivery.w", "delivery.w.", "delivery.w.u.", "delivery.w.u.0", "delivery.w.u.01", "delivery.w.u.+1", "delivery.w.u.x",
		"delivery.w.u.1.2", "delivery.w.*", "delivery.w.u.281474976710656", "delivery." + long + ".u", "Delivery.w.u",
		"sched", "sched.w", "sched.w.u", "sched.w.u.", "sched.w.u.i.j", "sched.w.u.*", "sched.w.u.>", "sched..u.i", "due.w.u", "due.w.u.I", "duesched.w.u.i",
		"dlq", "dlq.", "dlq.CHAT_0", "dlq.CHAT_0.", "dlq.CHAT_4.persist", "dlq.CHAT_0.push", "dlq.CHAT_0.persist.1", "dlq.DLQ.persist", "dlq.*.persist",
		"parked.CHAT_0", "parked.CHAT_0.*", "parked.PROBE.persist", "parked.ADVISORIES.persist", "parkedCHAT_0.persist",
	}, hostile...) {
		if ws, user, seq, err := streams.ParseDelivery(subject); !errors.Is(err, streams.ErrBadSubject) {
			t.Errorf("ParseDelivery(%q) = %q, %q, %d, %v", subject, ws, user, seq, err)
		}
		if ws, user, id, due, err := streams.ParseSched(subject); !errors.Is(err, streams.ErrBadSubject) {
			t.Errorf("ParseSched(%q) = %q, %q, %q, %v, %v", subject, ws, user, id, due, err)
		}
		if stream, consumer, err := streams.ParseDLQ(subject); !errors.Is(err, streams.ErrBadSubject) {
			t.Errorf("ParseDLQ(%q) = %q, %q, %v", subject, stream, consumer, err)
		}
		if stream, consumer, err := streams.ParseParked(subject); !errors.Is(err, streams.ErrBadSubject) {
			t.Errorf("ParseParked(%q) = %q, %q, %v", subject, stream, consumer, err)
		}
	}
}
