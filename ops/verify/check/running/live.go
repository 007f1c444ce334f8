package running

import (
	"cmp"
	"slices"
	"time"

	"github.com/canopychat/canopy/ops/verify/check/grace"
	"github.com/canopychat/canopy/ops/verify/record"
)

// message is a place in a workspace's log.
type message struct {
	space string
	seq   int64
}

// listener is a socket that is told of what happens, from when on.
type listener struct {
	space string
	since time.Duration
}

// live is how long it took from the beginning of a send until an open socket was told of it: where nothing was broken, and while a store was and nothing
// else. A socket that was opened later, or that its people did not read meanwhile, catches up, which is not live; nor is what waited at its sender's.
func (c *runner) live(stores []record.Fault, others *grace.Grace, queued queues) (took [2][]time.Duration) {
	began, paused := make(map[message]time.Duration), make(map[string][]span)
	for i := range c.r.Ops {
		op := &c.r.Ops[i]
		switch {
		case op.F == record.Stall:
			paused[op.Conn] = append(paused[op.Conn], span{op.Start, op.End})
		case op.F == record.Send && op.Outcome == record.OK && op.Seq > 0 && op.Phase == "" && !op.Again && !op.Duplicate && !queued.behind(op) && !queued.lost(op, others):
			began[message{c.spaceOf(op), op.Seq}] = op.Start
		}
	}
	open := make(map[string]listener)
	for i := range c.r.Told {
		t := &c.r.Told[i]
		at := open[t.Conn]
		switch t.T {
		case record.Hello:
			open[t.Conn] = listener{cmp.Or(t.Space, c.l.Home(t.Who)), t.Time}
		case record.Resync: // what comes next was sent later
			open[t.Conn] = listener{at.space, t.Time}
		case record.Offline:
			delete(open, t.Conn)
		case record.Posted:
			from, known := began[message{at.space, t.Seq}]
			if !known || t.Filled || from < at.since || others.Touched(from, t.Time) || overlap(paused[t.Conn], from, t.Time) {
				continue
			}
			if during(stores, from) >= 0 {
				took[1] = append(took[1], t.Time-from)
			} else if !c.g.Touched(from, t.Time) {
				took[0] = append(took[0], t.Time-from)
			}
		}
	}
	return took
}

// overlap reports whether one of some spans was on in a time.
func overlap(spans []span, from, to time.Duration) bool {
	return slices.ContainsFunc(spans, func(s span) bool { return s.from <= to && s.to >= from })
}
