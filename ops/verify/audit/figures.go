package audit

import (
	"context"
	"sync"
	"time"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/ops/verify/audit/scrape"
	"github.com/canopychat/canopy/ops/verify/record"
)

const (
	figuresTimeout = 3 * time.Second       // of one look at a process
	settling       = 20 * time.Second      // how long goroutines may take to go
	settlingEvery  = 2 * time.Second       // between two looks meanwhile
	tick           = 20 * time.Millisecond // of the timer whose lateness is noted
	lateEvery      = time.Second           // how often the worst lateness is
	observer       = "verify"              // the process that observes
	asIs           = "before"              // record.Sample.When
	afterAll       = "quiet"               // the same
)

// Before writes down what processes need before the load.
func (a *Audit) Before(ctx context.Context) {
	for _, f := range a.look(ctx) {
		if f.err != nil {
			a.miss("figures of %s before the load: %v", f.process, f.err)
			continue
		}
		a.before[f.process] = f.values[record.Goroutines]
		a.note(f, asIs)
	}
	a.notePending(ctx, asIs)
}

// settledTimes is how much more than before the load is no reason to look again: connections to others that stay, and are used again.
const settledTimes = 1.25

// Figures writes down what processes need when all is quiet, the least of some looks: what has ended takes a moment to go.
func (a *Audit) Figures(ctx context.Context) {
	a.notePending(ctx, afterAll)
	least := map[string]figures{}
	looking, cancel := context.WithTimeout(ctx, min(settling, a.Patience))
	defer cancel()
	for {
		settled := true
		for _, f := range a.look(ctx) {
			now, ok := least[f.process]
			if !ok || now.err != nil {
				now = f
				least[f.process] = f
			} else if f.err == nil {
				now.lower(f)
			}
			was, known := a.before[f.process]
			settled = settled && now.err == nil && (!known || now.values[record.Goroutines] <= was*settledTimes)
		}
		if settled || client.Wait(looking, settlingEvery) != nil {
			break
		}
	}
	for _, p := range a.Processes {
		if f := least[p.Name]; f.err != nil {
			a.miss("figures of %s at the end: %v", p.Name, f.err)
		} else {
			a.note(f, afterAll)
		}
	}
}

// Watch looks during the load, until ctx ends. What does not answer is left out: it may be down on purpose.
func (a *Audit) Watch(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() { a.lateness(ctx) })
	all.Go(func() { a.follow(ctx) })
	for client.Wait(ctx, a.Every) == nil {
		for _, f := range a.look(ctx) {
			if f.err == nil {
				a.note(f, "")
			}
		}
		looking, cancel := context.WithTimeout(ctx, a.Every)
		a.notePending(looking, "")
		cancel()
	}
}

// lateness tells how loaded this machine is.
func (a *Audit) lateness(ctx context.Context) {
	worst, told := time.Duration(0), time.Now()
	for {
		due := time.Now().Add(tick)
		if client.Wait(ctx, tick) != nil {
			return
		}
		worst = max(worst, time.Since(due))
		if time.Since(told) >= lateEvery {
			a.sample(record.Sample{Process: observer, Name: record.Lateness, Value: float64(worst)})
			worst, told = 0, time.Now()
		}
	}
}

// figures are those of one process at one look.
type figures struct {
	process string
	values  map[string]float64 // by their names in a record
	err     error
}

// lower takes what is less than before.
func (f figures) lower(other figures) {
	for name, value := range other.values {
		f.values[name] = min(f.values[name], value)
	}
}

// look asks all processes at once.
func (a *Audit) look(ctx context.Context) []figures {
	all := make([]figures, len(a.Processes))
	var asking sync.WaitGroup
	for i, p := range a.Processes {
		asking.Go(func() {
			values, err := scrape.Figures(ctx, a.http, p.Metrics)
			all[i] = figures{p.Name, values, err}
		})
	}
	asking.Wait()
	return all
}

func (a *Audit) note(f figures, when string) {
	for _, name := range []string{record.Goroutines, record.Resident, record.Descriptors} {
		if value, ok := f.values[name]; ok {
			a.sample(record.Sample{Process: f.process, Name: name, Value: value, When: when})
		}
	}
}
