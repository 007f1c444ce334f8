package person

import (
	"context"

	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/ops/verify/workload/capacity"
)

// Speakers send one message after the other, each over a conn of its own, in a channel of its own.
func (p *Person) Speakers() (all []capacity.Speaker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, d := range p.devices {
		for _, c := range d.Conns() {
			channel := p.mine()
			all = append(all, func(ctx context.Context, phase string) bool {
				o := op{Op: p.over(record.Send, d, c), on: d}
				p.mu.Lock()
				id := p.newID()
				p.mu.Unlock()
				o.Channel, o.ID, o.Phase = channel, id, phase
				o.Body = p.body(id)
				return p.perform(ctx, o).Outcome == record.OK
			})
		}
	}
	return all
}
