package running

import (
	"fmt"
	"time"

	"github.com/canopychat/canopy/ops/verify/check/ledger"
	"github.com/canopychat/canopy/ops/verify/check/verdict"
	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/schemas/event"
)

// When samples are taken (record.Sample.When).
const (
	before = "before"
	quiet  = "quiet"
)

// What a process may need when all is quiet, of what it needed before the load; and what one slow reader may cost it.
const (
	growTimes = 1.5 // goroutines and descriptors: pools fill, caches of connections stay
	growBy    = 50

	stallTimes = 1.5 // resident memory while somebody does not read: the load goes on meanwhile
	stallBytes = 64 << 20

	catchingUp = 30 * time.Second // how long a slow reader may take until it is told what it missed
)

// figure is one process's figure.
type figure struct{ process, name string }

// bounded is 20: goroutines, descriptors and memory are bounded; a slow reader costs little and misses nothing unsaid.
func (c *runner) bounded() verdict.Verdict {
	v := verdict.Verdict{Invariant: 20, Title: "needs are bounded", CaseNoun: "figures of processes, and slow readers"}
	first, last, order := c.figures()
	worst := 0.0
	for _, k := range order {
		was, is := first[k], last[k]
		if was == nil || is == nil || was == is {
			continue
		}
		v.Cases++
		worst = max(worst, is.Value/max(1, was.Value))
		if is.Value > was.Value*growTimes+growBy {
			v.Break(verdict.Violation{
				Rule: k.name + " are bounded", Who: k.process, What: fmt.Sprintf("%.0f before the load, %.0f after it", was.Value, is.Value),
				History: []record.Line{{Sample: was}, {Sample: is}},
			})
		}
	}
	v.Notes = fmt.Sprintf("at most %.1f times as many as before", worst)
	v.Cases += c.slowReaders(&v)
	return v
}

// figures are the first and the last of each: before the load, or the first after the last restart; and when all was quiet.
func (c *runner) figures() (first, last map[figure]*record.Sample, order []figure) {
	first, last = make(map[figure]*record.Sample), make(map[figure]*record.Sample)
	restarted := c.restarts()
	for i := range c.r.Samples {
		s := &c.r.Samples[i]
		if s.Name != record.Goroutines && s.Name != record.Descriptors {
			continue
		}
		k := figure{s.Process, s.Name}
		from := restarted[s.Process]
		if first[k] == nil && (s.When == before && from == 0 || from > 0 && s.Time >= from) {
			first[k] = s
			order = append(order, k)
		}
		if s.When == quiet {
			last[k] = s
		}
	}
	return first, last, order
}

// restarts is when processes were last ready again after something had ended them.
func (c *runner) restarts() map[string]time.Duration {
	at := make(map[string]time.Duration)
	for i := range c.r.Faults {
		f := &c.r.Faults[i]
		switch f.Name {
		case "pause", "cut", "hold-up", "hold-down", "slow":
			continue // its process lived on
		}
		for _, target := range f.Targets {
			at[target] = max(at[target], f.End)
		}
	}
	return at
}

// slowReaders looks at conns that did not read for a while.
func (c *runner) slowReaders(v *verdict.Verdict) (cases int) {
	told := make(map[string][]*record.Told)
	for i := range c.r.Told {
		t := &c.r.Told[i]
		told[t.Conn] = append(told[t.Conn], t)
	}
	resident := make(map[string][]*record.Sample)
	for i := range c.r.Samples {
		if s := &c.r.Samples[i]; s.Name == record.Resident {
			resident[s.Process] = append(resident[s.Process], s)
		}
	}
	for i := range c.r.Ops {
		op := &c.r.Ops[i]
		if op.F != record.Stall || op.Outcome == record.Refused || len(told[op.Conn]) == 0 {
			continue
		}
		cases++
		at := op.At
		for _, t := range told[op.Conn] {
			if t.Time <= op.Start && t.At != "" {
				at = t.At
			}
		}
		c.caughtUp(v, op, told[op.Conn])
		c.cheap(v, op, at, resident[at])
	}
	return cases
}

// caughtUp: what was stored while somebody did not read is told to them afterwards, in order; or a resync, or the end.
func (c *runner) caughtUp(v *verdict.Verdict, op *record.Op, told []*record.Told) {
	due := c.g.Until(op.End, catchingUp)
	if c.r.End == nil || c.r.End.Time < due {
		return
	}
	space := c.l.Home(op.Who)
	var from, newest int64
	had := make(map[int64]bool)
	var behind *record.Told
	for _, t := range told {
		switch {
		case t.Time < op.Start:
			if t.T == record.Hello {
				_, from, _ = ledger.Position(t.Cursor)
			}
			if t.Seq > 0 && !t.Filled && (t.T == record.Posted || t.T == record.Changed) {
				from = max(from, t.Seq)
			}
			newest = from
			continue
		case t.T == record.Resync || t.T == record.Offline || t.T == record.Hello:
			return
		}
		if t.T != record.Posted && t.T != record.Changed {
			continue
		}
		had[t.Seq] = true
		if !t.Filled && t.Seq <= newest && behind == nil {
			behind = t
		}
		if !t.Filled {
			newest = max(newest, t.Seq)
		}
	}
	if behind != nil {
		v.Break(verdict.Violation{
			Rule: "a slow reader is told in order", Who: op.Conn, What: "it comes after a later one", Seqs: []int64{behind.Seq},
			History: []record.Line{{Op: op}, {Told: behind}},
		})
	}
	if c.closedBy(op.Conn, due) {
		return
	}
	user := c.l.UserID(op.Who)
	for _, e := range c.l.Between(space, from, c.storedBy(space, op.End)) {
		if e.Kind != string(event.MessagePosted) || e.Erased || had[e.Seq] {
			continue
		}
		if sees, known := c.l.Visible(space, user, e); sees && known {
			v.Break(verdict.Violation{
				Rule: "a slow reader is told what it missed, or to resync", Who: op.Conn, What: "it was told nothing of it", Seqs: []int64{e.Seq},
				History: []record.Line{{Event: &e}, {Op: op}},
			})
			return
		}
	}
}

func (c *runner) closedBy(conn string, until time.Duration) bool {
	for i := range c.r.Ops {
		if op := &c.r.Ops[i]; op.F == record.Close && op.Conn == conn && op.Start <= until {
			return true
		}
	}
	return false
}

// storedBy is the last seq that somebody was answered by a time.
func (c *runner) storedBy(space string, t time.Duration) (last int64) {
	for i := range c.r.Ops {
		if op := &c.r.Ops[i]; op.F == record.Send && op.Outcome == record.OK && op.End <= t && c.spaceOf(op) == space {
			last = max(last, op.Seq)
		}
	}
	return last
}

// cheap: the process whose socket is not read keeps its memory.
func (c *runner) cheap(v *verdict.Verdict, op *record.Op, process string, samples []*record.Sample) {
	if c.g.Touched(op.Start, op.End) {
		return // it may be another process now
	}
	var was *record.Sample
	for _, s := range samples {
		if s.Time <= op.Start {
			was = s
		}
		if was != nil && s.Time > op.Start && s.Time <= op.End && s.Value > was.Value*stallTimes+stallBytes {
			v.Break(verdict.Violation{
				Rule: "a slow reader costs a pointer", Who: process, What: fmt.Sprintf("%.0f MiB, and then %.0f MiB", was.Value/(1<<20), s.Value/(1<<20)),
				History: []record.Line{{Sample: was}, {Op: op}, {Sample: s}},
			})
			return
		}
	}
}
