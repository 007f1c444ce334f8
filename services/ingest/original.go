package ingest

import (
	"container/list"
	"context"
	"sync"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
)

const (
	maxOriginals = 8192
	// behindBudget is how long a replica may be behind before we ask the store instead.
	behindBudget = time.Second
)

// original is what the rules need to know of a message. All but deleted never changes.
//
// deleted is what is known at no price: the store said so, or the delete went through this process. A
// change of a message that was deleted elsewhere gets through and does no harm, because a delete dominates
// in every reader (store.State).
type original struct {
	place   streams.Place
	post    event.PostState
	deleted bool
}

// originalKey names a message for as long as its log lives. A moved workspace has another epoch.
type originalKey struct {
	shard streams.Shard
	epoch chat.Epoch
	seq   chat.Seq
}

func keyOf(c *event.Change, seq chat.Seq) originalKey { return originalKey{c.Shard, c.Epoch, seq} }

// checkOriginal says whether c may be done to the message it is about, and returns that.
func (g *Ingest) checkOriginal(ctx context.Context, c *event.Change) (original, error) {
	o, err := g.original(ctx, c, c.MessageSeq)
	if err != nil {
		return original{}, err
	}
	if err := permitOn(c, o.post.SenderID); err != nil {
		return original{}, err
	}
	// Deleting twice is the wish of both, and taking a reaction or pin away leaves nothing.
	changes := c.Kind == event.MessageEdited || c.Kind == event.ReactionAdded || c.Kind == event.PinAdded
	if o.deleted && changes {
		return original{}, fault.New(fault.NotFound, "the message was deleted")
	}
	return o, nil
}

// left is what stays of the message once it is deleted; nil: who told of it is of an earlier build, and did not say all.
func (o original) left() *event.PostState {
	if o.post.Epoch == 0 {
		return nil
	}
	return &o.post
}

// checkRoot says whether c may answer its thread's root. A deleted message keeps its thread.
func (g *Ingest) checkRoot(ctx context.Context, c *event.Change) error {
	o, err := g.original(ctx, c, c.Thread)
	if err != nil {
		return err
	}
	if o.post.Thread != 0 {
		return fault.New(fault.Invalid, "thread is itself a reply; answer the message that it replies to")
	}
	return nil
}

// original finds a message of c's channel. The error is NotFound, also for what is not a message of it.
func (g *Ingest) original(ctx context.Context, c *event.Change, seq chat.Seq) (original, error) {
	key := keyOf(c, seq)
	o, ok := g.originals.find(key)
	if !ok {
		ctx, cancel := context.WithTimeout(ctx, g.budget)
		defer cancel()
		var err error
		if o, err = g.readOriginal(ctx, c, seq); err != nil {
			return original{}, err
		}
		g.originals.note(key, o)
	}
	if o.place != placeOf(c) {
		return original{}, noMessage()
	}
	return o, nil
}

func (g *Ingest) readOriginal(ctx context.Context, c *event.Change, seq chat.Seq) (original, error) {
	e, err := g.log.Get(ctx, c.Shard, seq)
	if fault.Is(err, fault.NotFound) {
		if e, err = g.readMissed(ctx, c, seq); err != nil {
			return g.askOriginal(ctx, c, seq, err)
		}
	}
	if err != nil {
		return original{}, err
	}
	posted, ok := postOf(e)
	if !ok {
		return original{}, noMessage()
	}
	return original{place: e.Place, post: event.PostState{
		Epoch: posted.Epoch, SenderID: posted.SenderID, ClientMsgID: posted.ClientMsgID, Thread: posted.Thread, At: e.At.UTC(),
	}}, nil
}

// readMissed reads an event that a replica did not have. NotFound: the log has forgotten it, or it was never
// stored. Else the replica was behind, which is usual: somebody reacts to a message at the moment that they
// see it. Unavailable: it still is, or the event was taken out of the log because it was deleted.
func (g *Ingest) readMissed(ctx context.Context, c *event.Change, seq chat.Seq) (bus.Entry, error) {
	from, to, err := g.log.Bounds(ctx, c.Shard)
	if err != nil {
		return bus.Entry{}, err
	}
	if seq < from || seq > to {
		return bus.Entry{}, noMessage()
	}
	return g.readShown(ctx, c, seq)
}

// askOriginal asks the store for what the log did not show because of missed. When the store does not have
// it either, that is the answer.
func (g *Ingest) askOriginal(ctx context.Context, c *event.Change, seq chat.Seq, missed error) (original, error) {
	m, err := g.history.Message(ctx, rpc.MessageRequest{ChannelID: c.ChannelID, Seq: seq})
	if fault.Is(err, fault.NotFound) {
		return original{}, missed
	}
	if err != nil {
		return original{}, err
	}
	return original{place: placeOf(c), deleted: m.Deleted, post: event.PostState{
		Epoch: m.Epoch, SenderID: m.SenderID, ClientMsgID: m.ClientMsgID, Thread: m.Thread, At: m.At.UTC(),
	}}, nil
}

// postOf reads the event of a message. It is false for every other kind, and for what somebody put there by hand.
func postOf(e bus.Entry) (event.Event, bool) {
	if e.Foreign {
		return event.Event{}, false
	}
	posted, err := event.Parse(e.Payload)
	ok := err == nil && posted.Known() && posted.Kind == event.MessagePosted && posted.ChannelID == e.Place.ChannelID
	return posted, ok
}

func noMessage() error { return fault.New(fault.NotFound, "there is no such message in this channel") }

// originals remembers the messages that were asked for last: the root of a busy thread is asked for with
// each reply.
type originals struct {
	limit int

	mu     sync.Mutex // guards what follows
	byKey  map[originalKey]*list.Element
	newest *list.List // of cachedOriginal
}

type cachedOriginal struct {
	key originalKey
	original
}

func newOriginals(limit int) *originals {
	return &originals{limit: limit, byKey: map[originalKey]*list.Element{}, newest: list.New()}
}

func (o *originals) find(key originalKey) (original, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	el := o.byKey[key]
	if el == nil {
		return original{}, false
	}
	o.newest.MoveToFront(el)
	return el.Value.(*cachedOriginal).original, true
}

func (o *originals) note(key originalKey, v original) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.byKey[key] != nil {
		return
	}
	o.byKey[key] = o.newest.PushFront(&cachedOriginal{key, v})
	if o.newest.Len() > o.limit {
		oldest := o.newest.Back()
		delete(o.byKey, oldest.Value.(*cachedOriginal).key)
		o.newest.Remove(oldest)
	}
}

func (o *originals) noteDeleted(key originalKey) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if el := o.byKey[key]; el != nil {
		el.Value.(*cachedOriginal).deleted = true
	}
}
