package fanout

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/wire"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
)

// Log is what a feed asks the log itself. Every error is a passing one: the feed asks again. Where nothing is
// said of the stream's leader, any replica answers, which may lag behind it.
type Log interface {
	// Read is the events after a position that match a filter, oldest first, and how many more there are.
	Read(ctx context.Context, q bus.ReadQuery) (bus.Batch, error)
	// LeaderLast is the seq of the newest message that matches a filter, as the stream's leader knows it; 0: none.
	LeaderLast(ctx context.Context, shard streams.Shard, filter string) (chat.Seq, error)
	// LastBefore is the seq of the newest message of each subject up to a seq; subjects without one are left out.
	LastBefore(ctx context.Context, shard streams.Shard, subjects []string, upTo chat.Seq) (map[string]chat.Seq, error)
	// Bounds is the first and the last seq of a shard's stream, as its leader knows them.
	Bounds(ctx context.Context, shard streams.Shard) (first, last chat.Seq, err error)
}

// A Watcher is told that a feed has moved on. Wake must not block and must not call the feed.
type Watcher interface{ Wake(*Feed) }

// Place says which log a feed follows.
type Place struct {
	WorkspaceID chat.WorkspaceID
	Shard       streams.Shard
	Epoch       chat.Epoch
}

// state is how far a feed is to be trusted.
type state uint8

const (
	starting  state = iota // its position is not known yet, or a hole was found: the ring is to be begun anew
	repairing              // something may be missing after head: live messages wait for the log's answer
	whole                  // live messages are taken as they come
)

// Feed is the live end of one workspace's log on this gateway.
type Feed struct {
	// Immutable after newFeed.
	place  Place
	filter string // of the workspace's log
	log    Log
	cfg    Config
	slog   *slog.Logger
	wake   chan struct{} // holds one token: there is something for run to do
	first  chan struct{} // closed when the feed is whole for the first time

	pages pages

	mu         sync.Mutex
	state      state
	want       chat.Seq      // while repairing: the feed is not whole before it has this one
	spread     time.Duration // over how long the feeds that must ask are spread; 0: at once
	vanishedAt time.Time     // since when the leader does not know the newest message that was shown
	audit      bool          // compare everything since the last proof with the log before anything else is shown
	generation uint32        // grows when a hole was found: what was shown before is not complete
	ring       ring
	tracker    tracker
	deleted    map[chat.Seq]struct{} // messages whose delete was seen here; a page of the log must not show them
	watchers   map[Watcher]int       // how many sessions each has
	hidden     map[chat.Seq]chat.Seq // of messages that are nothing to show: the one before them that is
	stamps     map[chat.Seq][]chan time.Time
	counts     Counts
}

// Counts says what a feed did since it began.
type Counts struct {
	Taken    uint64 // events taken
	Repairs  uint64 // times that the log was read because something was missing
	Holes    uint64 // generations begun because something missing could not be shown in order any more
	Garbage  uint64 // messages on the workspace's subjects that are no events
	Repeated uint64 // messages that had been taken before
}

func newFeed(place Place, filter string, log Log, cfg Config) *Feed {
	f := &Feed{
		place: place, filter: filter, log: log, cfg: cfg,
		slog:     cfg.Log.With("workspace_id", string(place.WorkspaceID)),
		wake:     make(chan struct{}, 1),
		first:    make(chan struct{}),
		ring:     ring{maxEntries: cfg.RingEntries, maxBytes: cfg.RingBytes},
		tracker:  newTracker(0),
		deleted:  make(map[chat.Seq]struct{}),
		hidden:   make(map[chat.Seq]chat.Seq),
		watchers: make(map[Watcher]int),
		stamps:   make(map[chat.Seq][]chan time.Time),
	}
	f.pages.feed = f
	return f
}

// Place says which log the feed follows.
func (f *Feed) Place() Place { return f.place }

// A Reach is how far a feed is.
type Reach struct {
	Floor      chat.Seq // every event after it is in the ring
	Head       chat.Seq // everything up to it has been shown, or is nothing to show
	Generation uint32   // when it has grown, what was shown before is not complete: resync
}

// Reach says how far the feed is.
func (f *Feed) Reach() Reach {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reach()
}

func (f *Feed) reach() Reach { return Reach{f.ring.floor, f.ring.head, f.generation} }

// After is the entries after pos, at most limit of them, and how far the feed is. When pos is below the
// floor, the entries between them are to be had from Page.
func (f *Feed) After(pos chat.Seq, limit int) ([]*Entry, Reach) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ring.after(pos, limit), f.reach()
}

// Watch adds a session of w; w is told of every move from now on. Unwatch takes one away.
func (f *Feed) Watch(w Watcher) {
	f.mu.Lock()
	f.watchers[w]++
	f.mu.Unlock()
}

// Unwatch takes away a session of w.
func (f *Feed) Unwatch(w Watcher) {
	f.mu.Lock()
	if f.watchers[w]--; f.watchers[w] <= 0 {
		delete(f.watchers, w)
	}
	f.mu.Unlock()
}

// Counts says what the feed did since it began.
func (f *Feed) Counts() Counts {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.counts
}

// deliver takes a republished message, on the subscription's goroutine.
func (f *Feed) deliver(m bus.Republished) {
	f.mu.Lock()
	moved := f.offer(m)
	f.mu.Unlock()
	if moved {
		f.tell()
	}
}

// offer is deliver under mu. It reports whether the feed moved on.
func (f *Feed) offer(m bus.Republished) bool {
	if f.state != whole {
		f.want = max(f.want, m.Seq)
		f.poke() // it may be resting
		return false
	}
	ch := channelOf(&m.Entry)
	switch f.tracker.judge(ch, m.Seq, m.Prev) {
	case take:
		f.take(message{ch, m.Seq, m.Prev, m.At, m.Payload})
		return true
	case gap, hole: // where one was lost in the channel, others may have been lost in other channels before head
		f.suspect(m.Seq, true)
	case old:
		f.counts.Repeated++
		if e := f.ring.find(m.Seq); e != nil && !e.At.Equal(m.At) { // another one: somebody forged it, or the stream was put back
			f.lose(m.Seq)
		}
	}
	return false
}

// message is one message of the log, live or read.
type message struct {
	ch      chat.ChannelID
	seq     chat.Seq
	before  chat.Seq // the seq before it in its channel, as the log knows it
	at      time.Time
	payload []byte
}

// foreign stands for the channel of messages that somebody put on a subject which is no channel's. It is no id.
const foreign chat.ChannelID = "*"

// channelOf is the channel that a message's chain belongs to.
func channelOf(e *bus.Entry) chat.ChannelID {
	if e.Foreign {
		return foreign
	}
	return e.Place.ChannelID
}

// take adds the next message to the feed, under mu. One that is no event is noted and not shown.
func (f *Feed) take(m message) {
	f.counts.Taken++
	e, err := event.Parse(m.payload)
	shown := err == nil && e.ChannelID == m.ch && e.Epoch == f.place.Epoch
	prev := f.tracker.note(m.ch, m.seq, f.visible(m.before), shown)
	if len(f.tracker.since) > maxUnproved {
		f.suspect(0, true)
	}
	if !shown {
		f.counts.Garbage++
		f.hide(m.seq, prev)
		f.ring.skip(m.seq)
		return
	}
	entry := newEntry(e, wire.Place{Epoch: e.Epoch, ChannelID: m.ch, Seq: m.seq, Prev: prev, At: m.at}, m.payload)
	if _, gone := f.deleted[entry.textOf()]; gone {
		entry = entry.redacted()
	}
	f.ring.append(entry)
	if e.Kind == event.MessageDeleted {
		f.forget(e.MessageSeq)
	}
	for _, waiting := range f.stamps[m.seq] {
		waiting <- m.at
	}
	delete(f.stamps, m.seq)
}

// hide remembers what to say of a message that is nothing to show when it is the one before another, under mu.
func (f *Feed) hide(seq, prev chat.Seq) {
	if len(f.hidden) < maxHidden {
		f.hidden[seq] = prev
	}
}

// visible is seq, or the message before it in its channel that clients were shown, under mu.
func (f *Feed) visible(seq chat.Seq) chat.Seq {
	if prev, ok := f.hidden[seq]; ok {
		return prev
	}
	return seq
}

// forget takes a deleted message's text out of the ring, and remembers to keep it out of pages.
func (f *Feed) forget(seq chat.Seq) {
	if seq == 0 {
		return // of a later version, which says otherwise what it deletes
	}
	for _, e := range f.ring.after(seq-1, f.ring.maxEntries) {
		if e.textOf() == seq {
			f.ring.replace(e.redacted())
		}
	}
	if len(f.deleted) >= maxDeleted {
		for old := range f.deleted { // the log erases a deleted message's text soon: which one goes hardly matters
			delete(f.deleted, old)
			break
		}
	}
	f.deleted[seq] = struct{}{}
}

// suspect stops showing live messages until the log was asked, under mu.
func (f *Feed) suspect(want chat.Seq, audit bool) {
	f.want = max(f.want, want)
	f.audit = f.audit || audit
	if f.state == whole {
		f.state = repairing
	}
	f.poke()
}

// Suspect tells the feed that messages may have been lost on their way here.
func (f *Feed) Suspect() { f.suspectWithin(0) }

// suspectWithin is Suspect of one of many, who ask the log spread over a time.
func (f *Feed) suspectWithin(spread time.Duration) {
	f.mu.Lock()
	f.spread = spread
	f.suspect(0, true)
	f.mu.Unlock()
}

func (f *Feed) poke() {
	select {
	case f.wake <- struct{}{}:
	default: // a token is there: run has not looked yet
	}
}

// tell wakes everybody who reads the feed.
func (f *Feed) tell() {
	f.mu.Lock()
	watchers := make([]Watcher, 0, 8)
	for w := range f.watchers {
		watchers = append(watchers, w)
	}
	f.mu.Unlock()
	for _, w := range watchers {
		w.Wake(f)
	}
}

// StampOf is the stream's timestamp of an event that was just stored, as soon as the feed has it.
// It is false when the feed does not have it before ctx ends.
func (f *Feed) StampOf(ctx context.Context, seq chat.Seq) (time.Time, bool) {
	f.mu.Lock()
	if e := f.ring.find(seq); e != nil {
		f.mu.Unlock()
		return e.At, true
	}
	if seq <= f.ring.head {
		f.mu.Unlock()
		return time.Time{}, false
	}
	answer := make(chan time.Time, 1)
	f.stamps[seq] = append(f.stamps[seq], answer)
	f.mu.Unlock()
	select {
	case at := <-answer:
		return at, true
	case <-ctx.Done():
	}
	f.mu.Lock()
	delete(f.stamps, seq) // whoever else waits for it falls back to the log as well
	f.mu.Unlock()
	return time.Time{}, false
}
