package bus_test

import (
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
)

// What is taken for a republished event can be one: its place, stream and subject agree, and its seqs rise.
func FuzzParseRepublished(f *testing.F) {
	f.Add("fan.2.w1.c1", "CHAT_2", "chat.2.w1.c1", "7", "5", "2026-01-02T03:04:05.123456789Z")
	f.Add("fan.2.w1.-", "CHAT_2", "chat.2.w1.-", "7", "0", "2026-01-02T03:04:05Z")
	f.Add("fan.2.w1.c1.d", "CHAT_2", "chat.2.w1.c1.d", "7", "5", "2026-01-02T03:04:05Z")
	f.Add("fan.1.w1.c1", "CHAT_2", "chat.1.w1.c1", "7", "5", "2026-01-02T03:04:05Z")
	f.Add("", "", "", "-1", "99999999999999999999", "")
	f.Fuzz(func(t *testing.T, subject, stream, stored, seq, last, at string) {
		m := nats.NewMsg(subject)
		for k, v := range map[string]string{
			streams.HeaderStream: stream, streams.HeaderSubject: stored, streams.HeaderSequence: seq,
			streams.HeaderLastSequence: last, streams.HeaderTimeStamp: at,
		} {
			m.Header.Set(k, v)
		}
		r, err := bus.ParseRepublished(m, "CHAT_2")
		if err != nil {
			return
		}
		if stream != "CHAT_2" || r.Seq == 0 || r.Seq > chat.MaxSeq || r.Prev >= r.Seq {
			t.Fatalf("taken: %+v", r)
		}
		if r.Foreign {
			if r.Place != (streams.Place{}) {
				t.Fatalf("a place of nobody's: %+v", r)
			}
			return
		}
		if s, err := streams.FanSubject(r.Place.Shard, r.Place.WorkspaceID, r.Place.ChannelID); err != nil || s != subject || r.Place.Shard != 2 {
			t.Fatalf("%+v came on %q", r, subject)
		}
	})
}
