// Package courier brings what users send from a gateway's loops to the log. It owns how much of it is on its way, which
// is bounded in number and bytes, and how long one may take: when the log is slow, what is on its way ends as unavailable
// and what would come on top is refused, so nothing queues. It knows no socket, and starts no goroutine.
package courier

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/canopychat/canopy/edge/fanout"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rpc"
)

// Directory says what a user is towards a channel.
type Directory interface {
	Session(ctx context.Context, req rpc.SessionRequest) (rpc.SessionReply, error)
}

// Tracer follows a send through the deployment. parent is a W3C traceparent or empty, as is what Start returns; end is
// called once, with how it went.
type Tracer interface {
	Start(ctx context.Context, name, parent string) (traceparent string, end func(error))
}

// Neighbours are what a courier needs of others.
type Neighbours struct {
	Directory Directory
	Submitter event.Submitter
	Tracer    Tracer              // nil: none
	Acked     func(time.Duration) // told how long each send took that the log stored; nil: nobody
}

// Config are the bounds; all are above 0.
type Config struct {
	MaxSends int           // on their way at once
	MaxBytes int64         // that these hold
	Timeout  time.Duration // from when one goes to its outcome
	Log      *slog.Logger  // has a line of each send at debug; nil: none
}

// Courier is for use by many goroutines.
type Courier struct {
	cfg   Config
	to    Neighbours
	sends atomic.Int64
	bytes atomic.Int64
}

// New makes a courier.
func New(cfg Config, to Neighbours) *Courier {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Courier{cfg: cfg, to: to}
}

// busyPause is when a send that was refused for want of room is worth trying again.
const busyPause = time.Second

// Book asks for a place on the way: it is false when all are taken. Free gives it back.
func (c *Courier) Book() bool {
	if c.sends.Add(1) > int64(c.cfg.MaxSends) {
		c.sends.Add(-1)
		return false
	}
	return true
}

// Free gives back a place that Book gave.
func (c *Courier) Free() { c.sends.Add(-1) }

// Booked is how many places are taken.
func (c *Courier) Booked() int { return int(c.sends.Load()) }

// Bytes is what the changes that are on their way hold.
func (c *Courier) Bytes() int64 { return c.bytes.Load() }

// Crowded reports whether more than nine tenths of what may be on its way is: then nothing new should begin.
func (c *Courier) Crowded() bool {
	return past(c.sends.Load(), int64(c.cfg.MaxSends)) || past(c.bytes.Load(), c.cfg.MaxBytes)
}

func past(n, most int64) bool { return n > most-most/10 }

// Size is about how many bytes a change holds.
func Size(c *event.Change) int {
	n := 512 + len(c.Body) // its ids, and what stands around it
	for _, a := range c.Attachments {
		n += 64 + len(a.ID) + len(a.Name) + len(a.Type)
	}
	return n
}

// Submit brings one change to the log. A user who is not in the channel as far as this gateway knows may have come in a
// moment ago, by another way than the log: the directory knows. The errors are those of event.Submitter; it is Unavailable
// too when the time is over, whatever it went by.
func (c *Courier) Submit(ctx context.Context, place fanout.Place, change event.Change) (event.Receipt, error) {
	size := int64(Size(&change))
	defer c.bytes.Add(-size)
	if c.bytes.Add(size) > c.cfg.MaxBytes {
		return event.Receipt{}, fault.New(fault.Unavailable, "too much is on its way").After(busyPause)
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	end := func(error) {}
	if c.to.Tracer != nil {
		change.TraceParent, end = c.to.Tracer.Start(ctx, "send "+string(change.Kind), change.TraceParent)
	}
	started := time.Now()
	receipt, err := c.submit(ctx, place, change)
	if err != nil && errors.Is(err, context.DeadlineExceeded) && fault.KindOf(err) != fault.Unavailable {
		err = fault.Wrap(fault.Unavailable, err, "the workspace's log does not answer").After(2 * busyPause)
	}
	if err == nil && c.to.Acked != nil {
		c.to.Acked(time.Since(started))
	}
	end(err)
	c.note(ctx, &change, receipt, err)
	return receipt, err
}

// note says at debug what became of a send, and nothing of what it says.
func (c *Courier) note(ctx context.Context, change *event.Change, receipt event.Receipt, err error) {
	if !c.cfg.Log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	outcome := "stored"
	if err != nil {
		outcome = string(fault.KindOf(err))
	}
	c.cfg.Log.LogAttrs(ctx, slog.LevelDebug, "send", slog.String("trace_id", event.TraceID(change.TraceParent)),
		slog.String("kind", string(change.Kind)), slog.Int("shard", int(change.Shard)), slog.Uint64("seq", uint64(receipt.Seq)), slog.String("outcome", outcome))
}

func (c *Courier) submit(ctx context.Context, place fanout.Place, change event.Change) (event.Receipt, error) {
	if !change.Standing.InIt {
		var err error
		if change.Standing, err = c.confirm(ctx, place, change); err != nil {
			return event.Receipt{}, err
		}
	}
	return c.to.Submitter.Submit(ctx, change)
}

// confirm asks the directory what a user is towards a channel. The error is NotFound when they are not in it.
func (c *Courier) confirm(ctx context.Context, place fanout.Place, change event.Change) (chat.Standing, error) {
	reply, err := c.to.Directory.Session(ctx, rpc.SessionRequest{UserID: change.UserID, WorkspaceID: place.WorkspaceID, Since: chat.MaxSeq})
	if err != nil && !fault.Is(err, fault.NotFound) {
		return chat.Standing{}, err
	}
	for _, t := range reply.Tenures {
		if t.ChannelID == change.ChannelID && t.JoinedSeq != 0 && t.LeftSeq == 0 {
			return chat.Standing{Role: reply.Role, Type: t.Type, Archived: t.Archived, InIt: true}, nil
		}
	}
	return chat.Standing{}, fault.New(fault.NotFound, "there is no such channel among yours")
}
