package deliver

import (
	"context"
	"fmt"
	"slices"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/job"
	"github.com/canopychat/canopy/services/deliver/attempt"
	"github.com/canopychat/canopy/services/deliver/due"
	"github.com/canopychat/canopy/services/deliver/route"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/later"
)

// Worker tries the jobs that are due.
type Worker struct {
	cfg      WorkerConfig
	attempts *attempt.Attempts
	counters counters[WorkerCounts]
}

// NewWorker makes a Worker. It starts nothing.
func NewWorker(cfg WorkerConfig) *Worker {
	cfg = cfg.withDefaults()
	return &Worker{cfg: cfg, attempts: attempt.New(attempt.Config{
		Targets: cfg.Targets, Names: cfg.Names, Skipped: cfg.Skipped, AtOnce: cfg.AtOnce, Logger: cfg.Logger,
	})}
}

// Run tries jobs until ctx ends, or until the consumer fails for good. It returns when everything it started has ended.
func (w *Worker) Run(ctx context.Context) error {
	if err := w.cfg.Source.Consume(ctx, streams.StreamDelivery, w.handle); err != nil {
		return fmt.Errorf("jobs that are due: %w", err)
	}
	return nil
}

// item is a job of a batch, and what becomes of it.
type item struct {
	job.Delivery
	place    int // in the batch
	message  chat.Message
	decision due.Decision
}

// key names what a job is about: of two with one key in a batch one is a copy.
type key struct {
	ws   chat.WorkspaceID
	user chat.UserID
	seq  chat.Seq
}

func (i *item) key() key { return key{i.WorkspaceID, i.UserID, i.Seq} }

// cursor is the message's place in all epochs.
func (i *item) cursor() chat.Cursor { return chat.Cursor{Epoch: i.Epoch, Seq: i.Seq} }

// further reports whether a job is at least as far as another of the same message and recipient.
func (i *item) further(than *item) bool {
	return i.Round > than.Round || (i.Round == than.Round && i.Tried >= than.Tried)
}

// handle deals with the jobs of a batch. Until something was tried, an error holds them all, and nothing is lost by that.
func (w *Worker) handle(ctx context.Context, batch []bus.Delivery) ([]bus.Outcome, error) {
	outcomes := make([]bus.Outcome, len(batch))
	items := w.read(batch, outcomes)
	err := w.judge(ctx, items)
	if err != nil && outage(ctx, err) {
		w.counters.note(func(c *WorkerCounts) { c.Held++ })
		return nil, hold(err)
	}
	if err != nil {
		return nil, err
	}
	w.try(ctx, items)
	if err := w.settle(ctx, items); err != nil {
		return nil, err
	}
	for _, i := range items {
		outcomes[i.place] = bus.Remove()
		if i.decision.Verdict == due.Dead { // the job stays: it is the original of a dead letter
			outcomes[i.place] = bus.Park(i.decision.State.Reason)
			w.cfg.Logger.Info("undelivered", "workspace_id", i.WorkspaceID, "user_id", i.UserID, "seq", i.Seq, "round", i.Round, "reason", i.decision.State.Reason)
		}
	}
	w.counters.note(func(c *WorkerCounts) {
		c.Jobs += uint64(len(batch))
		if c.Decisions == nil {
			c.Decisions = map[due.Kind]uint64{}
		}
		for _, i := range items {
			c.Decisions[i.decision.Kind]++
		}
	})
	return outcomes, nil
}

// read parses the jobs of a batch. What is none is parked.
func (w *Worker) read(batch []bus.Delivery, outcomes []bus.Outcome) []*item {
	items := make([]*item, 0, len(batch))
	seen := make(map[key]*item, len(batch))
	parked := 0
	for place, d := range batch {
		j, err := jobOf(d.Entry)
		if err != nil {
			outcomes[place] = bus.Park(err.Error())
			w.cfg.Logger.Warn("parked", "stream_seq", d.Seq, "reason", err)
			parked++
			continue
		}
		i := &item{Delivery: j, place: place}
		if other := seen[i.key()]; other == nil {
			seen[i.key()] = i
		} else if other.further(i) {
			i.decision = due.Decision{Verdict: due.Drop, Kind: due.KindCopy}
		} else {
			other.decision = due.Decision{Verdict: due.Drop, Kind: due.KindCopy}
			seen[i.key()] = i
		}
		items = append(items, i)
	}
	w.counters.note(func(c *WorkerCounts) { c.Parked += uint64(parked) })
	return items
}

// jobOf reads a job that is due. The error is why it can never be.
func jobOf(e bus.Entry) (job.Delivery, error) {
	j, err := job.ParseDelivery(e.Payload)
	if err != nil {
		return job.Delivery{}, err
	}
	ws, user, _, err := streams.ParseDelivery(e.Subject)
	if err != nil || ws != j.WorkspaceID || user != j.UserID {
		return job.Delivery{}, errElsewhere
	}
	return j, nil
}

var errElsewhere = fmt.Errorf("%w: it lies on another subject than that of its recipient", job.ErrMalformed)

// judge decides what needs no attempt.
func (w *Worker) judge(ctx context.Context, items []*item) error {
	left := looking(items)
	known, err := w.known(ctx, left)
	if err != nil {
		return err
	}
	now := w.cfg.Now()
	for n, i := range left {
		i.decision = w.cfg.Policy.First(i.Delivery, known[n], now)
	}
	left = looking(items)
	seen, err := w.seen(ctx, left)
	if err != nil {
		return err
	}
	for n, i := range left {
		i.decision = w.cfg.Policy.Second(i.Delivery, seen[n], now, w.cfg.Chance())
	}
	return nil
}

// looking are those of whom nothing is decided yet.
func looking(items []*item) []*item {
	return slices.DeleteFunc(slices.Clone(items), func(i *item) bool { return i.decision.Verdict != due.Look })
}

// settle writes down what becomes of the jobs: first the jobs that wait, then the states. Then what has ended or waits elsewhere can be
// taken out of the stream. Who was reached must not be reached again because a database is down, so it does not give the
// batch back: it goes on until ctx ends, and the jobs stay in progress.
func (w *Worker) settle(ctx context.Context, items []*item) error {
	var waits []later.Message
	var states []chat.Delivery
	for _, i := range items {
		switch d := i.decision; d.Verdict {
		case due.Wait:
			m, err := waiting(d)
			if err != nil {
				return err
			}
			waits = append(waits, m)
			if d.Kind == due.KindRetry {
				states = append(states, d.State) // else nothing happened that a state tells
			}
		case due.End:
			states = append(states, d.State)
		case due.Dead:
			states = append(states, d.State)
		case due.Drop, due.Look, due.Try: // nothing follows from a copy; judge and try decide all others
		}
	}
	err := w.patiently(ctx, "store jobs that wait", len(waits), func(ctx context.Context) error { return w.cfg.Jobs.Put(ctx, waits...) })
	if err == nil {
		err = w.patiently(ctx, "write states", len(states), func(ctx context.Context) error { return w.cfg.States.SetDeliveries(ctx, states) })
	}
	return err
}

// waiting is the message of a job that waits.
func waiting(d due.Decision) (later.Message, error) {
	target, err := streams.DeliverySubject(d.Job.WorkspaceID, d.Job.UserID)
	if err != nil {
		return later.Message{}, err
	}
	subject, err := streams.DeliveryWaitSubject(d.Job.WorkspaceID, d.Job.UserID, d.Job.Seq)
	if err != nil {
		return later.Message{}, err
	}
	payload, err := d.Job.Encode()
	if err != nil {
		return later.Message{}, fmt.Errorf("encode job: %w", err)
	}
	// Without a MsgID: on one subject waits one job, and the last one counts.
	return later.Message{Subject: subject, Target: target, At: d.At, Payload: payload}, nil
}

// known reads what First needs.
func (w *Worker) known(ctx context.Context, items []*item) ([]due.Known, error) {
	known := make([]due.Known, len(items))
	for ws, places := range grouped(items, func(i *item) chat.WorkspaceID { return i.WorkspaceID }) {
		if err := w.knownIn(ctx, ws, lookup{items, places, known}); err != nil {
			return nil, err
		}
	}
	byMessage := grouped(items, func(i *item) store.MessageKey { return store.MessageKey{WorkspaceID: i.WorkspaceID, Seq: i.Seq} })
	for message, places := range byMessage {
		for some := range slices.Chunk(places, chat.MaxPageSize) {
			states, err := w.cfg.States.DeliveriesFor(ctx, message, usersAt(items, some))
			if err != nil {
				return nil, fmt.Errorf("states of message %d: %w", message.Seq, err)
			}
			for _, n := range some {
				if at := slices.IndexFunc(states, func(s chat.Delivery) bool { return s.UserID == items[n].UserID }); at >= 0 {
					known[n].State = &states[at]
				}
			}
		}
	}
	return known, nil
}

// lookup is what is to be found out of some items of a workspace.
type lookup struct {
	items  []*item
	places []int // in items and known
	known  []due.Known
}

// knownIn reads the cursors of the recipients in one workspace: those of reading only of who has no device that told of the message.
func (w *Worker) knownIn(ctx context.Context, ws chat.WorkspaceID, l lookup) error {
	var asks []readAsk
	var asked []int
	for some := range slices.Chunk(l.places, chat.MaxPageSize) {
		devices, err := devicesOf(ctx, w.cfg.Cursors, ws, usersAt(l.items, some))
		if err != nil {
			return err
		}
		for _, n := range some {
			i := l.items[n]
			if l.known[n].Device = route.CoveredBy(devices[i.UserID], i.cursor()); l.known[n].Device == nil {
				asks, asked = append(asks, readAsk{i.UserID, i.ChannelID}), append(asked, n)
			}
		}
	}
	cursors, err := readCursors(ctx, w.cfg.Cursors, ws, asks)
	if err != nil {
		return err
	}
	for at, n := range asked {
		l.known[n].Read, l.known[n].ReadAt = route.Covers(cursors[at].Cursor, l.items[n].cursor()), cursors[at].At
	}
	return nil
}

// grouped are the places of items by what they have in common.
func grouped[K comparable](items []*item, by func(*item) K) map[K][]int {
	groups := map[K][]int{}
	for n, i := range items {
		groups[by(i)] = append(groups[by(i)], n)
	}
	return groups
}

// usersAt are the recipients of items, each once.
func usersAt(items []*item, places []int) []chat.UserID {
	users := make([]chat.UserID, len(places))
	for at, n := range places {
		users[at] = items[n].UserID
	}
	slices.Sort(users)
	return slices.Compact(users)
}
