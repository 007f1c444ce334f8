package ingest

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/streams/bus"
)

// maxTailIDs is how many ids a tail has room for: about 20 MB.
const maxTailIDs = 1 << 19

// reach says how far back a search must go: to everything after a seq, or, when since is not zero, to
// everything that was stored since then. alone: the store cannot be asked, so that what was erased from the
// log because it was deleted is not known by anybody.
type reach struct {
	after chat.Seq
	since time.Time
	alone bool
}

// tail is what is known of the end of one workspace's log: the Msg-Ids of all after from, up to through.
// It is pure; tails does the reading.
type tail struct {
	limit     int // of ids
	begun     bool
	from      chat.Seq
	fromAt    time.Time // everything that was stored at or after it is after from; zero: not known
	whole     bool      // the log had forgotten nothing after from when the reading began
	through   chat.Seq
	ids       map[uint64]chat.Seq // hash of a Msg-Id → the first seq after from that has it
	full      bool                // there is more after through, which has no room here
	reachedAt time.Time           // when the last reading began that ended at the log's end
	erasedAt  time.Time           // nothing that was stored later was deleted, and perhaps erased from the log
	marks     []mark              // the first entry of each batch: when about a seq was stored
}

// mark is when an event was stored.
type mark struct {
	seq chat.Seq
	at  time.Time
}

// step is what is to be done about a question.
type step uint8

const (
	read       step = iota // the tail must be read first
	found                  // here it is
	absent                 // it was not stored within reach, unless lately
	scan                   // it is not here, and what is after through must be searched
	unknowable             // it is not here, and the log has forgotten a part of what is asked
)

// judge answers a question from what was read. fresh is how long the log's end counts as reached.
func (t *tail) judge(hash uint64, r reach, now time.Time, fresh time.Duration) (step, chat.Seq) {
	if !t.reaches(r) {
		return read, 0
	}
	if seq, ok := t.ids[hash]; ok {
		return found, seq
	}
	switch {
	case !t.full && now.Sub(t.reachedAt) > fresh:
		return read, 0
	case !t.whole, r.alone && (t.full || t.misses(r)):
		return unknowable, 0
	case t.full:
		return scan, 0
	}
	return absent, 0
}

// reaches reports whether the tail begins early enough for r.
func (t *tail) reaches(r reach) bool {
	switch {
	case !t.begun:
		return false
	case t.from == 0:
		return true
	case r.since.IsZero():
		return t.from <= r.after
	}
	return !t.fromAt.IsZero() && !r.since.Before(t.fromAt)
}

// misses reports whether something within r may have been erased from the log before it was read.
func (t *tail) misses(r reach) bool {
	return !t.erasedAt.IsZero() && (r.since.IsZero() || !t.erasedAt.Before(r.since))
}

// begin makes the tail an empty one after from.
func (t *tail) begin(from chat.Seq, fromAt time.Time, whole bool) {
	*t = tail{limit: t.limit, begun: true, from: from, fromAt: fromAt, whole: whole, through: from, ids: map[uint64]chat.Seq{}}
}

// logEnd is where the log ended, as its leader knew it, at the time that a reading began.
type logEnd struct {
	at  time.Time
	seq chat.Seq
}

// merge takes what was read after through, and reports whether the replica that answered shows no more. Only one that has
// come to the log's end makes it count as reached.
func (t *tail) merge(b bus.Batch, hash func(string) uint64, end logEnd) (over bool) {
	if t.fromAt.IsZero() && (len(b.Entries) > 0 || t.through >= end.seq) { // nothing up to from was stored later than what comes after it
		t.fromAt = end.at
		if len(b.Entries) > 0 {
			t.fromAt = b.Entries[0].At
		}
	}
	if len(b.Entries) > 0 {
		t.marks = append(t.marks, mark{b.Entries[0].Seq, b.Entries[0].At})
	}
	for _, e := range b.Entries {
		if len(t.ids) >= t.limit {
			t.full = true
			return true
		}
		t.through = max(t.through, e.Seq)
		t.noteDelete(e)
		if e.MsgID == "" {
			continue
		}
		if h := hash(e.MsgID); t.ids[h] == 0 {
			t.ids[h] = e.Seq
		}
	}
	if b.Pending == 0 || len(b.Entries) == 0 {
		if t.through >= end.seq {
			t.reachedAt = end.at
		}
		return true
	}
	return false
}

// noteDelete keeps in mind that a message after from was deleted: it may have been erased before it was read.
func (t *tail) noteDelete(e bus.Entry) {
	if !bytes.Contains(e.Payload, []byte(event.MessageDeleted)) { // to parse each would cost more than the reading
		return
	}
	deleted, err := event.Parse(e.Payload)
	if err != nil || deleted.Kind != event.MessageDeleted || deleted.MessageSeq <= t.from {
		return
	}
	at := e.At
	i, _ := slices.BinarySearchFunc(t.marks, deleted.MessageSeq+1, func(m mark, seq chat.Seq) int { return cmp.Compare(m.seq, seq) })
	if i < len(t.marks) {
		at = t.marks[i].at
	}
	if at.After(t.erasedAt) {
		t.erasedAt = at
	}
}

// prune makes room in a full tail by forgetting what is in the store up to after.
func (t *tail) prune(after chat.Seq) {
	if !t.full || after <= t.from {
		return
	}
	for h, seq := range t.ids {
		if seq <= after {
			delete(t.ids, h)
		}
	}
	t.from, t.fromAt, t.through = after, time.Time{}, max(t.through, after)
	t.full, t.reachedAt = false, time.Time{}
}
