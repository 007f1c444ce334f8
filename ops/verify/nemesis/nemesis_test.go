package nemesis_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canopychat/canopy/ops/verify/lever"
	"github.com/canopychat/canopy/ops/verify/nemesis"
	"github.com/canopychat/canopy/ops/verify/record"
)

// pulled is what happens to a made-up site.
type pulled struct {
	mu     sync.Mutex
	broken map[string]bool
	worst  map[string]int // by fault and tier: so many at once
	beside bool           // something was broken beside what stands alone
	pulls  int
}

func (p *pulled) lever(fault, tier string, i, of, most int, alone bool) lever.Lever {
	name := fmt.Sprintf("%s %s-%d", fault, tier, i)
	return lever.Lever{
		Fault: fault, Tier: tier, Target: fmt.Sprintf("%s-%d", tier, i), Of: of, Most: most, Alone: alone,
		Begin: func(context.Context) error {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.pulls++
			p.broken[name] = true
			n := 0
			for other := range p.broken {
				if strings.HasPrefix(other, fault+" "+tier) {
					n++
				}
			}
			p.worst[fault+" "+tier] = max(p.worst[fault+" "+tier], n)
			if (p.broken["unsynced hub-0"] || p.broken["unsynced hub-1"]) && len(p.broken) > 1 {
				p.beside = true
			}
			return nil
		},
		End: func(context.Context) error {
			p.mu.Lock()
			defer p.mu.Unlock()
			delete(p.broken, name)
			return nil
		},
	}
}

func site() (*pulled, []lever.Lever) {
	p := &pulled{broken: map[string]bool{}, worst: map[string]int{}}
	var all []lever.Lever
	for i := range 3 {
		all = append(all, p.lever("kill", "hub", i, 3, 1, false), p.lever("unsynced", "hub", i, 3, 1, true))
	}
	for i := range 4 {
		all = append(all, p.lever("kill", "gateway", i, 4, 4, false), p.lever("cut", "gateway-leaf", i, 4, 4, false))
	}
	return p, all
}

func names(s nemesis.Step) string {
	var text []string
	for _, p := range s.Pulls {
		for _, l := range p.Levers {
			text = append(text, p.Fault+" "+l.Target)
		}
	}
	return fmt.Sprint(s.Pause, s.Hold, text)
}

// The same seed makes the same plan, in whatever order the levers are given; another makes another.
func TestAPlanIsMadeAgain(t *testing.T) {
	_, levers := site()
	turned := slices.Clone(levers)
	slices.Reverse(turned)
	one, same, other := nemesis.Plan(7, levers), nemesis.Plan(7, turned), nemesis.Plan(8, levers)
	differ := false
	for range 50 {
		a, b, c := names(one()), names(same()), names(other())
		if a != b {
			t.Fatalf("%s, and then %s", a, b)
		}
		differ = differ || a != c
	}
	if !differ {
		t.Error("another seed makes the same plan")
	}
}

// Every kind of fault comes before one comes again, and sometimes nothing is broken.
func TestAPlanHasEveryKind(t *testing.T) {
	_, levers := site()
	next, seen, calm, double := nemesis.Plan(1, levers), map[string]int{}, 0, 0
	for range 200 {
		s := next()
		switch len(s.Pulls) {
		case 0:
			calm++
		case 2:
			double++
		}
		for _, p := range s.Pulls {
			seen[p.Fault+" "+p.Tier]++
			for _, n := range seen {
				if n > seen[p.Fault+" "+p.Tier]+1 || n < seen[p.Fault+" "+p.Tier]-1 {
					t.Fatalf("some come more often than others: %v", seen)
				}
			}
			if p.Fault != "cut" && p.Tier == "hub" && len(p.Levers) > 1 {
				t.Fatalf("%d hub nodes at once", len(p.Levers))
			}
		}
	}
	if len(seen) != 4 || calm == 0 || double == 0 {
		t.Errorf("kinds %v, %d calm steps, %d double ones", seen, calm, double)
	}
}

// What takes very long comes after everything else, each time.
func TestAPlanHasWhatTakesLongLast(t *testing.T) {
	_, levers := site()
	long := lever.Lever{Fault: "renew", Tier: "hub", Target: "all logs", Of: 1, Most: 1, Alone: true, Last: true}
	for seed := range uint64(20) {
		next, others := nemesis.Plan(seed, append(slices.Clone(levers), long)), 0
		for range 2 {
			for found := false; !found; {
				for _, p := range next().Pulls {
					found = found || p.Fault == long.Fault
					others++
				}
			}
			if s := next(); s.Pause < 10*time.Second {
				t.Errorf("with %d the next step comes %v after it", seed, s.Pause)
			} else {
				next = first(s, next)
			}
			if others--; others != 4 {
				t.Fatalf("with %d it comes after %d kinds of 4", seed, others)
			}
			others = 0
		}
	}
}

// first gives a step before others.
func first(s nemesis.Step, others func() nemesis.Step) func() nemesis.Step {
	given := false
	return func() nemesis.Step {
		if !given {
			given = true
			return s
		}
		return others()
	}
}

// What is broken is mended, also when the run ends in the middle; what stands alone does; a fault is in the record.
func TestEverythingIsMended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, levers := site()
		var text strings.Builder
		rec := record.NewRecorder(&text)
		rec.Add(record.Line{Run: &record.Run{Seed: 3}})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
		defer cancel()
		if err := nemesis.New(nemesis.Config{Rec: rec, Plan: nemesis.Plan(3, levers)}).Run(ctx); err != nil {
			t.Fatal(err)
		}
		if len(p.broken) > 0 || p.pulls < 50 {
			t.Errorf("after %d pulls these are broken: %v", p.pulls, p.broken)
		}
		if p.beside {
			t.Error("something was broken beside what stands alone")
		}
		if p.worst["kill hub"] != 1 || p.worst["kill gateway"] != 4 {
			t.Errorf("at once: %v", p.worst)
		}
		if err := rec.Flush(); err != nil {
			t.Fatal(err)
		}
		r, err := record.Read(strings.NewReader(text.String()))
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Faults) < 40 || r.Faults[0].End <= r.Faults[0].Begin || len(r.Faults[0].Targets) == 0 {
			t.Errorf("%d faults in the record, the first %+v", len(r.Faults), r.Faults[0])
		}
	})
}

// A lever that cannot be let go of is an error; one that could not be pulled is in the record.
func TestWhatCannotBeMendedIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := lever.Lever{
			Fault: "kill", Tier: "api", Target: "api-eu", Of: 1, Most: 1,
			Begin: func(context.Context) error { return nil },
			End:   func(context.Context) error { return errors.New("it does not start") },
		}
		var text strings.Builder
		rec := record.NewRecorder(&text)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := nemesis.New(nemesis.Config{Rec: rec, Plan: nemesis.Plan(1, []lever.Lever{stuck})}).Run(ctx)
		if err == nil || !strings.Contains(err.Error(), "api-eu: it does not start") {
			t.Errorf("the error is %v", err)
		}
	})
}
