package registry_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/kv"
	"github.com/canopychat/canopy/streams/registry"
	"github.com/canopychat/canopy/streams/streamstest"
)

var quiet = slog.New(slog.DiscardHandler)

// bucket is a bucket in memory, without a server: it notes when what was put, and tells one watcher.
type bucket struct {
	mu    sync.Mutex
	down  bool
	start time.Time
	puts  []time.Duration // since start
	last  rpc.Process
	gone  []string
	tell  func(kv.Entry)
}

func (b *bucket) Put(_ context.Context, key string, value []byte) (kv.Revision, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.puts = append(b.puts, time.Since(b.start))
	if b.down {
		return 0, bus.Unavailable(errors.New("down"))
	}
	return kv.Revision(len(b.puts)), json.Unmarshal(value, &b.last)
}

func (b *bucket) Delete(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gone = append(b.gone, key)
	return nil
}

func (b *bucket) Watch(ctx context.Context, _ []string, handle func(kv.Entry)) error {
	b.tell = handle
	<-ctx.Done()
	return nil
}

func announce(t *testing.T, b registry.Store, sockets *int) *registry.Announce {
	t.Helper()
	a, err := registry.NewAnnounce(registry.AnnounceConfig{
		Store: b, Role: "gateway", ID: "g1", Logger: quiet, Entry: func() rpc.Process { return rpc.Process{Sockets: *sockets} },
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// run starts Run and returns what ends it.
func run(t *testing.T, f func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := f(ctx); err != nil {
			t.Error(err)
		}
	})
	return sync.OnceFunc(func() { cancel(); running.Wait() })
}

func TestAnEntryIsPutAtOnceAndRefreshed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, sockets := &bucket{start: time.Now()}, 3
		stop := run(t, announce(t, b, &sockets).Run)
		time.Sleep(11 * time.Second)
		stop()
		if want := []time.Duration{0, 5 * time.Second, 10 * time.Second}; !slices.Equal(b.puts, want) {
			t.Errorf("put at %v, want %v", b.puts, want)
		}
		if b.last.ID != "g1" || b.last.Role != "gateway" || b.last.Sockets != 3 {
			t.Errorf("%+v", b.last)
		}
		if !slices.Equal(b.gone, []string{"gateway.g1"}) {
			t.Errorf("at the end, deleted %v", b.gone)
		}
	})
}

func TestAChangeIsPutSoonAndManyChangesMakeFewPuts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, sockets := &bucket{start: time.Now()}, 0
		a := announce(t, b, &sockets)
		stop := run(t, a.Run)
		time.Sleep(2 * time.Second)
		a.Changed()
		synctest.Wait()
		for range 100 { // a second
			a.Changed()
			time.Sleep(10 * time.Millisecond)
		}
		stop()
		if len(b.puts) < 2 || b.puts[1] != 2*time.Second {
			t.Fatalf("put at %v", b.puts)
		}
		for i := 2; i < len(b.puts); i++ {
			if gap := b.puts[i] - b.puts[i-1]; gap < 250*time.Millisecond {
				t.Errorf("put at %v", b.puts)
			}
		}
		if len(b.puts) < 5 || len(b.puts) > 6 {
			t.Errorf("put at %v", b.puts)
		}
	})
}

func TestAFailedPutIsRepeatedSoonerThanARefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, sockets := &bucket{start: time.Now(), down: true}, 1
		stop := run(t, announce(t, b, &sockets).Run)
		time.Sleep(time.Second)
		b.mu.Lock()
		tries := len(b.puts)
		b.down = false
		b.mu.Unlock()
		time.Sleep(time.Minute)
		stop()
		if tries < 2 || tries > 5 {
			t.Errorf("%d attempts in a second", tries)
		}
		if b.last.Sockets != 1 {
			t.Error("it was never put")
		}
	})
}

func entry(op kv.Op, key string, p rpc.Process) kv.Entry {
	value, err := json.Marshal(p)
	if err != nil {
		panic(err)
	}
	return kv.Entry{Op: op, Key: key, Value: value}
}

func TestAViewHidesWhatIsTooOldByItsOwnClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bucket{}
		v, err := registry.NewView(registry.ViewConfig{Source: b, Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		defer run(t, v.Run)()
		synctest.Wait()
		if v.Complete() || len(v.Entries()) != 0 {
			t.Error("it knows something before it was told")
		}
		b.tell(kv.Entry{Op: kv.Start})
		b.tell(entry(kv.Put, "gateway.b", rpc.Process{ID: "lie", Role: "lie"}))
		b.tell(entry(kv.Put, "gateway.a", rpc.Process{}))
		b.tell(kv.Entry{Op: kv.Complete})
		if got := order(v.Entries()); !v.Complete() || !slices.Equal(got, []string{"a", "b"}) || v.Entries()[0].Role != "gateway" {
			t.Errorf("%v", v.Entries())
		}
		time.Sleep(registry.Refresh)
		b.tell(entry(kv.Put, "gateway.b", rpc.Process{}))
		time.Sleep(registry.TTL - registry.Refresh) // nobody says anything: the watch is cut
		if got := order(v.Entries()); !slices.Equal(got, []string{"b"}) {
			t.Errorf("a is shown after its TTL: %v", got)
		}
		time.Sleep(registry.Refresh)
		if got := v.Entries(); len(got) != 0 {
			t.Errorf("%v", got)
		}
	})
}

func TestAViewDropsWhatIsNotToldAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bucket{}
		v, err := registry.NewView(registry.ViewConfig{Source: b, Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		defer run(t, v.Run)()
		synctest.Wait()
		for _, ids := range [][]string{{"a", "b", "c"}, {"b"}} {
			b.tell(kv.Entry{Op: kv.Start})
			for _, id := range ids {
				b.tell(entry(kv.Put, "gateway."+id, rpc.Process{}))
			}
			if got := order(v.Entries()); !slices.Equal(got, []string{"a", "b", "c"}) {
				t.Errorf("before the end of a round: %v", got)
			}
			b.tell(kv.Entry{Op: kv.Complete})
		}
		b.tell(entry(kv.Put, "gateway.d", rpc.Process{}))
		b.tell(kv.Entry{Op: kv.Put, Key: "gateway.d", Value: []byte("no JSON")})
		b.tell(entry(kv.Put, "not.a.process", rpc.Process{}))
		if got := order(v.Entries()); !slices.Equal(got, []string{"b"}) {
			t.Errorf("%v", got)
		}
		b.tell(kv.Entry{Op: kv.Delete, Key: "gateway.b"})
		if got := v.Entries(); len(got) != 0 {
			t.Errorf("%v", got)
		}
	})
}

func TestNamesOfProcessesAreIDs(t *testing.T) {
	for _, bad := range []string{"", "*", "a.b", "A"} {
		if _, err := registry.NewAnnounce(registry.AnnounceConfig{Role: bad, ID: "p"}); !errors.Is(err, chat.ErrBadID) {
			t.Errorf("role %q: %v", bad, err)
		}
		if _, err := registry.NewAnnounce(registry.AnnounceConfig{Role: "api", ID: bad}); !errors.Is(err, chat.ErrBadID) {
			t.Errorf("id %q: %v", bad, err)
		}
		if _, err := registry.NewView(registry.ViewConfig{Role: bad}); bad != "" && !errors.Is(err, chat.ErrBadID) {
			t.Errorf("view of %q: %v", bad, err)
		}
	}
}

func TestTheBucketEndsAnEntryAfterTTL(t *testing.T) {
	text, err := fs.ReadFile(streams.Files(), "KV_registry.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		MaxAge time.Duration `json:"max_age"`
	}
	if err := json.Unmarshal(text, &file); err != nil || file.MaxAge != registry.TTL {
		t.Errorf("max_age is %v, %v; want %v", file.MaxAge, err, registry.TTL)
	}
}

func TestProcessesOnBothSidesOfALinkKnowEachOther(t *testing.T) {
	c := streamstest.Start(t)
	open := func(url string) *kv.Bucket {
		conn, err := bus.Dial(bus.DialConfig{URL: url, Role: "test", Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(conn.Close)
		if err := conn.Ready(c.Context()); err != nil {
			t.Fatal(err)
		}
		b, err := kv.Open(kv.Config{Conn: conn, Domain: streams.HubDomain, Name: streams.BucketRegistry})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	hub, leaf := open(c.HubURL()), open(c.LeafURL())
	all, err := registry.NewView(registry.ViewConfig{Source: leaf, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	apis, err := registry.NewView(registry.ViewConfig{Source: hub, Role: "api", Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer run(t, all.Run)()
	defer run(t, apis.Run)()
	sockets := 0
	var mu sync.Mutex
	g, err := registry.NewAnnounce(registry.AnnounceConfig{Store: leaf, Role: "gateway", ID: "g1", Logger: quiet, Entry: func() rpc.Process {
		mu.Lock()
		defer mu.Unlock()
		return rpc.Process{Sockets: sockets}
	}})
	if err != nil {
		t.Fatal(err)
	}
	a, err := registry.NewAnnounce(registry.AnnounceConfig{Store: hub, Role: "api", ID: "a1", Logger: quiet, Entry: func() rpc.Process { return rpc.Process{} }})
	if err != nil {
		t.Fatal(err)
	}
	stopG, stopA := run(t, g.Run), run(t, a.Run)
	defer stopA()
	defer stopG()
	shows := func(v *registry.View, want ...string) {
		t.Helper()
		for end := time.Now().Add(streamstest.Wait); ; time.Sleep(5 * time.Millisecond) {
			got := order(v.Entries())
			if slices.Equal(got, want) {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("it shows %v, not %v", got, want)
			}
		}
	}
	shows(all, "a1", "g1")
	shows(apis, "a1")
	mu.Lock()
	sockets = 5
	mu.Unlock()
	g.Changed()
	for end := time.Now().Add(streamstest.Wait); all.Entries()[1].Sockets != 5; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the change was not told")
		}
	}
	stopG()
	shows(all, "a1")
	stopA()
	shows(all)
	shows(apis)
}
