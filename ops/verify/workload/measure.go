package workload

import (
	"context"
	"time"

	"github.com/canopychat/canopy/ops/verify/workload/capacity"
)

// Capacity measures how much can be sent (package capacity). Of the conns those of hands that wait out no refusal are taken, as Person.Hand
// says "stranger", or all when there are none. Nobody acts meanwhile: it is for after Arrive, and before Run.
func (w *Workload) Capacity(ctx context.Context, peakFor, doubleFor time.Duration) capacity.Measured {
	var strangers, all []capacity.Speaker
	for _, p := range w.people {
		of := p.Speakers()
		if all = append(all, of...); p.Hand == "stranger" {
			strangers = append(strangers, of...)
		}
	}
	if len(strangers) > 0 {
		all = strangers
	}
	return capacity.Measure(ctx, all, peakFor, doubleFor)
}
