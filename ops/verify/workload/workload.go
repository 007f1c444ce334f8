package workload

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/ops/verify/workload/device"
	"github.com/canopychat/canopy/ops/verify/workload/person"
)

// What the people of a workload are made of (packages person and device).
type (
	Person    = person.Who
	Hand      = device.Hand
	Listening = person.Listening
)

// Config says who acts, where and how much.
type Config struct {
	Seed     uint64
	Rate     float64 // ops a second, of all people; 20 when 0
	People   []Person
	Gateways []string // names that Hand.Connect takes, of all regions; none: the front alone

	Answers time.Duration // how long Run waits for answers when ctx has ended; 90 s when 0
}

// Defaults of a Config.
const (
	defaultRate    = 20
	defaultAnswers = 90 * time.Second // longer than a send and a REST call one after the other
)

// Workload is all people of a run. Run it once; what follows is for before and after that.
type Workload struct {
	// Immutable after New.
	answers time.Duration
	world   *person.World
	people  []*person.Person
	give    context.CancelFunc // ends all that is on its way, when patience has ended

	began sync.Once
	err   error // of began
}

// New makes a workload. It starts nothing.
func New(o Config) (*Workload, error) {
	if len(o.People) == 0 {
		return nil, errors.New("a workload needs people")
	}
	if o.Rate <= 0 {
		o.Rate = defaultRate
	}
	if o.Answers <= 0 {
		o.Answers = defaultAnswers
	}
	w := &Workload{answers: o.Answers}
	w.world = &person.World{Seed: o.Seed, Rate: o.Rate, People: o.People, Gateways: o.Gateways, Others: map[string]record.Workspace{}}
	w.world.Patient, w.give = context.WithCancel(context.Background())
	spaces := map[string]record.Workspace{}
	for _, p := range o.People {
		spaces[p.Workspace.ID] = p.Workspace
		w.people = append(w.people, person.New(w.world, p))
	}
	names := slices.Sorted(maps.Keys(spaces))
	for i, id := range names {
		if len(names) > 1 {
			w.world.Others[id] = spaces[names[(i+1)%len(names)]]
		}
	}
	return w, nil
}

// Arrive has everybody sign in and open their first sockets, and waits for all of it. The error is of a device that could not be made; what
// was refused or not answered, the record says, and people try again.
func (w *Workload) Arrive(ctx context.Context) error {
	w.began.Do(func() {
		var arriving sync.WaitGroup
		failed := make([]error, len(w.people))
		for i, p := range w.people {
			arriving.Go(func() { failed[i] = p.Arrive(ctx) })
		}
		arriving.Wait()
		w.err = errors.Join(failed...)
	})
	return w.err
}

// Run has everybody act until ctx ends, and then waits for all answers. Sockets stay open: see Conns and Leave. It arrives first, when nobody did.
func (w *Workload) Run(ctx context.Context) error {
	if err := w.Arrive(ctx); err != nil {
		return err
	}
	hands := w.world.Deal(ctx)
	var acting sync.WaitGroup
	for _, p := range w.people {
		acting.Go(func() { p.Act(ctx, hands[p.Login]) })
	}
	acting.Wait()
	patience := time.AfterFunc(w.answers, w.give)
	defer patience.Stop()
	for _, p := range w.people {
		p.Wait()
	}
	if w.world.Patient.Err() != nil {
		return errors.New("there were ops without an answer when patience ended")
	}
	return nil
}

// Busy is how many ops were not done because a person had too many on their way.
func (w *Workload) Busy() int64 { return w.world.Busy() }

// Conns are the conns that are open, as far as their people know.
func (w *Workload) Conns() []string {
	var open []string
	for _, p := range w.people {
		open = append(open, p.Conns()...)
	}
	slices.Sort(open)
	return open
}

// Leave closes all sockets, and waits until they are gone.
func (w *Workload) Leave(ctx context.Context) {
	var leaving sync.WaitGroup
	for _, p := range w.people {
		leaving.Go(func() { p.Leave(ctx) })
	}
	leaving.Wait()
}

// LastWord has everybody with a socket say one more thing in a channel that they are in. It is for after Run; what came of it, Listening says.
func (w *Workload) LastWord(ctx context.Context) {
	var speaking sync.WaitGroup
	for _, p := range w.people {
		speaking.Go(func() { p.LastWord(ctx) })
	}
	speaking.Wait()
}

// Listening are the conns that are open, and how far they were told.
func (w *Workload) Listening() (all []Listening) {
	for _, p := range w.people {
		all = append(all, p.Listening()...)
	}
	return all
}

// lookers are how many people look back at once.
const lookers = 16

// LookBack has everybody look at what is left of it all, on each device (person.Person.LookBack). It is for when all is quiet, and lasts as
// long as ctx does.
func (w *Workload) LookBack(ctx context.Context) {
	var looking sync.WaitGroup
	room := make(chan struct{}, lookers)
	for _, p := range w.people {
		room <- struct{}{} // every look is bounded, so there is room again
		looking.Go(func() {
			defer func() { <-room }()
			p.LookBack(ctx)
		})
	}
	looking.Wait()
}
