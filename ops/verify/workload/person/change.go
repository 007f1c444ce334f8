package person

import (
	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/ops/verify/workload/memory"
)

// saw is a message that the person knows of, and that is so.
func (p *Person) saw(is func(memory.Message) bool) (memory.Message, bool) {
	return memory.Any(p.rnd, p.knows.Saw(is))
}

// changes is a change of a message that is so.
func (p *Person) changes(f record.F, is func(memory.Message) bool) (op, bool) {
	m, found := p.saw(is)
	o, ok := p.somehow(f)
	o.Channel, o.Message = m.Channel, m.Seq
	return o, found && ok
}

func mine(m memory.Message) bool  { return m.Mine }
func other(m memory.Message) bool { return !m.Mine }
func every(memory.Message) bool   { return true }

func (p *Person) edits() []op { return p.edit(mine) }

func (p *Person) editsOthers() []op { return p.edit(other) }

func (p *Person) edit(is func(memory.Message) bool) []op {
	o, ok := p.changes(record.Edit, is)
	if ok {
		o.Body = p.body("")
	}
	return one(o, ok)
}

func (p *Person) deletes() []op { return one(p.changes(record.Delete, mine)) }

func (p *Person) deletesOthers() []op { return one(p.changes(record.Delete, other)) }

// emoji are what people react with; few, so that several people choose the same.
var emoji = []string{"👍", "🎉", "🌲", ":ship:", "❤️"}

func (p *Person) reacts() []op {
	o, ok := p.changes(record.React, every)
	o.Emoji = emoji[p.rnd.IntN(len(emoji))]
	return one(o, ok)
}

// unreacts takes back what the person did themselves, and now and then what may not be there.
func (p *Person) unreacts() []op {
	r, found := p.knows.Reacted(p.rnd)
	if !found || p.rnd.IntN(5) == 0 {
		o, ok := p.changes(record.Unreact, every)
		o.Emoji = emoji[p.rnd.IntN(len(emoji))]
		return one(o, ok)
	}
	o, ok := p.somehow(record.Unreact)
	o.Channel, o.Message, o.Emoji = r.Channel, r.Seq, r.Emoji
	return one(o, ok)
}

// Types of channels.
const (
	public  = "public"
	private = "private"
)

// named is a channel of one of the types that the person is in, or is not in.
func (p *Person) named(in bool, types ...string) (string, bool) {
	return memory.Any(p.rnd, p.knows.Named(in, types...))
}

// joins comes into a channel, sometimes into one that nobody may come into by themselves.
func (p *Person) joins() []op {
	channel, found := p.named(false, public)
	if !found || p.rnd.IntN(10) == 0 {
		channel, found = p.named(false, private)
	}
	o, ok := p.byREST(record.Join)
	o.Channel = channel
	return one(o, found && ok)
}

func (p *Person) leaves() []op {
	types := []string{public, private}
	if p.Owner {
		types = types[:1] // somebody has to bring others into the private ones
	}
	channel, found := p.named(true, types...)
	o, ok := p.byREST(record.Leave)
	o.Channel = channel
	return one(o, found && ok)
}

func (p *Person) adds() []op { return p.moves(record.Add) }

// kicks takes somebody out; who does not own the workspace tries it seldom, as it is refused.
func (p *Person) kicks() []op {
	if !p.Owner && p.rnd.IntN(4) > 0 {
		return nil
	}
	return p.moves(record.Kick)
}

func (p *Person) moves(f record.F) []op {
	channel, found := p.named(true, public, private)
	whom, there := memory.Any(p.rnd, p.names)
	o, ok := p.byREST(f)
	o.Channel, o.Target = channel, whom
	return one(o, found && there && ok)
}
