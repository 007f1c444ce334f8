package history

import (
	"context"
	"errors"
	"sync"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/services/store"
)

// stored is what the store says for a page: how far it had applied the shard, and the page that it read after that.
// It is shared by those who asked for the same, and not changed.
type stored struct {
	progress chat.Seq
	page     store.Page
}

// pageKey names what is asked of the store: a page of a channel.
type pageKey struct {
	place store.ChannelPlace
	query store.PageQuery
}

// sharedPages lets those who ask the store for the same page at the same time ask once.
//
// A reader may join whoever began before they came, although that one's answer may be older than what the reader has
// seen. The answer is only the ground of a page: p and the page after it. Each reader then asks the log's leader for
// the channel's last event, after they came and after the page was read, and lays everything after p over it (see the
// package's doc, steps 3 to 5). So what a reader was acknowledged, or shown, before they asked is on their page whoever
// read the ground: an older p only means a longer tail.
//
// It is different when the log does not tell all of the tail. Then the page is complete through p, and an older p would
// show less than the same reader may have seen a moment ago. Page asks again in that case, alone (INVARIANTS 9 and 10).
type sharedPages struct {
	mu     sync.Mutex // guards flying; never held while reading
	flying map[pageKey]*sharedPage
}

// sharedPage is one asking. Its leader sets answer and err and then closes done.
type sharedPage struct {
	done   chan struct{}
	answer stored
	err    error
}

var errPageLost = errors.New("whoever asked for this page ended without an answer")

// ask answers from an asking that is under way, or asks itself. joined: it began before this call.
func (s *sharedPages) ask(ctx context.Context, key pageKey, read func(context.Context) (stored, error)) (answer stored, joined bool, err error) {
	s.mu.Lock()
	flight := s.flying[key]
	if flight == nil {
		flight = &sharedPage{done: make(chan struct{}), err: errPageLost}
		if s.flying == nil {
			s.flying = map[pageKey]*sharedPage{}
		}
		s.flying[key] = flight
		s.mu.Unlock()
		defer func() {
			s.mu.Lock()
			delete(s.flying, key)
			s.mu.Unlock()
			close(flight.done)
		}()
		// Others wait for this answer, so that it must not end because this reader goes away; it has a budget.
		flight.answer, flight.err = read(context.WithoutCancel(ctx))
		return flight.answer, false, flight.err
	}
	s.mu.Unlock()
	select {
	case <-flight.done:
		return flight.answer, true, flight.err
	case <-ctx.Done():
		return stored{}, true, context.Cause(ctx)
	}
}
