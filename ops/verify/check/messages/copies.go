package messages

import (
	"fmt"
	"slices"

	"github.com/canopychat/canopy/ops/verify/check/ledger"
	"github.com/canopychat/canopy/ops/verify/check/verdict"
	"github.com/canopychat/canopy/ops/verify/record"
)

// The rules about copies of the log, in words of INVARIANTS.
const (
	ruleLogRises = "the log rises"                                      // 4
	ruleOneEvent = "a seq is never used twice"                          // 4
	ruleCopy     = "every replica has the log"                          // 8
	ruleErased   = "what is erased from the log is so in every replica" // 8
)

// source is where a workspace's events were found, and at which look.
type source struct {
	space, name string
	look        int
}

// copies holds each source against itself and against earlier looks at it, and when all is quiet the replicas against the stream.
func (c *check) copies() {
	events, order := map[source][]record.Event{}, []source{}
	for _, e := range c.r.Events {
		s := source{e.Space, e.Source, e.Look}
		if events[s] == nil {
			order = append(order, s)
		}
		events[s] = append(events[s], e)
	}
	replicas, known := 0, map[source]map[int64]record.Event{}
	for _, s := range order {
		c.rises(s, events[s])
		all := source{s.space, s.name, 0}
		if known[all] == nil {
			known[all] = map[int64]record.Event{}
		}
		c.unused(s, events[s], known[all])
		stream := events[source{s.space, ledger.Stream, s.look}]
		if s.name == ledger.Stream || stream == nil {
			continue
		}
		replicas++
		c.differs(s, events[s], stream)
	}
	c.note(8, "copies of logs besides the leader's: %d", replicas)
	if !c.quiet() {
		c.note(8, "not checked: it did not become quiet")
	}
}

// rises holds that a source has each seq once, in order.
func (c *check) rises(s source, events []record.Event) {
	v := c.of(4)
	for i, e := range events {
		v.Cases++
		if i == 0 || e.Seq > events[i-1].Seq {
			continue
		}
		b := verdict.Violation{Rule: ruleLogRises, Who: s.name, What: fmt.Sprintf("%s %q", e.Kind, e.Body), Seqs: []int64{events[i-1].Seq, e.Seq}, History: verdict.Lines(events[i-1], e)}
		if e.Seq == events[i-1].Seq && e != events[i-1] {
			b.Rule = ruleOneEvent
		}
		v.Break(b)
	}
}

// unused holds that no later stream gives a seq again that an earlier one has given: known is what other looks found.
func (c *check) unused(s source, events []record.Event, known map[int64]record.Event) {
	for _, e := range events {
		was, twice := known[e.Seq]
		was.Look = e.Look
		if twice && e != was && !e.Erased && !was.Erased {
			c.broken(4, verdict.Violation{Rule: ruleOneEvent, Who: s.name, What: fmt.Sprintf("a stream that was lost had %s, a later one has %s", eventText(was), eventText(e)), Seqs: []int64{e.Seq}, History: verdict.Lines(was, e)})
		}
	}
	for _, e := range events {
		known[e.Seq] = e
	}
}

// differs walks two copies along each other.
func (c *check) differs(s source, events, stream []record.Event) {
	v := c.of(8)
	if c.quiet() {
		v.Cases++
	}
	for i, j := 0, 0; i < len(events) || j < len(stream); {
		var a, b record.Event // of the replica, of the stream
		switch {
		case j == len(stream) || i < len(events) && events[i].Seq < stream[j].Seq:
			a = events[i]
			i++
		case i == len(events) || stream[j].Seq < events[i].Seq:
			b = stream[j]
			j++
		default:
			a, b = events[i], stream[j]
			i, j = i+1, j+1
		}
		c.compare(s, a, b)
	}
}

// compare holds one event of a replica against the stream's. One that has no seq is not there.
func (c *check) compare(s source, a, b record.Event) {
	seq := max(a.Seq, b.Seq)
	a.Source, b.Source = "", ""
	if a == b {
		return
	}
	v := verdict.Violation{Rule: ruleCopy, Who: s.name, What: fmt.Sprintf("it has %s, the stream has %s", eventText(a), eventText(b)), Seqs: []int64{seq}, History: verdict.Lines(b, a)}
	text := a
	if a.Seq == 0 || a.Erased {
		text = b
	}
	if hole := a.Seq == 0 || a.Erased || b.Seq == 0 || b.Erased; hole && c.gone(s.space, about(text)) {
		v.Rule = ruleErased
	} else if !hole {
		four := v
		four.Rule = ruleOneEvent
		c.broken(4, four)
	}
	if c.quiet() {
		c.broken(8, v)
	}
}

func eventText(e record.Event) string {
	if e.Seq == 0 {
		return "nothing"
	} else if e.Erased {
		return "what was erased"
	}
	return fmt.Sprintf("%s %q of %s", e.Kind, e.Body, e.Sender)
}

// view is what somebody, or a store, has of a workspace.
type view struct {
	name, who, space string
	replay           bool
	rows             map[string][]*record.Kept // by channel, in the order in which they were listed
}

// viewsOf groups what was kept.
func (c *check) viewsOf() (all []*view) {
	type key struct{ name, space string }
	by := map[key]*view{}
	for i := range c.r.Kept {
		k := &c.r.Kept[i]
		v := by[key{k.View, k.Space}]
		if v == nil {
			v = &view{name: k.View, who: k.Who, space: k.Space, replay: k.Replay, rows: map[string][]*record.Kept{}}
			by[key{k.View, k.Space}] = v
			all = append(all, v)
		}
		v.rows[k.Channel] = append(v.rows[k.Channel], k)
	}
	return all
}

// listed holds that a view lists a channel in order, either way, and answers it in rising order.
func (c *check) listed(v *view, rows []*record.Kept) []*record.Kept {
	for i := 1; i < len(rows); i++ {
		c.of(4).Cases++
		up := rows[1].Seq > rows[0].Seq
		if rows[i].Seq == rows[i-1].Seq || (rows[i].Seq > rows[i-1].Seq) != up {
			c.broken(4, verdict.Violation{Rule: "a view lists in order", Who: v.name, What: fmt.Sprintf("in %s", rows[i].Channel), Seqs: []int64{rows[i-1].Seq, rows[i].Seq}, History: verdict.Lines(rows[i-1], rows[i])})
		}
	}
	sorted := slices.Clone(rows)
	slices.SortStableFunc(sorted, func(a, b *record.Kept) int { return int(min(1, max(-1, a.Seq-b.Seq))) })
	return sorted
}
