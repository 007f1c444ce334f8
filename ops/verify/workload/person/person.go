package person

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/ops/verify/workload/device"
	"github.com/canopychat/canopy/ops/verify/workload/memory"
)

// What a person has and knows at most.
const (
	maxDoing   = 48 // ops on their way; what finds no room is not done
	maxDevices = 3  // signed in at once
	maxMade    = 40 // devices ever: an account keeps 50 sign-ins
	maxConns   = 2  // of a device
)

// Who is somebody who can act.
type Who struct {
	record.Person
	Workspace record.Workspace
	Owner     bool // may take people out of channels, and close accounts
	Absent    bool // has no socket on purpose, so that what names them has to be delivered
	Doomed    bool // may be banned

	Probes []string // what their hand knows to try (Hand.Do); none: it is told literally

	// Open makes the hand of a new device, «<login>/<n>». It may sign in right away: a Login follows, which does it once more, or finds it done.
	Open func(device string) (device.Hand, error)
}

// World is what people share. It does not change once they act.
type World struct {
	Seed     uint64
	Rate     float64 // ops a second, of all people
	People   []Who
	Gateways []string                    // names that Hand.Connect takes, of all regions; none: the front alone
	Others   map[string]record.Workspace // of each workspace, one that its people must not see
	Patient  context.Context             // ends what is on its way when nobody waits for it any more

	busy atomic.Int64
}

// Busy is how many ops found no room, so far.
func (w *World) Busy() int64 { return w.busy.Load() }

// Person is somebody who acts.
type Person struct {
	Who
	w     *World
	knows *memory.Memory
	acts  []act
	sum   int            // of the weights
	doing sync.WaitGroup // ops on their way
	room  chan struct{}  // holds one for each of them
	names []string       // logins of the others of the workspace

	// Owned by the loop.
	rnd   *rand.Rand
	hand  []Card // by due; what must be done yet
	tried int    // what they trespassed on last (hostile.Trespass)

	mu sync.Mutex
	// Guarded by mu.
	devices []*device.Device // signed in
	ever    []*device.Device // all that were made
	n       int              // bodies
	noSign  int              // sign-ins in a row that were refused
	out     bool             // they were banned
	cleared string           // channel that they took somebody out of just now
	gone    map[string]bool  // logins that they banned
	word    int64            // seq of their last word
}

// triesApart is how far from another people begin to trespass; in a short run each does it so often.
const triesApart = 2

// op is something to do on a device.
type op struct {
	record.Op
	on   *device.Device
	last time.Duration // of a stall
}

// New is somebody who has not arrived yet.
func New(w *World, who Who) *Person {
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(who.Login)) // it cannot fail
	p := &Person{
		Who: who, w: w, knows: memory.New(who.ID, who.Workspace), acts: acts(), rnd: rand.New(rand.NewPCG(w.Seed, sum.Sum64())),
		room: make(chan struct{}, maxDoing), gone: map[string]bool{},
		tried: triesApart * max(0, slices.IndexFunc(w.People, func(one Who) bool { return one.Login == who.Login })),
	}
	for _, a := range p.acts {
		p.sum += a.weight
	}
	for _, other := range who.Workspace.People {
		if other.Login != who.Login {
			p.names = append(p.names, other.Login)
		}
	}
	return p
}

// Arrive signs in on two devices, finds out which channels are theirs, and opens a socket on each. The error is of a device that could not be
// made.
func (p *Person) Arrive(ctx context.Context) error {
	for range 2 {
		d, err := p.makes()
		if err != nil {
			return err
		}
		p.do(ctx, op{Op: p.begins(record.Login, d), on: d})
		if !p.Absent && p.signedIn(d) {
			p.do(ctx, p.connect(d))
		}
	}
	if d := p.device(); d != nil {
		p.do(ctx, op{Op: p.rests(record.Marks, d), on: d})
	}
	return nil
}

// makes is a new device, which has not signed in. One at a time is made.
func (p *Person) makes() (*device.Device, error) {
	p.mu.Lock()
	name := fmt.Sprintf("%s/%d", p.Login, len(p.ever)+1)
	p.mu.Unlock()
	hand, err := p.Open(name)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.refuses()
		return nil, fmt.Errorf("the device %s: %w", name, err)
	}
	d := &device.Device{Name: name, Hand: hand}
	p.ever = append(p.ever, d)
	return d, nil
}

// Act plays the cards and chooses one thing after the other, until ctx ends or nobody lets the person in. Wait waits for answers.
func (p *Person) Act(ctx context.Context, hand []Card) {
	p.hand = hand
	mean := float64(len(p.w.People)) / p.w.Rate
	if p.Absent {
		mean *= 5 // who is not there does little
	}
	began := time.Now()
	for cost := 1; ; {
		pause := time.NewTimer(time.Duration(p.rnd.ExpFloat64() * mean * float64(cost) * float64(time.Second)))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return
		}
		if p.isOut() {
			return
		}
		ops := p.chooses(time.Since(began))
		for _, o := range ops {
			p.start(ctx, o)
		}
		cost = max(1, len(ops))
	}
}

// awayFor is about how many acts somebody stays without a socket, so that something happens meanwhile.
const awayFor = 3

// chooses is what to do next, so long after people began to act. A socket that is gone and a sign-in that has ended come soon.
func (p *Person) chooses(since time.Duration) []op {
	if ops := p.follows(); ops != nil {
		return ops
	}
	if p.rnd.IntN(awayFor) == 0 {
		if again := p.mends(); again != nil {
			return again
		}
	}
	if ops := p.plays(since); ops != nil {
		return ops
	}
	at := p.rnd.IntN(p.sum)
	for _, a := range p.acts {
		if at -= a.weight; at < 0 {
			if ops := a.do(p); len(ops) > 0 {
				return ops
			}
			break
		}
	}
	return p.says()
}

// start does an op beside others, if there is room for it.
func (p *Person) start(ctx context.Context, o op) {
	select {
	case p.room <- struct{}{}:
	default:
		p.w.busy.Add(1)
		return
	}
	p.reserve(o)
	p.doing.Go(func() {
		defer func() { <-p.room }()
		if o.F == record.Stall {
			stalling, stop := context.WithTimeout(ctx, o.last)
			defer stop()
			p.perform(stalling, o)
			return
		}
		p.perform(p.w.Patient, o)
	})
}

// Wait waits until all that was begun has ended.
func (p *Person) Wait() { p.doing.Wait() }

// do does an op and waits for it.
func (p *Person) do(ctx context.Context, o op) record.Op {
	p.reserve(o)
	return p.perform(ctx, o)
}

// reserve notes what is about to change on a device.
func (p *Person) reserve(o op) {
	p.mu.Lock()
	defer p.mu.Unlock()
	o.on.Begin(o.Op)
}

// perform does an op and learns from it. Now and then the sender of a message looks right away whether it is there.
func (p *Person) perform(ctx context.Context, o op) record.Op {
	o.on.Hand.Do(ctx, &o.Op)
	if p.learn(o) {
		look := op{Op: p.rests(record.Page, o.on), on: o.on}
		look.Channel, look.Limit = o.Channel, 20
		o.on.Hand.Do(ctx, &look.Op)
		p.learn(look)
	}
	return o.Op
}

// mends is what to do about a device without a socket, or when no sign-in lasts.
func (p *Person) mends() []op {
	p.mu.Lock()
	var alone *device.Device
	for _, d := range p.devices {
		if d.Has() == 0 && !p.Absent {
			alone = d
		}
	}
	signed := len(p.devices)
	p.mu.Unlock()
	switch {
	case signed == 0:
		return p.signsIn()
	case alone != nil:
		return []op{p.connect(alone)}
	}
	return nil
}

func (p *Person) isOut() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out
}

func (p *Person) signedIn(d *device.Device) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return d.Signed
}

// Conns are the conns that are open, as far as the person knows.
func (p *Person) Conns() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var open []string
	for _, d := range p.ever {
		for _, c := range d.Conns() {
			open = append(open, c.Name)
		}
	}
	return open
}

// Leave closes all sockets, and waits until they are gone.
func (p *Person) Leave(ctx context.Context) {
	var closing []op
	p.mu.Lock()
	for _, d := range p.ever {
		for _, c := range d.Conns() {
			closing = append(closing, op{Op: p.over(record.Close, d, c), on: d})
		}
	}
	ever := slices.Clone(p.ever)
	p.mu.Unlock()
	for _, o := range closing {
		p.do(ctx, o)
	}
	for _, d := range ever {
		d.Shut()
	}
}

// device is any that is signed in; nil: none is.
func (p *Person) device() *device.Device {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.devices) == 0 {
		return nil
	}
	return p.devices[p.rnd.IntN(len(p.devices))]
}

// socket is any conn of any device that is read from; nil: there is none.
func (p *Person) socket() (*device.Device, *device.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	type pair struct {
		d *device.Device
		c *device.Conn
	}
	var all []pair
	for _, d := range p.devices {
		for _, c := range d.Read() {
			all = append(all, pair{d, c})
		}
	}
	if len(all) == 0 {
		return nil, nil
	}
	one := all[p.rnd.IntN(len(all))]
	return one.d, one.c
}

// begins is an op of a device, of its person's workspace.
func (p *Person) begins(f record.F, d *device.Device) record.Op {
	return record.Op{Who: p.Login, Device: d.Name, F: f, Workspace: p.Workspace.ID}
}

// rests is an op over REST.
func (p *Person) rests(f record.F, d *device.Device) record.Op {
	o := p.begins(f, d)
	o.Over, o.At = record.REST, p.Region
	return o
}

// over is an op over a conn.
func (p *Person) over(f record.F, d *device.Device, c *device.Conn) record.Op {
	o := p.begins(f, d)
	o.Over, o.At, o.Conn = record.Socket, c.At, c.Name
	return o
}

// somehow is an op over a socket when there is one, and over REST else and now and then. It is false when no sign-in lasts.
func (p *Person) somehow(f record.F) (op, bool) {
	if p.rnd.IntN(6) > 0 {
		if d, c := p.socket(); c != nil {
			return op{Op: p.over(f, d, c), on: d}, true
		}
	}
	return p.byREST(f)
}

func (p *Person) byREST(f record.F) (op, bool) {
	d := p.device()
	if d == nil {
		return op{}, false
	}
	return op{Op: p.rests(f, d), on: d}, true
}
