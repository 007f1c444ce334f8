package fanout

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/wire"
)

// ErrExpired says that the log no longer holds everything after a position.
var ErrExpired = errors.New("the log's window begins after this position")

// pageTimeout bounds the reading of one page.
const pageTimeout = 10 * time.Second

// pages reads the log for sessions that are behind the ring. Those that are at the same position share
// one reading.
type pages struct {
	feed  *Feed
	group singleflight.Group
}

// A Page is a piece of the log in the form of the ring.
type Page struct {
	Entries []*Entry
	Next    chat.Seq // the position that a reader of the page is at; at least the ring's floor when the log has no more
}

// Page reads the log after pos: for readers whose position is below the ring's floor. The error is
// ErrExpired when the log no longer holds everything after pos; any other error is a passing one.
func (f *Feed) Page(ctx context.Context, pos chat.Seq) (Page, error) {
	// The reading goes on when one of those who wait for it goes away.
	ch := f.pages.group.DoChan(chat.Cursor{Epoch: f.place.Epoch, Seq: pos}.String(), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pageTimeout)
		defer cancel()
		return f.readPage(ctx, pos)
	})
	select {
	case r := <-ch:
		if r.Err != nil {
			return Page{}, r.Err
		}
		return r.Val.(Page), nil
	case <-ctx.Done():
		return Page{}, ctx.Err()
	}
}

func (f *Feed) readPage(ctx context.Context, pos chat.Seq) (Page, error) {
	floor := f.Reach().Floor
	batch, err := f.read(ctx, pos)
	if err != nil {
		return Page{}, err
	}
	// Asked after the reading: had the window moved past pos while we read, we would not know what it dropped.
	first, _, err := f.log.Bounds(ctx, f.place.Shard)
	if err != nil {
		return Page{}, err
	}
	if first > pos+1 {
		return Page{}, fmt.Errorf("%w: it begins at %d", ErrExpired, first)
	}
	channels := make(map[chat.ChannelID]struct{})
	for _, e := range batch.Entries {
		if !e.Foreign {
			channels[e.Place.ChannelID] = struct{}{}
		}
	}
	prev, err := f.lastBefore(ctx, channels, pos)
	if err != nil {
		return Page{}, err
	}
	if prev == nil {
		prev = make(map[chat.ChannelID]chat.Seq)
	}
	page := Page{Next: pos}
	for _, m := range batch.Entries {
		page.Next = m.Seq
		e, err := event.Parse(m.Payload)
		if m.Foreign {
			continue
		}
		if err != nil || e.ChannelID != m.Place.ChannelID || e.Epoch != f.place.Epoch {
			f.mu.Lock()
			f.hide(m.Seq, prev[m.Place.ChannelID])
			f.mu.Unlock()
			continue
		}
		place := wire.Place{Epoch: e.Epoch, ChannelID: e.ChannelID, Seq: m.Seq, Prev: prev[e.ChannelID], At: m.At}
		prev[e.ChannelID] = m.Seq
		page.Entries = append(page.Entries, newEntry(e, place, m.Payload))
	}
	if batch.Pending == 0 && page.Next < floor {
		// Nothing is left between here and the ring; or the replica that answered lags.
		last, err := f.log.LeaderLast(ctx, f.place.Shard, f.filter)
		if err != nil {
			return Page{}, err
		}
		if last > page.Next {
			return Page{}, fault.Wrap(fault.Unavailable, errBehind, "the workspace's log does not answer").After(time.Second)
		}
		page.Next = floor
	}
	f.redact(page.Entries)
	return page, nil
}

// redact takes the texts of messages that were deleted, here or later in the log, out of entries.
func (f *Feed) redact(entries []*Entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	here := make(map[chat.Seq]struct{})
	for _, e := range entries {
		if e.Event.Kind == event.MessageDeleted {
			here[e.Event.MessageSeq] = struct{}{}
		}
	}
	for i, e := range entries {
		text := e.textOf()
		_, seen := f.deleted[text]
		if _, inPage := here[text]; text != 0 && (seen || inPage) {
			entries[i] = e.redacted()
		}
	}
}
