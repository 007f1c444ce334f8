package later_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/later"
	"github.com/canopychat/canopy/streams/streamstest"
)

// On three servers: a list sees what was put and cancelled just before, whichever replica answers; and what waits is stored once, at
// its time, over the death of the leader that a Put runs into.
func TestThreeServersKeepWhatWaits(t *testing.T) {
	c := streamstest.StartCluster(t)
	s := later.New(dial(t, c.LeafURL()))
	far := time.Now().Add(time.Hour)
	for i := range 40 {
		m := scheduled(t, fmt.Sprintf("far%d", i), far, fmt.Sprint(i))
		put(t, s, m)
		if list := listed(t, s); len(list) != 1 || list[0].Subject != m.Subject {
			t.Fatalf("after put %d there are %+v", i, list)
		}
		m.At, m.Payload, m.MsgID = far.Add(time.Minute), []byte("again"), ""
		put(t, s, m)
		if list := listed(t, s); len(list) != 1 || string(list[0].Payload) != "again" || !list[0].At.Equal(m.At) {
			t.Fatalf("after it was replaced, %d: %+v", i, list)
		}
		if was, err := s.Cancel(t.Context(), streams.StreamSched, m.Subject); err != nil || !was {
			t.Fatalf("Cancel: %v, %v", was, err)
		}
		if list := listed(t, s); len(list) != 0 {
			t.Fatalf("after it was cancelled, %d: %+v", i, list)
		}
	}

	const n = 1000
	messages, want := make([]later.Message, n), make([]string, n)
	due := time.Now().Add(5 * time.Second)
	for i := range messages {
		want[i] = fmt.Sprintf("%04d", i)
		messages[i] = scheduled(t, fmt.Sprintf("i%d", i), due, want[i])
	}
	put(t, s, messages[:n/2]...)
	decided := decidesOnce(t, c)
	c.KillNode(c.Leader(streams.StreamSched))
	put(t, s, messages[n/2:]...)
	put(t, s, messages[n/2:n/2+50]...)
	decided()
	eventually(t, "all are due", func() bool { return len(lying(t, c.HubJS, streams.StreamSched, "sched.*.*.*")) == 0 })
	if got := lying(t, c.HubJS, streams.StreamSched, "due.>"); !slices.Equal(slices.Sorted(slices.Values(got)), want) {
		t.Errorf("%d of %d came", len(got), n)
	}
}

func listed(t *testing.T, s *later.Store) []later.Entry {
	t.Helper()
	for { // the leader may be a new one
		list, err := s.List(t.Context(), streams.StreamSched, filterOf(t), 10)
		if err == nil {
			return list
		}
		if !fault.Is(err, fault.Unavailable) {
			t.Fatal(err)
		}
	}
}
