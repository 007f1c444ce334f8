package consume

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams"
)

const (
	removesAtOnce = 32
	removeTime    = 2 * time.Second // of one ack, and of one taking out
)

// removeRequest is the body of a STREAM.MSG.DELETE (nats-server jetstream_api.go). NoErase: what it said is not overwritten.
type removeRequest struct {
	Seq     chat.Seq `json:"seq"`
	NoErase bool     `json:"no_erase"`
}

// remove acknowledges events and takes them out of their stream. The ack comes first, and its answer is waited for: an event that is
// taken out while it is outstanding makes the server tell everybody that it was terminated. What fails is left behind: an ack that is lost
// brings the event again, and an event that is acknowledged lies there until it is too old.
func (f *flight) remove(ctx context.Context, all []delivered) {
	if len(all) == 0 {
		return
	}
	to, err := streams.EraseSubject(f.c.cfg.Stream)
	if err != nil {
		f.c.log.Error("nothing can be taken out of the stream", "err", err)
		return
	}
	ctx = context.WithoutCancel(ctx) // it is short, and the handler has said its word
	group := new(errgroup.Group)
	group.SetLimit(removesAtOnce)
	for _, h := range all {
		group.Go(func() error {
			if err := f.removeOne(ctx, to, h); err != nil {
				f.c.log.Debug("an event that has ended stays in its stream", "seq", h.Seq, "err", err)
			}
			return nil
		})
	}
	_ = group.Wait() // none of them fails
}

func (f *flight) removeOne(ctx context.Context, to string, h delivered) error {
	acking, cancel := context.WithTimeout(ctx, removeTime)
	defer cancel()
	if _, err := f.c.conn.NATS().RequestWithContext(acking, h.reply, []byte(ackDone)); err != nil {
		return err
	}
	removing, cancel := context.WithTimeout(ctx, removeTime)
	defer cancel()
	var done struct {
		Success bool `json:"success"`
	}
	if err := f.c.conn.RequestAPI(removing, to, removeRequest{h.Seq, true}, &done); err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	return nil
}
