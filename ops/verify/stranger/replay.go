package stranger

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/ops/verify/stranger/socket"
)

// Replaying is how much Replay reads.
type Replaying struct {
	At    string        // gateway; empty: the front
	After int64         // seq: the log's stream began after it; 0 for the first stream of a log
	Until int64         // seq: when it or a later one was told, that was all
	Quiet time.Duration // when nothing came for so long, that was all; 3 seconds when 0
}

// quietFor is how long a replay waits for more. Not every seq is shown to everybody, so waiting for one alone might be for ever.
const quietFor = 3 * time.Second

// Replay is what a fresh socket is told that begins where the log's stream does: at the cursor «<epoch>.0», or after the seq at
// which a later stream began. When the log's window has moved on,
// that is a resync, as for everybody. Nothing of it is recorded; a gap is told in it as on any socket. A socket that ends before is an
// error, with what was told so far.
func (h *Hand) Replay(ctx context.Context, r Replaying) ([]record.Told, error) {
	if r.Quiet <= 0 {
		r.Quiet = quietFor
	}
	now, a := h.open(ctx, opening{at: r.At, query: at(h.cfg.Workspace, ""), tell: func(record.Told) {}})
	if a.Outcome != record.OK {
		return nil, fmt.Errorf("find the epoch: %w", errors.New(a.Code))
	}
	now.Close()
	<-now.Ended()
	tape := tape{more: make(chan struct{}, 1)}
	s, a := h.open(ctx, opening{at: r.At, query: at(h.cfg.Workspace, now.Hello().After(r.After)), tell: tape.take})
	if a.Outcome != record.OK {
		return nil, fmt.Errorf("begin at the beginning: %w", errors.New(a.Code))
	}
	err := tape.wait(ctx, s, r)
	s.Close()
	<-s.Ended()
	return tape.all(err == nil), err
}

// tape is what a replay was told.
type tape struct {
	more chan struct{} // holds one token

	mu   sync.Mutex
	told []record.Told
}

func (t *tape) take(told record.Told) {
	t.mu.Lock()
	t.told = append(t.told, told)
	t.mu.Unlock()
	select {
	case t.more <- struct{}{}:
	default: // a token is there
	}
}

// reached reports whether something at seq or after it was told.
func (t *tape) reached(seq int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	last := t.told[len(t.told)-1] // hello is there
	stands := last.T == record.Posted || last.T == record.Changed
	return seq > 0 && (stands && last.Seq >= seq || last.T == record.Resync && last.Head >= seq)
}

// all is what was told; without its end when that was our own doing.
func (t *tape) all(ours bool) []record.Told {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.told) - 1; ours && t.told[n].T == record.Offline {
		return t.told[:n]
	}
	return t.told
}

// wait waits until a replay is over.
func (t *tape) wait(ctx context.Context, s *socket.Socket, r Replaying) error {
	for quiet := time.NewTimer(r.Quiet); !t.reached(r.Until); quiet.Reset(r.Quiet) {
		select {
		case <-t.more:
		case <-quiet.C:
			return nil
		case <-s.Ended():
			return s.Why()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
