package messages

import (
	"cmp"
	"slices"
	"time"

	"github.com/canopychat/canopy/ops/verify/record"
)

// idKey is what a message is stored once under.
type idKey struct{ space, sender, id string }

// identity is all that was sent under one id.
type identity struct {
	tries  []*record.Op // in the order in which they began
	bodies []*act       // one for each text and channel
}

// act is something that was tried, once or again, with the best outcome of all tries.
type act struct {
	channel, body string
	thread        int64
	outcome       record.Outcome
	op            *record.Op // the first with that outcome
}

// actKey names a change of a message. text is the body of an edit or the emoji.
type actKey struct {
	space   string
	message int64
	sender  string
	f       record.F
	text    string
}

// weight orders outcomes by what may follow from them: what was refused once may be stored by another try.
func weight(o record.Outcome) int {
	return slices.Index([]record.Outcome{record.Refused, record.Unknown, record.OK}, o)
}

func (a *act) try(op *record.Op) {
	if a.op == nil || weight(op.Outcome) > weight(a.outcome) {
		a.outcome, a.op = op.Outcome, op
	}
}

// index sorts what people did.
func (c *check) index() {
	c.ids6, c.acts = map[idKey]*identity{}, map[actKey]*act{}
	c.deletes, c.edits = map[at]time.Duration{}, map[at]time.Duration{}
	ops := slices.Clone(c.r.Ops)
	slices.SortStableFunc(ops, func(a, b record.Op) int { return cmp.Compare(a.Start, b.Start) })
	for i := range ops {
		switch op := &ops[i]; op.F {
		case record.Send:
			c.indexSend(op)
		case record.Edit, record.Delete, record.React, record.Unreact:
			key := actKey{op.Workspace, op.Message, c.l.UserID(op.Who), op.F, op.Body + op.Emoji}
			if c.acts[key] == nil {
				c.acts[key] = &act{channel: op.Channel, body: op.Body}
			}
			c.acts[key].try(op)
			c.indexChange(op)
		}
	}
	c.indexComers()
}

// indexChange notes when a text was first taken away or replaced.
func (c *check) indexChange(op *record.Op) {
	place, when := at{op.Workspace, op.Message}, c.edits
	if op.F == record.Delete {
		when = c.deletes
	}
	if _, before := when[place]; (op.F == record.Delete || op.F == record.Edit) && op.Outcome != record.Refused && !before {
		when[place] = op.Start
	}
}

func (c *check) indexSend(op *record.Op) {
	key := idKey{op.Workspace, c.l.UserID(op.Who), op.ID}
	id := c.ids6[key]
	if id == nil {
		id = &identity{}
		c.ids6[key] = id
	}
	id.tries = append(id.tries, op)
	i := slices.IndexFunc(id.bodies, func(a *act) bool {
		return a.channel == op.Channel && a.body == op.Body && a.thread == op.Thread
	})
	if i < 0 {
		i = len(id.bodies)
		id.bodies = append(id.bodies, &act{channel: op.Channel, body: op.Body, thread: op.Thread})
	}
	id.bodies[i].try(op)
}
