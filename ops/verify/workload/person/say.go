package person

import (
	"time"

	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/ops/verify/workload/memory"
	"github.com/canopychat/canopy/ops/verify/workload/phrase"
)

// body is the next one.
func (p *Person) body(id string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n++
	return phrase.Body(p.Login, p.n, id)
}

// newID is the id of a new send.
func (p *Person) newID() string { return phrase.ID(p.rnd, time.Now()) }

// mine is a channel that the person believes to be in; any of the workspace when they know of none.
func (p *Person) mine() string {
	if channel, some := memory.Any(p.rnd, p.knows.Channels()); some {
		return channel
	}
	return p.Workspace.Channels[p.rnd.IntN(len(p.Workspace.Channels))].ID
}

// send fills in a new message.
func (p *Person) send(o op, channel string) op {
	o.F, o.Channel, o.ID = record.Send, channel, p.newID()
	o.Body = p.body(o.ID)
	return o
}

// one is the only thing to do, or nothing when no sign-in lasts.
func one(o op, ok bool) []op {
	if !ok {
		return nil
	}
	return []op{o}
}

func (p *Person) says() []op {
	o, ok := p.somehow(record.Send)
	if !ok {
		return p.signsIn()
	}
	return one(p.send(o, p.mine()), true)
}

func (p *Person) posts() []op {
	o, ok := p.byREST(record.Send)
	if !ok {
		return nil
	}
	return one(p.send(o, p.mine()), true)
}

func (p *Person) replies() []op {
	m, found := p.saw(every)
	o, ok := p.somehow(record.Send)
	if !found || !ok {
		return nil
	}
	o = p.send(o, m.Channel)
	o.Thread = m.Seq
	return one(o, true)
}

// mentions names somebody, who may not be there.
func (p *Person) mentions() []op {
	o, ok := p.somehow(record.Send)
	if !ok || len(p.names) == 0 {
		return nil
	}
	o = p.send(o, p.mine())
	o.Body += " @" + p.names[p.rnd.IntN(len(p.names))]
	return one(o, true)
}

// mentionsAbsent names somebody who is not there on purpose.
func (p *Person) mentionsAbsent() []op {
	var absent []string
	for _, other := range p.w.People {
		if other.Absent && other.Workspace.ID == p.Workspace.ID && other.Login != p.Login {
			absent = append(absent, other.Login)
		}
	}
	whom, found := memory.Any(p.rnd, absent)
	o, ok := p.somehow(record.Send)
	if !found || !ok {
		return nil
	}
	o = p.send(o, p.mine())
	o.Body += " @" + whom
	return one(o, true)
}

// pipelines sends several over one conn without waiting for answers.
func (p *Person) pipelines() []op {
	d, c := p.socket()
	if c == nil {
		return nil
	}
	var all []op
	channel := p.mine()
	for range 3 + p.rnd.IntN(6) {
		all = append(all, p.send(op{Op: p.over(record.Send, d, c), on: d}, channel))
	}
	return all
}

// again fills in what was sent before.
func (o op) again(s memory.Said) op {
	o.F, o.Channel, o.ID, o.Body, o.Thread, o.Again = record.Send, s.Channel, s.ID, s.Body, s.Thread, true
	return o
}

func (p *Person) resends() []op {
	s, found := p.knows.Earlier(p.rnd)
	o, ok := p.somehow(record.Send)
	if !found || !ok {
		return nil
	}
	return one(o.again(s), true)
}

func (p *Person) resendsOld() []op {
	s, found := p.knows.First(p.rnd)
	o, ok := p.somehow(record.Send)
	if !found || !ok {
		return nil
	}
	return one(o.again(s), true)
}

// storms sends one thing over all conns of all devices, and over REST, at once: for the first time, or again.
func (p *Person) storms() []op {
	s, found := p.knows.Earlier(p.rnd)
	fresh := !found || p.rnd.IntN(2) == 0
	if fresh {
		s = memory.Said{Channel: p.mine(), ID: p.newID()}
		s.Body = p.body(s.ID)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []op
	for _, d := range p.devices {
		all = append(all, op{Op: p.rests(record.Send, d), on: d}.again(s))
		for _, c := range d.Read() {
			all = append(all, op{Op: p.over(record.Send, d, c), on: d}.again(s))
		}
	}
	if fresh && len(all) > 0 {
		all[0].Again = false // one of them is the first
	}
	return all
}

// conflicts sends an id of before with another body.
func (p *Person) conflicts() []op {
	s, found := p.knows.Earlier(p.rnd)
	o, ok := p.somehow(record.Send)
	if !found || !ok {
		return nil
	}
	o = o.again(s)
	o.Body = p.body(s.ID)
	return one(o, true)
}

// intrudes says something where the person is not.
func (p *Person) intrudes() []op {
	out := p.knows.Named(false)
	for _, c := range p.w.Others[p.Workspace.ID].Channels {
		out = append(out, c.ID)
	}
	channel, found := memory.Any(p.rnd, out)
	o, ok := p.somehow(record.Send)
	if !found || !ok {
		return nil
	}
	return one(p.send(o, channel), true)
}

func (p *Person) saysTooMuch() []op {
	o, ok := p.somehow(record.Send)
	if !ok {
		return nil
	}
	o = p.send(o, p.mine())
	o.Body = phrase.TooLong(p.rnd, o.Body)
	return one(o, true)
}

func (p *Person) saysNothing() []op {
	o, ok := p.somehow(record.Send)
	if !ok {
		return nil
	}
	o = p.send(o, p.mine())
	o.Body = phrase.Nothing(p.rnd)
	return one(o, true)
}

// malforms sends under an id that no message may have: over REST, for a socket's answer could not name what it is about.
func (p *Person) malforms() []op {
	o, ok := p.byREST(record.Send)
	if !ok {
		return nil
	}
	o = p.send(o, p.mine())
	o.ID = phrase.Malformed(p.rnd)
	return one(o, true)
}
