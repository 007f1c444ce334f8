// Package nemesis breaks a site, by a plan that a seed makes again, and mends it.
//
// A plan is steps: a pause, then levers that are pulled together, held for a while, and let go. The same seed, levers and settings
// make the same plan; how long a mending takes is the site's, so the times at which things happen differ from run to run and are in the
// record. It owns the order of faults and what may be broken beside what. It knows nothing of how a lever works.
package nemesis

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/canopychat/canopy/ops/verify/lever"
)

// Step is one thing that happens to a site.
type Step struct {
	Pause time.Duration // before it, with everything whole
	Hold  time.Duration // for which it is broken
	Pulls []Pull        // all at once; none: a time without a fault
}

// Pull is one way of breaking, and what is broken in that way.
type Pull struct {
	Fault, Tier string
	Levers      []lever.Lever
}

// The shape of a plan.
const (
	leastPause = time.Second
	mostPause  = 4 * time.Second
	leastHold  = time.Second
	mostHold   = 9 * time.Second
	afterLong  = 15 * time.Second // more of a pause after a lever that takes long: people have something to do with what came of it

	calmOneIn   = 6 // one step of so many breaks nothing
	doubleOneIn = 4 // one of so many breaks in two ways
	allOneIn    = 4 // of the pulls, one of so many is of as many targets as may be
)

// kind is the levers that break one tier in one way.
type kind struct {
	fault, tier string
	of          []lever.Lever
}

// first are kinds that a run sees before the others, one of each line, and alone: without a store that is away, a process that died and a link that
// was cut, most promises are not tried.
var first = []func(kind) bool{
	func(k kind) bool {
		return strings.Contains(k.tier, "cassandra") || strings.HasPrefix(k.tier, "persist")
	},
	func(k kind) bool { return k.fault == "kill" && (k.tier == "hub" || k.tier == "gateway") },
	func(k kind) bool { return k.tier == "leaf-hub" || k.tier == "gateway-leaf" },
}

// Plan is a plan without end: each call of the function it returns gives the next step. Every kind of fault comes once before any comes
// again, so that a short run sees as many as it has time for; those that take very long come last.
func Plan(seed uint64, levers []lever.Lever) func() Step {
	r := rand.New(rand.NewPCG(seed, 0x6e656d65736973))
	kinds := kindsOf(levers)
	var deck []kind
	steps := 0               // that broke something
	rest := time.Duration(0) // more of a pause before the next step
	draw := func() kind {
		if len(deck) == 0 {
			deck = slices.Clone(kinds)
			r.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
			deck = atBack(inFront(deck))
		}
		k := deck[0]
		deck = deck[1:]
		return k
	}
	return func() Step {
		s := Step{Pause: rest + between(r, leastPause, mostPause), Hold: between(r, leastHold, mostHold)}
		rest = 0
		if len(kinds) == 0 || r.IntN(calmOneIn) == 0 {
			return s
		}
		steps++
		one := draw()
		s.Pulls = []Pull{pull(r, one)}
		if one.of[0].Last {
			s.Hold, rest = leastHold, afterLong
		}
		if steps > len(first) && r.IntN(doubleOneIn) == 0 && len(deck) > 0 && together(one, deck[0]) {
			s.Pulls = append(s.Pulls, pull(r, draw()))
		}
		return s
	}
}

// inFront puts one kind of each line of first before the others, and leaves the rest as it is.
func inFront(deck []kind) []kind {
	var front []kind
	for _, is := range first {
		if i := slices.IndexFunc(deck, is); i >= 0 {
			front = append(front, deck[i])
			deck = slices.Delete(deck, i, i+1)
		}
	}
	return append(front, deck...)
}

// atBack puts the kinds that take very long after all others, and leaves the rest as it is.
func atBack(deck []kind) []kind {
	slices.SortStableFunc(deck, func(a, b kind) int { return cmp.Compare(late(a), late(b)) })
	return deck
}

func late(k kind) int {
	if k.of[0].Last {
		return 1
	}
	return 0
}

// together reports whether two kinds may be broken at once.
func together(a, b kind) bool {
	return !a.of[0].Alone && !b.of[0].Alone && a.tier != b.tier
}

func kindsOf(levers []lever.Lever) []kind {
	var kinds []kind
	for _, l := range levers {
		i := slices.IndexFunc(kinds, func(k kind) bool { return k.fault == l.Fault && k.tier == l.Tier })
		if i < 0 {
			i = len(kinds)
			kinds = append(kinds, kind{fault: l.Fault, tier: l.Tier})
		}
		kinds[i].of = append(kinds[i].of, l)
	}
	slices.SortFunc(kinds, func(a, b kind) int { return cmp.Or(cmp.Compare(a.tier, b.tier), cmp.Compare(a.fault, b.fault)) })
	for _, k := range kinds {
		slices.SortFunc(k.of, func(a, b lever.Lever) int { return cmp.Compare(a.Target, b.Target) })
	}
	return kinds
}

// pull chooses one target, some, or as many as may be.
func pull(r *rand.Rand, k kind) Pull {
	most := min(max(k.of[0].Most, 1), len(k.of))
	n := 1 + r.IntN(max(1, (most+1)/2))
	if r.IntN(allOneIn) == 0 {
		n = most
	}
	p := Pull{Fault: k.fault, Tier: k.tier}
	for _, i := range r.Perm(len(k.of))[:min(n, most)] {
		p.Levers = append(p.Levers, k.of[i])
	}
	return p
}

func between(r *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(r.Int64N(int64(most-least)))
}
