package limit_test

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"pgregory.net/rapid"

	"github.com/canopychat/canopy/edge/limit"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func rates() *rapid.Generator[limit.Rate] {
	return rapid.Custom(func(t *rapid.T) limit.Rate {
		return limit.Rate{
			PerSecond: rapid.OneOf(rapid.Float64Range(0.001, 10), rapid.Float64Range(1, 1e6)).Draw(t, "a second"),
			Burst:     rapid.IntRange(0, 20).Draw(t, "burst"),
		}
	})
}

// gaps are times between two questions, of the size in which a bucket of that rate moves.
func gaps(r limit.Rate) *rapid.Generator[time.Duration] {
	unit := float64(time.Second) / r.PerSecond
	return rapid.OneOf(rapid.Just(time.Duration(0)), rapid.Map(rapid.Float64Range(0, 5), func(f float64) time.Duration { return time.Duration(f * unit) }))
}

func TestNoWindowHasMoreThanBurstAndRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rates().Draw(t, "rate")
		type taken struct {
			at time.Duration
			n  int
		}
		var b limit.Bucket
		var all []taken
		now := time.Duration(0)
		for range rapid.IntRange(1, 60).Draw(t, "questions") {
			now += gaps(r).Draw(t, "gap")
			n := rapid.IntRange(1, max(r.Burst, 1)).Draw(t, "n")
			if ok, _ := b.Take(r, n, now); ok {
				all = append(all, taken{now, n})
			}
		}
		for i := range all {
			sum := 0
			for _, last := range all[i:] {
				sum += last.n
				most := float64(max(r.Burst, 1)) + r.PerSecond*(last.at-all[i].at).Seconds()
				if float64(sum) > most+1e-6 {
					t.Fatalf("%d in %v, of at most %v (%+v)", sum, last.at-all[i].at, most, r)
				}
			}
		}
	})
}

func TestRetryAfterIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rates().Draw(t, "rate")
		l := limit.New[string](limit.Config{Rate: r}, epoch)
		now := epoch
		for range rapid.IntRange(1, 40).Draw(t, "questions") {
			now = now.Add(gaps(r).Draw(t, "gap"))
			n := rapid.IntRange(1, max(r.Burst, 1)).Draw(t, "n")
			ok, retry := l.Allow("k", n, now)
			if ok {
				if retry != 0 {
					t.Fatalf("allowed, and to be tried again after %v", retry)
				}
				continue
			}
			if retry <= 0 || retry == limit.Never {
				t.Fatalf("refused, and to be tried again after %v", retry)
			}
			if ok, left := l.Allow("k", n, now.Add(retry-1)); ok || left != 1 {
				t.Fatalf("a nanosecond before: %v, %v", ok, left)
			}
			now = now.Add(retry)
			if ok, _ := l.Allow("k", n, now); !ok {
				t.Fatalf("refused after %v", retry)
			}
		}
	})
}

func TestABurstThenTheRate(t *testing.T) {
	l := limit.New[string](limit.Config{Rate: limit.Rate{PerSecond: 2, Burst: 3}}, epoch)
	for i := range 3 {
		if ok, _ := l.Allow("k", 1, epoch); !ok {
			t.Fatalf("refused %d of 3", i)
		}
	}
	if ok, retry := l.Allow("k", 1, epoch); ok || retry != 500*time.Millisecond {
		t.Errorf("the fourth: %v, %v", ok, retry)
	}
	if ok, retry := l.Allow("k", 2, epoch); ok || retry != time.Second {
		t.Errorf("two more: %v, %v", ok, retry)
	}
	if ok, _ := l.Allow("other", 3, epoch); !ok {
		t.Error("another key has a bucket of its own")
	}
	if ok, retry := l.Allow("k", 4, epoch.Add(time.Hour)); ok || retry != limit.Never {
		t.Errorf("more than a burst: %v, %v", ok, retry)
	}
	if ok, _ := l.Allow("k", 3, epoch.Add(1500*time.Millisecond)); !ok {
		t.Error("it is full again after burst/rate")
	}
}

func TestNoRateIsNoLimit(t *testing.T) {
	for _, r := range []limit.Rate{{}, {Burst: 3}, {PerSecond: -1, Burst: 3}, {PerSecond: math.NaN()}} {
		l := limit.New[int](limit.Config{Rate: r}, epoch)
		for range 1000 {
			if ok, retry := l.Allow(1, 100, epoch); !ok || retry != 0 {
				t.Fatalf("%+v: %v, %v", r, ok, retry)
			}
		}
		if c := l.Counts(); c.Keys != 0 || r.Limited() {
			t.Errorf("%+v: it remembers %+v", r, c)
		}
	}
	l := limit.New[int](limit.Config{Rate: limit.Rate{PerSecond: 1}}, epoch)
	if ok, _ := l.Allow(1, 1, epoch); !ok {
		t.Error("a burst of 0 is one of 1")
	}
	if ok, _ := l.Allow(1, 0, epoch); !ok {
		t.Error("nothing is always allowed")
	}
}

func TestAClockThatGoesBackGivesNothingBack(t *testing.T) {
	l := limit.New[string](limit.Config{Rate: limit.Rate{PerSecond: 1, Burst: 1}, Max: 1}, epoch)
	at := func(d time.Duration) time.Time { return epoch.Add(d) }
	if ok, _ := l.Allow("k", 1, at(10*time.Second)); !ok {
		t.Fatal("refused the first")
	}
	for _, early := range []time.Duration{0, -time.Hour, 5 * time.Second, 10 * time.Second} {
		ok, retry := l.Allow("k", 1, at(early))
		if want := 11*time.Second - max(early, 0); ok || retry != want {
			t.Errorf("at %v: %v, %v; want to wait %v", early, ok, retry, want)
		}
	}
}

func TestKeysAreBounded(t *testing.T) {
	const most = 640
	l := limit.New[int](limit.Config{Rate: limit.Rate{PerSecond: 1, Burst: 2}, Max: most}, epoch)
	allowed := 0
	for key := range 100 * most { // all at once: nobody is idle
		if ok, _ := l.Allow(key, 2, epoch); ok {
			allowed++
		}
	}
	c := l.Counts()
	if c.Keys > most || c.Evicted != 0 || c.Crowded == 0 {
		t.Errorf("%+v, of %d", c, most)
	}
	if allowed > most+64 { // the crowd of each shard once
		t.Errorf("%d keys were allowed", allowed)
	}
	for key := range 100 * most { // later, one after the other: the others are idle again
		if ok, retry := l.Allow(key, 1, epoch.Add(time.Duration(key)*50*time.Millisecond+time.Hour)); !ok {
			t.Fatalf("key %d has to wait %v among idle ones", key, retry)
		}
	}
	if c := l.Counts(); c.Keys > most || c.Evicted == 0 {
		t.Errorf("%+v, of %d", c, most)
	}
}

func TestABusyKeyKeepsItsBucketAmongManyOthers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := limit.Rate{PerSecond: 10, Burst: 5}
		tight := limit.New[int](limit.Config{Rate: r, Max: 64 * 4}, epoch)
		var alone limit.Bucket
		now := time.Duration(0)
		for range rapid.IntRange(1, 300).Draw(t, "questions") {
			want, wait := alone.Take(r, 1, now)
			if got, retry := tight.Allow(0, 1, epoch.Add(now)); got != want || retry != wait {
				t.Fatalf("among others %v, %v; alone %v, %v", got, retry, want, wait)
			}
			// A unit comes back in 100 ms: it stays busy until it asks again.
			now += time.Duration(rapid.IntRange(0, 99).Draw(t, "ms")) * time.Millisecond
			for other := range 20 {
				tight.Allow(1+rapid.IntRange(0, 500).Draw(t, "other")*20+other, 1, epoch.Add(now))
			}
		}
	})
}

func TestManyGoroutinesShareABucket(t *testing.T) {
	l := limit.New[string](limit.Config{Rate: limit.Rate{PerSecond: 1, Burst: 100}, Max: 200}, epoch)
	var allowed [3]atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 300 {
				key := i % 3
				if ok, _ := l.Allow(fmt.Sprint(key), 1, epoch); ok {
					allowed[key].Add(1)
				}
				l.Counts()
			}
		})
	}
	all.Wait()
	for key := range allowed {
		if n := allowed[key].Load(); n != 100 {
			t.Errorf("key %d: %d allowed, of 100", key, n)
		}
	}
}

func TestABucketIsSixteenBytes(t *testing.T) {
	if n := unsafe.Sizeof(limit.Bucket{}); n != 16 {
		t.Errorf("%d bytes", n)
	}
}

func TestAllowingAllocatesNothing(t *testing.T) {
	l := limit.New[string](limit.Config{Rate: limit.Rate{PerSecond: 1, Burst: 1}}, epoch)
	l.Allow("k", 1, epoch)
	if n := testing.AllocsPerRun(100, func() { l.Allow("k", 1, epoch) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzTake(f *testing.F) {
	f.Add(1.0, 5, 1, int64(0), int64(time.Second))
	f.Add(1e-300, math.MaxInt, math.MaxInt, int64(math.MaxInt64), int64(math.MinInt64))
	f.Add(math.Inf(1), -1, 1, int64(1), int64(0))
	f.Add(5e-324, 1<<62, 7, int64(1<<62), int64(1<<62))
	f.Fuzz(func(t *testing.T, perSecond float64, burst, n int, first, second int64) {
		r := limit.Rate{PerSecond: perSecond, Burst: burst}
		var b limit.Bucket
		for _, now := range []int64{first, second, second} {
			before := b
			ok, retry := b.Take(r, n, time.Duration(now))
			switch {
			case ok != (retry == 0) || retry < 0:
				t.Fatalf("%+v, %d at %d: %v, %v", r, n, now, ok, retry)
			case !ok && (retry == limit.Never) != (n > max(burst, 1)):
				t.Fatalf("%+v, %d at %d: %v", r, n, now, retry)
			}
			at := max(now, 0)
			if ok || retry == limit.Never || at > int64(25*365*24*time.Hour) || int64(retry) > int64(25*365*24*time.Hour) {
				continue // times beyond fifty years count as fifty
			}
			early, due := before, before
			if ok, _ := early.Take(r, n, time.Duration(at)+retry-1); ok {
				t.Fatalf("%+v, %d at %d: allowed before %v", r, n, now, retry)
			}
			if ok, _ := due.Take(r, n, time.Duration(at)+retry); !ok {
				t.Fatalf("%+v, %d at %d: refused after %v", r, n, now, retry)
			}
		}
	})
}

func BenchmarkAllow(b *testing.B) {
	for _, keys := range []int{1, 1000, 1 << 20} { // one that all want, those of a busy room, more than are remembered
		b.Run(fmt.Sprintf("keys=%d", keys), func(b *testing.B) {
			l := limit.New[int](limit.Config{Rate: limit.Rate{PerSecond: 10, Burst: 20}}, epoch)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					l.Allow((i*7919)%keys, 1, epoch.Add(time.Duration(i)*time.Microsecond))
				}
			})
		})
	}
}
