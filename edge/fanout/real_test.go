package fanout_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/edge/fanout"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/streamstest"
)

// real is a hub and a leaf, with the feeds of a gateway at the leaf.
type real struct {
	*streamstest.Cluster
	t     *testing.T
	feeds *fanout.Feeds

	mu   sync.Mutex
	said []string // "<seq> after <prev>" of each event of w1
	last map[chat.ChannelID]chat.Seq
}

func startReal(t *testing.T, cfg fanout.Config) *real {
	t.Helper()
	c := streamstest.Start(t)
	conn, err := bus.Dial(bus.DialConfig{URL: c.LeafURL(), Role: "test", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	r := &real{Cluster: c, t: t, feeds: fanout.New(conn, bus.NewLog(conn), cfg), last: map[chat.ChannelID]chat.Seq{}}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.feeds.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return r
}

// open acquires the feed of w1, and keeps it.
func (r *real) open() *fanout.Feed {
	r.t.Helper()
	var f *fanout.Feed
	r.eventually("the feed is whole", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		var err error
		f, err = r.feeds.Acquire(ctx, place)
		return err == nil
	})
	return f
}

// say stores posts at the hub, n in turn over three channels.
func (r *real) say(n int, body string) {
	r.t.Helper()
	for i := range n {
		ch := chat.ChannelID(fmt.Sprint("c", i%3))
		ack, err := r.HubJS.Publish(r.Context(), subjectOf(ws, ch), payloadOf(postOf(ch, body)), jetstream.WithRetryAttempts(50))
		if err != nil {
			r.t.Fatal(err)
		}
		seq := chat.Seq(ack.Sequence)
		r.mu.Lock()
		r.said = append(r.said, fmt.Sprintf("%d after %d", seq, r.last[ch]))
		r.last[ch] = seq
		r.mu.Unlock()
		if i%10 == 9 { // a neighbour
			if _, err := r.HubJS.Publish(r.Context(), subjectOf("w2", "x"), payloadOf(postOf("x", body))); err != nil {
				r.t.Fatal(err)
			}
		}
	}
}

func (r *real) eventually(what string, cond func() bool) {
	r.t.Helper()
	for end := time.Now().Add(2 * streamstest.Wait); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("not in time: %s", what)
		}
	}
}

// reaches waits until the feed has the last that was said, and checks what a reader from the first on gets.
func (r *real) reaches(f *fanout.Feed) {
	r.t.Helper()
	r.mu.Lock()
	want := append([]string(nil), r.said...)
	var last chat.Seq
	for _, seq := range r.last {
		last = max(last, seq)
	}
	r.mu.Unlock()
	r.eventually(fmt.Sprintf("the feed comes to %d", last), func() bool { return f.Reach().Head >= last })
	rd := newReader(f, 0)
	rd.readAll(r.t)
	var got []string
	for _, e := range rd.got {
		got = append(got, fmt.Sprintf("%d after %d", e.Seq, e.Prev))
		if !strings.Contains(string(e.Frame), `"kind":"message.posted"`) {
			r.t.Fatalf("%q", e.Frame)
		}
	}
	wantLines(r.t, "a reader", got, want)
	if c := f.Counts(); c.Holes != 0 {
		r.t.Errorf("%+v", c)
	}
}

func TestLeafLinkCutAndRestored(t *testing.T) {
	r := startReal(t, fanout.Config{ProveEvery: time.Hour, RingEntries: 64}) // the signals alone must do
	r.say(10, "before the feed")
	f := r.open()
	r.say(30, "live")
	r.reaches(f)
	r.Link.Cut()
	r.WaitUnlinked()
	r.say(100, "said over the cut")
	time.Sleep(3 * time.Second) // longer than a probe of the link takes
	r.Link.Restore()
	r.reaches(f)
	r.say(30, "live again")
	r.reaches(f)
}

// A cut that no probe notices: the next message of each channel tells, or the proof.
func TestABriefCutOfTheLeafLink(t *testing.T) {
	r := startReal(t, fanout.Config{ProveEvery: 200 * time.Millisecond})
	f := r.open()
	r.say(3, "live")
	r.reaches(f)
	r.Link.Cut()
	r.WaitUnlinked()
	r.say(5, "said over the cut")
	r.Link.Restore()
	r.WaitLinked()
	r.reaches(f)
}

func TestAFeedThatOpensWhileTheLinkIsCut(t *testing.T) {
	r := startReal(t, fanout.Config{ProveEvery: time.Hour})
	r.say(5, "before")
	r.Link.Cut()
	r.WaitUnlinked()
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	if _, err := r.feeds.Acquire(ctx, place); err == nil {
		t.Error("a feed was given that cannot know whether it is whole")
	}
	r.say(5, "said over the cut")
	r.Link.Restore()
	r.reaches(r.open())
}

func TestHubRestart(t *testing.T) {
	r := startReal(t, fanout.Config{ProveEvery: time.Hour})
	f := r.open()
	r.say(20, "live")
	r.reaches(f)
	r.RestartHub()
	r.say(20, "after the restart")
	r.reaches(f)
}

func TestRepublishingIsLost(t *testing.T) {
	r := startReal(t, fanout.Config{ProveEvery: time.Hour})
	f := r.open()
	r.say(6, "live")
	r.reaches(f)
	r.LoseRepublished(streams.ChatStream(shard), func() { r.say(7, "stored, and not sent out") })
	r.AnnounceLeader(streams.ChatStream(shard))
	r.reaches(f)
	r.say(1, "live")
	r.LoseRepublished(streams.ChatStream(shard), func() { r.say(3, "stored, and not sent out") })
	r.say(1, "the next of its channel") // tells of them
	r.reaches(f)
}

func TestASlowConsumer(t *testing.T) {
	r := startReal(t, fanout.Config{ProveEvery: time.Hour})
	f := r.open()
	r.say(3, "live")
	r.reaches(f)
	hold := &gate{open: make(chan struct{})}
	f.Watch(hold)
	body := strings.Repeat("x", chat.MaxBody)
	r.say(2+bus.MaxFanPending*3/2/chat.MaxBody, body) // more than may wait for one subscriber
	close(hold.open)
	r.reaches(f)
	if c := f.Counts(); c.Repairs < 2 {
		t.Errorf("nothing was lost: %+v", c)
	}
	r.say(3, "live again")
	r.reaches(f)
}

// gate is a watcher that stands in the way, which a watcher must not.
type gate struct{ open chan struct{} }

func (g *gate) Wake(*fanout.Feed) { <-g.open }

// Somebody stores and sends by hand what is no event, next to what is.
func TestGarbageOnARealHub(t *testing.T) {
	r := startReal(t, fanout.Config{ProveEvery: 100 * time.Millisecond})
	f := r.open()
	r.say(3, "live")
	for _, subject := range []string{subjectOf(ws, "c1"), subjectOf(ws, "c1") + ".deeper", subjectOf(ws, "") + ".x", "chat.1.w1.NotAnID"} {
		if _, err := r.HubJS.Publish(r.Context(), subject, []byte("garbage \xff")); err != nil {
			t.Fatal(err)
		}
		if err := r.HubConn.Publish(strings.Replace(subject, "chat.", "fan.", 1), []byte("by hand")); err != nil {
			t.Fatal(err)
		}
	}
	r.say(0, "")
	seq, err := r.HubJS.Publish(r.Context(), subjectOf(ws, "c1"), payloadOf(postOf("c1", "after it")))
	if err != nil {
		t.Fatal(err)
	}
	r.said = append(r.said, fmt.Sprintf("%d after %d", seq.Sequence, r.last["c1"]))
	r.last["c1"] = chat.Seq(seq.Sequence)
	r.reaches(f)
	r.eventually("all is proved", func() bool { return f.Unproved() == 0 })
	if c := f.Counts(); c.Garbage != 4 || c.Holes != 0 {
		t.Errorf("%+v", c)
	}
}
