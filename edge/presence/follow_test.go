package presence_test

import (
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canopychat/canopy/edge/presence"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/eph"
	"github.com/canopychat/canopy/streams/kv"
)

// strait is what lies between two regions: it has what a gateway follows and asks.
type strait struct {
	mu                  sync.Mutex
	follows, left, asks int
	told, leases        func(eph.Message)
	answers             []func(eph.Message)
}

func (s *strait) Publish(string, []byte) error { return nil }

func (s *strait) FollowWorkspace(_ chat.WorkspaceID, handle func(eph.Message)) (func() error, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.follows++
	s.told = handle
	return func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.left++
		return nil
	}, nil
}

func (s *strait) FollowLeases(handle func(eph.Message)) (func() error, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leases = handle
	return func() error { return nil }, nil
}

func (s *strait) Ask(_ string, handle func(eph.Message)) (func() error, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asks++
	s.answers = append(s.answers, handle)
	return func() error { return nil }, nil
}

// noBucket is a region's bucket that has nobody else.
type noBucket struct{}

func (noBucket) Put(context.Context, string, []byte) (kv.Revision, error) { return 1, nil }
func (noBucket) PutTTL(context.Context, string, []byte, time.Duration) (kv.Revision, error) {
	return 1, nil
}
func (noBucket) Delete(context.Context, string) error { return nil }
func (noBucket) Watch(ctx context.Context, _ []string, _ func(kv.Entry)) error {
	<-ctx.Done()
	return nil
}

// told is what a gateway of another region says of dave.
func told(t *testing.T, status chat.Status) (said eph.Message, answer eph.Message) {
	t.Helper()
	one := rpc.PresenceTold{Region: "far", Gateway: "h1", UserID: "dave", State: rpc.PresenceState{Status: status, Channels: []chat.ChannelID{general}, At: time.Now()}}
	subject, err := streams.EphPresenceSubject(space, "dave")
	if err != nil {
		t.Fatal(err)
	}
	for data, v := range map[*[]byte]any{&said.Data: one, &answer.Data: []rpc.PresenceTold{one}} {
		if *data, err = json.Marshal(v); err != nil {
			t.Fatal(err)
		}
	}
	said.Subject = subject
	return said, answer
}

// afloat runs a gateway of a region whose bucket has nobody else; stop ends it.
func afloat(t *testing.T, region, id string, carrier presence.Carrier) (g *gateway, stop func()) {
	g = &gateway{t: t, shown: map[chat.UserID]chat.Presence{}, typed: map[chat.UserID]int{}}
	g.Service = presence.New(presence.Config{Region: region, Gateway: id, Bucket: noBucket{}, Carrier: carrier, Grace: -1})
	g.DeliverTo(g)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	synctest.Wait()
	return g, func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// A workspace that is asked about again is followed all along, and an answer that was overtaken brings nobody back.
func TestAskingAgainLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sea := &strait{}
		g, stop := afloat(t, "near", "g1", sea)
		g.Connected(of("bob", "phone"), []chat.ChannelID{general})
		synctest.Wait()

		lease, err := streams.EphLeaseSubject("far", "h1")
		if err != nil {
			t.Fatal(err)
		}
		for range 4 {
			sea.leases(eph.Message{Subject: lease})
			synctest.Wait()
		}
		if sea.follows != 1 || sea.left != 0 || sea.asks != 4 { // one at the beginning, and at the first, second and fourth lease
			t.Errorf("followed %d times, left %d times, asked %d times", sea.follows, sea.left, sea.asks)
		}

		here, answer := told(t, chat.StatusOnline)
		gone, _ := told(t, chat.StatusOffline)
		sea.answers[3](answer)
		if got := g.shows("dave").Status; got != chat.StatusOnline {
			t.Errorf("after an answer he is %q", got)
		}
		sea.told(gone)
		sea.answers[3](answer)
		if got := g.shows("dave").Status; got != chat.StatusOffline {
			t.Errorf("after an answer that was overtaken he is %q", got)
		}
		sea.told(here)
		sea.answers[3](answer)
		if got := g.shows("dave").Status; got != chat.StatusOnline {
			t.Errorf("when he has come back he is %q", got)
		}

		stop()
		if sea.left != 1 {
			t.Errorf("left %d times", sea.left)
		}
	})
}

// ferry brings what is told in one region into another, unless it is cut.
type ferry struct {
	*strait
	to  *strait
	cut *atomic.Bool
}

func (f ferry) Publish(subject string, data []byte) error {
	if f.cut.Load() {
		return nil // as a link does that is lost
	}
	f.to.mu.Lock()
	told, leases := f.to.told, f.to.leases
	f.to.mu.Unlock()
	m := eph.Message{Subject: subject, Data: data}
	if _, _, err := streams.ParseEphLease(subject); err == nil {
		leases(m)
	} else if told != nil {
		told(m)
	}
	return nil
}

// Who comes or goes while a link is cut, for less than a gateway may be silent, is seen as they are soon after.
func TestAChangeBehindAShortCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cut atomic.Bool
		near, far := &strait{}, &strait{}
		here, stop := afloat(t, "near", "g1", near)
		defer stop()
		here.Connected(of("bob", "phone"), []chat.ChannelID{general})
		there, stopThere := afloat(t, "far", "h1", ferry{far, near, &cut})
		there.Connected(of("dave", "phone"), []chat.ChannelID{general})
		time.Sleep(presence.DefaultLease * 2)
		synctest.Wait()
		if got := here.shows("dave").Status; got != chat.StatusOnline {
			t.Fatalf("dave is %q", got)
		}

		cut.Store(true)
		there.Disconnected(of("dave", "phone"))
		there.Connected(of("erin", "phone"), []chat.ChannelID{general})
		time.Sleep(presence.DefaultLease * 9 / 10)
		cut.Store(false)
		time.Sleep(presence.DefaultLease)
		synctest.Wait()
		if dave, erin := here.shows("dave").Status, here.shows("erin").Status; dave != chat.StatusOffline || erin != chat.StatusOnline {
			t.Errorf("after a short cut dave, who went, is %q, and erin, who came, %q", dave, erin)
		}
		events := here.events
		time.Sleep(time.Minute)
		synctest.Wait()
		if here.events != events {
			t.Errorf("%d more changes were shown while nothing happened", here.events-events)
		}
		cut.Store(true)
		stopThere()
	})
}
