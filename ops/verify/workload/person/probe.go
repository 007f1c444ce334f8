package person

import (
	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/ops/verify/workload/device"
	"github.com/canopychat/canopy/ops/verify/workload/hostile"
)

// probes tries to see or change what is not the person's, by the id of another workspace or by a hostile one.
func (p *Person) probes() []op {
	channel, space := p.target()
	if len(p.Probes) > 0 {
		return p.probeWord()
	}
	switch kind := p.rnd.IntN(4); kind {
	case 0:
		return p.probeFrame(channel)
	case 1:
		d := p.device()
		if d == nil || p.Absent {
			return nil
		}
		o := op{Op: p.begins(record.Probe, d), on: d}
		o.Over, o.At, o.Body = device.Connecting, p.gateway(), hostile.Query(space)
		return one(o, true)
	case 2:
		return p.probeREST(hostile.ChannelRequest(p.rnd, channel))
	}
	if p.rnd.IntN(4) == 0 { // the cursor of a list of one's own
		return p.probeREST(hostile.ListRequest(p.rnd, p.Workspace.ID))
	}
	return p.probeREST(hostile.SpaceRequest(p.rnd, space))
}

// trespasses asks for something of the other workspace. Each person goes on behind where they were, and begins elsewhere than the others, so
// that together they soon have asked for all there is.
func (p *Person) trespasses() []op {
	away := p.w.Others[p.Workspace.ID]
	if len(away.Channels) == 0 {
		return nil
	}
	p.tried++
	return p.probeREST(hostile.Trespass(p.tried, away.Channels[p.rnd.IntN(len(away.Channels))].ID, away.ID))
}

// probeWord tries what the hand knows, with whatever that may need.
func (p *Person) probeWord() []op {
	d, c := p.socket()
	o := op{on: d}
	if c != nil {
		o.Op = p.over(record.Probe, d, c)
	} else if d = p.device(); d != nil {
		o = op{Op: p.rests(record.Probe, d), on: d}
	} else {
		return nil
	}
	o.Over, o.Channel, o.Body = "", p.mine(), p.Probes[p.rnd.IntN(len(p.Probes))]
	away := p.w.Others[p.Workspace.ID]
	foreign := []string{away.ID}
	for _, ch := range away.Channels {
		foreign = append(foreign, ch.ID)
	}
	o.Target = foreign[p.rnd.IntN(len(foreign))]
	return one(o, true)
}

// target is a channel and a workspace that are none of the person's.
func (p *Person) target() (channel, space string) {
	away, known := p.w.Others[p.Workspace.ID]
	if known && len(away.Channels) > 0 && p.rnd.IntN(2) == 0 {
		return away.Channels[p.rnd.IntN(len(away.Channels))].ID, away.ID
	}
	bad := hostile.ID(p.rnd)
	return bad, bad
}

func (p *Person) probeREST(request string) []op {
	o, ok := p.byREST(record.Probe)
	o.Body = request
	return one(o, ok)
}

func (p *Person) probeFrame(id string) []op {
	d, c := p.socket()
	if c == nil {
		return nil
	}
	o := op{Op: p.over(record.Probe, d, c), on: d}
	o.Body = hostile.Frame(p.rnd, id, p.newID())
	return one(o, true)
}
