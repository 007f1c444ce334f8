package deliver

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/deliver/route"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
)

// Sizes of what a Router remembers, and for how long.
const (
	recentChannels   = 16384
	recentWorkspaces = 1024
	keywordsLife     = 10 * time.Second // how long a new keyword may wake nobody
)

// Router finds out who is owed each message of the log, and writes a job for everybody who has not confirmed it.
type Router struct {
	cfg      RouterConfig
	channels *recent[chat.ChannelID, channelFacts]
	keywords *recent[chat.WorkspaceID, keywords]
	counters counters[RouterCounts]
}

// channelFacts are what never changes of a channel.
type channelFacts struct {
	kind   chat.ChannelType
	from   chat.Seq      // from here on people is who is in it; 0: not known
	people []chat.UserID // both people of a dm
}

// keywords are the watchers of a workspace for a moment.
type keywords struct {
	watchers []store.Watcher
	at       time.Time
}

// NewRouter makes a Router. It starts nothing.
func NewRouter(cfg RouterConfig) *Router {
	return &Router{
		cfg: cfg.withDefaults(), channels: newRecent[chat.ChannelID, channelFacts](recentChannels),
		keywords: newRecent[chat.WorkspaceID, keywords](recentWorkspaces),
	}
}

// Run routes until ctx ends, or until a consumer fails for good; then it ends the others and says why. It returns when everything it
// started has ended.
func (r *Router) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	failed := make([]error, r.cfg.Shards) // each owned by its goroutine until all have ended
	var running sync.WaitGroup
	for shard := range r.cfg.Shards {
		running.Go(func() {
			err := r.cfg.Source.Consume(ctx, streams.ChatStream(shard), func(handling context.Context, batch []bus.Delivery) ([]bus.Outcome, error) {
				if err := r.lag(ctx, batch); err != nil {
					return nil, hold(err) // shutting down: somebody else may have the batch
				}
				return r.handle(handling, batch)
			})
			if err != nil {
				failed[shard] = fmt.Errorf("route shard %d: %w", shard, err)
				stop()
			}
		})
	}
	running.Wait()
	return errors.Join(failed...)
}

// lag waits until the newest event of a batch is Grace old. The log's clock may differ from ours: it waits no longer than Grace.
func (r *Router) lag(ctx context.Context, batch []bus.Delivery) error {
	newest := batch[len(batch)-1].At // they rise by seq, unless some came again; those are older
	for _, d := range batch {
		if d.At.After(newest) {
			newest = d.At
		}
	}
	wait := min(r.cfg.Grace-r.cfg.Now().Sub(newest), r.cfg.Grace)
	if wait <= 0 {
		return ctx.Err()
	}
	return bus.Pause(ctx, wait)
}

// handle routes a batch. The error is Unavailable: something does not answer, and the batch is held.
func (r *Router) handle(ctx context.Context, batch []bus.Delivery) ([]bus.Outcome, error) {
	outcomes := make([]bus.Outcome, len(batch))
	routed, failed := 0, 0
	var last error
	for i, d := range batch {
		t, err := r.route(ctx, d.Entry, false)
		if err != nil && outage(ctx, err) {
			r.counters.note(func(c *RouterCounts) { c.Held++ })
			return nil, hold(fmt.Errorf("route event %d: %w", d.Seq, err))
		}
		if err != nil {
			failed, last = failed+1, err
			outcomes[i] = bus.RetryBecause(0, err.Error())
			r.cfg.Logger.Error("an event cannot be routed", "stream_seq", d.Seq, "shard", d.Place.Shard, "delivery", d.NumDelivered, "err", err)
			continue
		}
		if t.message {
			routed++
		}
	}
	if failed > 1 && routed == 0 { // it is the database that is broken, and not an event
		r.counters.note(func(c *RouterCounts) { c.Held++ })
		return nil, hold(fmt.Errorf("none of %d events can be routed: %w", failed, last))
	}
	r.counters.note(func(c *RouterCounts) {
		c.Messages += uint64(routed)
		c.Retried += uint64(failed)
	})
	return outcomes, nil
}

// told is what became of an event.
type told struct {
	message bool // it is a message
	owed    int  // recipients who have a job now, or would have one
	lasting int  // of these, those whose reason is still the same as when it was sent
}

// route writes the jobs of an event; with dry it only counts them. What is no event owes nothing: the consumer persist parks it,
// so that an operator sees one letter about it, and not one of each consumer.
func (r *Router) route(ctx context.Context, entry bus.Entry, dry bool) (told, error) {
	e, ok := postedIn(entry)
	if !ok {
		return told{}, nil
	}
	facts, err := r.channelOf(ctx, e.ChannelID)
	if fault.Is(err, fault.NotFound) {
		return told{message: true}, nil // nobody can be in it
	}
	if err != nil {
		return told{}, fmt.Errorf("channel %s: %w", e.ChannelID, err)
	}
	post := route.PostOf(&e, entry.Seq, facts.kind.Direct())
	w := &work{router: r, entry: entry, post: post, reasons: post.Reasons(), dry: dry, told: told{message: true}}
	if facts.kind.Direct() {
		if w.people, err = r.peopleOf(ctx, facts, w); err != nil {
			return told{}, err
		}
		if w.alone, err = r.isAlone(ctx, w); err != nil {
			return told{}, err
		}
		return w.told, w.page(ctx, w.people)
	}
	if err := w.ask(ctx); err != nil {
		return told{}, err
	}
	if post.Everybody() {
		err = w.everybody(ctx)
	} else {
		err = w.named(ctx)
	}
	return w.told, err
}

// postedIn reads a message of this build's version; ok is false for what is none.
func postedIn(entry bus.Entry) (e event.Event, ok bool) {
	e, err := event.Parse(entry.Payload)
	ok = err == nil && !entry.Foreign && e.ChannelID == entry.Place.ChannelID && e.Kind == event.MessagePosted && e.Known()
	return e, ok
}

// channelOf says what kind of channel it is, and who is in it if that never changes.
func (r *Router) channelOf(ctx context.Context, id chat.ChannelID) (channelFacts, error) {
	if facts, ok := r.channels.find(id); ok {
		return facts, nil
	}
	c, err := r.cfg.Recipients.Channel(ctx, id)
	if err != nil {
		return channelFacts{}, err
	}
	facts := channelFacts{kind: c.Type}
	r.channels.put(id, facts)
	return facts, nil
}

// peopleOf is who is in a dm or group_dm. Of a dm that never changes once both are in it, but for one who leaves the workspace:
// what is written for them then, the Worker ends. Of a group_dm somebody may be away for a time, so that is asked anew.
func (r *Router) peopleOf(ctx context.Context, facts channelFacts, w *work) ([]chat.UserID, error) {
	if facts.from != 0 && w.entry.Seq >= facts.from {
		return facts.people, nil
	}
	people, err := r.membersAt(ctx, store.MembersQuery{ChannelID: w.post.Channel, Seq: w.entry.Seq, Limit: memberPage})
	if err == nil && facts.kind == chat.ChannelDM && len(people) == 2 {
		r.channels.put(w.post.Channel, channelFacts{kind: facts.kind, from: w.entry.Seq, people: people})
	}
	return people, err
}

// isAlone reports whether nobody else ever was in a dm: a note to oneself is owed to its sender. Whoever left the workspace, or whose
// account was closed since the message came, leaves nobody alone.
func (r *Router) isAlone(ctx context.Context, w *work) (bool, error) {
	if len(w.people) != 1 {
		return false, nil
	}
	people, err := r.membersAt(ctx, store.MembersQuery{ChannelID: w.post.Channel, Seq: w.entry.Seq, Limit: 2, Gone: true})
	return len(people) == 1, err
}

// watchers are who watches words in a workspace, as of a moment ago.
func (r *Router) watchers(ctx context.Context, ws chat.WorkspaceID) ([]store.Watcher, error) {
	now := r.cfg.Now()
	if k, ok := r.keywords.find(ws); ok && now.Sub(k.at) < keywordsLife {
		return k.watchers, nil
	}
	watchers, err := r.cfg.Wishes.KeywordsOf(ctx, ws)
	if err != nil {
		return nil, fmt.Errorf("keywords: %w", err)
	}
	r.keywords.put(ws, keywords{watchers, now})
	return watchers, nil
}

// Of a membership whose seq is on its way to the log is asked again so often, in all for about 2 s; then the batch is held.
const (
	settleTries = 8
	settleFirst = 20 * time.Millisecond
	settleCap   = 500 * time.Millisecond
)

// membersAt lists members. It waits a little for those who are coming or going right now.
func (r *Router) membersAt(ctx context.Context, q store.MembersQuery) ([]chat.UserID, error) {
	for attempt := 0; ; attempt++ {
		users, settled, err := r.cfg.Recipients.MembersAt(ctx, q)
		if err != nil {
			return nil, fmt.Errorf("members of %s at %d: %w", q.ChannelID, q.Seq, err)
		}
		if settled {
			return users, nil
		}
		if attempt == settleTries {
			return nil, bus.Unavailable(fmt.Errorf("members of %s at %d: %w", q.ChannelID, q.Seq, errUnsettled))
		}
		if err := bus.Pause(ctx, bus.Backoff(settleFirst, settleCap, attempt)); err != nil {
			return nil, err
		}
	}
}

var errUnsettled = errors.New("the seq of somebody's joining or leaving is still on its way to the log")
