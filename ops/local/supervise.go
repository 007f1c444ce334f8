package local

import (
	"context"
	"sync"
	"time"

	"github.com/canopychat/canopy/streams/bus"
)

// restartPause is between the end of a process and its next start, as supervisors have one.
const restartPause = 3 * time.Second

// Supervise starts every process again that ends by itself, as in production something does, until ctx ends. What
// happens is said by Options.Say. Who is stopped or killed by its Process stays down.
func (d *Deployment) Supervise(ctx context.Context) {
	var watching sync.WaitGroup
	defer watching.Wait()
	for _, p := range d.Processes() {
		watching.Go(func() { d.supervise(ctx, p) })
	}
}

func (d *Deployment) supervise(ctx context.Context, p *Process) {
	for bus.Pause(ctx, pollEvery) == nil {
		how := p.Crashed()
		if how == nil {
			continue
		}
		d.o.say("%v; it is started again in %s", how, restartPause)
		if bus.Pause(ctx, restartPause) != nil {
			return
		}
		if err := p.Start(); err != nil { // somebody else was quicker
			d.o.say("%v", err)
			continue
		}
		d.o.say("%s runs again as process %d", p.Name, p.PID())
		if err := d.write(); err != nil {
			d.o.say("%v", err)
		}
	}
}
