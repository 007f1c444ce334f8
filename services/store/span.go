package store

import (
	"slices"

	"github.com/canopychat/canopy/schemas/chat"
)

// Span is a range of seqs, both ends included, and from which end how many messages a page takes of it.
type Span struct {
	From, To chat.Seq // To is at most chat.MaxSeq; a From above it holds nothing
	Limit    int
	Up       bool // from the lowest; else from the highest
}

// Wanted is how many messages prove whether there are more than the limit.
func (s Span) Wanted() int { return s.Limit + 1 }

// Empty reports whether no seq is in the span.
func (s Span) Empty() bool { return s.From > s.To }

// After is what of s is left behind seq, in the span's order.
func (s Span) After(seq chat.Seq) Span {
	if s.Up {
		s.From = seq + 1
		return s
	}
	if seq == 0 {
		return Span{From: 1, To: 0} // nothing
	}
	s.To = seq - 1
	return s
}

// Read makes the page of q out of spans. read gives the messages of one in the span's order, at least as many as wanted
// when they are there.
func (q PageQuery) Read(read func(Span) ([]chat.Message, error)) (Page, error) {
	newerThan := func(seq chat.Seq, limit int) Span {
		return Span{From: min(seq, chat.MaxSeq) + 1, To: chat.MaxSeq, Limit: limit, Up: true}
	}
	switch {
	case q.After != 0:
		return newerThan(q.After, q.Limit).page(read)
	case q.Around != 0:
		upTo, after := q.Halves()
		older, err := Span{To: min(q.Around, chat.MaxSeq), Limit: upTo}.page(read)
		if err != nil || after == 0 {
			return older, err
		}
		newer, err := newerThan(q.Around, after).page(read)
		return Page{Messages: append(newer.Messages, older.Messages...), HasMore: older.HasMore}, err
	case q.Before != 0:
		return Span{To: min(q.Before-1, chat.MaxSeq), Limit: q.Limit}.page(read)
	}
	return Span{To: chat.MaxSeq, Limit: q.Limit}.page(read)
}

// page is the messages of the span, newest first, and whether there are more at its other end.
func (s Span) page(read func(Span) ([]chat.Message, error)) (Page, error) {
	found, err := read(s)
	if err != nil {
		return Page{}, err
	}
	more := len(found) > s.Limit
	found = found[:min(len(found), s.Limit)]
	if s.Up {
		slices.Reverse(found)
	}
	return Page{Messages: found, HasMore: more}, nil
}
