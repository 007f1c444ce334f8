package persist_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/persist"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/consume"
)

// place is a source that has come somewhere, a log, and what a store may say of itself.
type place struct {
	t      *testing.T
	log    *shelf
	lines  bytes.Buffer // what persisters said, through logger
	logger *slog.Logger

	mu      sync.Mutex // guards what follows
	reach   consume.Reach
	down    bool // the hub does not answer
	pushed  chan []bus.Delivery
	present map[chat.Seq]bool // that the store has
	said    chat.Seq          // the store's progress
	applied []chat.Seq
	refuse  func([]event.Stored) error
	took    time.Duration // by one write
	mute    bool          // the store takes no progress
}

// newPlace is a log of n posts from first on, of which the consumer handed out up to reach, and a store that has
// everything up to progress.
func newPlace(t *testing.T, first chat.Seq, n int, progress chat.Seq, reach consume.Reach) *place {
	p := &place{t: t, log: posts(first, n), reach: reach, said: progress, present: map[chat.Seq]bool{}, pushed: make(chan []bus.Delivery)}
	p.logger = slog.New(slog.NewTextHandler(&p.lines, nil))
	p.log.first, p.log.last = first, first+chat.Seq(n)-1
	for seq := chat.Seq(1); seq <= progress; seq++ {
		p.present[seq] = true
	}
	return p
}

func (p *place) Consume(ctx context.Context, _ streams.Shard, handle consume.Handler) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case b := <-p.pushed:
			if _, err := handle(ctx, b); err != nil {
				p.t.Errorf("a batch was not taken: %v", err)
			}
			p.mu.Lock()
			p.reach.Floor, p.reach.Delivered = b[len(b)-1].Seq, b[len(b)-1].Seq
			p.mu.Unlock()
		}
	}
}

func (p *place) Reached(context.Context, streams.Shard) (consume.Reach, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		return consume.Reach{}, fault.New(fault.Unavailable, "an election")
	}
	return p.reach, nil
}

func (p *place) Floor(ctx context.Context, shard streams.Shard) (chat.Seq, error) {
	reach, err := p.Reached(ctx, shard)
	return reach.Floor, err
}

func (p *place) Apply(_ context.Context, events []event.Stored) error {
	time.Sleep(p.took)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refuse != nil {
		if err := p.refuse(events); err != nil {
			return err
		}
	}
	for _, e := range events {
		p.present[e.Seq] = true
		p.applied = append(p.applied, e.Seq)
	}
	return nil
}

func (p *place) Progress(context.Context, int) (chat.Seq, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said, nil
}

// NoteProgress fails the test when the store does not have what the log still holds up to there.
func (p *place) NoteProgress(_ context.Context, _ int, seq chat.Seq) error {
	p.log.mu.Lock()
	first := p.log.first
	p.log.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mute {
		return fault.New(fault.Unavailable, "a node is away")
	}
	for s := max(first, p.said+1); s <= seq; s++ {
		if !p.present[s] {
			p.t.Errorf("progress says %d, and %d is not there", seq, s)
			break
		}
	}
	p.said = max(p.said, seq)
	return nil
}

// start runs a persister of the place; stop ends it.
func (p *place) start() (persister *persist.Persister, stop func()) {
	persister = persist.New(persist.Config{
		Store: p, Source: p, Log: p.log, Shards: 1, Logger: p.logger,
	})
	ctx, cancel := context.WithCancel(p.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- persister.Run(ctx) }()
	return persister, func() {
		cancel()
		if err := <-ended; err != nil {
			p.t.Errorf("Run: %v", err)
		}
	}
}

// run runs a persister for d.
func (p *place) run(d time.Duration) persist.Counts {
	persister, stop := p.start()
	time.Sleep(d)
	counts := persister.Counts()
	stop()
	return counts
}

// push lets the log have one more event, and the consumer hand it out.
func (p *place) push() {
	p.log.mu.Lock()
	p.log.last++
	d := posted(p.log.last)
	p.log.entries = append(p.log.entries, d.Entry)
	p.log.mu.Unlock()
	p.pushed <- []bus.Delivery{d}
}

func seqs(from, to chat.Seq) (all []chat.Seq) {
	for seq := from; seq <= to; seq++ {
		all = append(all, seq)
	}
	return all
}

func TestAStoreThatIsBehindIsFilledFromTheLog(t *testing.T) {
	for _, c := range []struct {
		name     string
		first    chat.Seq // of the log
		n        int      // events in it
		progress chat.Seq
		reach    consume.Reach
		applied  []chat.Seq
		after    chat.Seq // the progress in the end
		lost     uint64
		says     string // about what is lost
	}{
		{name: "nothing to do", first: 1, n: 10, progress: 10, reach: consume.Reach{Floor: 10, Delivered: 10, Deliveries: 10}, after: 10},
		{name: "everything is new", first: 1},
		{name: "a new consumer beside a full store", first: 1, n: 10, progress: 10, after: 10},
		{
			name: "an empty store beside an old consumer", first: 1, n: 10,
			reach: consume.Reach{Floor: 10, Delivered: 10, Deliveries: 10}, applied: seqs(1, 10), after: 10,
		},
		{
			name: "it died before it noted", first: 1, n: 10, progress: 6,
			reach: consume.Reach{Floor: 10, Delivered: 10, Deliveries: 10}, applied: seqs(7, 10), after: 10,
		},
		{
			name: "acknowledged beyond the floor, and never delivered again", first: 1, n: 10, progress: 4,
			reach: consume.Reach{Floor: 4, Delivered: 8, Deliveries: 8}, applied: seqs(5, 8), after: 8,
		},
		{
			name: "delivered again and again", first: 1, n: 10, progress: 10,
			reach: consume.Reach{Floor: 10, Delivered: 10, Deliveries: 300}, after: 10,
		},
		{
			name: "the log forgot the beginning", first: 5, n: 10,
			reach: consume.Reach{Floor: 14, Delivered: 14, Deliveries: 14}, applied: seqs(5, 14), after: 14, lost: 4, says: "from=1 to=4",
		},
		{
			name: "the log forgot what came after the backup", first: 5, n: 10, progress: 2,
			reach: consume.Reach{Floor: 14, Delivered: 14, Deliveries: 14}, applied: seqs(5, 14), after: 14, lost: 2, says: "from=3 to=4",
		},
		{
			name: "the log forgot what was never handed out", first: 5, n: 10, progress: 2,
			reach: consume.Reach{Floor: 2, Delivered: 2, Deliveries: 2}, after: 4, lost: 2, says: "from=3 to=4",
		},
		{
			name: "the log forgot everything", first: 15,
			reach: consume.Reach{Floor: 14, Delivered: 14, Deliveries: 14}, after: 14, lost: 14, says: "from=1 to=14",
		},
		{
			name: "all is new beside an old log", first: 5, n: 10,
			reach: consume.Reach{Floor: 4, Delivered: 4}, after: 4,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlace(t, c.first, c.n, c.progress, c.reach)
				counts := p.run(time.Minute)
				if !slices.Equal(p.applied, c.applied) || p.said != c.after {
					t.Errorf("wrote %v, progress %d; want %v and %d", p.applied, p.said, c.applied, c.after)
				}
				if len(c.applied) == 0 && p.log.reads != 0 {
					t.Errorf("%d reads of the log for nothing", p.log.reads)
				}
				if counts.Healed != uint64(len(c.applied)) || counts.Lost[0] != c.lost || len(counts.Healing) != 0 {
					t.Errorf("counts %+v", counts)
				}
				lines := p.lines.String()
				if c.says == "" && strings.Contains(lines, "level=ERROR") || !strings.Contains(lines, c.says) {
					t.Errorf("it said:\n%s", lines)
				}
			})
		})
	}
}

// New events are taken while old ones are written again, and say nothing of these.
func TestNewEventsDoNotWaitForOldOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, 1, 90, 0, consume.Reach{Floor: 90, Delivered: 90, Deliveries: 90})
		p.took = time.Second
		persister, stop := p.start()
		time.Sleep(10500 * time.Millisecond)
		p.push()
		time.Sleep(2 * time.Second)
		p.mu.Lock()
		if !p.present[91] || p.present[90] || p.said == 0 || p.said > 40 {
			t.Errorf("after 12 s the store has %v, and says %d", p.applied, p.said)
		}
		p.mu.Unlock()
		if c := persister.Counts(); c.Healing[0] < 50 || c.Healing[0] > 70 {
			t.Errorf("to be written: %v", c.Healing)
		}
		time.Sleep(time.Minute)
		stop()
		if p.said != 91 {
			t.Errorf("in the end it says %d", p.said)
		}
		if n := strings.Count(p.lines.String(), "being filled"); n < 4 || n > 7 {
			t.Errorf("in half a minute it said %d times how far it is:\n%s", n, p.lines.String())
		}
	})
}

func TestHealingGoesOnAfterAnOutage(t *testing.T) {
	for name, outage := range map[string]func(p *place, down bool){
		"of the store": func(p *place, down bool) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.refuse = nil
			if down {
				p.refuse = func([]event.Stored) error { return fmt.Errorf("apply: %w", context.DeadlineExceeded) }
			}
		},
		"of the store's tables": func(p *place, down bool) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.refuse = nil
			if down {
				p.refuse = func([]event.Stored) error { return errors.New("no such table") }
			}
		},
		"of the hub": func(p *place, down bool) {
			p.mu.Lock()
			p.down = down
			p.mu.Unlock()
			p.log.mu.Lock()
			defer p.log.mu.Unlock()
			p.log.down = 0
			if down {
				p.log.down = 1 << 30
			}
		},
	} {
		for _, after := range []time.Duration{0, 10500 * time.Millisecond} { // before it begins, and in the middle
			t.Run(fmt.Sprint(name, " after ", after), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := newPlace(t, 1, 90, 0, consume.Reach{Floor: 90, Delivered: 90, Deliveries: 90})
					p.took = time.Second
					if after == 0 {
						outage(p, true)
					}
					_, stop := p.start()
					time.Sleep(after)
					outage(p, true)
					time.Sleep(time.Hour)
					p.mu.Lock()
					if p.said > 40 || after > 0 && p.said == 0 {
						t.Errorf("in the outage it says %d", p.said)
					}
					p.mu.Unlock()
					outage(p, false)
					time.Sleep(2 * time.Minute)
					stop()
					if p.said != 90 || len(p.applied) > 93+3 {
						t.Errorf("in the end it says %d, after %d writes", p.said, len(p.applied))
					}
				})
			})
		}
	}
}

// Whoever begins when another one stopped goes on where the store says.
func TestHealingIsInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, 1, 90, 0, consume.Reach{Floor: 90, Delivered: 90, Deliveries: 90})
		p.took = time.Second
		for turns := 0; p.said < 90; turns++ {
			if turns > 15 {
				t.Fatalf("it does not come to an end: %v", p.applied)
			}
			p.run(3500 * time.Millisecond)
		}
		if len(p.applied) > 90+3*15 {
			t.Errorf("%d writes for 90 events", len(p.applied))
		}
	})
}

func TestTwoHealAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, 1, 60, 0, consume.Reach{Floor: 60, Delivered: 60, Deliveries: 60})
		p.took = time.Second
		_, stop := p.start()
		time.Sleep(4 * time.Second)
		_, stop2 := p.start()
		p.push()
		time.Sleep(time.Minute)
		stop()
		stop2()
		if p.said != 61 || len(p.present) != 61 {
			t.Errorf("progress %d of %d", p.said, len(p.present))
		}
	})
}

// What the log forgets before it was read is said, and does not stop the rest.
func TestHealingIsOvertakenByTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, 1, 10, 0, consume.Reach{Floor: 10, Delivered: 10, Deliveries: 10})
		p.log.forget = 6 // after the first page, which has three
		c := p.run(time.Minute)
		if p.said != 10 || c.Lost[0] != 2 || !strings.Contains(p.lines.String(), "from=4 to=5") {
			t.Errorf("progress %d, counts %+v; it said:\n%s", p.said, c, p.lines.String())
		}

		p = newPlace(t, 1, 10, 0, consume.Reach{Floor: 10, Delivered: 10, Deliveries: 10})
		p.log.forget = 11
		c = p.run(time.Minute)
		if p.said != 10 || c.Lost[0] != 7 || !strings.Contains(p.lines.String(), "from=4 to=10") {
			t.Errorf("progress %d, counts %+v; it said:\n%s", p.said, c, p.lines.String())
		}
	})
}

// However often it is tried, a loss is one loss.
func TestWhatIsLostIsSaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, 5, 10, 0, consume.Reach{Floor: 14, Delivered: 14, Deliveries: 14})
		p.mute = true
		persister, stop := p.start()
		time.Sleep(time.Minute)
		p.mu.Lock()
		p.mute = false
		p.mu.Unlock()
		time.Sleep(time.Minute)
		c := persister.Counts()
		stop()
		if n := strings.Count(p.lines.String(), "level=ERROR"); n != 1 || c.Lost[0] != 4 || p.said != 14 {
			t.Errorf("said %d times, progress %d, counts %+v", n, p.said, c)
		}
	})
}

// A store that is emptied under a persister is noticed before the persister says the next word of it.
func TestAStoreThatIsSetBackIsFilledAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, 1, 10, 10, consume.Reach{Floor: 10, Delivered: 10, Deliveries: 10})
		_, stop := p.start()
		p.push()
		time.Sleep(time.Second)
		p.mu.Lock()
		clear(p.present)
		p.said, p.applied = 0, nil
		p.mu.Unlock()
		p.push()
		time.Sleep(time.Minute)
		stop()
		if p.said != 12 || len(p.present) != 12 {
			t.Errorf("progress %d, and it has %d", p.said, len(p.present))
		}
	})
}

func TestAnEventThatTheStoreRefusesDoesNotStopTheHealingForEver(t *testing.T) {
	for _, c := range []struct {
		name  string
		err   error
		which func(chat.Seq) bool
		soon  chat.Seq // progress after a minute
		late  chat.Seq // progress after an hour
	}{
		{"it can never be stored", fault.New(fault.Invalid, "it does not fit"), func(s chat.Seq) bool { return s == 5 }, 10, 10},
		{"for a reason that may pass", errors.New("a constraint"), func(s chat.Seq) bool { return s == 5 }, 3, 10},
		{"as it refuses its neighbour", errors.New("a constraint"), func(s chat.Seq) bool { return s == 5 || s == 6 }, 3, 10},
		{"like any other", errors.New("no such table"), func(s chat.Seq) bool { return s >= 4 }, 3, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlace(t, 1, 10, 0, consume.Reach{Floor: 10, Delivered: 10, Deliveries: 10})
				p.refuse = func(events []event.Stored) error {
					for _, e := range events {
						if c.which(e.Seq) {
							return c.err
						}
					}
					return nil
				}
				p.present[5] = c.late == 10 // nobody can ask for more
				p.present[6] = c.late == 10
				_, stop := p.start()
				time.Sleep(time.Minute)
				if got, _ := p.Progress(t.Context(), 0); got != c.soon {
					t.Errorf("after a minute: progress %d, want %d", got, c.soon)
				}
				time.Sleep(time.Hour)
				stop()
				if p.said != c.late {
					t.Errorf("after an hour: progress %d, want %d", p.said, c.late)
				}
			})
		})
	}
}
