package presence_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/edge/presence"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/eph"
	"github.com/canopychat/canopy/streams/kv"
	"github.com/canopychat/canopy/streams/natsd"
	"github.com/canopychat/canopy/streams/provision"
	"github.com/canopychat/canopy/streams/streamstest"
)

const (
	shortLease = 3 * time.Second // the server counts whole seconds
	space      = chat.WorkspaceID("w1")
	general    = chat.ChannelID("c1")
)

// gateway is a Service and what it delivered.
type gateway struct {
	*presence.Service
	t    *testing.T
	conn *bus.Conn
	stop func()

	mu     sync.Mutex
	shown  map[chat.UserID]chat.Presence
	typed  map[chat.UserID]int
	events int
	reads  []string
	stale  int
}

// DeliverPresence is presence.Deliverer.
func (g *gateway) DeliverPresence(_ chat.WorkspaceID, user chat.UserID, p chat.Presence, _ []chat.ChannelID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shown[user] = p
	g.events++
}

// DeliverTyping is presence.Deliverer.
func (g *gateway) DeliverTyping(_ chat.WorkspaceID, channel chat.ChannelID, user chat.UserID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if channel == general {
		g.typed[user]++
	}
}

// DeliverRead is presence.Deliverer.
func (g *gateway) DeliverRead(ws chat.WorkspaceID, user chat.UserID, n rpc.ReadNotice) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if ws == space {
		g.reads = append(g.reads, fmt.Sprint(user, " ", n.ChannelID, " ", n.Seq))
	}
}

// DeliverStale is presence.Deliverer.
func (g *gateway) DeliverStale(ws chat.WorkspaceID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if ws == space {
		g.stale++
	}
}

// start runs a gateway of a region, at a leaf.
func start(t *testing.T, id, region, leaf string) *gateway {
	t.Helper()
	conn, err := bus.Dial(bus.DialConfig{URL: leaf, Role: id, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ready, done := context.WithTimeout(ctx, streamstest.Wait)
	defer done()
	if err := conn.Ready(ready); err != nil {
		t.Fatal(err)
	}
	bucket, err := kv.Open(kv.Config{Conn: conn, Domain: region, Name: streams.BucketPresence, Make: func(ctx context.Context) error {
		_, err := provision.EnsureLeaf(ctx, conn.NATS(), region)
		return err
	}})
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{
		t: t, conn: conn, shown: map[chat.UserID]chat.Presence{}, typed: map[chat.UserID]int{},
		Service: presence.New(presence.Config{
			Region: region, Gateway: id, Bucket: bucket, Carrier: eph.New(conn), Lease: shortLease, Grace: -1,
		}),
	}
	g.DeliverTo(g)
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	g.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("%s: %v", id, err)
		}
		conn.Close()
	})
	t.Cleanup(g.stop)
	return g
}

// kill cuts a gateway off at once: it cannot say that it goes.
func (g *gateway) kill() {
	g.conn.Close()
	g.stop()
}

func (g *gateway) shows(user chat.UserID) chat.Presence {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p, ok := g.shown[user]; ok {
		return p
	}
	return chat.Presence{Status: chat.StatusOffline}
}

func (g *gateway) typings(user chat.UserID) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.typed[user]
}

func (g *gateway) wait(user chat.UserID, want chat.Presence) {
	g.t.Helper()
	eventually(g.t, fmt.Sprintf("%s is %v", user, want), func() bool { return g.shows(user) == want })
	if got, err := g.Query(g.t.Context(), space, []chat.UserID{user}); err != nil || got[user] != want {
		g.t.Errorf("a query says that %s is %v, %v; and was told %v", user, got, err, want)
	}
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(streamstest.Wait); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func of(user chat.UserID, device string) presence.Someone {
	return presence.Someone{WorkspaceID: space, UserID: user, SessionID: chat.SessionID(device)}
}

var (
	online  = chat.Presence{Status: chat.StatusOnline}
	offline = chat.Presence{Status: chat.StatusOffline}
)

// keys is how many keys the region's bucket has; -1: it is not there.
func keys(t *testing.T, c *streamstest.Cluster) int {
	t.Helper()
	js, err := jetstream.NewWithDomain(c.LeafConn, streamstest.Region)
	if err != nil {
		t.Fatal(err)
	}
	bucket, err := js.KeyValue(c.Context(), string(streams.BucketPresence))
	if err != nil {
		return -1
	}
	list, err := bucket.ListKeys(c.Context())
	if err != nil {
		return -1
	}
	n := 0
	for range list.Keys() {
		n++
	}
	return n
}

func TestPresenceOfARegion(t *testing.T) {
	c := streamstest.Start(t)
	g1, g2 := start(t, "g1", streamstest.Region, c.LeafURL()), start(t, "g2", streamstest.Region, c.LeafURL())

	g1.Connected(of("bob", "phone"), []chat.ChannelID{general})
	g1.wait("bob", online)
	g2.wait("bob", online)
	away := chat.Presence{Status: chat.StatusAway, Text: "at lunch"}
	g1.Set(of("bob", "phone"), away)
	g2.wait("bob", away)
	g2.Connected(of("bob", "laptop"), []chat.ChannelID{general})
	g1.wait("bob", online)
	g2.Disconnected(of("bob", "laptop"))
	g1.wait("bob", away)

	// Typing reaches the other gateway, and once only.
	g2.Connected(of("carol", "phone"), []chat.ChannelID{general}) // so that it follows the workspace
	g1.wait("carol", online)
	eventually(t, "a typing arrives", func() bool {
		g1.Typing(of("bob", "phone"), general)
		return g2.typings("bob") > 0
	})
	if g1.typings("bob") != g2.typings("bob") && g1.typings("bob") != g2.typings("bob")+1 {
		t.Errorf("typing was told %d and %d times", g1.typings("bob"), g2.typings("bob"))
	}

	// Steady state writes nothing but a lease for each gateway.
	if n := keys(t, c); n != 4 {
		t.Errorf("two people at two gateways are %d keys", n)
	}

	// The leaf loses its memory: everything is there again, and nobody was shown as offline for good.
	c.RestartLeaf()
	eventually(t, "the keys are there again", func() bool { return keys(t, c) == 4 })
	g2.wait("bob", away)
	g1.wait("carol", online)

	// A gateway that stops takes its people along at once; one that is killed when its lease ends, and others sweep.
	g2.stop()
	g1.wait("carol", offline)
	g3 := start(t, "g0", streamstest.Region, c.LeafURL())
	g3.wait("bob", away)
	g1.kill()
	g3.wait("bob", offline)
	eventually(t, "the keys of the dead gateway are swept", func() bool { return keys(t, c) == 1 })
}

func (g *gateway) staleTimes() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.stale
}

func (g *gateway) readMarks() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return fmt.Sprint(g.reads)
}

// What people have read on other devices comes by the same subscription, and what is no read mark is passed over.
func TestReadMarksAreHandedOn(t *testing.T) {
	c := streamstest.Start(t)
	g := start(t, "g1", streamstest.Region, c.LeafURL())
	g.Connected(of("bob", "phone"), []chat.ChannelID{general})
	eventually(t, "it is told that marks may have come before the subscription", func() bool { return g.staleTimes() == 1 })
	subject, err := streams.EphReadSubject(space, "bob")
	if err != nil {
		t.Fatal(err)
	}
	tell := func(data string) {
		if err := c.LeafConn.Publish(subject, []byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "a mark arrives", func() bool { // the subscription is on its way
		tell(`{"channel_id":"c1","seq":5}`)
		return g.readMarks() != "[]"
	})
	for _, garbage := range []string{``, `{}`, `[]`, `{"channel_id":"c1"}`, `{"channel_id":"*","seq":5}`, `{"channel_id":"c1","seq":0}`, `{"channel_id":"c1","seq":281474976710656}`} {
		tell(garbage)
	}
	tell(`{"channel_id":"c2","seq":7}`)
	eventually(t, "what follows garbage arrives", func() bool { return strings.HasSuffix(g.readMarks(), "bob c2 7]") })
	if rest := strings.NewReplacer("bob c1 5", "", "bob c2 7", "", " ", "").Replace(g.readMarks()); rest != "[]" {
		t.Errorf("%s", g.readMarks())
	}
	if n := g.staleTimes(); n != 1 {
		t.Errorf("it was told %d times that marks may be missing", n)
	}
}

func TestPresenceOfTwoRegions(t *testing.T) {
	c := streamstest.Start(t)
	other := natsd.NewLeaf(natsd.LeafConfig{
		Common: natsd.Common{Name: "far", StoreDir: t.TempDir(), App: natsd.Login{User: "canopy", Password: "canopy-secret"}, Logger: slog.New(slog.DiscardHandler), PingInterval: time.Second},
		Region: "far", HubURLs: []string{"nats-leaf://leaf:leaf-secret@" + c.Link.Addr()}, Reconnect: 50 * time.Millisecond,
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- other.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	ready, done := context.WithTimeout(ctx, streamstest.Wait)
	defer done()
	if err := other.Ready(ready); err != nil {
		t.Fatal(err)
	}
	near, far := start(t, "g1", streamstest.Region, c.LeafURL()), start(t, "h1", "far", other.ClientURL())

	// Who was there before the first user here is asked for; who comes later is told.
	near.Connected(of("bob", "phone"), []chat.ChannelID{general})
	near.wait("bob", online)
	far.Connected(of("dave", "phone"), []chat.ChannelID{general})
	far.wait("bob", online)
	near.wait("dave", online)
	away := chat.Presence{Status: chat.StatusAway, Text: "over the sea"}
	far.Set(of("dave", "phone"), away)
	near.wait("dave", away)
	eventually(t, "a typing crosses the sea", func() bool {
		far.Typing(of("dave", "phone"), general)
		return near.typings("dave") > 0
	})

	// Cut off, each keeps its own and sees the other's expire; when the link is back, both are whole again.
	c.Link.Cut()
	near.wait("dave", offline)
	far.wait("bob", offline)
	if near.shows("bob") != online || far.shows("dave") != away {
		t.Errorf("cut off, bob is %v at home, and dave %v", near.shows("bob"), far.shows("dave"))
	}
	c.Link.Restore()
	near.wait("dave", away)
	far.wait("bob", online)

	far.Disconnected(of("dave", "phone"))
	near.wait("dave", offline)
}
