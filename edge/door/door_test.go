package door_test

import (
	"fmt"
	"net/netip"
	"slices"
	"sort"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/canopychat/canopy/edge/door"
)

// Five thousand at once are in after a known time, when each comes back at the moment that it is told; and never more
// than the rate come in.
func TestACrowdOfFiveThousand(t *testing.T) {
	const crowd, rate, burst = 5000, 500, 100
	start := time.Unix(1_700_000_000, 0)
	p := door.Pacer{Rate: rate, Burst: burst}
	type arrival struct {
		at    time.Duration
		tries int
	}
	var queue []arrival
	for range crowd {
		queue = append(queue, arrival{})
	}
	var in []time.Duration
	chance, most := 0.0, 0
	for len(queue) > 0 {
		sort.SliceStable(queue, func(i, j int) bool { return queue[i].at < queue[j].at })
		var later []arrival
		for _, a := range queue {
			wait := p.Take(start.Add(a.at))
			if wait == 0 {
				in = append(in, a.at)
				continue
			}
			chance = min(0.999, chance+0.37)
			if chance >= 0.999 {
				chance = 0.01
			}
			a.tries++
			most = max(most, a.tries)
			a.at += door.Spread(wait, chance)
			later = append(later, a)
		}
		queue = later
	}
	slices.Sort(in)
	if last := in[len(in)-1]; last < crowd/rate*time.Second*9/10 || last > 3*crowd/rate*time.Second {
		t.Errorf("the last one is in after %v", last)
	}
	for i := range in {
		if j := i - rate - burst; j >= 0 && in[i]-in[j] < time.Second-time.Millisecond {
			t.Fatalf("%d came in within %v", rate+burst, in[i]-in[j])
		}
	}
	if most > 20 {
		t.Errorf("somebody asked %d times", most)
	}
}

func TestPacer(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	var open door.Pacer
	for range 1000 {
		if open.Take(now) != 0 {
			t.Fatal("the zero Pacer turns somebody away")
		}
	}
	p := door.Pacer{Rate: 10, Burst: 2}
	var got []string
	for range 5 {
		got = append(got, p.Take(now).String())
	}
	if want := "[0s 0s 100ms 200ms 300ms]"; fmt.Sprint(got) != want {
		t.Errorf("%v, not %s", got, want)
	}
	if wait := p.Take(now.Add(100 * time.Millisecond)); wait != 0 {
		t.Errorf("at the time that it was told: %v", wait)
	}
	if wait := p.Take(now.Add(time.Hour)); wait != 0 {
		t.Errorf("an hour later: %v", wait)
	}
	slow := door.Pacer{Rate: 0.001}
	slow.Take(now)
	if wait := slow.Take(now); wait > 1000*time.Second || wait <= 0 {
		t.Errorf("one in a thousand seconds: %v", wait)
	}
}

func TestSpreadGrowsWithTheWait(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		wait := time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "wait"))
		got := door.Spread(wait, rapid.Float64Range(0, 0.999).Draw(t, "chance"))
		if got < wait*3/4 || got > wait*5/4+101*time.Millisecond || got <= 0 {
			t.Fatalf("%v becomes %v", wait, got)
		}
	})
}

var trusted = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}

func TestAddress(t *testing.T) {
	for _, tt := range []struct {
		name, remote string
		forwarded    []string
		want         string
	}{
		{"direct", "192.0.2.1:80", nil, "192.0.2.1"},
		{"a client that claims another", "192.0.2.1:80", []string{"198.51.100.1"}, "192.0.2.1"},
		{"behind our proxy", "10.0.0.1:80", []string{"192.0.2.7"}, "192.0.2.7"},
		{"behind two, with a claim", "10.0.0.1:80", []string{"198.51.100.1, 192.0.2.7, 10.9.9.9"}, "192.0.2.7"},
		{"over two lines", "10.0.0.1:80", []string{"198.51.100.1", "192.0.2.7", "10.9.9.9"}, "192.0.2.7"},
		{"our proxy for nobody", "10.0.0.1:80", nil, "10.0.0.1"},
		{"nonsense of the client", "10.0.0.1:80", []string{"unknown, 10.0.0.2"}, "10.0.0.2"},
		{"nonsense only", "10.0.0.1:80", []string{"_hidden"}, "10.0.0.1"},
		{"empty", "10.0.0.1:80", []string{""}, "10.0.0.1"},
		{"IPv6", "[2001:db8::1]:80", nil, "2001:db8::1"},
		{"IPv6 behind ours, with a port", "[fd00::1]:80", []string{"[2001:db8::2]:4711"}, "2001:db8::2"},
		{"IPv4 in IPv6", "[::ffff:10.0.0.1]:80", []string{"::ffff:192.0.2.7"}, "192.0.2.7"},
		{"a zone", "[fe80::1%eth0]:80", nil, "fe80::1"},
		{"all are ours", "10.0.0.1:80", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"a Unix socket", "@", nil, "invalid IP"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := door.Address(tt.remote, tt.forwarded, trusted).String(); got != tt.want {
				t.Errorf("%s, not %s", got, tt.want)
			}
		})
	}
}

// FuzzAddress: whatever a client writes, it is not taken for an address that our own proxy did not write.
func FuzzAddress(f *testing.F) {
	f.Add("198.51.100.1", "192.0.2.7")
	f.Add("", "10.0.0.9")
	f.Add("[::1]:99999, , %", "fd00::1")
	f.Fuzz(func(t *testing.T, claim, real string) {
		addr, err := netip.ParseAddr(real)
		if err != nil || addr.Zone() != "" {
			return
		}
		addr = addr.Unmap()
		got := door.Address("10.0.0.1:1", []string{claim + ", " + addr.String()}, trusted)
		ours := slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(addr) })
		if !ours && got != addr || !got.IsValid() {
			t.Fatalf("%q before %s is %s", claim, addr, got)
		}
	})
}
