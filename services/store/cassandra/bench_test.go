package cassandra_test

import (
	"fmt"
	"slices"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/cassandra"
)

const (
	benchChannels = 50
	benchBatch    = 1000 // events of one Apply
	benchApplies  = 4    // at once, as so many shards do
)

// BenchmarkApply measures posts of 200 bytes in 50 channels beside the rows of messages_by_channel alone, written
// by the ring in batches of the same size and as single rows: rows/s of messages, and Apply's part of the first.
func BenchmarkApply(b *testing.B) {
	m := onRing(b)
	body := fmt.Sprintf("%0200d", 0)
	var channels []chat.ChannelID
	for range benchChannels {
		channels = append(channels, newChannel())
	}
	var seq chat.Seq
	next := func() []event.Stored {
		var events []event.Stored
		for range benchBatch {
			seq++
			events = append(events, aPost(channels[seq%benchChannels], seq, body))
		}
		return events
	}
	ok(b, m.Apply(b.Context(), next()))
	rates := map[string]float64{}
	measure := func(name string, write func(events []event.Stored) error) {
		b.Run(name, func(b *testing.B) {
			n := 0
			for b.Loop() {
				var group errgroup.Group
				for range benchApplies {
					events := next()
					n += len(events)
					group.Go(func() error { return write(events) })
				}
				ok(b, group.Wait())
			}
			rates[name] = float64(n) / b.Elapsed().Seconds()
			b.ReportMetric(rates[name], "messages/s")
			if raw := rates["raw batches"]; raw > 0 {
				b.ReportMetric(rates[name]/raw, "of-raw")
			}
		})
	}
	alone := func(size int) func(events []event.Stored) error {
		return func(events []event.Stored) error {
			var group errgroup.Group
			group.SetLimit(64)
			for _, batch := range cassandra.MessageRows(events, size) {
				group.Go(func() error { return home.ring.Batch(b.Context(), batch) })
			}
			return group.Wait()
		}
	}
	measure("warm", alone(20))
	measure("raw batches", alone(20))
	measure("raw single rows", alone(1))
	measure("Apply", func(events []event.Stored) error { return m.Apply(b.Context(), events) })
	measure("Apply edits", func(events []event.Stored) error {
		edits := slices.Clone(events)
		for i := range edits {
			edits[i].Kind, edits[i].MessageSeq, edits[i].Seq = event.MessageEdited, edits[i].Seq, edits[i].Seq+benchBatch
		}
		return m.Apply(b.Context(), edits)
	})
}

// BenchmarkPage measures pages of 50 in a channel of 2,000 messages.
func BenchmarkPage(b *testing.B) {
	m, channel := onRing(b), newChannel()
	ok(b, m.Apply(b.Context(), posts(channel, 1, 1, 2000)))
	for name, q := range map[string]store.PageQuery{"newest": {}, "before": {Before: 1000}} {
		q.ChannelID, q.Limit = channel, 50
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				p, err := m.Page(b.Context(), q)
				if err != nil || len(p.Messages) != 50 {
					b.Fatalf("%d messages, %v", len(p.Messages), err)
				}
			}
		})
	}
}
