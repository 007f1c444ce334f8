package fanout_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/edge/fanout"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/streamstest"
)

// counted is a Log that counts what is asked of the leader.
type counted struct {
	*bus.Log
	asked, now, most atomic.Int64
}

func (c *counted) LeaderLast(ctx context.Context, shard streams.Shard, filter string) (chat.Seq, error) {
	c.asked.Add(1)
	for n := c.now.Add(1); ; {
		most := c.most.Load()
		if n <= most || c.most.CompareAndSwap(most, n) {
			break
		}
	}
	defer c.now.Add(-1)
	return c.Log.LeaderLast(ctx, shard, filter)
}

// elections is a gateway with many workspaces on a hub of three.
type elections struct {
	*streamstest.HubCluster
	t     *testing.T
	log   *counted
	feeds []*fanout.Feed

	mu   sync.Mutex
	said map[chat.WorkspaceID][]chat.Seq // what was acknowledged
}

const manyFeeds = 200

func wsOf(i int) chat.WorkspaceID { return chat.WorkspaceID(fmt.Sprint("w", i)) }

func startElections(t *testing.T) *elections {
	t.Helper()
	c := streamstest.StartCluster(t)
	conn, err := bus.Dial(bus.DialConfig{URL: c.LeafURL(), Role: "test", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	e := &elections{HubCluster: c, t: t, log: &counted{Log: bus.NewLog(conn)}, said: map[chat.WorkspaceID][]chat.Seq{}}
	feeds := fanout.New(conn, e.log, fanout.Config{ProveEvery: time.Hour}) // what the elections lose, the signals alone must find
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- feeds.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	for i := range manyFeeds {
		e.feeds = append(e.feeds, e.acquire(feeds, wsOf(i)))
	}
	return e
}

func (e *elections) acquire(feeds *fanout.Feeds, id chat.WorkspaceID) *fanout.Feed {
	e.t.Helper()
	for end := time.Now().Add(streamstest.ElectionWait); ; {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		f, err := feeds.Acquire(ctx, fanout.Place{WorkspaceID: id, Shard: shard, Epoch: epoch})
		cancel()
		if err == nil {
			return f
		}
		if time.Now().After(end) {
			e.t.Fatal(err)
		}
	}
}

// talk stores posts through the leaf, one after the other over some of the workspaces, until it is stopped.
func (e *elections) talk(who int) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var talking sync.WaitGroup
	talking.Go(func() {
		for k := 0; ctx.Err() == nil; k++ {
			id, ch := wsOf((k*4+who)%manyFeeds), chat.ChannelID(fmt.Sprint("c", k%2))
			subject, err := streams.ChatSubject(shard, id, ch)
			if err != nil {
				e.t.Error(err)
				return
			}
			for { // until it is stored, under one id
				once, done := context.WithTimeout(context.Background(), 2*time.Second)
				ack, err := e.LeafJS.Publish(once, subject, payloadOf(postOf(ch, fmt.Sprint(who, "-", k))), jetstream.WithMsgID(fmt.Sprint("u", who, ".", k)), jetstream.WithRetryAttempts(0))
				done()
				if err == nil {
					e.mu.Lock()
					e.said[id] = append(e.said[id], chat.Seq(ack.Sequence))
					e.mu.Unlock()
					break
				}
				time.Sleep(50 * time.Millisecond)
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
	return func() { cancel(); talking.Wait() }
}

// agrees waits until every feed has all that was acknowledged, and checks that its readers get exactly that, in order.
func (e *elections) agrees(what string) {
	e.t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	for i, f := range e.feeds {
		want := slices.Sorted(slices.Values(e.said[wsOf(i)]))
		for end := time.Now().Add(streamstest.ElectionWait); len(want) > 0 && f.Reach().Head < want[len(want)-1]; time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				e.t.Fatalf("%s: feed %d stays at %+v, and its log is at %d", what, i, f.Reach(), want[len(want)-1])
			}
		}
		r := newReader(f, 0)
		r.readAll(e.t)
		var got []chat.Seq
		for _, entry := range r.got {
			got = append(got, entry.Seq)
		}
		if !slices.Equal(got, want) {
			e.t.Errorf("%s: feed %d shows %v, and the log holds %v", what, i, got, want)
		}
		if n := f.Counts().Holes; n != 0 {
			e.t.Errorf("%s: feed %d showed something too early", what, i)
		}
	}
}

// The feeds of many workspaces are whole after every election, and none of them asks the leader more than it must.
func TestManyFeedsProveThemselvesAfterAnElectionWithoutAStorm(t *testing.T) {
	e := startElections(t)
	stream := streams.ChatStream(shard)
	var stops []func()
	for who := range 4 {
		stops = append(stops, e.talk(who))
	}
	time.Sleep(500 * time.Millisecond)
	begun := e.log.asked.Load()
	leads := e.Leader(stream)
	e.KillNode(leads)
	e.Leader(stream)
	time.Sleep(500 * time.Millisecond) // of talk under the new leader
	e.StepDown(stream)
	e.StartNode(leads)
	e.WaitCurrent(stream)
	for _, stop := range stops {
		stop()
	}
	e.agrees("after a kill and a step down")
	asked, most := e.log.asked.Load()-begun, e.log.most.Load()
	t.Logf("%d feeds asked leaders %d times, %d at once", manyFeeds, asked, most)
	if most > 16 {
		t.Errorf("%d questions to leaders at once", most)
	}
	// A kill is up to four signals (the link is lost and back, a reconnect, an election), a step down one; a question
	// to a leader that is not there yet is asked again.
	if asked > 12*manyFeeds {
		t.Errorf("%d feeds asked leaders %d times", manyFeeds, asked)
	}
}
