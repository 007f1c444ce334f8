package person

import (
	"context"
	"time"

	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/ops/verify/workload/memory"
)

// lastTries is how often somebody tries to have the last word.
const lastTries = 6

// LastWord sends one more message in a channel that the person is in. What is not stored at the first try is sent again, under the same id,
// until ctx ends.
func (p *Person) LastWord(ctx context.Context) {
	seq := p.lastWord(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.word = seq
}

// lastWord is the seq of one more message; 0 when nobody took it.
func (p *Person) lastWord(ctx context.Context) int64 {
	var o op
	for try := range lastTries {
		d, c := p.socket()
		if c == nil || ctx.Err() != nil {
			return 0
		}
		next := op{Op: p.over(record.Send, d, c), on: d}
		if o.Outcome == record.Unknown {
			next = next.again(memory.Said{ID: o.ID, Channel: o.Channel, Body: o.Body})
		} else {
			next = p.send(next, p.mine())
		}
		next.Op = p.do(ctx, next)
		if o = next; o.Outcome == record.OK {
			return o.Seq
		}
		pause(ctx, time.Duration(try+1)*time.Second)
	}
	return 0
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// Listening is a conn that is open, and how far it was told.
type Listening struct {
	Conn string
	Told int64 // seq of the cursor that it would go on from: what it was told, or has to read elsewhere
	Word int64 // seq of its person's last word, which it must be told; 0: they said none
}

// Listening are the conns that are open, as far as hands that are Listeners say.
func (p *Person) Listening() (all []Listening) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, d := range p.ever {
		for name, told := range d.Told() {
			all = append(all, Listening{name, told, p.word})
		}
	}
	return all
}

// LookBack looks on each device that is signed in how far channels are read, and at the newest page of each one that the person is in. Who
// has signed out on a device tries there, too, which must be refused.
func (p *Person) LookBack(ctx context.Context) {
	p.mu.Lock()
	var all []op
	channels := p.knows.Channels()
	for _, d := range p.devices {
		all = append(all, op{Op: p.rests(record.Marks, d), on: d})
		for _, channel := range channels {
			o := op{Op: p.rests(record.Page, d), on: d}
			o.Channel, o.Limit = channel, limits[len(limits)-1]
			all = append(all, o)
		}
	}
	p.mu.Unlock()
	for _, o := range append(all, p.triesOut()...) {
		if ctx.Err() != nil {
			return
		}
		p.do(ctx, o)
	}
}
