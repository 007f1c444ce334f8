package running

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/canopychat/canopy/ops/verify/check/grace"
	"github.com/canopychat/canopy/ops/verify/record"
)

// queues is what holds up or ends what is sent over a conn, for reasons of its own people, or of faults that are over.
type queues struct {
	again map[string][]span        // sends that were sent again, by conn
	ended map[string]time.Duration // when a conn was closed by who had it, or signed out
	away  map[string][]span        // from a loss that was not wanted until the conn is open again; after many losses a client waits for long
}

type span struct{ from, to time.Duration }

func (c *runner) queues() queues {
	q := queues{map[string][]span{}, map[string]time.Duration{}, map[string][]span{}}
	for i := range c.r.Ops {
		if op := &c.r.Ops[i]; op.F == record.Send && op.Again && op.Conn != "" {
			q.again[op.Conn] = append(q.again[op.Conn], span{op.Start, op.End})
		}
	}
	for i := range c.r.Told {
		switch t := &c.r.Told[i]; {
		case t.T == record.Offline && byItself(t.Code):
			q.ended[t.Conn] = t.Time
		case t.T == record.Offline:
			if away := q.away[t.Conn]; len(away) == 0 || away[len(away)-1].to < t.Time {
				q.away[t.Conn] = append(away, span{t.Time, math.MaxInt64})
			}
		case t.T == record.Hello:
			if away := q.away[t.Conn]; len(away) > 0 {
				away[len(away)-1].to = min(away[len(away)-1].to, t.Time)
			}
		}
	}
	return q
}

// byItself reports whether a socket has ended because its people wanted it to, or may not have it any more.
func byItself(code string) bool {
	return strings.HasPrefix(code, "closed") || strings.HasPrefix(code, "4501") || code == "unauthenticated"
}

// behind reports whether something that was sent again was under way on the conn.
func (q queues) behind(op *record.Op) bool {
	return overlap(q.again[op.Conn], op.Start, op.End)
}

// endedWithin is how long after the end of a socket an op on it may say so.
const endedWithin = time.Second

// closed reports whether the conn ended under an op, and not by itself.
func (q queues) closed(op *record.Op) bool {
	at, ended := q.ended[op.Conn]
	return ended && op.Outcome == record.Unknown && at <= op.End && at+endedWithin >= op.Start
}

// lost reports whether the conn was away while an op was on, since it was lost under a fault.
func (q queues) lost(op *record.Op, faults *grace.Grace) bool {
	return slices.ContainsFunc(q.away[op.Conn], func(s span) bool { return s.from <= op.End && s.to >= op.Start && faults.Touched(s.from, s.from) })
}
