package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/canopychat/canopy/streams/natsd"
)

// stopBudget is how long one part may take to stop before its name is logged; it is waited for all the same.
const stopBudget = 10 * time.Second

// lifecycle starts parts one after the other and stops them last in, first out.
type lifecycle struct {
	log    *slog.Logger
	parts  []*part
	failed chan error // the first part that ended by itself
}

// part is something that runs.
type part struct {
	name   string
	cancel context.CancelFunc
	before func() // called before cancel; may be nil
	done   chan struct{}
}

func newLifecycle(log *slog.Logger) *lifecycle {
	return &lifecycle{log: log, failed: make(chan error, 1)}
}

// start runs a part until stop. beforeStop, which may be nil, is its last chance while everything still runs.
func (l *lifecycle) start(name string, run func(context.Context) error, beforeStop func()) {
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
			// A server that did not start has told so to who waited for it.
			if err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, natsd.ErrNotStarted) {
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

// closes adds something that needs no running, only an end.
func (l *lifecycle) closes(name string, end func() error) {
	l.start(name, func(ctx context.Context) error {
		<-ctx.Done()
		return end()
	}, nil)
}

// stop ends all parts, the last one first.
func (l *lifecycle) stop() {
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
