// Package interrupt tells when an interruption of the link to the hub is over: what came meanwhile over core NATS, and is in no
// log, is lost, and whoever shows it must say so. It reads the signals that feeds get anyway, so the hub is probed once.
//
// It promises to tell once for each interruption that was noticed (streams/bus says which are), after it. Seldom it tells twice.
package interrupt

import (
	"context"
	"sync"

	"github.com/canopychat/canopy/edge/fanout"
	"github.com/canopychat/canopy/streams/bus"
)

// Source is a fanout.Source whose signals are looked at on their way.
type Source struct {
	fanout.Source

	mu   sync.Mutex
	over func()
	cut  bool // the hub does not answer; its return will be told
}

// Watch looks at the signals of a source.
func Watch(s fanout.Source) *Source { return &Source{Source: s} }

// OnOver says who is told. f must not wait.
func (s *Source) OnOver(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = f
}

// WatchSignals is fanout.Source.
func (s *Source) WatchSignals(ctx context.Context, handle func(bus.Signal)) error {
	return s.Source.WatchSignals(ctx, func(signal bus.Signal) {
		s.note(signal.Reason)
		handle(signal)
	})
}

func (s *Source) note(why bus.SignalReason) {
	s.mu.Lock()
	// A connection that breaks is a lost link too, when it takes long enough: then the link's return is told, and not its own.
	over := why == bus.LinkRestored || why == bus.Reconnected && !s.cut
	switch why {
	case bus.LinkLost:
		s.cut = true
	case bus.LinkRestored:
		s.cut = false
	case bus.Reconnected, bus.SlowConsumer, bus.LeaderElected:
	}
	tell := s.over
	s.mu.Unlock()
	if over && tell != nil {
		tell()
	}
}
