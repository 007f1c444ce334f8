package kv_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/goleak"

	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/kv"
	"github.com/canopychat/canopy/streams/provision"
	"github.com/canopychat/canopy/streams/streamstest"
)

func dial(t *testing.T, url string) *bus.Conn {
	t.Helper()
	conn, err := bus.Dial(bus.DialConfig{URL: url, Role: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	ctx, cancel := context.WithTimeout(t.Context(), streamstest.Wait)
	defer cancel()
	if err := conn.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return conn
}

func open(t *testing.T, conn *bus.Conn, domain string, name streams.Bucket) *kv.Bucket {
	t.Helper()
	b, err := kv.Open(kv.Config{Conn: conn, Domain: domain, Name: name, Make: func(ctx context.Context) error {
		_, err := provision.EnsureLeaf(ctx, conn.NATS(), streamstest.Region)
		return err
	}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// presence is the bucket of the leaf, which exists.
func presence(t *testing.T, c *streamstest.Cluster) *kv.Bucket {
	t.Helper()
	conn := dial(t, c.LeafURL())
	if _, err := provision.EnsureLeaf(c.Context(), conn.NATS(), streamstest.Region); err != nil {
		t.Fatal(err)
	}
	return open(t, conn, streamstest.Region, streams.BucketPresence)
}

func must(t *testing.T, _ kv.Revision, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, kind fault.Kind, err error) {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != kind {
		t.Errorf("%v, want a *fault.Error of %s", err, kind)
	}
}

// seen is a consumer of a watch: a copy of the bucket, and what was told.
type seen struct {
	t      *testing.T
	mu     sync.Mutex
	copy   map[string]string
	fresh  map[string]bool // told since Start
	starts int
	wholes int
	deaths []string
	change chan struct{}
}

func (s *seen) handle(e kv.Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch e.Op {
	case kv.Start:
		s.starts++
		s.fresh = map[string]bool{}
	case kv.Put:
		s.copy[e.Key], s.fresh[e.Key] = string(e.Value), true
	case kv.Delete:
		delete(s.copy, e.Key)
		s.deaths = append(s.deaths, e.Key)
	case kv.Complete:
		s.wholes++
		maps.DeleteFunc(s.copy, func(key, _ string) bool { return !s.fresh[key] })
	}
	select {
	case s.change <- struct{}{}:
	default:
	}
}

// until waits for what must come to be true of s.
func (s *seen) until(what string, cond func() bool) {
	s.t.Helper()
	end := time.After(streamstest.Wait)
	for {
		s.mu.Lock()
		ok := cond()
		s.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-s.change:
		case <-end:
			s.t.Fatalf("not within %v: %s; %+v, %d starts, %d wholes", streamstest.Wait, what, s.copy, s.starts, s.wholes)
		}
	}
}

func (s *seen) holds(want map[string]string) func() bool {
	return func() bool { return s.wholes > 0 && maps.Equal(s.copy, want) }
}

// watch runs until the test ends.
func watch(t *testing.T, b *kv.Bucket, filters ...string) *seen {
	t.Helper()
	s := &seen{t: t, copy: map[string]string{}, change: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	var run sync.WaitGroup
	run.Go(func() {
		if err := b.Watch(ctx, filters, s.handle); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); run.Wait() })
	return s
}

func TestWhatWasPutIsThere(t *testing.T) {
	c := streamstest.Start(t)
	for name, b := range map[string]*kv.Bucket{
		"the leaf's own":              presence(t, c),
		"the hub's, from the hub":     open(t, dial(t, c.HubURL()), streams.HubDomain, streams.BucketRevocations),
		"the hub's, through the leaf": open(t, dial(t, c.LeafURL()), streams.HubDomain, streams.BucketRegistry),
	} {
		t.Run(name, func(t *testing.T) {
			ctx := c.Context()
			_, err := b.Get(ctx, "a")
			want(t, fault.NotFound, err)
			first, err := b.Put(ctx, "a", []byte("1"))
			must(t, first, err)
			second, err := b.Put(ctx, "a", []byte("2"))
			if err != nil || second <= first {
				t.Errorf("revision %d after %d, %v", second, first, err)
			}
			e, err := b.Get(ctx, "a")
			if err != nil || string(e.Value) != "2" || e.Revision != second || e.Op != kv.Put || e.Key != "a" || time.Since(e.At).Abs() > time.Minute {
				t.Errorf("Get = %+v, %v", e, err)
			}
			if err := b.Delete(ctx, "a"); err != nil {
				t.Error(err)
			}
			if err := b.Delete(ctx, "a"); err != nil {
				t.Errorf("again: %v", err)
			}
			_, err = b.Get(ctx, "a")
			want(t, fault.NotFound, err)
			if all, err := b.List(ctx); err != nil || len(all) != 0 {
				t.Errorf("List = %+v, %v", all, err)
			}
		})
	}
}

func TestTheFirstWriterWins(t *testing.T) {
	c := streamstest.Start(t)
	b := presence(t, c)
	var all sync.WaitGroup
	won := make(chan string, 8)
	for i := range 8 {
		all.Go(func() {
			value := fmt.Sprint(i)
			_, err := b.Create(c.Context(), "k", []byte(value))
			if err == nil {
				won <- value
				return
			}
			want(t, fault.Conflict, err)
		})
	}
	all.Wait()
	close(won)
	winners := []string{}
	for w := range won {
		winners = append(winners, w)
	}
	e, err := b.Get(c.Context(), "k")
	if err != nil || len(winners) != 1 || string(e.Value) != winners[0] {
		t.Errorf("%v won, and it holds %+v, %v", winners, e, err)
	}
	if err := b.Delete(c.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	_, err = b.CreateTTL(c.Context(), "k", []byte("next"), time.Hour)
	if err != nil {
		t.Errorf("after its end: %v", err)
	}
	_, err = b.Create(c.Context(), "k", nil)
	want(t, fault.Conflict, err)
}

// fill writes keys to the leaf's bucket without waiting for each; when it returns, all are stored.
func fill(t *testing.T, c *streamstest.Cluster, keys []string, value func(key string) []byte) {
	t.Helper()
	for i, key := range keys {
		subject, err := streams.BucketKeySubject(streams.BucketPresence, key)
		if err == nil && i < len(keys)-1 {
			err = c.LeafConn.Publish(subject, value(key))
		} else if err == nil { // the stream takes what one connection sends in order: this answer is for all
			_, err = c.LeafConn.Request(subject, value(key), streamstest.Wait)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestManyKeys(t *testing.T) {
	c := streamstest.Start(t)
	b := presence(t, c)
	if got, err := b.GetMany(c.Context(), nil); err != nil || len(got) != 0 {
		t.Errorf("none = %v, %v", got, err)
	}
	const many = 1500 // more than one answer holds
	keys := make([]string, many)
	for i := range keys {
		keys[i] = fmt.Sprintf("eu1.w%d.u%d.g", i%2, i)
	}
	fill(t, c, keys, func(key string) []byte { return []byte(key) })
	rev, err := b.Put(c.Context(), "eu1.g", nil)
	must(t, rev, err)
	got, err := b.GetMany(c.Context(), append(keys, "eu1.w.nobody.g"))
	if err != nil || len(got) != many || string(got[keys[7]].Value) != keys[7] {
		t.Errorf("GetMany has %d keys, %v", len(got), err)
	}
	half, err := b.List(c.Context(), "*.w1.*.*")
	if err != nil || len(half) != many/2 || half[0].Key != keys[1] {
		t.Errorf("List has %d keys, %v", len(half), err)
	}
	all, err := b.List(c.Context())
	if err != nil || len(all) != many+1 {
		t.Errorf("List of all has %d keys, %v", len(all), err)
	}
	if !slices.IsSortedFunc(all, func(a, b kv.Entry) int { return int(a.Revision) - int(b.Revision) }) {
		t.Error("List is not in the order of the revisions")
	}
	s := watch(t, b, "*.w0.*.*", "eu1.g")
	s.until("a watch of many", func() bool { return s.wholes == 1 && len(s.copy) == many/2+1 })
}

func TestBadNamesAreRefused(t *testing.T) {
	c := streamstest.Start(t)
	conn := dial(t, c.LeafURL())
	if _, err := kv.Open(kv.Config{Conn: conn, Domain: streams.HubDomain, Name: "other"}); !errors.Is(err, streams.ErrBadBucket) {
		t.Error(err)
	}
	if _, err := kv.Open(kv.Config{Conn: conn, Domain: "a.b", Name: streams.BucketRegistry}); !errors.Is(err, streams.ErrBadDomain) {
		t.Error(err)
	}
	b := open(t, conn, streams.HubDomain, streams.BucketRegistry)
	for _, key := range []string{"", "*", "a.>", "A", "a..b", "a b", "a.b.c.d.e"} {
		_, err := b.Put(c.Context(), key, nil)
		want(t, fault.Invalid, err)
		_, err = b.Create(c.Context(), key, nil)
		want(t, fault.Invalid, err)
		_, err = b.Get(c.Context(), key)
		want(t, fault.Invalid, err)
		want(t, fault.Invalid, b.Delete(c.Context(), key))
	}
	want(t, fault.Invalid, b.Watch(c.Context(), []string{"a", "B"}, func(kv.Entry) { t.Error("told something") }))
	for _, overlap := range [][]string{{"a.*", "a.b"}, {"a", "a"}} {
		want(t, fault.Invalid, b.Watch(c.Context(), overlap, func(kv.Entry) { t.Error("told something") }))
	}
	_, err := b.List(c.Context(), "$KV")
	want(t, fault.Invalid, err)
	_, err = b.PutTTL(c.Context(), "a", nil, 0)
	want(t, fault.Invalid, err)
	_, err = b.CreateTTL(c.Context(), "a", nil, -1)
	want(t, fault.Invalid, err)
}

func TestABucketThatIsNotThereIsUnavailable(t *testing.T) {
	c := streamstest.Start(t)
	b := open(t, dial(t, c.LeafURL()), streamstest.Region, streams.BucketPresence)
	_, err := b.Put(c.Context(), "a", nil)
	want(t, fault.Unavailable, err)
	_, err = b.Get(c.Context(), "a")
	want(t, fault.Unavailable, err)
	_, err = b.GetMany(c.Context(), []string{"a"})
	want(t, fault.Unavailable, err)
}

func TestAKeyEndsWithItsTTLAndAWatcherIsTold(t *testing.T) {
	t.Parallel()
	c := streamstest.Start(t)
	for name, b := range map[string]*kv.Bucket{
		"in memory, on the leaf":     presence(t, c),
		"in files, through the leaf": open(t, dial(t, c.LeafURL()), streams.HubDomain, streams.BucketRevocations),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := watch(t, b)
			s.until("it is empty", s.holds(map[string]string{}))
			rev, err := b.PutTTL(c.Context(), "short", []byte("1"), time.Millisecond) // rounded up to a second
			must(t, rev, err)
			rev, err = b.PutTTL(c.Context(), "kept", []byte("1"), time.Second)
			must(t, rev, err)
			rev, err = b.Put(c.Context(), "kept", []byte("2")) // takes the TTL away
			must(t, rev, err)
			s.until("it was told", func() bool { return s.copy["kept"] == "2" })
			s.until("it ended", func() bool { return slices.Contains(s.deaths, "short") })
			_, err = b.Get(c.Context(), "short")
			want(t, fault.NotFound, err)
			if e, err := b.Get(c.Context(), "kept"); err != nil || string(e.Value) != "2" {
				t.Errorf("Get = %+v, %v", e, err)
			}
			rev, err = b.Create(c.Context(), "short", []byte("again"))
			must(t, rev, err)
			s.until("it is there again", s.holds(map[string]string{"short": "again", "kept": "2"}))
			if s.starts != 1 || s.wholes != 1 {
				t.Errorf("%d starts, %d wholes", s.starts, s.wholes)
			}
		})
	}
}

func TestAWatchGivesWhatIsThereThenChanges(t *testing.T) {
	c := streamstest.Start(t)
	hub := open(t, dial(t, c.HubURL()), streams.HubDomain, streams.BucketRegistry)
	leaf := open(t, dial(t, c.LeafURL()), streams.HubDomain, streams.BucketRegistry)
	for _, key := range []string{"gateway.a", "gateway.b", "api.c"} {
		rev, err := hub.Put(c.Context(), key, []byte("1"))
		must(t, rev, err)
	}
	if err := hub.Delete(c.Context(), "gateway.b"); err != nil {
		t.Fatal(err)
	}
	s := watch(t, leaf, "gateway.*")
	s.until("what is there", s.holds(map[string]string{"gateway.a": "1"}))
	rev, err := hub.Put(c.Context(), "gateway.d", []byte("1"))
	must(t, rev, err)
	rev, err = leaf.Put(c.Context(), "gateway.a", []byte("2"))
	must(t, rev, err)
	s.until("changes", s.holds(map[string]string{"gateway.a": "2", "gateway.d": "1"}))
	if err := hub.Delete(c.Context(), "gateway.a"); err != nil {
		t.Fatal(err)
	}
	s.until("a delete", s.holds(map[string]string{"gateway.d": "1"}))
	if s.starts != 1 {
		t.Errorf("%d starts", s.starts)
	}
}

func TestAWatchOfTheHubsBucketSurvivesACutLink(t *testing.T) {
	t.Parallel()
	c := streamstest.Start(t)
	hub := open(t, dial(t, c.HubURL()), streams.HubDomain, streams.BucketRevocations)
	leaf := open(t, dial(t, c.LeafURL()), streams.HubDomain, streams.BucketRevocations)
	rev, err := hub.Put(c.Context(), "a", []byte("1"))
	must(t, rev, err)
	s := watch(t, leaf)
	s.until("what is there", s.holds(map[string]string{"a": "1"}))
	c.Link.Cut()
	c.WaitUnlinked()
	_, err = leaf.Put(c.Context(), "x", nil)
	want(t, fault.Unavailable, err)
	if err := hub.Delete(c.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	rev, err = hub.Put(c.Context(), "b", []byte("1"))
	must(t, rev, err)
	c.Link.Restore()
	s.until("what happened meanwhile", s.holds(map[string]string{"b": "1"}))
}

func TestAWatchSurvivesARestartOfTheHub(t *testing.T) {
	t.Parallel()
	c := streamstest.Start(t)
	hub := open(t, dial(t, c.HubURL()), streams.HubDomain, streams.BucketRevocations)
	rev, err := hub.Put(c.Context(), "a", []byte("1"))
	must(t, rev, err)
	s := watch(t, hub)
	s.until("what is there", s.holds(map[string]string{"a": "1"}))
	c.RestartHub()
	s.until("it begins again", func() bool { return s.starts > 1 && s.wholes == s.starts && s.copy["a"] == "1" })
	other := open(t, dial(t, c.HubURL()), streams.HubDomain, streams.BucketRevocations)
	rev, err = other.Put(c.Context(), "b", []byte("1"))
	must(t, rev, err)
	s.until("it goes on", s.holds(map[string]string{"a": "1", "b": "1"}))
}

func TestAWatchMakesABucketAnewThatWentWithItsLeaf(t *testing.T) {
	t.Parallel()
	c := streamstest.Start(t)
	b := presence(t, c)
	rev, err := b.Put(c.Context(), "eu1.w.u.g", []byte("online"))
	must(t, rev, err)
	s := watch(t, b)
	s.until("what is there", s.holds(map[string]string{"eu1.w.u.g": "online"}))
	c.RestartLeaf()
	s.until("it begins again, empty", func() bool { return s.starts > 1 && s.wholes == s.starts && len(s.copy) == 0 })
	rev, err = b.Put(c.Context(), "eu1.w.v.g", []byte("away"))
	must(t, rev, err)
	s.until("it goes on", s.holds(map[string]string{"eu1.w.v.g": "away"}))
}

func TestAWatchNoticesALostConsumer(t *testing.T) {
	t.Parallel()
	c := streamstest.Start(t)
	b := presence(t, c)
	rev, err := b.Put(c.Context(), "a", []byte("1"))
	must(t, rev, err)
	s := watch(t, b)
	s.until("what is there", s.holds(map[string]string{"a": "1"}))
	// What a new leader that does not know the consumer does: the bucket is there, and the consumer is not.
	names, err := c.LeafConn.Request("$JS."+streamstest.Region+".API.CONSUMER.NAMES.KV_presence", nil, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		Consumers []string `json:"consumers"`
	}
	decode(t, names, &list)
	if len(list.Consumers) != 1 {
		t.Fatalf("a watch has the consumers %v", list.Consumers)
	}
	if _, err := c.LeafConn.Request("$JS."+streamstest.Region+".API.CONSUMER.DELETE.KV_presence."+list.Consumers[0], nil, time.Second); err != nil {
		t.Fatal(err)
	}
	rev, err = b.Put(c.Context(), "b", []byte("1"))
	must(t, rev, err)
	s.until("it begins again", func() bool { return s.starts == 2 && s.holds(map[string]string{"a": "1", "b": "1"})() })
}

func TestASlowHandlerIsNotOverrun(t *testing.T) {
	t.Parallel()
	c := streamstest.Start(t)
	b := presence(t, c)
	const many = 3000
	keys := make([]string, many)
	for i := range keys {
		keys[i] = fmt.Sprintf("k%d", i)
	}
	fill(t, c, keys, func(string) []byte { return make([]byte, 4000) })
	ctx, cancel := context.WithTimeout(t.Context(), streamstest.Wait)
	defer cancel()
	got, starts := 0, 0
	if err := b.Watch(ctx, nil, func(e kv.Entry) {
		switch e.Op {
		case kv.Start:
			starts++
		case kv.Put:
			got++
			if got%100 == 0 {
				time.Sleep(10 * time.Millisecond)
			}
		case kv.Complete:
			cancel()
		}
	}); err != nil {
		t.Fatal(err)
	}
	if got != many || starts != 1 {
		t.Errorf("%d entries in %d starts", got, starts)
	}
}

func TestNothingRunsOn(t *testing.T) {
	c := streamstest.Start(t)
	before := goleak.IgnoreCurrent()
	conn := dial(t, c.LeafURL())
	b := open(t, conn, streams.HubDomain, streams.BucketRegistry)
	ctx, cancel := context.WithCancel(t.Context())
	var run sync.WaitGroup
	told := make(chan struct{})
	run.Go(func() {
		if err := b.Watch(ctx, nil, func(e kv.Entry) {
			if e.Op == kv.Complete {
				close(told)
			}
		}); err != nil {
			t.Error(err)
		}
	})
	<-told
	if _, err := b.List(c.Context()); err != nil {
		t.Error(err)
	}
	cancel()
	run.Wait()
	if n := conn.NATS().NumSubscriptions(); n > 2 { // the inboxes of the connection
		t.Errorf("%d subscriptions are left", n)
	}
	conn.Close()
	goleak.VerifyNone(t, before)
}

func decode(t *testing.T, m *nats.Msg, into any) {
	t.Helper()
	if err := json.Unmarshal(m.Data, into); err != nil {
		t.Fatal(err)
	}
}
