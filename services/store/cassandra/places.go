package cassandra

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/singleflight"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/services/store/cassandra/ring"
	"github.com/canopychat/canopy/services/store/cassandra/rows"
)

const (
	readLayout = `SELECT bucket, rows, linked, ceiling, counted, step FROM buckets_by_channel WHERE channel_id = ?`

	// One row, and with it the static columns: a raise that begins a bucket is as atomic as one that does not.
	raiseCeiling = `UPDATE buckets_by_channel SET ceiling = ?, counted = ?, step = ?, rows = ? WHERE channel_id = ? AND bucket = ? IF ceiling = ?`

	countRows = `SELECT seq FROM messages_by_channel WHERE channel_id = ? AND bucket = ? AND seq > ? AND seq <= ? LIMIT ?`

	// The two that say that a bucket has one after it. Their values never change, nor does their timestamp.
	linkBucket = `UPDATE messages_by_channel USING TIMESTAMP 1 SET next_bucket = ? WHERE channel_id = ? AND bucket = ?`
	noteLinked = `UPDATE buckets_by_channel USING TIMESTAMP 1 SET linked = true WHERE channel_id = ? AND bucket = ?`

	countPage = 5_000 // seqs that a node answers at a time
)

// places knows where the rows of all channels are, and finds places for new ones.
type places struct {
	// Immutable after Open.
	db    rows.Database
	limit int64 // rows of a bucket
	known *cache

	flights singleflight.Group // a channel's layout is read, or its ceiling raised, once at a time

	raises, reads atomic.Uint64
}

// knows is a channel's layout as it is remembered, or read when it is not.
func (p *places) knows(ctx context.Context, channel chat.ChannelID) (layout, error) {
	if l := p.known.of(channel); len(l.begins) > 0 {
		return l, nil
	}
	return p.once(ctx, "read ", channel, func() (layout, error) { return p.read(ctx, channel, false) })
}

// decided is a layout that decides seq, when the channel has one: what is remembered, or what a read says now.
func (p *places) decided(ctx context.Context, channel chat.ChannelID, seq chat.Seq) (layout, error) {
	if l := p.known.of(channel); l.decides(seq) {
		return l, nil
	}
	return p.read(ctx, channel, false)
}

// once lets one of several do what they all want. Who waited for somebody whose own context ended does it again.
func (p *places) once(ctx context.Context, what string, channel chat.ChannelID, do func() (layout, error)) (layout, error) {
	v, err, shared := p.flights.Do(what+string(channel), func() (any, error) { return do() })
	if err != nil && shared && ctx.Err() == nil {
		return do()
	}
	if err != nil {
		return layout{}, err
	}
	return v.(layout), nil
}

// read asks the ring. Serial waits for raises whose outcome is not known.
func (p *places) read(ctx context.Context, channel chat.ChannelID, serial bool) (layout, error) {
	p.reads.Add(1)
	var l layout
	var linked []bool
	type bucket struct {
		begin, rows, ceiling, counted, step int64
		linked                              bool
	}
	rows, err := rows.Query(ctx, p.db, ring.Read{Statement: readLayout, Args: []any{string(channel)}, Serial: serial},
		func(r ring.Row) (b bucket, err error) {
			return b, r.Scan(&b.begin, &b.rows, &b.linked, &b.ceiling, &b.counted, &b.step)
		})
	if err != nil {
		return layout{}, fmt.Errorf("read where buckets begin: %w", err)
	}
	for i, b := range slices.Backward(rows) {
		l.begins, linked = append(l.begins, chat.Seq(b.begin)), append(linked, b.linked)
		if i == 0 {
			l.ceiling, l.counted, l.step, l.rows = chat.Seq(b.ceiling), chat.Seq(b.counted), b.step, b.rows
		}
	}
	for i := range linked {
		if i > 0 && !linked[i] {
			break
		}
		l.linked = i + 1
	}
	return p.known.learn(channel, l), nil
}

// place finds a bucket for each of seqs, which rise, and makes it ready to be written to.
func (p *places) place(ctx context.Context, channel chat.ChannelID, seqs []chat.Seq) (layout, error) {
	l, err := p.knows(ctx, channel)
	if err != nil {
		return l, err
	}
	for _, seq := range seqs {
		for !l.decides(seq) {
			if l, err = p.once(ctx, "raise ", channel, func() (layout, error) { return p.raise(ctx, channel, seq, seqs) }); err != nil {
				return l, err
			}
		}
	}
	if last := l.indexOf(seqs[len(seqs)-1]); l.linked <= last {
		return p.link(ctx, channel, l, last)
	}
	return l, nil
}

// errRaced says that a condition was not met although what it asks for stands. It does not happen.
var errRaced = errors.New("the ceiling is what it was, and was not raised")

// raise tries once to raise the ceiling over seq, and returns what is the case then: somebody else may have raised it
// less far. pending are the seqs that the caller is about to write, which count as if they were there.
//
// It is safe to die or to lose the answer anywhere: the condition holds for one raise only, and what it decided is
// read, at SERIAL, before anybody goes on.
func (p *places) raise(ctx context.Context, channel chat.ChannelID, seq chat.Seq, pending []chat.Seq) (layout, error) {
	old := p.known.of(channel)
	if old.decides(seq) {
		return old, nil
	}
	found, err := p.count(ctx, channel, old, pending)
	if err != nil {
		return layout{}, err
	}
	next := old.raised(seq, found, p.limit)
	var ceiling any // null, as long as there is none
	if len(old.begins) > 0 {
		ceiling = int64(old.ceiling)
	}
	p.raises.Add(1)
	applied, failed := p.db.ExecIf(ctx, ring.Write{Statement: raiseCeiling, Args: []any{int64(next.ceiling), int64(next.counted), next.step,
		next.rows, string(channel), int64(next.newest()), ceiling}})
	if applied && failed == nil {
		return p.known.learn(channel, next), nil
	}
	now, err := p.read(ctx, channel, true)
	if err != nil {
		return layout{}, fmt.Errorf("raise the ceiling: %w", errors.Join(failed, err))
	}
	if now.ceiling == old.ceiling && len(now.begins) == len(old.begins) {
		return layout{}, fmt.Errorf("raise the ceiling: %w", cmp.Or(failed, errRaced))
	}
	return now, nil
}

// count is how many rows the newest bucket has that are not in l.rows, those of pending included. Each row is counted
// at one raise, so that counting costs one seq read a row, over all.
func (p *places) count(ctx context.Context, channel chat.ChannelID, l layout, pending []chat.Seq) (int64, error) {
	if len(l.begins) == 0 {
		return 0, nil
	}
	seqs, err := rows.Query(ctx, p.db, ring.Read{Statement: countRows, PageSize: countPage,
		Args: []any{string(channel), int64(l.newest()), int64(l.counted), int64(l.ceiling), int(min(p.limit, 1<<30))}},
		scanSeq)
	if err != nil {
		return 0, fmt.Errorf("count a bucket's rows: %w", err)
	}
	for _, seq := range pending {
		if seq > l.counted && l.decides(seq) && seq >= l.newest() {
			seqs = append(seqs, seq)
		}
	}
	slices.Sort(seqs)
	return int64(len(slices.Compact(seqs))), nil
}

// link tells readers of all buckets of l up to the one of index last. Whoever is about to write into it does so first.
func (p *places) link(ctx context.Context, channel chat.ChannelID, l layout, last int) (layout, error) {
	for i := max(l.linked, 1); i <= last; i++ {
		for _, w := range []ring.Write{
			{Statement: linkBucket, Args: []any{int64(l.begins[i]), string(channel), int64(l.begins[i-1])}},
			{Statement: noteLinked, Args: []any{string(channel), int64(l.begins[i])}},
		} {
			if err := p.db.Batch(ctx, []ring.Write{w}); err != nil {
				return layout{}, fmt.Errorf("link a bucket: %w", err)
			}
		}
	}
	l.linked = last + 1
	p.known.learn(channel, l)
	return l, nil
}

func scanSeq(r ring.Row) (chat.Seq, error) {
	var seq int64
	err := r.Scan(&seq)
	return chat.Seq(seq), err
}
