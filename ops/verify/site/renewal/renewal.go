// Package renewal loses all logs of a hub, and has them begin anew, as operators do who restore what is left (canopy hub renew): each
// workspace is in another epoch then, and seqs go on far beyond everything that was given out.
//
// What is acknowledged is in the hub alone until the stores have it, so a hub that is lost with all its nodes takes that with it: no promise
// bears it. What is tried here is the case that is promised: everything is in the stores, nobody writes, and the streams of the logs are
// gone. The hub's other streams stay: the jobs of deliveries, what waits for its time, and dead letters owe people something, and nothing
// else knows of it.
//
// What the streams held is written into the record before they are lost, as the audit does at the end of a run: no later look finds it.
package renewal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/canopychat/canopy/ops/verify/audit/copies"
	"github.com/canopychat/canopy/ops/verify/lever"
	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/streams"
)

const (
	lookFor = 10 * time.Second // at what is left to do; while there is no leader nobody answers
	readFor = time.Minute      // until a server's copy has as much as the leader's
	calm    = 2                // looks in a row that must find nothing to do: what was given up is reported a moment later
)

// Process is one of the deployment.
type Process struct {
	PID  func() int                  // 0: it does not run
	Stop func(context.Context) error // in good order
	Back func(context.Context) error // starts it, or finds that it runs, and waits until it is ready
}

// Config says what to renew. All fields are wanted.
type Config struct {
	Canopy   string // path of the program
	Settings string // file with the hub and both stores, as a service of the deployment has it

	Said   []Process // those through which people write
	Woken  []Process // those that wake people; they may write, too
	Stored []Process // those that fill the store

	Rec    func() *record.Recorder                     // it and what it returns may be nil: then nothing is written down
	Spaces func() []record.Workspace                   // whose logs are written down
	InHub  func(func(jetstream.JetStream) error) error // does something with the hub's streams
	Say    func(format string, args ...any)            // is told how far it is
}

// Renewal loses the logs of one deployment, and has them begin anew. Begin and End are called in turn.
type Renewal struct {
	c     Config
	looks int
	gone  bool // the streams are, or some of them

	mu   sync.Mutex
	lost []record.Event // guarded by mu
}

// New makes a Renewal. It does nothing.
func New(c Config) *Renewal { return &Renewal{c: c} }

// Lost is what the streams held that were lost, as it is in the record: what their leaders had.
func (r *Renewal) Lost() []record.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.lost)
}

// Begin ends who writes, waits until the stores have everything, writes down what the logs hold, and takes their streams away. After an error
// the streams may still be there.
func (r *Renewal) Begin(ctx context.Context) error {
	if err := stop(ctx, r.c.Said); err != nil {
		return err
	}
	if err := r.idle(ctx, doing{streams.ConsumerPersist, streams.ConsumerDeliver, streams.ConsumerDeadletter}); err != nil {
		return err
	}
	if err := stop(ctx, r.c.Woken); err != nil {
		return err
	}
	if err := r.idle(ctx, doing{streams.ConsumerPersist}); err != nil {
		return err
	}
	if err := stop(ctx, r.c.Stored); err != nil {
		return err
	}
	r.c.Say("the stores have everything: the logs are looked at, and lost")
	return r.c.InHub(func(js jetstream.JetStream) error {
		held, err := r.look(ctx, js)
		if err != nil {
			return fmt.Errorf("what the logs hold: %w", err)
		}
		r.gone = true
		r.mu.Lock()
		r.lost = append(r.lost, held...)
		r.mu.Unlock()
		return lose(ctx, js)
	})
}

// End has the logs begin anew when they were lost, and starts everything.
func (r *Renewal) End(ctx context.Context) error {
	if r.gone {
		if err := r.anew(ctx); err != nil {
			return err // nothing may start now
		}
		r.gone = false
	}
	all, ctx := errgroup.WithContext(ctx)
	for _, p := range slices.Concat(r.c.Stored, r.c.Woken, r.c.Said) {
		all.Go(func() error { return p.Back(ctx) })
	}
	return all.Wait()
}

// stop ends processes in good order, all at once. One that does not run has ended.
func stop(ctx context.Context, processes []Process) error {
	all, ctx := errgroup.WithContext(ctx)
	for _, p := range processes {
		if p.PID() != 0 {
			all.Go(func() error { return p.Stop(ctx) })
		}
	}
	return all.Wait()
}

// doing are names of consumers.
type doing []string

// idle waits until consumers of the logs, and of what is reported about them, have nothing to do.
func (r *Renewal) idle(ctx context.Context, who doing) error {
	return r.c.InHub(func(js jetstream.JetStream) error {
		found := 0
		return lever.Again(ctx, func() error {
			looking, cancel := context.WithTimeout(ctx, lookFor)
			defer cancel()
			if err := who.left(looking, js); err != nil {
				found = 0
				return err
			}
			if found++; found < calm {
				return errors.New("it is looked at again")
			}
			return nil
		})
	})
}

// left is an error that says who has something to do.
func (who doing) left(ctx context.Context, js jetstream.JetStream) error {
	for _, stream := range append(slices.Clone(streams.ChatStreams()), streams.StreamAdvisories) {
		names, err := streams.Consumers(stream)
		if err != nil {
			return err
		}
		for _, name := range names {
			if !slices.Contains(who, name) {
				continue
			}
			c, err := js.Consumer(ctx, stream, name)
			if err != nil {
				return fmt.Errorf("the consumer %s of %s: %w", name, stream, err)
			}
			if info := c.CachedInfo(); info.NumPending > 0 || info.NumAckPending > 0 {
				return fmt.Errorf("the consumer %s of %s has not done all: %d wait for it, %d are out", name, stream, info.NumPending, info.NumAckPending)
			}
		}
	}
	return nil
}

// look writes down what every server has of the logs, and answers what the leaders have. What cannot be read whole is an error, and then
// nothing is written down.
func (r *Renewal) look(ctx context.Context, js jetstream.JetStream) (held []record.Event, err error) {
	var all []record.Event
	var failed []error
	for _, w := range r.c.Spaces() {
		for shard := range streams.Shards {
			l, err := copies.Find(ctx, js, w.ID, shard)
			if err != nil {
				return nil, err
			}
			if l.Wanted == 0 {
				continue
			}
			l.Read(ctx, readFor, func(c copies.Copy) {
				lines := l.Lines(c, r.looks+1)
				all, failed = append(all, lines...), append(failed, c.Err)
				if c.Server == l.Leader {
					held = append(held, lines[:len(c.Events)]...)
				}
			})
		}
	}
	if err := errors.Join(failed...); err != nil {
		return nil, err
	}
	r.looks++
	if r.c.Rec == nil || r.c.Rec() == nil {
		return held, nil
	}
	rec := r.c.Rec()
	for _, e := range all {
		rec.Add(record.Line{Event: &e})
	}
	return held, nil
}

// lose takes the streams of all logs away.
func lose(ctx context.Context, js jetstream.JetStream) error {
	for _, name := range streams.ChatStreams() {
		err := lever.Again(ctx, func() error {
			if err := js.DeleteStream(ctx, name); !errors.Is(err, jetstream.ErrStreamNotFound) {
				return err
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("lose %s: %w", name, err)
		}
	}
	return nil
}

// anew has the logs begin anew. The command refuses while the hub believes that somebody lives who has just ended.
func (r *Renewal) anew(ctx context.Context) error {
	said := false
	return lever.Again(ctx, func() error {
		err := r.renew(ctx)
		if err != nil && !said {
			r.c.Say("it is tried again: %v", err)
			said = true
		}
		return err
	})
}

// renew is one call of the command.
func (r *Renewal) renew(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, r.c.Canopy, "hub", "renew", "--yes", "--config", r.c.Settings).CombinedOutput()
	if err != nil {
		return fmt.Errorf("canopy hub renew: %w: %s", err, strings.TrimSpace(string(out)))
	}
	r.c.Say("the logs begin anew: %s", bytes.TrimSpace(out))
	return nil
}
