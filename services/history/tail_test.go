package history

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
)

// Whatever was read and forgotten, a tail that covers a position holds every event after it up to through.
// (Internal: the pure core is what is tested.)
func TestATailHasNoHole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var log []bus.Entry
		end := &tail{limit: rapid.IntRange(1, 30).Draw(t, "limit") * eventCost}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			for range rapid.IntRange(0, 10).Draw(t, "stored") {
				seq := chat.Seq(len(log) + 1)
				log = append(log, bus.Entry{Seq: seq, Place: streams.Place{ChannelID: "c1"}, Payload: fmt.Appendf(nil,
					`{"v":1,"kind":"message.deleted","epoch":1,"channel_id":"c1","sender_id":"u1","message_seq":%d}`, seq)})
			}
			after := chat.Seq(rapid.IntRange(0, len(log)).Draw(t, "after"))
			end.trim(after)
			if !end.covers(after) {
				end.begin(after, true)
			}
			for end.through < chat.Seq(len(log)) && !end.over {
				end.add(log[end.through:min(int(end.through)+4, len(log))])
			}
			if end.bytes > end.limit {
				t.Fatalf("%d bytes of %d", end.bytes, end.limit)
			}
			for p := range chat.Seq(len(log) + 1) {
				if !end.covers(p) {
					continue
				}
				want := p + 1
				for _, e := range end.piece().events {
					if e.Seq > p {
						if e.Seq != want {
							t.Fatalf("after %d comes %d, want %d", p, e.Seq, want)
						}
						want++
					}
				}
				if want != end.through+1 {
					t.Fatalf("it ends before %d and says %d", want, end.through)
				}
			}
		}
	})
}
