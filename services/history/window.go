package history

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

const (
	// The window that answers without the store grows from the log's end backwards until it holds the page.
	windowFirst chat.Seq = 4096 // positions of the shard
	windowGrow  chat.Seq = 16   // at each step: four reach sixteen million
)

var errTooLong = errors.New("the channel's part of the log is too long to be read for a page")

// windowed is a page that was made of the log alone.
type windowed struct {
	page    store.Page
	through chat.Seq
	full    bool // it is what the store would have given; else there may be more in the direction of the query
	some    bool // it holds the messages that are nearest to the query's border, as far as the log has them
}

func (w windowed) reading() store.Reading {
	return store.Reading{Page: w.page, CompleteThrough: w.through}
}

// aloneBudget is how long the log may take for a page that it answers alone: it may be long.
const aloneBudget = 5 * time.Second

// withoutStore answers a page from the log. What is older than the log must wait for the store.
func (r *Reader) withoutStore(ctx context.Context, place store.ChannelPlace, q store.PageQuery, cause error) (store.Reading, error) {
	subject, err := subjectOf(place)
	if err != nil {
		return store.Reading{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, aloneBudget)
	defer cancel()
	last, err := r.log.LeaderLast(ctx, place.Shard, subject)
	var w windowed
	if err == nil {
		w, err = r.window(ctx, place, q, last)
	}
	switch {
	case err != nil:
		return store.Reading{}, noHistory(errors.Join(cause, err))
	case w.full:
	case w.some:
		w.page.HasMore = true
	default:
		return store.Reading{}, noHistory(cause)
	}
	return w.reading(), nil
}

func (r *Reader) pinsWithoutStore(ctx context.Context, place store.ChannelPlace, cause error) (store.Reading, error) {
	subject, err := subjectOf(place)
	if err != nil {
		return store.Reading{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, aloneBudget)
	defer cancel()
	last, err := r.log.LeaderLast(ctx, place.Shard, subject)
	if err != nil {
		return store.Reading{}, noHistory(errors.Join(cause, err))
	}
	// A pin can be on any message, so that only a log which holds the whole channel knows them all.
	first, _, err := r.log.Bounds(ctx, place.Shard)
	if err != nil {
		return store.Reading{}, noHistory(errors.Join(cause, err))
	}
	read, err := r.tails.read(ctx, tailKey{subject, true}, place.Shard, span{first - 1, last})
	if err != nil || read.through < last || !wholeChannel(read, first, place.ChannelID) {
		return store.Reading{}, noHistory(errors.Join(cause, err))
	}
	return store.Reading{Page: pinned(store.Overlay(nil, read.events)), CompleteThrough: max(read.through, last)}, nil
}

func noHistory(cause error) error {
	return fault.Wrap(fault.Unavailable, cause, "the history is not available now; the newest messages may be").After(retryAfter)
}

// window makes a page of the end of the channel's log, reading no further back than the page needs. last is
// the channel's last event. All changes of a message come after its post, so that what was posted in the
// window is exact, also when the post was erased since: its delete says what is left of it.
func (r *Reader) window(ctx context.Context, place store.ChannelPlace, q store.PageQuery, last chat.Seq) (windowed, error) {
	subject, err := subjectOf(place)
	if err != nil {
		return windowed{}, err
	}
	first, _, err := r.log.Bounds(ctx, place.Shard)
	if err != nil {
		return windowed{}, fmt.Errorf("bounds of shard %d: %w", place.Shard, err)
	}
	best := windowed{through: last}
	for width := windowFirst; ; width *= windowGrow {
		after := first - 1
		if last > after+width {
			after = last - width
		}
		read, err := r.tails.read(ctx, tailKey{subject, true}, place.Shard, span{after, last})
		if err == nil && read.through < last {
			err = errTooLong
		}
		if err != nil {
			if best.some {
				return best, nil
			}
			return windowed{}, fmt.Errorf("read %s after %d: %w", subject, after, err)
		}
		best = pageOf(q, read, wholeChannel(read, first, place.ChannelID))
		if best.full || read.from < first {
			return best, nil
		}
	}
}

// wholeChannel reports whether a piece holds everything that ever happened in the channel.
func wholeChannel(read piece, first chat.Seq, channel chat.ChannelID) bool {
	if first <= 1 && read.from == 0 {
		return true
	}
	return len(read.events) > 0 && read.events[0].Kind == event.ChannelCreated && read.events[0].ChannelID == channel
}

// pageOf makes q's page of a piece of the log's end. whole: there is nothing before it.
func pageOf(q store.PageQuery, read piece, whole bool) windowed {
	w := windowed{page: q.Overlay(store.Page{}, read.events), through: read.through}
	// A delete in the window may tell of a message from before it, where there may be others that nothing tells of.
	w.page.Messages = slices.DeleteFunc(w.page.Messages, func(m chat.Message) bool { return m.Seq <= read.from })
	n := len(w.page.Messages)
	upTo := 0 // messages up to and with q.Around
	for _, m := range w.page.Messages {
		if m.Seq <= q.Around {
			upTo++
		}
	}
	half, _ := q.Halves()
	switch {
	case whole, q.Thread > read.from: // a thread's replies come after its root
		w.full = true
	case q.After != 0:
		w.full = q.After >= read.from
	case q.Around != 0:
		w.full = upTo == half
		w.some = q.Around > read.from && n > 0
	default:
		w.full = n == q.Limit
		w.some = n > 0
	}
	if w.full && !whole && q.Thread <= read.from && q.After == 0 {
		w.page.HasMore = true // there is more before the window, as far as one can tell
	}
	return w
}
