package person

import (
	"fmt"

	"github.com/canopychat/canopy/ops/verify/record"
)

// limits are of pages: small ones, and the largest.
var limits = []int{3, 20, 50, 200}

func (p *Person) page(channel string) (op, bool) {
	o, ok := p.byREST(record.Page)
	o.Channel, o.Limit = channel, limits[p.rnd.IntN(len(limits))]
	return o, ok
}

func (p *Person) readsNewest() []op { return one(p.page(p.mine())) }

func (p *Person) readsOlder() []op {
	m, found := p.saw(every)
	o, ok := p.page(m.Channel)
	o.Before = m.Seq
	return one(o, found && ok)
}

func (p *Person) readsAfter() []op {
	m, found := p.saw(every)
	o, ok := p.page(m.Channel)
	o.After = m.Seq
	return one(o, found && ok)
}

// peeks asks for a page of a channel that the person is not in: every other time one of another workspace, which nobody may even know of.
func (p *Person) peeks() []op {
	channel, found := p.named(false)
	if foreign := p.w.Others[p.Workspace.ID].Channels; len(foreign) > 0 && (!found || p.rnd.IntN(2) == 0) {
		channel, found = foreign[p.rnd.IntN(len(foreign))].ID, true
	}
	o, ok := p.page(channel)
	return one(o, found && ok)
}

// marks marks any message as read, also one that lies before the mark: that must not move.
func (p *Person) marks() []op { return one(p.changes(record.Mark, every)) }

func (p *Person) looksAtMarks() []op { return one(p.byREST(record.Marks)) }

func (p *Person) typesOnce() []op {
	d, c := p.socket()
	if c == nil {
		return nil
	}
	o := op{Op: p.over(record.Typing, d, c), on: d}
	o.Channel = p.mine()
	return one(o, true)
}

// flood is how many frames of typing come at once.
const flood = 20

func (p *Person) floods() []op {
	var all []op
	for range flood {
		all = append(all, p.typesOnce()...)
	}
	return all
}

func (p *Person) sets() []op {
	d, c := p.socket()
	if c == nil {
		return nil
	}
	o := op{Op: p.over(record.Status, d, c), on: d}
	o.Body = fmt.Sprintf("%s is busy with %d", p.Login, p.rnd.IntN(1000))
	return one(o, true)
}
