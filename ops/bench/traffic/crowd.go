//go:build linux

package traffic

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/canopychat/canopy/ops/bench/rig"
	"github.com/canopychat/canopy/schemas/chat"
)

// Crowd is people who lose their sockets at one moment and come back.
type Crowd struct {
	people []*person
	all    sync.WaitGroup // of who reads a socket
}

// NewCrowd makes the people, one a token.
func NewCrowd(at Place, tokens []string) *Crowd {
	c := &Crowd{}
	for i, token := range tokens {
		c.people = append(c.people, newPerson(at, token, Source(i)))
	}
	return c
}

// Return is how one of the crowd came back.
type Return struct {
	Took     time.Duration   // until hello, from the moment that all began
	CaughtUp time.Duration   // until the last message that was sent meanwhile had come
	Refused  []time.Duration // when the server said not now
	Codes    []string        // what it said, one a refusal
	Failed   int             // connections that came to nothing without an answer
	Resumed  bool            // at the cursor; else from the head
	Err      error           // why it did not come back
}

// Come has everybody open a socket, all at once, and come back as long as the server says not now. Nobody is done
// before the event with seq until has come (0: hello is enough). It returns when everybody is back, or ctx ends.
func (c *Crowd) Come(ctx context.Context, until chat.Seq) []Return {
	returns := make([]Return, len(c.people))
	began := time.Now()
	var coming sync.WaitGroup
	for i, p := range c.people {
		coming.Go(func() { c.come(ctx, p, arrival{began: began, until: until, to: &returns[i]}) })
	}
	coming.Wait()
	return returns
}

// arrival is what one who comes aims at.
type arrival struct {
	began time.Time
	until chat.Seq
	to    *Return
}

func (c *Crowd) come(ctx context.Context, p *person, a arrival) {
	r := a.to
	for tries := 1; ; tries++ {
		s, hello, err := p.connect(ctx)
		if err == nil {
			r.Took, r.Resumed = time.Since(a.began), hello.Resumed
			r.Err = p.catchUp(ctx, s, a.until)
			r.CaughtUp = time.Since(a.began)
			c.all.Go(func() { p.idle(s) })
			return
		}
		var refused *rig.Refused
		switch {
		case ctx.Err() != nil || hopeless(err):
			r.Err = errors.Join(ctx.Err(), err)
			return
		case errors.As(err, &refused):
			r.Refused = append(r.Refused, time.Since(a.began))
			r.Codes = append(r.Codes, fmt.Sprintf("%d %s", refused.Status, refused.Code))
		default:
			r.Failed++
		}
		wait(ctx, pauseAfter(err, tries, rand.Float64))
	}
}

// catchUp reads until the event with that seq has come.
func (p *person) catchUp(ctx context.Context, s *rig.Socket, until chat.Seq) error {
	stop := context.AfterFunc(ctx, s.Cut)
	defer stop()
	for {
		p.mu.Lock()
		at := p.cursor.Seq
		p.mu.Unlock()
		if at >= until {
			return nil
		}
		f, err := next(s)
		if err != nil {
			return err
		}
		p.note(f)
	}
}

// idle reads a socket to its end, and answers pings.
func (p *person) idle(s *rig.Socket) {
	defer p.gone()
	defer s.Cut()
	for {
		f, err := next(s)
		if err != nil {
			return
		}
		p.note(f)
	}
}

// Scatter cuts all sockets without a word, and returns when their readers have ended.
func (c *Crowd) Scatter() {
	for _, p := range c.people {
		if s := p.open(); s != nil {
			s.Cut()
		}
	}
	c.all.Wait()
}

// Talk has one who is not of the crowd say some messages in a channel; the result is the seq of the last.
func Talk(ctx context.Context, at Place, token string, in chat.ChannelID, messages int) (last chat.Seq, err error) {
	p := newPerson(at, token, Source(0))
	s, _, err := p.connect(ctx)
	if err != nil {
		return 0, err
	}
	stop := context.AfterFunc(ctx, s.Cut)
	defer stop()
	defer s.Cut()
	for range messages {
		if err := post(s, in, body()); err != nil {
			return 0, err
		}
		for said := false; !said; {
			f, err := next(s)
			switch {
			case err != nil:
				return 0, err
			case f.Type == "error":
				return 0, fmt.Errorf("a message was refused: %s", f.Code)
			}
			if said = f.Type == "message.ack"; said {
				last = max(last, f.Seq)
			}
		}
	}
	return last, nil
}
