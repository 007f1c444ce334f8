package consume

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	removesAtOnce = 32
	removeTime    = 2 * time.Second // of one ack, and of one taking out
)

// remove acknowledges events and takes them out of their stream. The ack comes first, and its answer is waited for: an event that is
// taken out while it is outstanding makes the server tell everybody that it was terminated. What fails is left behind: an ack that is lost
// brings the event again, and an event that is acknowledged lies there until it is too old.
func (f *flight) remove(ctx context.Context, all []delivered) {
	if len(all) == 0 {
		return
	}
	ctx = context.WithoutCancel(ctx) // it is short, and the handler has said its word
	group := new(errgroup.Group)
	group.SetLimit(removesAtOnce)
	for _, h := range all {
		group.Go(func() error {
			if err := f.removeOne(ctx, h); err != nil {
				f.c.log.Debug("an event that has ended stays in its stream", "seq", h.Seq, "err", err)
			}
			return nil
		})
	}
	_ = group.Wait() // none of them fails
}

func (f *flight) removeOne(ctx context.Context, h delivered) error {
	acking, cancel := context.WithTimeout(ctx, removeTime)
	defer cancel()
	if _, err := f.c.conn.NATS().RequestWithContext(acking, h.reply, []byte(ackDone)); err != nil {
		return err
	}
	removing, cancel := context.WithTimeout(ctx, removeTime)
	defer cancel()
	return f.c.conn.TakeOut(removing, f.c.cfg.Stream, h.Seq)
}
