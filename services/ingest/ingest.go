package ingest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
)

const (
	// DefaultBudget is how long the questions before a publish may take together.
	DefaultBudget = 5 * time.Second
	// headerRoom is kept free of chat.MaxStoredEvent for the headers: the longest Msg-Id (26+1+64 bytes),
	// a trace context (55), the expected stream, and their names.
	headerRoom = 512
	// retryAfter is what a client is told when something does not answer.
	retryAfter = 2 * time.Second
)

// Publisher stores events; *bus.Publisher is one.
type Publisher interface {
	PublishSync(ctx context.Context, m bus.Message) (bus.Ack, error)
	// Begun is when the log was made; it knows no Msg-Id of before.
	Begun(ctx context.Context, shard streams.Shard) (time.Time, error)
}

// Log reads the logs; *bus.Log is one. Read and Get are answered by any replica, which may lag; the others by the
// stream's leader.
type Log interface {
	Read(ctx context.Context, q bus.ReadQuery) (bus.Batch, error)
	Get(ctx context.Context, shard streams.Shard, seq chat.Seq) (bus.Entry, error)
	Bounds(ctx context.Context, shard streams.Shard) (first, last chat.Seq, err error)
	LeaderLast(ctx context.Context, shard streams.Shard, filter string) (chat.Seq, error)
}

// Stamps tells the stream's timestamp of an event that is stored.
type Stamps interface {
	StampOf(ctx context.Context, workspace chat.WorkspaceID, shard streams.Shard, seq chat.Seq) (time.Time, error)
}

// History answers from the Messages store for what the log may not hold any more. Its errors are
// NotFound (Message) and Unavailable.
type History interface {
	Send(ctx context.Context, req rpc.SendRequest) (rpc.SendReply, error)
	Message(ctx context.Context, req rpc.MessageRequest) (rpc.MessageReply, error)
}

// Config is what an Ingest is made of.
type Config struct {
	Publisher Publisher
	Log       Log
	History   History
	Stamps    Stamps        // nil: each is read from Log
	Window    time.Duration // how long the log remembers a Msg-Id; 0: chat.DedupWindow
	Budget    time.Duration // of the questions before a publish; 0: DefaultBudget
	Logger    *slog.Logger  // has a line of each change at debug; nil: slog.Default
}

// Ingest is an event.Submitter. It may be used by any number of goroutines.
type Ingest struct {
	// immutable after New
	publisher Publisher
	log       Log
	history   History
	stamps    Stamps
	window    time.Duration
	budget    time.Duration
	logger    *slog.Logger
	// each with its own lock
	tails     *tails
	originals *originals
	begins    *begins
}

var _ event.Submitter = (*Ingest)(nil)

// New makes an Ingest. It starts nothing.
func New(cfg Config) *Ingest {
	if cfg.Window <= 0 {
		cfg.Window = chat.DedupWindow
	}
	if cfg.Budget <= 0 {
		cfg.Budget = DefaultBudget
	}
	if cfg.Stamps == nil {
		cfg.Stamps = NewLogStamps(cfg.Log)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	return &Ingest{
		publisher: cfg.Publisher, log: cfg.Log, history: cfg.History, stamps: cfg.Stamps,
		window: cfg.Window, budget: cfg.Budget, logger: cfg.Logger,
		tails:     newTails(cfg.Log, cfg.Window),
		originals: newOriginals(maxOriginals),
		begins:    &begins{logs: cfg.Publisher, budget: cfg.Budget, at: map[incarnation]time.Time{}},
	}
}

// Submit implements event.Submitter.
func (g *Ingest) Submit(ctx context.Context, c event.Change) (event.Receipt, error) {
	g.tails.dropIdle(time.Now())
	r, err := g.submit(ctx, &c)
	g.note(ctx, &c, r, err)
	if err != nil {
		return event.Receipt{}, asFault(err)
	}
	return r, nil
}

// note says at debug what became of a change, and nothing of what it says.
func (g *Ingest) note(ctx context.Context, c *event.Change, r event.Receipt, err error) {
	if !g.logger.Enabled(ctx, slog.LevelDebug) {
		return
	}
	outcome := "stored"
	switch {
	case err != nil:
		outcome = string(asFault(err).Kind)
	case r.Duplicate:
		outcome = "stored before"
	}
	g.logger.LogAttrs(ctx, slog.LevelDebug, "ingest", slog.String("trace_id", event.TraceID(c.TraceParent)), slog.String("kind", string(c.Kind)),
		slog.Int("shard", int(c.Shard)), slog.Uint64("seq", uint64(r.Seq)), slog.String("outcome", outcome))
}

func (g *Ingest) submit(ctx context.Context, c *event.Change) (event.Receipt, error) {
	if err := check(c); err != nil {
		return event.Receipt{}, err
	}
	if err := permit(c.Standing); err != nil {
		return event.Receipt{}, err
	}
	payload, err := encode(eventOf(c))
	if err != nil {
		return event.Receipt{}, err
	}
	if c.Kind == event.MessagePosted {
		return g.post(ctx, c, payload)
	}
	return g.change(ctx, c, payload)
}

// change takes what is done to a message. A delete says what stays of the message, because its post will be erased.
func (g *Ingest) change(ctx context.Context, c *event.Change, payload []byte) (event.Receipt, error) {
	o, err := g.checkOriginal(ctx, c)
	if err != nil {
		return event.Receipt{}, err
	}
	if c.Kind == event.MessageDeleted {
		e := eventOf(c)
		e.Post = o.left()
		if payload, err = encode(e); err != nil {
			return event.Receipt{}, err
		}
	}
	attempt, err := uuid.NewV7()
	if err != nil {
		return event.Receipt{}, fmt.Errorf("make a message id: %w", err)
	}
	msgID, err := streams.ChangeMsgID(c.UserID, attempt.String())
	if err != nil {
		return event.Receipt{}, because(err)
	}
	ack, err := g.publish(ctx, c, msgID, payload)
	if err != nil {
		return event.Receipt{}, err
	}
	if c.Kind == event.MessageDeleted {
		g.originals.noteDeleted(keyOf(c, c.MessageSeq))
	}
	return g.receipt(ctx, c, ack.Seq)
}

// post takes a message.
func (g *Ingest) post(ctx context.Context, c *event.Change, payload []byte) (event.Receipt, error) {
	msgID, err := streams.PostMsgID(c.UserID, c.ClientMsgID)
	if err != nil {
		return event.Receipt{}, because(err)
	}
	if mayBeOld(c.ClientMsgID, c.Retry, time.Now(), g.window) || g.begins.mayPrecede(ctx, c, g.window) {
		if r, found, err := g.sentBefore(ctx, c, msgID); err != nil || found {
			return r, err
		}
	}
	if c.Thread != 0 {
		if err := g.checkRoot(ctx, c); err != nil {
			return event.Receipt{}, err
		}
	}
	ack, err := g.publish(ctx, c, msgID, payload)
	if err != nil {
		return event.Receipt{}, err
	}
	if ack.Duplicate {
		return g.repeated(ctx, c, ack.Seq)
	}
	return g.receipt(ctx, c, ack.Seq)
}

func (g *Ingest) publish(ctx context.Context, c *event.Change, msgID string, payload []byte) (bus.Ack, error) {
	return g.publisher.PublishSync(ctx, bus.Message{
		Place: placeOf(c), MsgID: msgID, TraceParent: c.TraceParent, Payload: payload,
	})
}

// receipt asks for the stamp of what was stored just now. When that fails the change is stored all the
// same; its sender is told Unavailable, which says that the outcome is unknown and sending again is safe.
func (g *Ingest) receipt(ctx context.Context, c *event.Change, seq chat.Seq) (event.Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, g.budget)
	defer cancel()
	at, err := g.stamps.StampOf(ctx, c.Workspace, c.Shard, seq)
	if err != nil {
		return event.Receipt{}, fmt.Errorf("timestamp of %d: %w", seq, err)
	}
	return event.Receipt{Seq: seq, At: at}, nil
}

// encode writes the payload. A text can be within its own limit and too large once it is written as JSON.
func encode(e event.Event) ([]byte, error) {
	payload, err := event.Encode(e)
	if err != nil {
		return nil, fmt.Errorf("encode a checked change: %w", err)
	}
	if len(payload) > chat.MaxStoredEvent-headerRoom {
		return nil, fault.New(fault.TooLarge, "the message is too large to be stored")
	}
	return payload, nil
}

func placeOf(c *event.Change) streams.Place {
	return streams.Place{Shard: c.Shard, WorkspaceID: c.Workspace, ChannelID: c.ChannelID}
}

// asFault makes what the contract promises of any error. An end of the caller's patience is an unknown outcome.
func asFault(err error) *fault.Error {
	var f *fault.Error
	switch {
	case errors.As(err, &f):
		return f
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return unavailable(err, "it took too long; try again")
	}
	return fault.Wrap(fault.Internal, err, "%s", fault.Internal.Title())
}

func unavailable(err error, message string) *fault.Error {
	return fault.Wrap(fault.Unavailable, err, "%s", message).After(retryAfter)
}
