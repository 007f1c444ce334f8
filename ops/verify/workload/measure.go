package workload

import (
	"context"
	"time"

	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/ops/verify/workload/burst"
	"github.com/canopychat/canopy/ops/verify/workload/capacity"
)

// Capacity measures how much can be sent (package capacity). Of the conns those of hands that wait out no refusal are taken, as Person.Hand
// says "stranger", or all when there are none. Nobody acts meanwhile: it is for after Arrive, and before Run.
func (w *Workload) Capacity(ctx context.Context, peakFor, doubleFor time.Duration) capacity.Measured {
	var strangers, all []capacity.Speaker
	for _, p := range w.people {
		var of []capacity.Speaker
		for _, says := range p.Speakers() {
			of = append(of, func(ctx context.Context, phase string) bool {
				return says(ctx, record.Op{Phase: phase}).Outcome == record.OK
			})
		}
		if all = append(all, of...); p.Hand == "stranger" {
			strangers = append(strangers, of...)
		}
	}
	if len(strangers) > 0 {
		all = strangers
	}
	return capacity.Measure(ctx, all, peakFor, doubleFor)
}

// Burst has one person of each kind of hand send more at once than one may (package burst), one after the other. It is for when Capacity is.
func (w *Workload) Burst(ctx context.Context) (all burst.Seen) {
	kinds := map[string]bool{}
	for _, p := range w.people {
		speakers := p.Speakers()
		if len(speakers) == 0 || kinds[p.Hand] {
			continue
		}
		kinds[p.Hand] = true
		seen := burst.Send(ctx, speakers[0])
		all.Sent, all.Refused, all.Stored = all.Sent+seen.Sent, all.Refused+seen.Refused, all.Stored+seen.Stored
	}
	return all
}
