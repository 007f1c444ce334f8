package person

import (
	"context"

	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/ops/verify/workload/burst"
)

// Speakers send one message after the other, each over a conn of its own, in a channel of its own.
func (p *Person) Speakers() (all []burst.Speaker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, d := range p.devices {
		for _, c := range d.Conns() {
			channel := p.mine()
			all = append(all, func(ctx context.Context, said record.Op) record.Op {
				o := op{Op: p.over(record.Send, d, c), on: d}
				o.Phase, o.Channel, o.ID, o.Body, o.Again = said.Phase, channel, said.ID, said.Body, said.ID != ""
				if !o.Again {
					p.mu.Lock()
					o.ID = p.newID()
					p.mu.Unlock()
					o.Body = p.body(o.ID)
				}
				return p.perform(ctx, o)
			})
		}
	}
	return all
}
