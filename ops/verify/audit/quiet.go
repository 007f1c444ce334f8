package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/streams"
)

// lookTimeout bounds one look at everything that must become quiet.
const lookTimeout = 15 * time.Second

// Quiet waits until every process is ready, every stream has its leader and current replicas, and no consumer has anything to do:
// what waits for its time, such as another attempt of a push, does not count. What did not come true in time is in End.Unmet, with what
// was seen last. It may be called again when more was done: End.Quiet is what the last call found.
func (a *Audit) Quiet(ctx context.Context) (unmet []string) {
	a.asked = true
	before := len(a.end.Unmet)
	a.ready(ctx)
	if a.js == nil {
		a.Say("the hub is not known: nobody waits for consumers")
	} else {
		var ill []string
		_ = a.until(ctx, func(ctx context.Context) error { // it says less than ill
			if ill = a.busy(ctx); len(ill) > 0 {
				return errors.New("not quiet")
			}
			return nil
		})
		for _, line := range ill {
			a.miss("%s", line)
		}
	}
	unmet = slices.Clone(a.end.Unmet[before:])
	a.end.Quiet = len(unmet) == 0
	return unmet
}

func (a *Audit) ready(ctx context.Context) {
	if a.Ready == nil {
		a.Say("nobody says whether processes are ready")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, a.Patience)
	defer cancel()
	if err := a.Ready(ctx); err != nil {
		a.miss("every process is ready: %v", err)
	}
}

// busy is what keeps the hub from being quiet, one line each.
func (a *Audit) busy(ctx context.Context) (lines []string) {
	for _, name := range streams.Streams() {
		if err := a.whole(ctx, name); err != nil {
			lines = append(lines, fmt.Sprintf("the stream %s has its leader and current replicas: %v", name, err))
		}
	}
	for _, c := range consumers() {
		pending, held, err := a.pending(ctx, c)
		switch {
		case err != nil:
			lines = append(lines, fmt.Sprintf("the consumer %s has done all: %v", c, err))
		case pending+held > 0:
			lines = append(lines, fmt.Sprintf("the consumer %s has done all: %d wait for it, %d are out", c, pending, held))
		}
	}
	return lines
}

// whole looks at a stream's leader and replicas.
func (a *Audit) whole(ctx context.Context, name string) error {
	s, err := a.js.Stream(ctx, name)
	if err != nil {
		return err
	}
	info := s.CachedInfo()
	if info.Config.Replicas > 1 && (info.Cluster == nil || info.Cluster.Leader == "") {
		return errors.New("it has no leader")
	}
	if info.Cluster == nil {
		return nil
	}
	for _, peer := range info.Cluster.Replicas {
		if peer.Offline || !peer.Current || peer.Lag > 0 {
			return fmt.Errorf("%s is offline: %t, current: %t, behind by %d", peer.Name, peer.Offline, peer.Current, peer.Lag)
		}
	}
	return nil
}

// consumer is a durable one.
type consumer struct{ stream, name string }

// String is its name in a record: record.Pending.
func (c consumer) String() string { return c.stream + " " + c.name }

// consumers are all durable ones.
func consumers() (all []consumer) {
	for _, stream := range streams.Streams() {
		names, err := streams.Consumers(stream)
		if err != nil {
			continue // it is a name of the same package, so this is not said of any
		}
		for _, name := range names {
			all = append(all, consumer{stream, name})
		}
	}
	return all
}

// pending is what a consumer has not begun, and what it has not finished.
func (a *Audit) pending(ctx context.Context, c consumer) (pending, held int, err error) {
	at, err := a.js.Consumer(ctx, c.stream, c.name)
	if err != nil {
		return 0, 0, err
	}
	info := at.CachedInfo()
	return int(info.NumPending), info.NumAckPending, nil
}

// notePending writes down what each consumer has to do, and how many dead letters there are. What does not answer now is left out,
// which is named when it matters.
func (a *Audit) notePending(ctx context.Context, when string) {
	if a.js == nil {
		return
	}
	for _, c := range consumers() {
		pending, held, err := a.pending(ctx, c)
		if err == nil {
			a.sample(record.Sample{Process: c.String(), Name: record.Pending, Value: float64(pending + held), When: when})
		} else if when != "" {
			a.miss("what the consumer %s has to do: %v", c, err)
		}
	}
	dead, err := a.js.Stream(ctx, streams.StreamDLQ)
	if err == nil {
		a.sample(record.Sample{Process: streams.StreamDLQ, Name: record.Dead, Value: float64(dead.CachedInfo().State.Msgs), When: when})
	} else if when != "" {
		a.miss("how many dead letters there are: %v", err)
	}
}

func (a *Audit) sample(s record.Sample) {
	s.Time = a.Rec.Since()
	a.Rec.Add(record.Line{Sample: &s})
}
