package directory

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/streams"
)

const (
	// DefaultPoll is how often the outbox is looked at for what nobody told of, when the config does not say.
	DefaultPoll = time.Second

	relayBatch      = 256 // rows of one look at the outbox
	relayWorkspaces = 16  // workspaces that are published at once
	recordEvery     = 64  // rows of a workspace after which their seqs are recorded
	recordBudget    = 5 * time.Second

	setbackFirst = 100 * time.Millisecond // the pause of a workspace whose event failed doubles …
	setbackCap   = 5 * time.Second
	clockSkew    = time.Minute // that the clocks of database, relay and log may be apart
)

// Log is what a Relay needs of the logs.
type Log interface {
	// Publish stores an event and answers its seq; that of the first when msgID is known within the dedup window.
	// After an error it may be stored.
	Publish(ctx context.Context, at streams.Place, msgID string, payload []byte) (chat.Seq, error)
	// FindMsgID searches a subject of the log for an event with this Msg-Id that was stored at since or later: among
	// everything whose Publish has been answered. 0: there is none.
	FindMsgID(ctx context.Context, at streams.Place, msgID string, since time.Time) (chat.Seq, error)
}

// RelayConfig is what a Relay is made of. Outbox and Log are needed.
type RelayConfig struct {
	Outbox store.Outbox
	Log    Log
	Window time.Duration    // how long the log remembers a Msg-Id; 0: chat.DedupWindow
	Poll   time.Duration    // 0: DefaultPoll
	Logger *slog.Logger     // nil: slog.Default
	Now    func() time.Time // nil: time.Now
}

// Relay publishes the outbox: the events of one workspace in the order of their ids, each when the one
// before it is stored; those of different workspaces at once.
//
// It may die between any two lines. An event that was published and not recorded is published again, and the
// log, which knows its Msg-Id, answers the same seq. What the log may have forgotten is searched for first.
// For the same reasons two relays at once do no harm: neither publishes an event before the log has
// answered it the one before, so the order holds for both together. So that they do not do the same work either, each
// claims the workspaces that it publishes (store.Outbox).
//
// It looks at the outbox when somebody tells it to (Wake), when the outbox itself says that something was written, and
// every Poll, for what neither told.
type Relay struct {
	// immutable after New
	cfg  RelayConfig
	wake chan struct{} // one token: there is something to relay. Never closed

	// owned by Run
	setbacks map[chat.WorkspaceID]setback

	mu   sync.Mutex
	done chan struct{} // guarded by mu; closed, and another put in its place, when seqs were recorded
}

// setback holds a workspace back whose event could not be published.
type setback struct {
	pause time.Duration
	until time.Time
}

// NewRelay makes a Relay.
func NewRelay(cfg RelayConfig) *Relay {
	if cfg.Window <= 0 {
		cfg.Window = chat.DedupWindow
	}
	if cfg.Poll <= 0 {
		cfg.Poll = DefaultPoll
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Relay{cfg: cfg, wake: make(chan struct{}, 1), done: make(chan struct{}), setbacks: map[chat.WorkspaceID]setback{}}
}

// Wake says that the outbox has something. It never blocks, and does nothing on nil.
func (r *Relay) Wake() {
	if r == nil {
		return
	}
	select {
	case r.wake <- struct{}{}:
	default: // it has been told already
	}
}

// recorded is closed when seqs are recorded next; on nil it is nil.
func (r *Relay) recorded() <-chan struct{} {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.done
}

func (r *Relay) noteRecorded() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.done)
	r.done = make(chan struct{})
}

// Run relays until ctx ends. It returns nil then, and runs once.
func (r *Relay) Run(ctx context.Context) error {
	var watching sync.WaitGroup
	defer watching.Wait()
	watching.Go(func() { r.watch(ctx) })
	timer := time.NewTimer(0)
	defer timer.Stop()
	for failed := time.Duration(0); ctx.Err() == nil; {
		more, err := r.round(ctx)
		pause := r.nextLook()
		wake := r.wake
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			failed = longer(failed)
			pause, wake = jitter(failed), nil // whoever waits would ring all the time
			r.cfg.Logger.Error("the outbox cannot be read", "err", err, "pause", pause)
		case more:
			failed = 0
			continue
		default:
			failed = 0
		}
		timer.Reset(pause)
		select {
		case <-wake:
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	return nil
}

// watch has the outbox wake the relay, until ctx ends.
func (r *Relay) watch(ctx context.Context) {
	if err := r.cfg.Outbox.Watch(ctx, r.Wake); err != nil && ctx.Err() == nil {
		r.cfg.Logger.Error("the outbox does not tell of changes: they are looked for instead", "err", err, "poll", r.cfg.Poll)
	}
}

// nextLook is when to look again without being told to.
func (r *Relay) nextLook() time.Duration {
	pause, now := r.cfg.Poll, r.cfg.Now()
	for _, s := range r.setbacks {
		pause = min(pause, max(0, s.until.Sub(now)))
	}
	return pause
}

// round looks at the outbox once and publishes what it finds. It reports whether there may be more at once.
func (r *Relay) round(ctx context.Context) (more bool, err error) {
	claim, err := r.cfg.Outbox.Claim(ctx, relayBatch, r.heldBack()) // so that what waits does not hide what can go
	if err != nil {
		return false, err
	}
	defer claim.Release()
	groups := grouped(claim.Rows)
	r.forgetSetbacks(groups)
	var workers errgroup.Group
	workers.SetLimit(relayWorkspaces)
	for _, g := range groups {
		workers.Go(func() error {
			g.err = r.publishAll(ctx, g.rows)
			return nil
		})
	}
	_ = workers.Wait() // the errors are in the groups
	for _, g := range groups {
		more = r.noteOutcome(ctx, g) || more
	}
	return more, nil
}

// group is the rows of one workspace in one round.
type group struct {
	workspace chat.WorkspaceID
	rows      []store.OutboxRow
	err       error
}

// grouped sorts rows by their workspaces.
func grouped(rows []store.OutboxRow) []*group {
	byID := map[chat.WorkspaceID]*group{}
	var groups []*group
	for _, row := range rows {
		g := byID[row.WorkspaceID]
		if g == nil {
			g = &group{workspace: row.WorkspaceID}
			byID[row.WorkspaceID] = g
			groups = append(groups, g)
		}
		g.rows = append(g.rows, row)
	}
	return groups
}

// heldBack is the workspaces whose pause lasts.
func (r *Relay) heldBack() []chat.WorkspaceID {
	now := r.cfg.Now()
	var ids []chat.WorkspaceID
	for id, s := range r.setbacks {
		if s.until.After(now) {
			ids = append(ids, id)
		}
	}
	return ids
}

// forgetSetbacks drops those whose pause is over and that have nothing to publish here: another relay did it, or does.
func (r *Relay) forgetSetbacks(groups []*group) {
	now := r.cfg.Now()
	for id, s := range r.setbacks {
		mine := slices.ContainsFunc(groups, func(g *group) bool { return g.workspace == id })
		if !mine && !s.until.After(now) {
			delete(r.setbacks, id)
		}
	}
}

// noteOutcome holds a workspace back that failed, and reports whether it did not.
func (r *Relay) noteOutcome(ctx context.Context, g *group) (ok bool) {
	if g.err == nil {
		delete(r.setbacks, g.workspace)
		return true
	}
	if ctx.Err() != nil {
		return false
	}
	pause := longer(r.setbacks[g.workspace].pause)
	r.setbacks[g.workspace] = setback{pause: pause, until: r.cfg.Now().Add(jitter(pause))}
	r.cfg.Logger.Warn("a change of the directory waits for the log",
		"workspace_id", g.workspace, "outbox_id", g.rows[0].ID, "err", g.err, "pause", pause)
	return false
}

func longer(pause time.Duration) time.Duration { return min(max(2*pause, setbackFirst), setbackCap) }

// jitter is between half of a pause and all of it.
func jitter(pause time.Duration) time.Duration { return pause/2 + rand.N(pause/2+1) }

// publishAll publishes the rows of one workspace in their order, up to the first that fails, and records what
// it published.
func (r *Relay) publishAll(ctx context.Context, rows []store.OutboxRow) error {
	var failure error
	var unknown time.Time // when the log was seen not to have one of the rows, and so none after it
	done := make([]store.OutboxDone, 0, recordEvery)
	for i, row := range rows {
		seq, err := r.publish(ctx, row, &unknown)
		if err != nil {
			failure = fmt.Errorf("publish row %d of the outbox: %w", row.ID, err)
		} else {
			done = append(done, store.OutboxDone{ID: row.ID, Seq: seq})
		}
		last := failure != nil || i == len(rows)-1
		if len(done) == recordEvery || (last && len(done) > 0) {
			if err := r.record(ctx, done); err != nil {
				return errors.Join(failure, err)
			}
			done = done[:0]
		}
		if last {
			return failure
		}
	}
	return nil
}

// record notes the seqs of what was published, also when ctx ends now: it spares the next start some work.
func (r *Relay) record(ctx context.Context, done []store.OutboxDone) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordBudget)
	defer cancel()
	if err := r.cfg.Outbox.Record(ctx, done); err != nil {
		return fmt.Errorf("record what was published: %w", err)
	}
	r.noteRecorded()
	return nil
}

// publish stores one event, unless the log has it. An event that can never be stored stays, holds its
// workspace's outbox up and is logged on every try: to skip it would make the log and the directory differ
// for ever. The rules of Service keep such an event from being written.
//
// A workspace's events are published in their order, each when the one before it is stored. So when the log does not have one of them,
// it has none of the later ones, and what anybody publishes from then on it remembers: a backlog is searched for once, and not at
// each of its rows. unknown is when that was seen.
func (r *Relay) publish(ctx context.Context, row store.OutboxRow, unknown *time.Time) (chat.Seq, error) {
	msgID, err := streams.OutboxMsgID(int64(row.ID))
	if err != nil {
		return 0, err
	}
	payload, err := event.Encode(row.Event)
	if err != nil {
		return 0, err
	}
	at := streams.Place{Shard: row.Shard, WorkspaceID: row.WorkspaceID, ChannelID: row.Event.ChannelID}
	// Until half the window has passed since the row was written, the log knows whether it has the event. The other half is
	// for what a try may take between this line and the log: a process that is stopped for a while, and the
	// publisher's budget. A row from the future tells nothing.
	now := r.cfg.Now()
	if age := now.Sub(row.CreatedAt); (age < 0 || age >= r.cfg.Window/2) && now.Sub(*unknown) >= r.cfg.Window/2 {
		seq, err := r.cfg.Log.FindMsgID(ctx, at, msgID, row.CreatedAt.Add(-clockSkew))
		if err != nil {
			return 0, fmt.Errorf("search the log: %w", err)
		}
		if seq != 0 {
			return seq, nil
		}
		*unknown = now
	}
	return r.cfg.Log.Publish(ctx, at, msgID, payload)
}
