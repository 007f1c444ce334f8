package sqlite_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/services/store"
)

// BenchmarkApply measures posts of 120 bytes, over 50 channels, in durable batches: events/s.
func BenchmarkApply(b *testing.B) {
	for _, size := range []int{1, 10, 100, 500} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			m := openMessages(b, newPath(b))
			body := fmt.Sprintf("%0120d", 0)
			var seq chat.Seq
			n := 0
			for b.Loop() {
				batch := make([]event.Stored, 0, size)
				for range size {
					seq++
					e := aPost(channelOf(seq), seq, body)
					e.ClientMsgID = chat.ClientMsgID(fmt.Sprintf("0192f3a0-%04x-7000-8000-%012x", seq%7919, seq))
					batch = append(batch, e)
				}
				if err := m.Apply(context.Background(), batch); err != nil {
					b.Fatal(err)
				}
				n += size
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// channelOf spreads seqs over 50 channels with ids as long as real ones.
func channelOf(seq chat.Seq) chat.ChannelID {
	return chat.ChannelID(fmt.Sprintf("01jd0000000000000000%06d", seq%50))
}

// BenchmarkPage measures pages of 50 in a channel of 2,000 messages.
func BenchmarkPage(b *testing.B) {
	m := openMessages(b, newPath(b))
	var batch []event.Stored
	for seq := range chat.Seq(100_000) {
		batch = append(batch, aPost(channelOf(seq), seq+1, "a body of the usual length, more or less"))
		if len(batch) == 2000 {
			if err := m.Apply(context.Background(), batch); err != nil {
				b.Fatal(err)
			}
			batch = batch[:0]
		}
	}
	for b.Loop() {
		p, err := m.Page(context.Background(), store.PageQuery{ChannelID: channelOf(7), Before: 50_000, Limit: 50})
		if err != nil || len(p.Messages) != 50 {
			b.Fatalf("%d messages, %v", len(p.Messages), err)
		}
	}
}
