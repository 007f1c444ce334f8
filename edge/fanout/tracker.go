package fanout

import (
	"slices"

	"github.com/canopychat/canopy/schemas/chat"
)

// verdict is what a tracker says of a message that arrived.
type verdict uint8

const (
	take verdict = iota // it is the next one
	old                 // it was taken before
	gap                 // something between the newest taken one and it is missing: read the log first
	hole                // it should have been taken before others that were: too late to show it in order
)

// tracker decides whether a feed is whole. It sees every message of the workspace's log, also those that
// are nothing to show, and is pure: whoever owns it locks.
type tracker struct {
	start  chat.Seq                // where it began: a channel that is not in last had no message after start
	head   chat.Seq                // of the newest message taken
	last   map[chat.ChannelID]link // of the channels that had messages after start
	proved chat.Seq                // up to here the log was compared: nothing is missing
	since  []chat.Seq              // what was taken after proved, rising
}

// link is the end of a channel's chain.
type link struct {
	any     chat.Seq // the newest message
	visible chat.Seq // the newest message that clients were shown; their prev
}

func newTracker(start chat.Seq) tracker {
	return tracker{start: start, head: start, proved: start, last: make(map[chat.ChannelID]link)}
}

// judge says what to do with a message: prev is the seq before it in its channel, as the log saw it when
// it stored the message (0: none left, which can also be because the log has dropped it since).
func (t *tracker) judge(ch chat.ChannelID, seq, prev chat.Seq) verdict {
	if seq <= t.head {
		if _, taken := slices.BinarySearch(t.since, seq); taken || seq <= t.proved {
			return old
		}
		return hole
	}
	newest := t.start
	if l, ok := t.last[ch]; ok {
		newest = l.any
	}
	if prev > newest {
		return gap
	}
	return take
}

// note takes a message. shown says whether clients see it; before is the seq that the log holds before it in its
// channel, which counts when the tracker has not seen that channel. The result is the message's prev for clients.
func (t *tracker) note(ch chat.ChannelID, seq, before chat.Seq, shown bool) (prev chat.Seq) {
	l, ok := t.last[ch]
	if !ok {
		l.visible = before
	}
	prev = l.visible
	l.any = seq
	if shown {
		l.visible = seq
	}
	t.last[ch] = l
	t.head = seq
	t.since = append(t.since, seq)
	return prev
}

// knows reports whether the tracker has the end of a channel's chain.
func (t *tracker) knows(ch chat.ChannelID) bool {
	_, ok := t.last[ch]
	return ok
}

// prove notes that nothing up to seq is missing.
func (t *tracker) prove(seq chat.Seq) {
	if seq <= t.proved {
		return
	}
	t.proved = seq
	n, found := slices.BinarySearch(t.since, seq)
	if found {
		n++
	}
	t.since = append([]chat.Seq(nil), t.since[n:]...)
}

// differs is the first message in which the feed and the log are not the same: one that was not taken, or one
// that was taken, that the log does not hold, and that was not erased. seqs are all that the log holds after
// proved up to through.
func (t *tracker) differs(seqs []chat.Seq, through chat.Seq, erased func(chat.Seq) bool) (chat.Seq, bool) {
	i := 0
	for _, seq := range t.since {
		switch {
		case i < len(seqs) && seqs[i] < seq:
			return seqs[i], true
		case i < len(seqs) && seqs[i] == seq:
			i++
		case seq <= through && !erased(seq):
			return seq, true
		}
	}
	if i < len(seqs) {
		return seqs[i], true
	}
	return 0, false
}
