package reading

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/canopychat/canopy/ops/verify/check/ledger"
	"github.com/canopychat/canopy/ops/verify/check/verdict"
	"github.com/canopychat/canopy/ops/verify/record"
)

// gone is above every edit: a deleted message comes back in no form.
const gone = math.MaxInt64

// sight is a message as a device saw it last.
type sight struct {
	version int64 // seq of the event that wrote what was shown: of the post, of an edit; gone
	page    *record.Op
}

// seen is what one device has seen of one channel, by pages that had ended.
type seen struct {
	c     *reader
	v     *verdict.Verdict
	in    at
	sight map[int64]sight
	seqs  []int64 // of sight, rising
	front int64   // the newest message that a newest page showed, or said is not there yet
	from  *record.Op
	less  int // newest pages that ended before that, and said so, while something was broken
}

// back is 10: what one device reads never goes back.
func (c *reader) back() verdict.Verdict {
	v := verdict.Verdict{Invariant: 10, Title: "reads of a session never go back", CaseNoun: "messages read again"}
	type of struct {
		device string
		in     at
	}
	var pages grouped[of]
	for i := range c.r.Ops {
		if op := &c.r.Ops[i]; readable(op) {
			pages.add(of{cmp.Or(op.Device, op.Who), at{space: c.spaceOf(op), channel: op.Channel}}, op)
		}
	}
	less := 0
	for _, k := range pages.keys {
		s := &seen{c: c, v: &v, in: k.in, sight: map[int64]sight{}}
		inTime(pages.ops[k], s.note, s.check)
		less += s.less
	}
	if less > 0 {
		v.Notes = fmt.Sprintf("%d pages ended before an earlier one, and said so, while something was broken", less)
	}
	return v
}

// note takes in what a page showed.
func (s *seen) note(page *record.Op) {
	for _, m := range page.Messages {
		version := s.c.versionOf(s.in.space, m)
		old, known := s.sight[m.Seq]
		if !known {
			i, _ := slices.BinarySearch(s.seqs, m.Seq)
			s.seqs = slices.Insert(s.seqs, i, m.Seq)
		}
		if !known || version > old.version {
			s.sight[m.Seq] = sight{version, page}
		}
	}
	if newest(page) {
		if front := s.frontOf(page); front > s.front {
			s.front, s.from = front, page
		}
	}
}

// newest reports whether a page is of a channel's end.
func newest(page *record.Op) bool { return page.Before == 0 && page.After == 0 }

// frontOf is how far a newest page reaches, in messages of the channel: between two of them all numbers say the same.
func (s *seen) frontOf(page *record.Op) int64 {
	var front int64
	for _, m := range page.Messages {
		front = max(front, m.Seq)
	}
	if page.Complete > front {
		front = max(front, s.c.lastIn(s.in, page.Complete))
	}
	return front
}

// check holds a page against what had been seen before it was asked for.
func (s *seen) check(page *record.Op) {
	in, on := reachOf(page), seqsOf(page)
	i, _ := slices.BinarySearch(s.seqs, in.from)
	for ; i < len(s.seqs) && s.seqs[i] <= in.to; i++ {
		s.v.Cases++
		if seq := s.seqs[i]; !on[seq] {
			s.broken("a message that was read is absent later", "it is not on a page that covers it", seq, page)
		}
	}
	for _, m := range page.Messages {
		old, known := s.sight[m.Seq]
		now := s.c.versionOf(s.in.space, m)
		if !known || now == 0 || now >= old.version {
			continue
		}
		switch {
		case s.c.honest(s.in.space, m.Seq, old.version, page):
			s.less++
		case old.version == gone:
			s.broken("what was deleted is not undeleted", "it was shown as deleted before", m.Seq, page)
		default:
			s.broken("an edit does not go back", "a newer text was shown before", m.Seq, page)
		}
	}
	if newest(page) && s.front > 0 {
		s.v.Cases++
		front := s.frontOf(page)
		switch {
		case front >= s.front:
		case s.c.g.Touched(s.from.Start, page.End) && page.Complete < s.front:
			s.less++
		default:
			s.v.Break(verdict.Violation{
				Rule: "the newest page never falls", Who: page.Device,
				What: fmt.Sprintf("it reached up to %d, and then up to %d", s.front, front), Seqs: []int64{front, s.front},
				History: lines(showing(s.from, s.front), showing(page, front)),
			})
		}
	}
}

func (s *seen) broken(rule, what string, seq int64, page *record.Op) {
	s.v.Break(verdict.Violation{
		Rule: rule, Who: page.Device, What: what, Seqs: []int64{seq},
		History: lines(showing(s.sight[seq].page, seq), showing(page, seq)),
	})
}

// versionOf is the seq of the event that wrote what a message shows; 0: it is not known.
func (c *reader) versionOf(space string, m record.Message) int64 {
	if m.Deleted {
		return gone
	}
	whole, known := c.l.Message(space, m.Seq)
	if !known {
		return 0
	}
	for _, e := range slices.Backward(whole.Edits) {
		if e.Body == m.Body {
			return e.Seq
		}
	}
	if whole.Body == m.Body {
		return whole.Seq
	}
	return 0
}

// honest reports whether a page may lack a version: it says that it ends before, and something is broken.
func (c *reader) honest(space string, seq, version int64, page *record.Op) bool {
	if whole, known := c.l.Message(space, seq); known && version == gone {
		version = whole.Deleted
	}
	return page.Complete < version && c.g.Touched(page.Start, page.End)
}

// lastIn is the last message of a channel up to a seq. Looking back ends where the log begins.
func (c *reader) lastIn(in at, upTo int64) int64 {
	seqs := c.messagesIn(in)
	i, found := slices.BinarySearch(seqs, upTo)
	switch {
	case found:
		return upTo
	case i == 0:
		return 0
	}
	return seqs[i-1]
}

// messagesIn is the seqs of a channel's messages, rising.
func (c *reader) messagesIn(in at) []int64 {
	if c.channels == nil {
		c.channels = messagesByChannel(c.l)
	}
	return c.channels[at{space: in.space, channel: in.channel}]
}

func messagesByChannel(l *ledger.Ledger) map[at][]int64 {
	all := make(map[at][]int64)
	for _, space := range l.Spaces() {
		for _, seq := range l.Messages(space) {
			if m, ok := l.Message(space, seq); ok {
				k := at{space: space, channel: m.Channel}
				all[k] = append(all[k], seq)
			}
		}
	}
	return all
}

// messagesAfter is those of a channel's messages that lie after a seq.
func (c *reader) messagesAfter(in at, seq int64) []int64 {
	seqs := c.messagesIn(in)
	i, found := slices.BinarySearch(seqs, seq)
	if found {
		i++
	}
	return seqs[i:]
}
