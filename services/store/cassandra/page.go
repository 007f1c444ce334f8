package cassandra

import (
	"context"
	"fmt"
	"slices"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/cassandra/ring"
	"github.com/canopychat/canopy/services/store/cassandra/rows"
)

// Page implements store.Messages.
func (m *Messages) Page(ctx context.Context, q store.PageQuery) (store.Page, error) {
	if err := q.Check(); err != nil {
		return store.Page{}, err
	}
	read := m.channelRange
	if q.Thread != 0 {
		read = m.threadRange(min(q.Thread, chat.MaxSeq+1))
	}
	page, err := q.Read(func(s store.Span) ([]chat.Message, error) { return read(ctx, q.ChannelID, s) })
	if err != nil {
		return store.Page{}, fmt.Errorf("read a page: %w", err)
	}
	return page, nil
}

// channelRange reads messages of a channel in the span's order, at least as many as wanted when they are there. When
// the newest bucket that is known has one after it, it reads where they begin and starts again.
func (m *Messages) channelRange(ctx context.Context, channel chat.ChannelID, s store.Span) ([]chat.Message, error) {
	if s.Empty() {
		return nil, nil
	}
	l, err := m.places.knows(ctx, channel)
	for err == nil && len(l.begins) > 0 {
		w := walk{m: m, channel: channel, layout: l, left: s}
		if err := w.run(ctx); err != nil {
			return nil, err
		}
		if w.end == known {
			return w.found, nil
		}
		// A bucket that is told of was decided before that. One that is silent can be asked for nothing, so that the list
		// itself says whether it is the newest.
		fresh, err := m.places.read(ctx, channel, w.end == told)
		if err != nil {
			return nil, err
		}
		if len(fresh.begins) <= len(l.begins) {
			if w.end == told {
				return nil, fmt.Errorf("the bucket %d of %s is told of, and is not there", w.next, channel)
			}
			return w.found, nil
		}
		l = fresh
	}
	return nil, err
}

// ending is what a walk learned of the end of its layout.
type ending uint8

const (
	known  ending = iota // the span has nothing above the layout, or the newest bucket is the last
	told                 // the newest bucket has one after it
	silent               // the newest bucket had no row in the span that could tell
)

// walk reads buckets one after the other until it has enough.
type walk struct {
	m       *Messages
	channel chat.ChannelID
	layout  layout

	left  store.Span     // what is not read yet
	found []chat.Message // in the span's order
	end   ending
	next  chat.Seq // with told: where the next bucket begins
}

func (w *walk) run(ctx context.Context) error {
	first, last, step := w.layout.indexOf(w.left.To), w.layout.indexOf(w.left.From), -1
	if w.left.Up {
		first, last, step = last, first, 1
	}
	beyond := w.left.To > w.layout.ceiling
	for i := first; ; i += step {
		newest := i == len(w.layout.begins)-1 && beyond
		if newest {
			w.end = silent
		}
		if err := w.bucket(ctx, w.layout.begins[i], newest); err != nil {
			return err
		}
		switch {
		case len(w.found) >= w.left.Wanted() && w.left.Up:
			w.end = known // whatever comes after is further away
			return nil
		case w.end == told, len(w.found) >= w.left.Wanted(), i == last:
			return nil
		}
	}
}

// bucket reads the bucket that begins at begin, until there is enough or nothing is left of it.
func (w *walk) bucket(ctx context.Context, begin chat.Seq, newest bool) error {
	statement := ring.Statement(readOlder)
	if w.left.Up {
		statement = readNewer
	}
	for !w.left.Empty() && len(w.found) < w.left.Wanted() {
		n := max(w.left.Wanted()-len(w.found), fewestAtOnce)
		rows, err := rows.Query(ctx, w.m.db, ring.Read{Statement: statement,
			Args: []any{string(w.channel), int64(begin), int64(w.left.From), int64(w.left.To), n}}, entryOf(w.channel))
		if err != nil {
			return err
		}
		for _, e := range rows {
			if e.posted {
				w.found = append(w.found, e.message)
			}
			w.left = w.left.After(e.seq)
		}
		if newest && len(rows) > 0 && w.end == silent {
			w.end = known
			if w.next = rows[0].next; w.next != 0 {
				w.end = told
			}
		}
		if len(rows) < n || w.end == told && !w.left.Up {
			return nil
		}
	}
	return nil
}

// threadRange reads replies to root as channelRange reads a channel: the index says their seqs.
func (m *Messages) threadRange(root chat.Seq) func(ctx context.Context, channel chat.ChannelID, s store.Span) ([]chat.Message, error) {
	const within = `SELECT seq FROM replies_by_thread WHERE channel_id = ? AND thread = ? AND seq >= ? AND seq <= ? `
	statement := map[bool]ring.Statement{false: within + `LIMIT ?`, true: within + `ORDER BY seq ASC LIMIT ?`}
	return func(ctx context.Context, channel chat.ChannelID, s store.Span) ([]chat.Message, error) {
		var found []chat.Message
		for !s.Empty() && len(found) < s.Wanted() {
			n := max(s.Wanted()-len(found), fewestAtOnce)
			seqs, err := rows.Query(ctx, m.db, ring.Read{Statement: statement[s.Up],
				Args: []any{string(channel), int64(root), int64(s.From), int64(s.To), n}}, scanSeq)
			if err != nil || len(seqs) == 0 {
				return found, err
			}
			replies, err := m.messages(ctx, channel, seqs)
			if err != nil {
				return nil, err
			}
			if s.Up {
				slices.Reverse(replies)
			}
			found = append(found, replies...)
			if len(seqs) < n {
				return found, nil
			}
			s = s.After(seqs[len(seqs)-1])
		}
		return found, nil
	}
}

// Pins implements store.Messages. The index says what is pinned; whether it is there, and not deleted, the messages do.
func (m *Messages) Pins(ctx context.Context, channel chat.ChannelID) ([]chat.Message, error) {
	const within = `SELECT seq, pinned FROM pins_by_channel WHERE channel_id = ? AND seq <= ? LIMIT ?`
	type pin struct {
		seq    chat.Seq
		pinned bool
	}
	var found []chat.Message
	for s := (store.Span{To: chat.MaxSeq}); !s.Empty() && len(found) < chat.MaxPins; {
		pins, err := rows.Query(ctx, m.db, ring.Read{Statement: within, Args: []any{string(channel), int64(s.To), pinsAtOnce}},
			func(r ring.Row) (pin, error) {
				var seq int64
				var pinned bool
				err := r.Scan(&seq, &pinned)
				return pin{chat.Seq(seq), pinned}, err
			})
		if err != nil {
			return nil, fmt.Errorf("read pins: %w", err)
		}
		var seqs []chat.Seq
		for _, p := range pins {
			if p.pinned {
				seqs = append(seqs, p.seq)
			}
			s = s.After(p.seq)
		}
		messages, err := m.messages(ctx, channel, seqs)
		if err != nil {
			return nil, fmt.Errorf("read pins: %w", err)
		}
		for _, msg := range messages {
			if msg.Pinned && !msg.Deleted {
				found = append(found, msg)
			}
		}
		if len(pins) < pinsAtOnce {
			break
		}
	}
	return found[:min(len(found), chat.MaxPins)], nil
}
