package cassandra_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/cassandra"
)

const (
	benchChannels = 50
	benchSenders  = 500
	benchBatch    = 1000 // events of one Apply
	benchApplies  = 4    // at once, as so many shards do
	benchRate     = 6000 // posts a second of the workspace, by the stream's time
)

// BenchmarkApply measures posts of 200 bytes by usual clients in 50 channels, and edits of as many messages, beside the
// rows of messages_by_channel alone, which the ring writes in batches of the same size and as single rows. They take turns,
// so that what else the machine does meets all of them: messages/s of each, and the part of raw batches.
func BenchmarkApply(b *testing.B) {
	m := onRing(b)
	next := usualPosts()
	ok(b, m.Apply(b.Context(), next()))
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
	writers := []struct {
		name  string
		write func(events []event.Stored) error
		took  time.Duration
	}{
		{name: "raw", write: alone(20)},
		{name: "single", write: alone(1)},
		{name: "apply", write: func(events []event.Stored) error { return m.Apply(b.Context(), events) }},
		{name: "edits", write: func(events []event.Stored) error {
			edits := slices.Clone(events)
			for i := range edits {
				edits[i].Kind, edits[i].MessageSeq, edits[i].Seq = event.MessageEdited, edits[i].Seq, edits[i].Seq+benchBatch
			}
			return m.Apply(b.Context(), edits)
		}},
	}
	n := 0
	for b.Loop() {
		n += benchApplies * benchBatch
		for i := range writers {
			w := &writers[i]
			var group errgroup.Group
			began := time.Now()
			for range benchApplies {
				events := next()
				group.Go(func() error { return w.write(events) })
			}
			ok(b, group.Wait())
			w.took += time.Since(began)
		}
	}
	for _, w := range writers {
		b.ReportMetric(float64(n)/w.took.Seconds(), w.name+"/s")
		b.ReportMetric(writers[0].took.Seconds()/w.took.Seconds(), w.name+"-of-raw")
	}
}

// usualPosts gives the next posts of a workspace whenever it is called.
func usualPosts() func() []event.Stored {
	body := fmt.Sprintf("%0200d", 0)
	var channels []chat.ChannelID
	for range benchChannels {
		channels = append(channels, newChannel())
	}
	var senders []chat.UserID
	for range benchSenders {
		senders = append(senders, chat.UserID(newChannel()))
	}
	var seq chat.Seq
	began := time.Now() // so that a run meets no slot of another
	return func() []event.Stored {
		var events []event.Stored
		for range benchBatch {
			seq++
			e := aPost(channels[seq%benchChannels], seq, body)
			e.At = began.Add(time.Duration(seq) * time.Second / benchRate)
			e.SenderID = senders[rand.IntN(len(senders))]
			e.ClientMsgID = madeAt(e.At.Add(-rand.N(2 * time.Second))) // the way here, and clocks
			events = append(events, e)
		}
		return events
	}
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
