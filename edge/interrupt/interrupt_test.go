package interrupt_test

import (
	"context"
	"testing"

	"github.com/canopychat/canopy/edge/interrupt"
	"github.com/canopychat/canopy/streams/bus"
)

// source gives the signals that it holds.
type source []bus.SignalReason

func (s source) SubscribeFan(bus.FanSubscription) (func() error, error) { return nil, nil }

func (s source) WatchSignals(_ context.Context, handle func(bus.Signal)) error {
	for _, why := range s {
		handle(bus.Signal{Reason: why})
	}
	return nil
}

func TestEachInterruptionIsToldOnce(t *testing.T) {
	for name, tt := range map[string]struct {
		signals source
		told    int
	}{
		"nothing":                         {nil, 0},
		"what is no interruption":         {source{bus.LeaderElected, bus.SlowConsumer}, 0},
		"a link that is gone":             {source{bus.LinkLost}, 0},
		"a link that is back":             {source{bus.LinkLost, bus.LinkRestored}, 1},
		"a connection that was back soon": {source{bus.Reconnected}, 1},
		"a connection that took its time": {source{bus.LinkLost, bus.Reconnected, bus.LinkRestored}, 1},
		"two of them":                     {source{bus.LinkLost, bus.LinkRestored, bus.LeaderElected, bus.LinkLost, bus.LinkRestored}, 2},
		"a connection, and then the link": {source{bus.Reconnected, bus.LinkLost, bus.LinkRestored}, 2},
	} {
		s := interrupt.Watch(tt.signals)
		told := 0
		s.OnOver(func() { told++ })
		var handed source
		if err := s.WatchSignals(t.Context(), func(signal bus.Signal) { handed = append(handed, signal.Reason) }); err != nil {
			t.Fatal(err)
		}
		if told != tt.told || len(handed) != len(tt.signals) {
			t.Errorf("%s: told %d times, and handed on %v", name, told, handed)
		}
	}
}

func TestNobodyNeedsToBeTold(t *testing.T) {
	if err := interrupt.Watch(source{bus.Reconnected}).WatchSignals(t.Context(), func(bus.Signal) {}); err != nil {
		t.Error(err)
	}
}
