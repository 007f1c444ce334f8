package person

import (
	"time"

	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/ops/verify/workload/device"
	"github.com/canopychat/canopy/ops/verify/workload/memory"
)

// gateway is any, or the front.
func (p *Person) gateway() string {
	at := p.rnd.IntN(len(p.w.Gateways) + 1)
	if at == len(p.w.Gateways) {
		return ""
	}
	return p.w.Gateways[at]
}

// connect opens a socket, mostly one that goes on where another one of the device ended.
func (p *Person) connect(d *device.Device) op {
	o := op{Op: p.begins(record.Connect, d), on: d}
	o.At = p.gateway()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rnd.IntN(4) > 0 {
		o.Cursor = d.Cursor
	}
	return o
}

func (p *Person) connects() []op {
	d := p.device()
	if d == nil || p.Absent {
		return nil
	}
	p.mu.Lock()
	full := d.Has() >= maxConns
	p.mu.Unlock()
	if full {
		return nil
	}
	return one(p.connect(d), true)
}

func (p *Person) closes() []op {
	d, c := p.socket()
	if c == nil {
		return nil
	}
	return one(op{Op: p.over(record.Close, d, c), on: d}, true)
}

// Times of a slow reader.
const (
	leastStall = 2 * time.Second
	mostStall  = 40 * time.Second // longer than a server waits for one
)

func (p *Person) stalls() []op {
	d, c := p.socket()
	if c == nil {
		return nil
	}
	o := op{Op: p.over(record.Stall, d, c), on: d}
	o.last = leastStall + time.Duration(p.rnd.Int64N(int64(mostStall-leastStall)))
	return one(o, true)
}

// signsIn makes a new device, as long as there are not too many.
func (p *Person) signsIn() []op {
	p.mu.Lock()
	enough := len(p.devices) >= maxDevices || len(p.ever) >= maxMade
	none := len(p.devices) == 0
	p.mu.Unlock()
	var d *device.Device
	switch {
	case none && enough: // the last one signs in again
		d = p.last()
	case enough:
		return nil
	default:
		var err error
		if d, err = p.makes(); err != nil {
			return nil // Arrive has made some: this one is not needed
		}
	}
	return one(op{Op: p.begins(record.Login, d), on: d}, true)
}

func (p *Person) last() *device.Device {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ever[len(p.ever)-1]
}

// ends is a device that may end: another one stays, and there is stock. Rather one with a socket, which has to end with it.
func (p *Person) ends() *device.Device {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.devices) < 2 || len(p.ever) >= maxMade {
		return nil
	}
	var heard []*device.Device
	for _, d := range p.devices {
		if len(d.Conns()) > 0 {
			heard = append(heard, d)
		}
	}
	if d, some := memory.Any(p.rnd, heard); some {
		return d
	}
	d, _ := memory.Any(p.rnd, p.devices)
	return d
}

func (p *Person) signsOut() []op {
	d := p.ends()
	if d == nil {
		return nil
	}
	return one(op{Op: p.rests(record.Logout, d), on: d}, true)
}

// revokes ends another device of one's own.
func (p *Person) revokes() []op {
	target := p.ends()
	if target == nil {
		return nil
	}
	d := p.beside(target)
	if d == nil {
		return nil
	}
	o := op{Op: p.rests(record.Revoke, d), on: d}
	o.Target = target.Name
	return one(o, true)
}

// beside is a device that is signed in, and another one.
func (p *Person) beside(d *device.Device) *device.Device {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range p.devices {
		if one != d {
			return one
		}
	}
	return nil
}

// triesOut reads on a device that was signed out, which must be refused.
func (p *Person) triesOut() []op {
	p.mu.Lock()
	var out []*device.Device
	for _, d := range p.ever {
		if d.Ended && !d.Signed {
			out = append(out, d)
		}
	}
	d, found := memory.Any(p.rnd, out)
	p.mu.Unlock()
	if !found {
		return nil
	}
	o := op{Op: p.rests(record.Page, d), on: d}
	o.Channel, o.Limit = p.mine(), limits[0]
	return one(o, true)
}

// bans closes the account of somebody who was made for it; only who owns the workspace may.
func (p *Person) bans() []op {
	var doomed []string
	p.mu.Lock()
	for _, other := range p.w.People {
		if other.Doomed && other.Workspace.ID == p.Workspace.ID && other.Login != p.Login && !p.gone[other.Login] {
			doomed = append(doomed, other.Login)
		}
	}
	p.mu.Unlock()
	whom, there := memory.Any(p.rnd, doomed)
	o, ok := p.byREST(record.Ban)
	o.Target = whom
	return one(o, there && ok)
}
