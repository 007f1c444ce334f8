package reading

import (
	"cmp"
	"fmt"

	"github.com/canopychat/canopy/ops/verify/check/verdict"
	"github.com/canopychat/canopy/ops/verify/record"
)

// whose says which workspace an id or a text is of. What two of them have is nobody's.
type whose map[string]string

const both = "\x00"

func (w whose) add(thing, space string) {
	if old, known := w[thing]; thing != "" && known && old != space {
		w[thing] = both
	} else if thing != "" {
		w[thing] = space
	}
}

// strange reports whether a thing is of another workspace than that of who sees it.
func (w whose) strange(thing, space string) bool {
	of, known := w[thing]
	return known && of != both && of != space
}

// things are what is known of workspaces.
type things struct{ channels, users, bodies whose }

// apart is 16: nothing of one workspace is seen in another.
func (c *reader) apart() verdict.Verdict {
	v := verdict.Verdict{Invariant: 16, Title: "workspaces are apart", CaseNoun: "things seen beside another workspace, and tries to get in"}
	probes := 0
	for i := range c.r.Ops {
		op := &c.r.Ops[i]
		if op.F != record.Probe {
			continue
		}
		probes++
		if op.Outcome == record.OK {
			v.Break(verdict.Violation{Rule: "nobody is let in, whatever is in an id", Who: op.Who, What: op.Body, History: lines(op)})
		}
	}
	v.Cases = probes
	if len(c.l.Spaces()) > 1 {
		v.Cases += c.look(&v, c.things())
	}
	v.Notes = fmt.Sprintf("%d tries, %d workspaces", probes, len(c.l.Spaces()))
	return v
}

func (c *reader) things() things {
	t := things{whose{}, whose{}, whose{}}
	for _, w := range c.r.Run.Workspaces {
		for _, p := range w.People {
			t.users.add(p.ID, w.ID)
		}
	}
	for _, space := range c.l.Spaces() {
		for _, channel := range c.l.Channels(space) {
			t.channels.add(channel, space)
		}
		for _, e := range c.l.Events(space) {
			t.bodies.add(e.Body, space)
		}
	}
	for i := range c.r.Ops {
		op := &c.r.Ops[i]
		// What somebody tried to send into another workspace is theirs still: who sends it says whose it is.
		if op.F == record.Send || op.F == record.Edit {
			t.bodies.add(op.Body, cmp.Or(c.l.Home(op.Who), op.Workspace))
		}
	}
	return t
}

// look goes through all that people saw.
func (c *reader) look(v *verdict.Verdict, t things) (cases int) {
	seen := func(who, space, where string, line func() record.Line, parts ...string) {
		if space == "" {
			return
		}
		cases++
		for i, kind := range []whose{t.channels, t.users, t.users, t.bodies} {
			if kind.strange(parts[i], space) {
				what := [...]string{"a channel", "a person", "a person", "a text"}[i]
				v.Break(verdict.Violation{
					Rule: what + " of another workspace is seen", Who: who, What: fmt.Sprintf("%s shows %q", where, parts[i]), History: []record.Line{line()},
				})
				return
			}
		}
	}
	for i := range c.r.Told {
		told := &c.r.Told[i]
		seen(told.Conn, c.l.Home(told.Who), "a socket", func() record.Line { return record.Line{Told: told} }, told.Channel, told.Sender, told.User, told.Body)
	}
	for i := range c.r.Ops {
		op := &c.r.Ops[i]
		if op.Outcome != record.OK {
			continue
		}
		home := c.l.Home(op.Who)
		for _, m := range op.Messages {
			seen(op.Who, home, string(op.F), func() record.Line { return record.Line{Op: showing(op, m.Seq)} }, op.Channel, m.Sender, "", m.Body)
		}
		for _, at := range op.Read {
			seen(op.Who, home, string(op.F), func() record.Line { return record.Line{Op: only(op, at)} }, at.Channel, "", "", "")
		}
	}
	for i := range c.r.Kept {
		k := &c.r.Kept[i]
		seen(k.View, c.l.Home(k.Who), "a view", func() record.Line { return record.Line{Kept: k} }, k.Channel, k.Sender, "", k.Body)
		if k.Who == "" {
			seen(k.View, k.Space, "a view", func() record.Line { return record.Line{Kept: k} }, k.Channel, k.Sender, "", k.Body)
		}
	}
	return cases
}
