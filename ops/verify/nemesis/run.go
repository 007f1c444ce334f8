package nemesis

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/canopychat/canopy/ops/verify/lever"
	"github.com/canopychat/canopy/ops/verify/record"
)

// mendBudget is how long letting go of a lever may take. It is no promise of the product: a machine under load starts processes slowly.
const mendBudget = 4 * time.Minute

// Config is what a Nemesis needs.
type Config struct {
	Rec  *record.Recorder
	Plan func() Step
	Say  func(text string) // is told what is broken and what is mended; may be nil
}

// Nemesis breaks a site and mends it.
type Nemesis struct {
	c Config
}

// New makes a Nemesis. It does nothing before Run.
func New(c Config) *Nemesis { return &Nemesis{c: c} }

// Run goes through the plan until ctx ends; whatever it has broken is mended when it returns, and its error says what could not be.
// Call it once.
func (n *Nemesis) Run(ctx context.Context) error {
	var failed []string
	for {
		s := n.c.Plan()
		n.wait(ctx, s.Pause)
		if ctx.Err() != nil {
			break
		}
		failed = append(failed, n.do(ctx, s)...)
	}
	if len(failed) > 0 {
		return fmt.Errorf("what could not be broken or mended: %s", strings.Join(failed, "; "))
	}
	return nil
}

// do makes one step. What is broken stays so for its time, or until ctx ends.
func (n *Nemesis) do(ctx context.Context, s Step) (failed []string) {
	if len(s.Pulls) == 0 {
		n.wait(ctx, s.Hold)
		return nil
	}
	faults := make([]record.Fault, len(s.Pulls))
	for i, p := range s.Pulls {
		faults[i] = record.Fault{Name: p.Fault, Tier: p.Tier, Begin: n.c.Rec.Since()}
		for _, l := range p.Levers {
			faults[i].Targets = append(faults[i].Targets, l.Target)
		}
		n.say("%s %s: %s, for %s", p.Tier, p.Fault, strings.Join(faults[i].Targets, ", "), s.Hold.Round(100*time.Millisecond))
	}
	// A fault that has begun is made whole, whatever ctx says: half of it would be another fault.
	working, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.Hold+2*mendBudget)
	defer cancel()
	began := each(s.Pulls, func(l lever.Lever) error { return l.Begin(working) })
	n.wait(ctx, s.Hold)
	ended := each(s.Pulls, func(l lever.Lever) error { return l.End(working) })
	for i := range faults {
		faults[i].End = n.c.Rec.Since()
		faults[i].Errors = append(began[i], ended[i]...)
		failed = append(failed, ended[i]...) // what was not broken is less of a trial; what is not mended is another site
		n.c.Rec.Add(record.Line{Fault: &faults[i]})
		for _, e := range faults[i].Errors {
			n.say("%s %s: %s", faults[i].Tier, faults[i].Name, e)
		}
	}
	return failed
}

// each pulls all levers at once, and gives the errors of each pull.
func each(pulls []Pull, do func(lever.Lever) error) [][]string {
	errs := make([][]string, len(pulls))
	var mu sync.Mutex // guards errs
	var working sync.WaitGroup
	for i, p := range pulls {
		for _, l := range p.Levers {
			working.Go(func() {
				if err := do(l); err != nil {
					mu.Lock()
					defer mu.Unlock()
					errs[i] = append(errs[i], fmt.Sprintf("%s: %v", l.Target, err))
				}
			})
		}
	}
	working.Wait()
	return errs
}

func (n *Nemesis) wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (n *Nemesis) say(format string, args ...any) {
	if n.c.Say != nil {
		n.c.Say(fmt.Sprintf(format, args...))
	}
}
