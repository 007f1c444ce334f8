package linear

import (
	"cmp"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/canopychat/canopy/ops/verify/check/grace"
	"github.com/canopychat/canopy/ops/verify/check/ledger"
	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/schemas/fault"
)

// What is done to keys.
const (
	doSend  = "send"
	doMark  = "mark"
	doLook  = "look"
	goesIn  = "in"
	goesOut = "out"
	isIn    = "is in"
	isOut   = "is out"
)

// States of a register that holds no number.
const (
	unset   = int64(0)
	somehow = int64(-1) // it may be set by something that was not answered, and it is not known to what
)

// sends are idempotency keys: (sender, client_msg_id). A refused send does nothing, so it is left out.
func sends(r *record.Record) kind {
	var c collection
	for _, op := range r.Ops {
		if op.F == record.Send && op.ID != "" && op.Outcome != record.Refused {
			c.add(op.Who, op.ID, act{do: doSend, said: op.Seq, fresh: !op.Duplicate, op: op}, op.End)
		}
	}
	return kind{6, "one seq per (sender, client_msg_id)", porcupine.Model{
		Init: func() any { return unset },
		Step: func(state, input, _ any) (bool, any) { return stepSend(state.(int64), input.(act)) },
	}, c.keys}
}

// stepSend: the first send sets the seq, and is the only one that is told that it was not there.
func stepSend(set int64, a act) (bool, int64) {
	switch {
	case a.open && set == unset:
		return true, somehow
	case a.open:
		return true, set
	case set == unset || set == somehow:
		return true, a.said
	}
	return set == a.said && !a.fresh, set
}

// read is a read cursor.
type read struct {
	known bool  // false: it is at least upTo, as it was before the record
	upTo  int64 // the furthest mark
}

// tryTime is the least time that something takes that was tried again.
const tryTime = time.Second

// secondTry reports whether a refusal may be of another try than what had an effect: a client tries again what was not answered, and is nobody
// then when it was signed out meanwhile.
func secondTry(op record.Op) bool {
	return op.Outcome == record.Refused && fault.Kind(op.Code) == fault.Unauthenticated && op.End-op.Start >= tryTime
}

// cursors are read cursors: (person, channel). A mark counts as far as its answer says: whether that is far enough, package reading says.
func cursors(r *record.Record) kind {
	var c collection
	for _, op := range r.Ops {
		switch {
		case op.F == record.Mark && secondTry(op):
			op.Outcome = record.Unknown
			c.add(op.Who, op.Channel, act{do: doMark, n: op.Message, op: op}, op.End)
		case op.F == record.Mark && op.Outcome != record.Refused:
			c.add(op.Who, op.Channel, act{do: doMark, n: min(op.Message, cmp.Or(op.Seq, op.Message)), said: op.Seq, op: op}, op.End)
		case op.F == record.Marks && op.Outcome == record.OK:
			whole := op
			for _, at := range whole.Read {
				op.Read = []record.ReadAt{at}
				c.add(op.Who, at.Channel, act{do: doLook, said: at.Seq, op: op}, op.End)
			}
		}
	}
	return kind{12, "a read cursor is one, and only rises", porcupine.Model{
		Init: func() any { return read{} },
		Step: func(state, input, _ any) (bool, any) { return stepRead(state.(read), input.(act)) },
	}, c.keys}
}

func stepRead(at read, a act) (bool, read) {
	if a.do == doMark {
		at.upTo = max(at.upTo, a.n)
	}
	switch {
	case a.open:
		return true, at
	case at.known:
		return a.said == at.upTo, at
	}
	return a.said >= at.upTo, read{true, max(at.upTo, a.said)}
}

// How long after its answer a change of membership may take effect on sockets. INVARIANTS 14 says the one; the other is no promise.
const (
	removal = time.Second
	arrival = 5 * time.Second
)

// Whether somebody is in a channel.
const (
	nobodyKnows = int64(iota)
	in
	out
)

// memberships are (person, channel). Who was banned is left out: their sends are refused for another reason.
func memberships(r *record.Record, l *ledger.Ledger, g *grace.Grace) kind {
	banned := make(map[string]bool)
	for _, op := range r.Ops {
		if op.F == record.Ban && op.Outcome != record.Refused {
			banned[op.Target] = true
		}
	}
	var c collection
	for _, op := range r.Ops {
		who, do := op.Who, meaning(op)
		if op.F == record.Add || op.F == record.Kick {
			who = op.Target
		}
		if do != "" && op.Channel != "" && !banned[who] && l.Home(who) == l.Home(op.Who) {
			c.add(who, op.Channel, act{do: do, said: op.Seq, op: op}, op.End)
		}
	}
	for _, k := range c.keys {
		k.settle(g)
	}
	return kind{14, "who may send is who is in the channel", porcupine.Model{
		Init: func() any { return nobodyKnows },
		Step: func(state, input, _ any) (bool, any) { return stepMember(state.(int64), input.(act)) },
	}, c.keys}
}

// settle leaves out what was met while a change was on its way: one process knows it before another does.
func (k *key) settle(g *grace.Grace) {
	type span struct{ from, to int64 }
	var moving []span
	for _, o := range k.ops {
		switch a := o.Input.(act); a.do {
		case goesIn:
			moving = append(moving, span{o.Call, int64(g.Until(a.op.End, arrival))})
		case goesOut:
			moving = append(moving, span{o.Call, int64(g.Until(a.op.End, removal))})
		}
	}
	k.ops = slices.DeleteFunc(k.ops, func(o porcupine.Operation) bool {
		a := o.Input.(act)
		return (a.do == isIn || a.do == isOut) && slices.ContainsFunc(moving, func(m span) bool {
			return o.Call <= m.to && int64(a.op.End) >= m.from
		})
	})
}

// meaning is what an operation does to a membership, or shows of it. A send that was there already shows nothing, nor does a refused
// reply: the message that it answers may be what is not there.
func meaning(op record.Op) string {
	switch op.F {
	case record.Join, record.Add:
		if op.Outcome != record.Refused {
			return goesIn
		}
	case record.Leave, record.Kick:
		if op.Outcome != record.Refused {
			return goesOut
		}
	case record.Send:
		switch {
		case op.Outcome == record.OK && !op.Duplicate:
			return isIn
		case op.Outcome == record.Refused && op.Code == string(fault.NotFound) && op.Thread == 0:
			return isOut
		}
	}
	return ""
}

func stepMember(now int64, a act) (bool, int64) {
	shows := map[string]int64{isIn: in, isOut: out}[a.do]
	switch {
	case a.do == goesIn:
		return true, in
	case a.do == goesOut:
		return true, out
	case a.open:
		return true, now
	case now == nobodyKnows:
		return true, shows
	}
	return now == shows, now
}
