package faults_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/edge/client/live"
	"github.com/canopychat/canopy/ops/local"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
)

// answers is what all sends of all times were answered.
type answers struct {
	mu      sync.Mutex
	all     []answer
	longest time.Duration // of a send that was stored, since the last look
}

func (a *answers) add(one answer, took time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = append(a.all, one)
	if one.outcome == stored {
		a.longest = max(a.longest, took)
	}
}

// since is what was added after the first n.
func (a *answers) since(n int) []answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.all[n:])
}

// outcomeOf is what an error says of a send. A refusal that may pass was given up waiting for, so it leaves open
// what became of it (rate_limited does not, but nobody here sends as much).
func outcomeOf(err error) outcome {
	var e *client.Error
	switch {
	case err == nil:
		return stored
	case errors.As(err, &e) && !e.Passes() && e.Code != fault.Internal:
		return refused
	}
	return unknown
}

// talk is people who chat.
type talk struct {
	w       *site
	enough  context.Context
	stop    context.CancelFunc
	talking sync.WaitGroup
	resends chan answer // bounded: what finds no room is not sent again
	first   int         // of the site's answers, of this talk
}

// Of every so many things that somebody says
const (
	overREST  = 6  // one is posted over REST, and what is unknown then is sent again later
	conflicts = 13 // one is an old id with another body
	intrudes  = 17 // one is said where the sender is not
	repeats   = 7  // one is sent again at another gateway, and one of an older talk
)

// talks begins to have everybody talk.
func (w *site) talks() *talk {
	t := &talk{w: w, resends: make(chan answer, 64), first: len(w.seen.since(0))}
	t.enough, t.stop = context.WithCancel(context.Background())
	for _, p := range w.people {
		t.talking.Go(func() {
			for n := rand.IntN(100); t.enough.Err() == nil; n++ {
				t.say(p, n)
				_ = client.Wait(t.enough, time.Duration(300+rand.IntN(700))*time.Millisecond) // the loop looks for the end
			}
		})
	}
	for range 2 {
		t.talking.Go(t.resend)
	}
	w.t.Cleanup(t.end) // once more is no mistake
	return t
}

var counter atomic.Int64

// line is a message that says what it is: sender, counter, hash.
func line(sender string, channel chat.ChannelID) message {
	m := message{channel: channel, sender: sender, id: client.NewMsgID()}
	m.body = fmt.Sprintf("%s-%d", sender, counter.Add(1))
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(m.body + string(m.id))) // it cannot fail
	m.body += fmt.Sprintf("-%x", sum.Sum64())
	return m
}

// say says one thing and waits for its answer, however long that takes.
func (t *talk) say(p *person, n int) {
	m := line(p.login, t.w.channels[rand.IntN(len(t.w.channels))])
	switch {
	case n%conflicts == 0:
		if _, old := p.acked(rand.IntN(20)); old.id != "" {
			m.id, m.channel = old.id, old.channel
		}
	case n%intrudes == 0 && p != t.w.owner:
		m.channel = t.w.secret
	case n%overREST == 0:
		t.post(p, m)
		return
	}
	t.send(p, m, p.login)
}

// send sends over the person's own socket, and waits.
func (t *talk) send(p *person, m message, at string) {
	began := time.Now()
	seq, err := t.deliver(p.Conn, m, at)
	t.note(p, answer{message: m, outcome: outcomeOf(err), at: at}, seq, began)
}

// deliver sends until the server has stored or refused; that it never says so is a failure.
func (t *talk) deliver(over *live.Conn, m message, at string) (chat.Seq, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	pending, err := over.Send(ctx, client.Message{ChannelID: m.channel, Body: m.body, ClientMsgID: m.id})
	var r live.Receipt
	if err == nil {
		r, err = pending.Wait(ctx)
	}
	if ctx.Err() != nil {
		t.w.t.Errorf("%s has no answer to %s", at, m)
	}
	return r.Seq, err
}

// restBudget is how long somebody waits for an answer of REST: longer than a gateway or an api tries to store something.
const restBudget = 20 * time.Second

func (t *talk) post(p *person, m message) {
	ctx, cancel := context.WithTimeout(context.Background(), restBudget)
	defer cancel()
	began := time.Now()
	ack, err := p.client.Post(ctx, client.Message{ChannelID: m.channel, Body: m.body, ClientMsgID: m.id})
	t.note(p, answer{message: m, outcome: outcomeOf(err), at: p.login + " over REST"}, ack.Seq, began)
}

// note keeps an answer, and has some sent again.
func (t *talk) note(p *person, a answer, seq chat.Seq, began time.Time) {
	if a.outcome == stored {
		a.seq = seq
	}
	t.w.seen.add(a, time.Since(began))
	again := []answer{a}
	switch {
	case a.outcome == refused:
		return
	case a.outcome == stored:
		p.noteOwn(a.message)
		if rand.IntN(repeats) > 0 {
			return
		}
		_, old := p.acked(rand.IntN(200))
		if old.id != "" {
			again = append(again, answer{message: old})
		}
	}
	for _, a := range again {
		select {
		case t.resends <- a:
		default:
		}
	}
}

// resend sends ids again, over new sockets at any gateway that runs, until the talk ends and none is left.
func (t *talk) resend() {
	for {
		select {
		case a := <-t.resends:
			t.sendAgain(a)
			continue
		default:
		}
		select {
		case a := <-t.resends:
			t.sendAgain(a)
		case <-t.enough.Done():
			if len(t.resends) == 0 {
				return
			}
		}
	}
}

func (t *talk) sendAgain(a answer) {
	i := slices.IndexFunc(t.w.people, func(p *person) bool { return p.login == a.sender })
	p := t.w.people[i]
	var running []*local.Process
	for _, region := range t.w.Regions {
		for _, g := range t.w.Gateways[region] {
			if g != p.gateway && g.PID() != 0 {
				running = append(running, g)
			}
		}
	}
	g := running[rand.IntN(len(running))]
	conn := live.Connect(p.client, live.Options{Workspace: t.w.workspace, URL: t.w.Socket(g)})
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() { _ = conn.Run(ctx) }) // send says what became of it
	serving.Go(func() {
		for range conn.Events() { // the answer alone matters here
		}
	})
	again := answer{message: a.message, at: a.sender + " at " + g.Name, again: true}
	again.seq = 0
	began := time.Now()
	seq, err := t.deliver(conn, again.message, again.at)
	cancel()
	serving.Wait()
	if again.outcome = outcomeOf(err); again.outcome == stored {
		again.seq = seq
	} else {
		t.w.t.Errorf("%s, sent again at %s: %v", a.message, g.Name, err)
	}
	t.w.seen.add(again, time.Since(began))
}

// end has everybody stop, and waits for all answers.
func (t *talk) end() {
	t.stop()
	t.talking.Wait()
}

// goesOn waits until each of some people has sent something more that is acknowledged, and all of them have heard of it.
func (t *talk) goesOn(people []*person) {
	t.w.t.Helper()
	var sending sync.WaitGroup
	for _, p := range people {
		sending.Go(func() { t.send(p, line(p.login, t.w.channels[0]), p.login) })
	}
	sending.Wait()
	var last chat.Seq
	for _, p := range people {
		_, m := p.acked(0)
		last = max(last, m.seq)
	}
	for _, p := range people {
		t.w.awaits(p.login+" has heard all", func() (bool, string) { return p.hasHeard(last) })
	}
}
