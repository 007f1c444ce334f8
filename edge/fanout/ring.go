package fanout

import (
	"sort"

	"github.com/canopychat/canopy/schemas/chat"
)

// ring is the newest entries of a workspace, bounded in number and bytes. It is pure: whoever owns it locks.
//
// Invariants: entries rise in seq; every visible event with floor < seq ≤ head is in entries.
type ring struct {
	entries []*Entry // the live part of a slice that grows at its end and is copied when half of it is dead
	dead    int      // entries at the start of the slice that were dropped
	bytes   int      // of the frames of the live entries
	floor   chat.Seq
	head    chat.Seq

	maxEntries int
	maxBytes   int
}

// reset empties the ring; what comes next has a seq above at.
func (r *ring) reset(at chat.Seq) {
	r.entries, r.dead, r.bytes, r.floor, r.head = nil, 0, 0, at, at
}

// append adds an entry whose seq is above head, and drops the oldest while the ring is over a bound.
func (r *ring) append(e *Entry) {
	r.entries = append(r.entries, e)
	r.bytes += len(e.Frame)
	r.head = e.Seq
	for live := r.live(); len(live) > 1 && (len(live) > r.maxEntries || r.bytes > r.maxBytes); live = r.live() {
		r.bytes -= len(live[0].Frame)
		r.floor = live[0].Seq
		r.entries[r.dead] = nil
		r.dead++
	}
	if r.dead > 64 && r.dead > len(r.entries)/2 {
		r.entries = append(make([]*Entry, 0, len(r.entries)), r.live()...)
		r.dead = 0
	}
}

// skip notes that everything up to seq has been seen, and the last of it is nothing to show.
func (r *ring) skip(seq chat.Seq) { r.head = max(r.head, seq) }

// after is the entries with a seq above pos, at most limit of them. The slice stays valid: a later append
// does not change it, and a redaction replaces an entry only in what is read after it.
func (r *ring) after(pos chat.Seq, limit int) []*Entry {
	live := r.live()
	// Most readers are at or near the head.
	i := len(live)
	for i > 0 && len(live)-i < 16 && live[i-1].Seq > pos {
		i--
	}
	if i > 0 && live[i-1].Seq > pos {
		i = sort.Search(i, func(k int) bool { return live[k].Seq > pos })
	}
	live = live[i:]
	return append([]*Entry(nil), live[:min(limit, len(live))]...)
}

// find is the entry with this seq, or nil.
func (r *ring) find(seq chat.Seq) *Entry {
	if i := r.index(seq); i >= 0 {
		return r.live()[i]
	}
	return nil
}

// replace puts e in the place of the entry with its seq, if that is still here.
func (r *ring) replace(e *Entry) {
	if i := r.index(e.Seq); i >= 0 {
		live := r.live()
		r.bytes += len(e.Frame) - len(live[i].Frame)
		live[i] = e
	}
}

func (r *ring) index(seq chat.Seq) int {
	live := r.live()
	i := sort.Search(len(live), func(k int) bool { return live[k].Seq >= seq })
	if i < len(live) && live[i].Seq == seq {
		return i
	}
	return -1
}

func (r *ring) live() []*Entry { return r.entries[r.dead:] }
