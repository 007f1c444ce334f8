package ingest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/streams/bus"
)

// errUnknowable says that nothing that can be asked now can tell whether a post was stored before.
var errUnknowable = errors.New("the store does not answer, and the log does not reach back to when the id was made")

// sentBefore looks for a post that the log may have forgotten the Msg-Id of: first in the store, up to its
// progress, then in the log after that. What is stored while we look is young enough for the log to know.
func (g *Ingest) sentBefore(ctx context.Context, c *event.Change, msgID string) (event.Receipt, bool, error) {
	asking, cancel := context.WithTimeout(ctx, g.budget)
	defer cancel()
	reply, err := g.history.Send(asking, rpc.SendRequest{
		WorkspaceID: c.Workspace, Shard: c.Shard, SenderID: c.UserID, ClientMsgID: c.ClientMsgID,
	})
	after := reach{after: reply.Through}
	switch {
	case fault.Is(err, fault.Unavailable):
		if after, err = g.withoutStore(asking, c, err); err != nil {
			return event.Receipt{}, false, err
		}
	case err != nil:
		return event.Receipt{}, false, fmt.Errorf("ask history for a send: %w", err)
	case reply.Seq != 0:
		r, err := g.repeatedIn(asking, c, reply)
		return r, true, err
	}
	seq, err := g.tails.find(asking, tailKey{c.Shard, c.Workspace}, after, msgID)
	if err != nil || seq == 0 {
		return event.Receipt{}, false, err
	}
	r, err := g.repeated(asking, c, seq)
	return r, true, err
}

// withoutStore says which part of the log must be searched when the store cannot be asked: everything since
// the id was made. When that is not known, only a log that has forgotten nothing can answer. The error is
// Unavailable: publishing could double a post that only the store knows.
func (g *Ingest) withoutStore(ctx context.Context, c *event.Change, cause error) (reach, error) {
	if since, ok := madeSince(c.ClientMsgID, time.Now(), g.window); ok {
		return reach{since: since, alone: true}, nil
	}
	oldest, _, err := g.log.Bounds(ctx, c.Shard)
	if err != nil {
		return reach{}, err
	}
	if oldest > 1 {
		return reach{}, unavailable(errors.Join(errUnknowable, cause), "it is not known whether this was sent before; try again")
	}
	return reach{alone: true}, nil
}

// repeated answers a post that the log says it stored at seq already. The log does not show it any more when
// it was deleted: then the store has what is left of it.
func (g *Ingest) repeated(ctx context.Context, c *event.Change, seq chat.Seq) (event.Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, g.budget)
	defer cancel()
	e, err := g.readShown(ctx, c, seq)
	if err != nil {
		r, asked := g.repeatedInStore(ctx, c, seq)
		if asked == nil || fault.Is(asked, fault.Conflict) {
			return r, asked
		}
		return event.Receipt{}, fmt.Errorf("read the first send at %d: %w", seq, err)
	}
	if !sameSend(c, e) || !samePost(c, e) {
		return event.Receipt{}, conflict()
	}
	return event.Receipt{Seq: e.Seq, At: e.At, Duplicate: true}, nil
}

// repeatedIn answers a post that the store knows. The log tells what was first sent, while it has it. The
// store has the text as it is now: once that was changed it cannot be compared, and an honest resend must
// not be refused, so channel and thread decide.
func (g *Ingest) repeatedIn(ctx context.Context, c *event.Change, found rpc.SendReply) (event.Receipt, error) {
	if found.ChannelID != c.ChannelID {
		return event.Receipt{}, conflict()
	}
	e, err := g.log.Get(ctx, c.Shard, found.Seq)
	switch {
	case err == nil && sameSend(c, e): // else it is of another epoch's log
		if !samePost(c, e) {
			return event.Receipt{}, conflict()
		}
		return event.Receipt{Seq: e.Seq, At: e.At, Duplicate: true}, nil
	case err != nil && !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Unavailable):
		return event.Receipt{}, fmt.Errorf("read the first send at %d: %w", found.Seq, err)
	}
	return g.repeatedInStore(ctx, c, found.Seq)
}

// repeatedInStore compares c with what the store has at seq of c's channel.
func (g *Ingest) repeatedInStore(ctx context.Context, c *event.Change, seq chat.Seq) (event.Receipt, error) {
	m, err := g.history.Message(ctx, rpc.MessageRequest{ChannelID: c.ChannelID, Seq: seq})
	if fault.Is(err, fault.NotFound) { // somebody knew the send a moment ago
		return event.Receipt{}, unavailable(err, "the first send cannot be read; try again")
	}
	if err != nil {
		return event.Receipt{}, fmt.Errorf("ask history for %d: %w", seq, err)
	}
	changed := m.Edited || m.Deleted
	switch {
	case m.SenderID != c.UserID, m.ClientMsgID != c.ClientMsgID, m.Thread != c.Thread:
		return event.Receipt{}, conflict()
	case !changed && (m.Body != c.Body || !slices.Equal(m.Attachments, c.Attachments)):
		return event.Receipt{}, conflict()
	}
	return firstSend(c, event.Receipt{Seq: seq, At: m.At, Duplicate: true, Epoch: m.Epoch}), nil
}

// firstSend is r without an epoch that is c's own.
func firstSend(c *event.Change, r event.Receipt) event.Receipt {
	if r.Epoch == c.Epoch {
		r.Epoch = 0
	}
	return r
}

// readShown reads an event that the log has stored, for as long as a replica may be behind.
func (g *Ingest) readShown(ctx context.Context, c *event.Change, seq chat.Seq) (bus.Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, behindBudget)
	defer cancel()
	return stored(ctx, g.log, c.Shard, seq)
}

// sameSend reports whether e was published under the name of c: by its sender, with its id.
func sameSend(c *event.Change, e bus.Entry) bool {
	posted, ok := postOf(e)
	return ok && posted.SenderID == c.UserID && posted.ClientMsgID == c.ClientMsgID
}

// samePost reports whether e says what c says. It is the post's own event, so that a later edit does not matter.
func samePost(c *event.Change, e bus.Entry) bool {
	posted, ok := postOf(e)
	return ok && e.Place == placeOf(c) && posted.Thread == c.Thread && posted.Body == c.Body &&
		slices.Equal(posted.Attachments, c.Attachments)
}

func conflict() error {
	return fault.New(fault.Conflict, "this client_msg_id was used for another message")
}
