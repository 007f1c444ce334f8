// Package readmark brings what people have read from their sessions to the service that keeps it: a Lane for each session
// that asks, and one Office for all of them.
//
// A session has one question on its way at a time. What it asks for a channel that waits already becomes part of that
// question, of which the furthest message counts, so a client that scrolls costs one question after the other and no more.
// Everything is bounded, and what is too much is refused so that its sender can say so.
//
// A Lane is pure and belongs to a loop; an Office is for use by many goroutines. Neither knows a socket.
package readmark

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/canopychat/canopy/edge/errand"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/schemas/wire"
)

// Limits.
const (
	MaxWaiting = 64   // answers that one session waits for; one more is refused as rate_limited
	MaxBooked  = 4096 // sessions with a question on its way; one more is refused as unavailable

	atOnce  = 64 // questions at the service
	timeout = 10 * time.Second
	pause   = time.Second // when what was refused is worth trying again
)

// Ask is a question: that a channel was read up to a message.
type Ask struct {
	ChannelID chat.ChannelID
	Seq       chat.Seq
	Refs      []wire.Ref // of the frames that it answers, each once; nil among them: one that gave none
}

// Lane is what one session asks. The zero Lane is empty.
type Lane struct {
	waiting []Ask
	owed    int // answers, of what waits and of what is on its way
	away    int // answers of what is on its way; 0: nothing is
}

// Offer takes a question in. It is false when too much waits.
func (l *Lane) Offer(channel chat.ChannelID, seq chat.Seq, ref wire.Ref) bool {
	if l.owed >= MaxWaiting {
		return false
	}
	for i := range l.waiting {
		a := &l.waiting[i]
		if a.ChannelID != channel {
			continue
		}
		a.Seq = max(a.Seq, seq)
		if !holds(a.Refs, ref) {
			a.Refs = append(a.Refs, ref)
			l.owed++
		}
		return true
	}
	l.waiting = append(l.waiting, Ask{ChannelID: channel, Seq: seq, Refs: []wire.Ref{ref}})
	l.owed++
	return true
}

func holds(refs []wire.Ref, ref wire.Ref) bool {
	for _, r := range refs {
		if string(r) == string(ref) {
			return true
		}
	}
	return false
}

// Take gives the next question to ask. There is none while one is on its way.
func (l *Lane) Take() (Ask, bool) {
	if l.away > 0 || len(l.waiting) == 0 {
		return Ask{}, false
	}
	next := l.waiting[0]
	l.waiting = l.waiting[1:]
	l.away = len(next.Refs)
	return next, true
}

// Done says that what Take gave has its answer.
func (l *Lane) Done() {
	l.owed -= l.away
	l.away = 0
}

// Idle reports whether nothing waits or is on its way.
func (l *Lane) Idle() bool { return l.owed == 0 }

// Keeper keeps what people have read. Its errors are as schemas/fault has them.
type Keeper interface {
	Read(ctx context.Context, req rpc.ReadRequest) (rpc.ReadReply, error)
}

// Office asks the Keeper, for many sessions.
type Office struct {
	keeper Keeper
	desk   *errand.Desk
	booked atomic.Int64
}

// NewOffice makes an Office.
func NewOffice(k Keeper) *Office { return &Office{keeper: k, desk: errand.NewDesk(atOnce, timeout)} }

// Book takes a place for a session. The error is Unavailable when there is none; else Free gives it back.
func (o *Office) Book() error {
	if o.booked.Add(1) > MaxBooked {
		o.booked.Add(-1)
		return fault.New(fault.Unavailable, "too many mark something as read").After(pause)
	}
	return nil
}

// Free gives a place back.
func (o *Office) Free() { o.booked.Add(-1) }

// Booked is how many places are taken.
func (o *Office) Booked() int { return int(o.booked.Load()) }

// Mark asks, in its turn, and says up to where the channel is read then. The error is Unavailable when its turn and its
// answer do not come in time.
func (o *Office) Mark(ctx context.Context, user chat.UserID, a Ask) (seq chat.Seq, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err = o.desk.Attempt(ctx, func(ctx context.Context) error {
		reply, err := o.keeper.Read(ctx, rpc.ReadRequest{UserID: user, ChannelID: a.ChannelID, Seq: a.Seq})
		seq = reply.Seq
		return err
	})
	if err != nil && (ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded)) {
		err = fault.Wrap(fault.Unavailable, err, "a part of the service does not answer").After(pause)
	}
	return seq, err
}

// ErrFull is what a client reads whose Lane takes nothing more.
func ErrFull() error {
	return fault.New(fault.RateLimited, "%d marks are waiting for their answers already", MaxWaiting).After(pause)
}
