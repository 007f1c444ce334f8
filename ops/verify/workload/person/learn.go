package person

import (
	"slices"

	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/ops/verify/workload/device"
	"github.com/canopychat/canopy/schemas/fault"
)

// maxNoSign is after how many refused sign-ins somebody who may be banned takes it that they are.
const maxNoSign = 3

// learn takes what came of an op. It reports whether the sender of a message should now look for it.
func (p *Person) learn(o op) (look bool) {
	look = p.knows.Learn(o.Op)
	p.mu.Lock()
	defer p.mu.Unlock()
	if o.Outcome == record.Refused && fault.Kind(o.Code) == fault.Unauthenticated && o.F != record.Login {
		p.forget(o.on)
	}
	o.on.Learn(o.Op)
	p.learnRest(o)
	return look
}

// learnRest takes what came of an op about sign-ins and other people.
func (p *Person) learnRest(o op) {
	d := o.on
	switch o.F {
	case record.Login:
		switch o.Outcome {
		case record.OK:
			d.Signed, d.Ended, p.noSign = true, false, 0
			p.devices = append(p.devices, d)
		case record.Refused:
			p.refuses()
		}
	case record.Kick:
		if o.Outcome == record.OK {
			p.cleared = o.Channel
		}
	case record.Ban:
		if o.Outcome == record.OK {
			p.gone[o.Target] = true
		}
	case record.Logout:
		p.forget(d) // also when it is not known what became of it: nobody relies on it then
	}
}

// refuses notes that nobody was let in.
func (p *Person) refuses() {
	p.noSign++
	p.out = p.Doomed && p.noSign >= maxNoSign
}

// forget gives a device up. Conns of it that are open all the same stay known: they are closed in the end.
func (p *Person) forget(d *device.Device) {
	d.Forget()
	p.devices = slices.DeleteFunc(p.devices, func(one *device.Device) bool { return one == d })
}
