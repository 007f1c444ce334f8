package wire_test

import (
	"strings"
	"testing"

	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/wire"
)

// A gateway makes the frame of an event once, whatever the number of its readers.
func BenchmarkAppendStored(b *testing.B) {
	for name, e := range map[string]event.Event{
		"message.posted": {Kind: event.MessagePosted, Epoch: 2, ChannelID: channel, SenderID: alice, ClientMsgID: msgID, Body: strings.Repeat("hello ", 20)},
		"reaction.added": {Kind: event.ReactionAdded, Epoch: 2, ChannelID: channel, SenderID: alice, MessageSeq: 41, Emoji: "👍"},
	} {
		payload, err := event.Encode(e)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(payload)))
			b.ReportAllocs()
			dst := make([]byte, 0, 1024)
			for b.Loop() {
				dst = wire.AppendStored(dst[:0], place(42, 41), e.Kind, payload)
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	for _, tt := range inbound {
		if tt.name != "send" && tt.name != "ping" {
			continue
		}
		data := []byte(tt.data)
		b.Run(tt.name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := wire.Parse(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
