package history

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
)

const (
	// DefaultLogBudget is how long the log may take to answer for one page, while the store can.
	DefaultLogBudget = 2 * time.Second
	// DefaultStoreBudget is how long the store may take to answer for one page, before the log answers alone.
	DefaultStoreBudget = 3 * time.Second
	retryAfter         = 2 * time.Second
)

// Log is the logs of all shards; *bus.Log is one.
type Log interface {
	Read(ctx context.Context, q bus.ReadQuery) (bus.Batch, error)
	LeaderLast(ctx context.Context, shard streams.Shard, subject string) (chat.Seq, error)
	Bounds(ctx context.Context, shard streams.Shard) (first, last chat.Seq, err error)
}

// Config is what a Reader is made of.
type Config struct {
	Store       store.Messages
	Log         Log
	Logger      *slog.Logger  // nil: slog.Default
	LogBudget   time.Duration // 0: DefaultLogBudget
	StoreBudget time.Duration // 0: DefaultStoreBudget
	TailBytes   int           // of one channel's cached tail; 0: DefaultTailBytes
	Bytes       int           // of all cached tails; 0: DefaultBytes
}

// Reader reads channels. It may be used by any number of goroutines.
type Reader struct {
	store     store.Messages
	log       Log
	logger    *slog.Logger
	logBudget time.Duration
	patience  patience
	pages     sharedPages
	tails     *tails
}

// New makes a Reader. It starts nothing.
func New(cfg Config) *Reader {
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.LogBudget <= 0 {
		cfg.LogBudget = DefaultLogBudget
	}
	if cfg.StoreBudget <= 0 {
		cfg.StoreBudget = DefaultStoreBudget
	}
	return &Reader{
		store: cfg.Store, log: cfg.Log, logger: cfg.Logger, logBudget: cfg.LogBudget,
		patience: patience{budget: cfg.StoreBudget}, tails: newTails(cfg),
	}
}

// Page reads a page of a channel or thread. q's channel is that of place.
func (r *Reader) Page(ctx context.Context, place store.ChannelPlace, q store.PageQuery) (store.Reading, error) {
	q.ChannelID = place.ChannelID
	subject, err := subjectOf(place)
	if err == nil {
		err = q.Check()
	}
	if err != nil {
		return store.Reading{}, err
	}
	key := pageKey{place, q}
	var ground stored
	joined := false
	if err = errKnownDown; !r.patience.probes() {
		ground, joined, err = r.pages.ask(ctx, key, func(ctx context.Context) (stored, error) { return r.storedPage(ctx, key) })
	}
	var end tailEnd
	if err == nil {
		end = r.tailAfter(ctx, place, subject, ground.progress)
		if joined && !end.reached() {
			// Without all of the tail the page counts for no more than its ground, which must not be an older one then.
			if ground, err = r.storedPage(ctx, key); err == nil {
				end = r.tailAfter(ctx, place, subject, ground.progress)
			}
		}
	}
	if down(ctx, err) {
		return r.withoutStore(ctx, place, q, err)
	}
	if err != nil {
		return store.Reading{}, fmt.Errorf("page of %s: %w", place.ChannelID, err)
	}
	if end.over {
		// The tail is too long to be laid over a page. But the newest messages may all be at its own end.
		if w, err := r.window(ctx, place, q, end.last); err == nil && w.full {
			return w.reading(), nil
		}
	}
	return store.Reading{Page: q.Overlay(ground.page, end.events), CompleteThrough: end.through}, nil
}

// storedPage asks the store, for its progress first.
func (r *Reader) storedPage(ctx context.Context, key pageKey) (ground stored, err error) {
	err = r.patience.ask(ctx, func(ctx context.Context) (err error) {
		if ground.progress, err = r.store.Progress(ctx, key.place.Shard); err == nil {
			ground.page, err = r.store.Page(ctx, key.query)
		}
		return err
	})
	return ground, err
}

// Pins reads the pinned messages of a channel, newest first, at most chat.MaxPins.
func (r *Reader) Pins(ctx context.Context, place store.ChannelPlace) (store.Reading, error) {
	subject, err := subjectOf(place)
	if err != nil {
		return store.Reading{}, err
	}
	var p chat.Seq
	var pins []chat.Message
	err = r.patience.ask(ctx, func(ctx context.Context) (err error) {
		if p, err = r.store.Progress(ctx, place.Shard); err == nil {
			pins, err = r.store.Pins(ctx, place.ChannelID)
		}
		return err
	})
	var end tailEnd
	if err == nil {
		end = r.tailAfter(ctx, place, subject, p)
	}
	if err == nil && slices.ContainsFunc(end.events, func(e event.Stored) bool { return e.Kind == event.PinAdded }) {
		err = r.patience.ask(ctx, func(ctx context.Context) (err error) {
			pins, err = r.addPinned(ctx, pins, end.events)
			return err
		})
	}
	if down(ctx, err) {
		return r.pinsWithoutStore(ctx, place, err)
	}
	if err != nil {
		return store.Reading{}, fmt.Errorf("pins of %s: %w", place.ChannelID, err)
	}
	return store.Reading{Page: pinned(store.Overlay(pins, end.events)), CompleteThrough: end.through}, nil
}

// addPinned adds the stored messages that the tail pins, newest pin first and at most chat.MaxPins of them.
func (r *Reader) addPinned(ctx context.Context, pins []chat.Message, tail []event.Stored) ([]chat.Message, error) {
	known := make(map[chat.Seq]bool, len(pins))
	for _, m := range pins {
		known[m.Seq] = true
	}
	for i := range tail {
		if tail[i].Kind == event.MessagePosted {
			known[tail[i].Seq] = true
		}
	}
	added := 0
	for _, e := range slices.Backward(tail) {
		if e.Kind != event.PinAdded || known[e.MessageSeq] || added == chat.MaxPins {
			continue
		}
		known[e.MessageSeq] = true
		added++
		m, err := r.store.Message(ctx, e.ChannelID, e.MessageSeq)
		if fault.Is(err, fault.NotFound) {
			continue // a pin on what never was: the log takes it when its publisher was wrong
		}
		if err != nil {
			return nil, err
		}
		pins = append(slices.Clip(pins), m)
	}
	return pins, nil
}

// pinned is what Pins shows of messages, newest first.
func pinned(messages []chat.Message) store.Page {
	messages = slices.DeleteFunc(messages, func(m chat.Message) bool { return !m.Pinned || m.Deleted })
	more := len(messages) > chat.MaxPins
	return store.Page{Messages: messages[:min(len(messages), chat.MaxPins)], HasMore: more}
}

// Send answers history.send: which message a client_msg_id stands for, as far as the store knows.
// The progress is read first, so that everything up to Through is in the answer.
func (r *Reader) Send(ctx context.Context, req rpc.SendRequest) (rpc.SendReply, error) {
	var place store.SendPlace
	var p chat.Seq
	err := r.patience.ask(ctx, func(ctx context.Context) (err error) {
		if p, err = r.store.Progress(ctx, req.Shard); err != nil {
			return fmt.Errorf("progress of shard %d: %w", req.Shard, err)
		}
		place, err = r.store.Send(ctx, store.SendKey{
			WorkspaceID: req.WorkspaceID, SenderID: req.SenderID, ClientMsgID: req.ClientMsgID,
		})
		return err
	})
	if fault.Is(err, fault.NotFound) {
		return rpc.SendReply{Through: p}, nil
	}
	if err != nil {
		return rpc.SendReply{}, fmt.Errorf("find a send: %w", unanswered(ctx, err))
	}
	return rpc.SendReply{ChannelID: place.ChannelID, Seq: place.Seq, Through: p}, nil
}

// Message answers history.message from the store. The error is NotFound when the store does not have it.
func (r *Reader) Message(ctx context.Context, req rpc.MessageRequest) (rpc.MessageReply, error) {
	var m chat.Message
	err := r.patience.ask(ctx, func(ctx context.Context) (err error) {
		m, err = r.store.Message(ctx, req.ChannelID, req.Seq)
		return err
	})
	if err != nil {
		return rpc.MessageReply{}, fmt.Errorf("message %d: %w", req.Seq, unanswered(ctx, err))
	}
	return rpc.MessageReply{
		Epoch: m.Epoch, SenderID: m.SenderID, ClientMsgID: m.ClientMsgID, Thread: m.Thread, Body: m.Body,
		Edited: !m.EditedAt.IsZero(), Deleted: m.Deleted, Attachments: m.Attachments, At: m.PostedAt,
	}, nil
}

// unanswered says Unavailable of a store that did not answer in its time; other errors stay.
func unanswered(ctx context.Context, err error) error {
	if down(ctx, err) && !fault.Is(err, fault.Unavailable) {
		return fault.Wrap(fault.Unavailable, err, "the message store does not answer").After(retryAfter)
	}
	return err
}

// tailEnd is the end of a channel's log as a page needs it.
type tailEnd struct {
	events  []event.Stored
	through chat.Seq // CompleteThrough, with what the store had applied
	last    chat.Seq // the channel's last event; 0: not known
	over    bool     // it ends before last because there is no room for more
	cut     bool     // the log did not tell all of it
}

// reached reports whether it holds everything up to the channel's last event.
func (e tailEnd) reached() bool { return !e.cut && e.through >= e.last }

// tailAfter reads a channel's tail after p, as far as it can within the budget. It does not fail: without
// the log a page is complete through p, and says so.
func (r *Reader) tailAfter(ctx context.Context, place store.ChannelPlace, subject string, p chat.Seq) tailEnd {
	ctx, cancel := context.WithTimeout(ctx, r.logBudget)
	defer cancel()
	last, err := r.log.LeaderLast(ctx, place.Shard, subject)
	if err != nil {
		// What was read before still counts: a reader who saw it must not see less now.
		r.logger.Debug("a page without the log's end", "channel_id", place.ChannelID, "err", err)
		known := r.tails.known(tailKey{subject: subject}, p)
		return tailEnd{events: known.events, through: known.completeAfter(p), cut: true}
	}
	if last <= p {
		return tailEnd{through: p, last: last}
	}
	read, err := r.tails.read(ctx, tailKey{subject: subject}, place.Shard, span{p, last})
	if err != nil {
		r.logger.Debug("a page with a part of the log's tail", "channel_id", place.ChannelID, "err", err)
	}
	return tailEnd{
		events: read.events, through: read.completeAfter(p),
		last: last, over: read.over && read.through < last,
	}
}

func subjectOf(place store.ChannelPlace) (string, error) {
	if place.ChannelID == "" {
		return "", fault.Wrap(fault.Invalid, chat.ErrBadID, "%v", chat.ErrBadID)
	}
	subject, err := streams.ChatSubject(place.Shard, place.WorkspaceID, place.ChannelID)
	if err != nil {
		return "", fault.Wrap(fault.Invalid, err, "%v", err)
	}
	return subject, nil
}
