// Package grace says how much later than promised something may be. A promise with a time in it holds on a machine that has time, and
// with nothing broken: so a check adds how late a timer of the watching process was then (Late), and waits for faults to be mended. It never
// asks for more than the record shows was possible.
package grace

import (
	"cmp"
	"slices"
	"time"

	"github.com/canopychat/canopy/ops/verify/record"
)

// AfterFault is how long after its mending a fault still counts: what it had taken down comes back and catches up.
const AfterFault = 5 * time.Second

// Grace is the faults and the lateness of a record. It does not change after Of.
type Grace struct {
	faults []record.Fault // by begin
	late   []record.Sample
}

// Of reads a record.
func Of(r *record.Record) *Grace {
	g := &Grace{faults: slices.Clone(r.Faults)}
	for _, s := range r.Samples {
		if s.Name == record.Lateness {
			g.late = append(g.late, s)
		}
	}
	slices.SortStableFunc(g.faults, func(a, b record.Fault) int { return cmp.Compare(a.Begin, b.Begin) })
	slices.SortStableFunc(g.late, func(a, b record.Sample) int { return cmp.Compare(a.Time, b.Time) })
	return g
}

// sampleEvery is how far apart samples of lateness may lie: one says how late it was up to so long before it.
const sampleEvery = 2 * time.Second

// hops is how many processes do a thing one after the other, such as an api, the hub, a gateway and a client: each may be as late as the
// one that watched.
const hops = 4

// Late is how late the machine may have made something in a time: the largest lateness that was seen, for each process on the way.
func (g *Grace) Late(from, to time.Duration) (most time.Duration) {
	i, _ := slices.BinarySearchFunc(g.late, from, func(s record.Sample, t time.Duration) int { return cmp.Compare(s.Time, t) })
	for ; i < len(g.late) && g.late[i].Time <= to+sampleEvery; i++ {
		most = max(most, time.Duration(g.late[i].Value))
	}
	return hops * most
}

// Until is when something that must come within a promise after a time must have come.
func (g *Grace) Until(from, promise time.Duration) time.Duration {
	until := from + promise
	until += g.Late(from, until)
	for _, f := range g.faults {
		if f.Begin <= until && f.End+AfterFault >= from {
			end := f.End + AfterFault + promise
			until = max(until, end+g.Late(f.End, end))
		}
	}
	return until
}

// Touched reports whether a fault was on, or just mended, in a time.
func (g *Grace) Touched(from, to time.Duration) bool {
	_, touched := g.Fault(from, to)
	return touched
}

// Fault is the first fault that was on, or just mended, in a time.
func (g *Grace) Fault(from, to time.Duration) (record.Fault, bool) {
	for _, f := range g.faults {
		if f.Begin > to {
			break
		}
		if f.End+AfterFault >= from {
			return f, true
		}
	}
	return record.Fault{}, false
}
