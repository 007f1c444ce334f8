package deliver_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/deliver"
	"github.com/canopychat/canopy/services/deliver/notice"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/later"
)

// mortal is a process that dies at a step: from then on nothing that it does has an effect, and its connection is gone.
type mortal struct {
	jobs   deliver.Jobs
	states deliver.States
	conn   *bus.Conn
	at     string // the step
	stop   context.CancelFunc
	died   chan struct{}
	once   sync.Once
}

var errDead = fault.New(fault.Invalid, "this process does not live any more")

// step dies if it is the one.
func (m *mortal) step(name string) error {
	if name == m.at {
		m.once.Do(func() {
			m.conn.Close()
			m.stop()
			close(m.died)
		})
	}
	select {
	case <-m.died:
		return errDead
	default:
		return nil
	}
}

func (m *mortal) Put(ctx context.Context, messages ...later.Message) error {
	if err := m.step("before jobs"); err != nil {
		return err
	}
	half := len(messages) / 2
	if err := m.jobs.Put(ctx, messages[:half]...); err != nil {
		return err
	}
	if err := m.step("in the middle of jobs"); err != nil {
		return err
	}
	if err := m.jobs.Put(ctx, messages[half:]...); err != nil {
		return err
	}
	return m.step("after jobs")
}

func (m *mortal) SetDeliveries(ctx context.Context, states []chat.Delivery) error {
	if err := m.step("before states"); err != nil {
		return err
	}
	half := len(states) / 2
	if err := m.states.SetDeliveries(ctx, states[:half]); err != nil {
		return err
	}
	if err := m.step("in the middle of states"); err != nil {
		return err
	}
	if err := m.states.SetDeliveries(ctx, states[half:]); err != nil {
		return err
	}
	return m.step("after states")
}

func (m *mortal) DeliveriesFor(ctx context.Context, key store.MessageKey, users []chat.UserID) ([]chat.Delivery, error) {
	return m.states.DeliveriesFor(ctx, key, users)
}

// dies runs a process until it dies at a step.
func (w *town) dies(at string, process func(m *mortal) func(context.Context) error) {
	w.Helper()
	ctx, stop := context.WithCancel(context.Background())
	m := &mortal{jobs: w.jobs, states: w.messages, conn: w.dial(), at: at, stop: stop, died: make(chan struct{})}
	run := process(m)
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	w.eventually("it dies "+at, func() bool {
		select {
		case <-m.died:
			return true
		default:
			return false
		}
	})
	w.must(<-ended)
}

// A router may be killed between any two steps: the next one writes what is missing, and no job twice.
func TestARouterIsKilled(t *testing.T) { killRouter(newTown(t, fivePeople...)) }

var fivePeople = []chat.UserID{"bob", "carl", "dan", "eve", "fred"}

func killRouter(w *town) {
	t, people := w.T, fivePeople
	w.quick()
	w.channel("c1", chat.ChannelPublic, people...)
	jobs := 0
	for _, at := range []string{"before jobs", "in the middle of jobs", "after jobs", "before states", "in the middle of states", "after states"} {
		seq := w.post("c1", "@channel")
		w.dies(at, func(m *mortal) func(context.Context) error {
			cfg := w.routerOn(m.conn)
			cfg.Jobs, cfg.States = m, m
			return deliver.NewRouter(cfg).Run
		})
		w.routed(seq)
		jobs += len(people)
		if got := w.jobsLeft(); got != jobs {
			t.Errorf("killed %s: there are %d jobs, want %d", at, got, jobs)
		}
		for _, u := range people {
			if s := w.state(seq, u); s == nil || s.Status != chat.DeliveryPending || s.Why != chat.OwedChannel {
				t.Errorf("killed %s: the state for %s is %+v", at, u, s)
			}
		}
	}
}

// A worker may be killed between any two steps: a notice that nobody wrote down is sent again under its id, and nothing else is.
func TestAWorkerIsKilled(t *testing.T) { killWorker(newTown(t, "bob")) }

func killWorker(w *town) {
	t := w.T
	w.quick()
	w.channel("d1", chat.ChannelDM, "bob")
	failures := 0 // that are to come before the notice is taken
	w.phones.answers("bob", func(notice.Notice) error {
		if failures > 0 {
			failures--
			return fault.New(fault.Internal, "no")
		}
		return nil
	})
	for _, c := range []struct {
		at             string
		failures       int
		took, attempts int // by bob; in the state
	}{
		{at: "before states", took: 2, attempts: 1},
		{at: "after states", took: 1, attempts: 1},
		{at: "before jobs", failures: 1, took: 1, attempts: 1}, // the failed one is not counted
		{at: "after jobs", failures: 1, took: 1, attempts: 1},
		{at: "after states", failures: 1, took: 1, attempts: 2},
	} {
		name := fmt.Sprintf("killed %s with %d failures", c.at, c.failures)
		before := len(w.phones.tookBy("bob"))
		failures = c.failures
		seq := w.post("d1", "hello")
		w.routed(seq)
		w.dies(c.at, func(m *mortal) func(context.Context) error {
			cfg := w.workerOn(m.conn)
			cfg.Jobs, cfg.States = m, m
			return deliver.NewWorker(cfg).Run
		})
		stop := w.start(deliver.NewWorker(w.workerConfig()).Run)
		s := w.becomes(chat.DeliveryDelivered, seq, "bob")
		w.eventually(name+": no job is left", func() bool { return w.jobsLeft() == 0 })
		stop()
		took := w.phones.tookBy("bob")[before:]
		if len(took) != c.took || took[0].ID != took[len(took)-1].ID {
			t.Errorf("%s: bob took %d notices, want %d", name, len(took), c.took)
		}
		if len(s.Attempts) != c.attempts && !(c.at == "after jobs" && len(s.Attempts) == 2) { // whichever job came first
			t.Errorf("%s: the state tells of %d attempts, want %d", name, len(s.Attempts), c.attempts)
		}
	}
}

// After a time the stream does not know a repeated job any more. The worker does, by the state.
func TestACopyOfAJobIsDropped(t *testing.T) {
	w := newTown(t, "bob")
	w.channel("d1", chat.ChannelDM, "bob")
	w.phones.answers("bob", takes)
	seq := w.post("d1", "hello")
	w.routed(seq)
	entry, err := w.jobs.Last(w.Context(), "DELIVERY", "delivery.w1.bob")
	w.must(err)
	w.must(w.jobs.Put(w.Context(), later.Message{Subject: entry.Subject, MsgID: "another", Payload: entry.Payload}))
	worker := deliver.NewWorker(w.workerConfig())
	w.start(worker.Run)
	w.becomes(chat.DeliveryDelivered, seq, "bob")
	w.must(w.jobs.Put(w.Context(), later.Message{Subject: entry.Subject, MsgID: "a third", Payload: entry.Payload}))
	w.eventually("all jobs are gone", func() bool { return w.jobsLeft() == 0 && worker.Counts().Jobs == 3 })
	if n := len(w.phones.tookBy("bob")); n != 1 {
		t.Errorf("bob was told %d times", n)
	}
	if c := worker.Counts(); c.Decisions["copy"] != 2 {
		t.Errorf("counts are %+v", c)
	}
}
