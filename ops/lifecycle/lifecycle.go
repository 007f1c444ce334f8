// Package lifecycle starts the parts of a process one after the other and stops them last in, first out, each waited for.
// A part that ends by itself ends all. It knows no part.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// stopBudget is how long one part may take to stop before its name is logged; it is waited for all the same.
const stopBudget = 10 * time.Second

// Lifecycle starts parts one after the other and stops them last in, first out.
type Lifecycle struct {
	log    *slog.Logger
	quiet  error // of a part that is stopped: it has been told to who waited for it
	parts  []*part
	failed chan error
}

// part is something that runs.
type part struct {
	name   string
	cancel context.CancelFunc
	before func() // called before cancel; may be nil
	done   chan struct{}
}

// New makes a Lifecycle without a part. What wraps quiet is not logged when a part ends with it after it was stopped:
// whoever waited for the part has been told.
func New(log *slog.Logger, quiet error) *Lifecycle {
	return &Lifecycle{log: log, quiet: quiet, failed: make(chan error, 1)}
}

// Failed gives the error of the first part that ended by itself.
func (l *Lifecycle) Failed() <-chan error { return l.failed }

// Start runs a part until Stop. beforeStop, which may be nil, is its last chance while everything still runs.
func (l *Lifecycle) Start(name string, run func(context.Context) error, beforeStop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	p := &part{name: name, cancel: cancel, before: beforeStop, done: make(chan struct{})}
	l.parts = append(l.parts, p)
	go func() {
		defer close(p.done)
		err := run(ctx)
		switch {
		case ctx.Err() == nil && err == nil:
			err = errors.New("it ended by itself")
		case ctx.Err() != nil:
			if err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, l.quiet) {
				l.log.Error("stopping failed", "part", name, "err", err)
			}
			return
		}
		select {
		case l.failed <- fmt.Errorf("%s: %w", name, err):
		default: // another part failed first
		}
	}()
}

// Closes adds something that needs no running, only an end.
func (l *Lifecycle) Closes(name string, end func() error) {
	l.Start(name, func(ctx context.Context) error {
		<-ctx.Done()
		return end()
	}, nil)
}

// Stop ends all parts, the last one first.
func (l *Lifecycle) Stop() {
	for i := len(l.parts) - 1; i >= 0; i-- {
		p := l.parts[i]
		if p.before != nil {
			p.before()
		}
		p.cancel()
		slow := time.AfterFunc(stopBudget, func() { l.log.Warn("still waiting for a part to stop", "part", p.name) })
		<-p.done
		slow.Stop()
	}
	l.parts = nil
}
