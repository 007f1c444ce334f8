package event_test

import (
	"testing"

	"github.com/canopychat/canopy/schemas/event"
)

// A gateway and each consumer parse an event once, however many read it.
func BenchmarkParse(b *testing.B) {
	for _, name := range []string{"message.posted", "message.posted.full", "reaction.added", "channel.created"} {
		payload := goldenBytes(b, name)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(payload)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := event.Parse(payload); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	e := golden["message.posted"]
	b.ReportAllocs()
	for b.Loop() {
		if _, err := event.Encode(e); err != nil {
			b.Fatal(err)
		}
	}
}
