package faults_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/canopychat/canopy/schemas/chat"
)

// message is a message as somebody knows it.
type message struct {
	seq     chat.Seq // 0: not known
	channel chat.ChannelID
	sender  string // login, or user id: the same everywhere in a record
	id      chat.ClientMsgID
	body    string
}

func (m message) String() string {
	return fmt.Sprintf("%d %q of %s (%s) in %s", m.seq, m.body, m.sender, m.id, m.channel)
}

// outcome is what a sender knows of a send.
type outcome string

const (
	stored  outcome = "stored"  // acknowledged, with a seq
	refused outcome = "refused" // for good: it must never be seen
	unknown outcome = "unknown" // no answer, or one that leaves it open
)

// answer is how one send ended. One id may be sent many times.
type answer struct {
	message
	outcome outcome
	at      string // where it was sent
	again   bool   // it was sent before
}

// told is what came over a socket, or how its reader learned that something will not come.
type told struct {
	message
	resync bool // nothing up to seq will come
	gap    bool // the client found that something before seq is missing
}

// reader is somebody who was told everything after a seq.
type reader struct {
	name string
	from chat.Seq
	told []told
}

// record is everything that was seen of one workspace, once all is quiet.
type record struct {
	answers []answer
	log     []message            // the messages of the stream, as they lie there
	history map[string][]message // by who read it: all channels, each from its oldest message on
	readers []reader             // all of them are members of all channels
}

// violation is a promise that was broken, with the smallest example of its kind: the first in the log's order.
type violation struct {
	rule string
	who  string // reader, or where it was sent; may be empty
	what string
	seqs []chat.Seq
}

func (v violation) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s: %s: %s %v", v.rule, v.who, v.what, v.seqs))
}

// The rules, in words of INVARIANTS.
const (
	ruleLog      = "the log rises"                       // 4
	ruleDoubled  = "an id is stored once"                // 6
	ruleLost     = "what was acknowledged is stored"     // 1
	ruleMoved    = "an id has one seq for ever"          // 6
	ruleRefused  = "what was refused is never seen"      // 3
	ruleInvented = "what is stored was sent"             // 2
	ruleHistory  = "history is what the log has"         // 1, 4, 8
	ruleOrder    = "a reader sees rising seqs"           // 4
	ruleHole     = "a reader misses nothing"             // 5, 11
	ruleFalse    = "a reader sees what the log has"      // 2
	ruleSilent   = "a reader is told of everything last" // 18
)

// sentAs names what was sent: another body under the same id is another send.
type sentAs struct {
	sender  string
	channel chat.ChannelID
	id      chat.ClientMsgID
	body    string
}

func (m message) sentAs() sentAs { return sentAs{m.sender, m.channel, m.id, m.body} }

// idOf is what a message is stored once under.
type idOf struct {
	sender string
	id     chat.ClientMsgID
}

func (m message) idOf() idOf { return idOf{m.sender, m.id} }

// violations holds a record against the promises. Its cost grows as the record does, but for sorting history.
func violations(r record) []violation {
	found := checkLog(r.log)
	found = append(found, checkAnswers(r)...)
	found = append(found, checkSent(r)...)
	for _, who := range slices.Sorted(maps.Keys(r.history)) {
		found = append(found, checkHistory(who, r.history[who], r.log)...)
	}
	for _, reader := range r.readers {
		found = append(found, checkReader(reader, r.log)...)
	}
	return found
}

// checkLog looks at the log alone.
func checkLog(log []message) []violation {
	seen := make(map[idOf]chat.Seq, len(log))
	for i, m := range log {
		if i > 0 && m.seq <= log[i-1].seq {
			return []violation{{ruleLog, "", m.String(), []chat.Seq{log[i-1].seq, m.seq}}}
		}
		if first, there := seen[m.idOf()]; there {
			return []violation{{ruleDoubled, "", m.String(), []chat.Seq{first, m.seq}}}
		}
		seen[m.idOf()] = m.seq
	}
	return nil
}

// checkAnswers holds the acks against the log, and against each other.
func checkAnswers(r record) []violation {
	at := make(map[chat.Seq]message, len(r.log))
	for _, m := range r.log {
		at[m.seq] = m
	}
	var lost, moved *answer
	first := make(map[idOf]answer, len(r.answers))
	for _, a := range r.answers {
		if a.outcome != stored {
			continue
		}
		if m := at[a.seq]; m != a.message && (lost == nil || a.seq < lost.seq) {
			lost = &a
		}
		if f, there := first[a.idOf()]; !there {
			first[a.idOf()] = a
		} else if f.seq != a.seq && (moved == nil || a.seq < moved.seq) {
			moved = &a
		}
	}
	var found []violation
	if moved != nil {
		f := first[moved.idOf()]
		found = append(found, violation{ruleMoved, moved.at, fmt.Sprintf("%s, which was acknowledged at %s before", moved, f.at), []chat.Seq{f.seq, moved.seq}})
	}
	if lost != nil {
		there := "nothing"
		if m, ok := at[lost.seq]; ok {
			there = m.String()
		}
		found = append(found, violation{ruleLost, lost.at, fmt.Sprintf("%s; the log has %s there", lost, there), []chat.Seq{lost.seq}})
	}
	return found
}

// checkSent looks where what is in the log came from.
func checkSent(r record) []violation {
	how := make(map[sentAs]outcome, len(r.answers))
	for _, a := range r.answers {
		if before, there := how[a.sentAs()]; !there || before == refused { // what was refused once may be stored by another try
			how[a.sentAs()] = a.outcome
		}
	}
	for _, m := range r.log { // what a reader or history has besides is found there
		switch how[m.sentAs()] {
		case refused:
			return []violation{{ruleRefused, "", m.String(), []chat.Seq{m.seq}}}
		case "":
			return []violation{{ruleInvented, "", m.String(), []chat.Seq{m.seq}}}
		}
	}
	return nil
}

// checkHistory holds what somebody read against the log.
func checkHistory(who string, history, log []message) []violation {
	last := make(map[chat.ChannelID]chat.Seq)
	for _, m := range history {
		if before, there := last[m.channel]; there && m.seq <= before {
			return []violation{{ruleHistory, who, "out of order: " + m.String(), []chat.Seq{before, m.seq}}}
		}
		last[m.channel] = m.seq
	}
	sorted := slices.SortedFunc(slices.Values(history), func(a, b message) int { return cmp.Compare(a.seq, b.seq) })
	for i, m := range log {
		switch {
		case i == len(sorted) || sorted[i].seq > m.seq:
			return []violation{{ruleHistory, who, "missing: " + m.String(), []chat.Seq{m.seq}}}
		case sorted[i] != m:
			return []violation{{ruleHistory, who, fmt.Sprintf("%s; the log has %s", sorted[i], m), []chat.Seq{sorted[i].seq, m.seq}}}
		}
	}
	if len(sorted) > len(log) {
		m := sorted[len(log)]
		return []violation{{ruleHistory, who, "not in the log: " + m.String(), []chat.Seq{m.seq}}}
	}
	return nil
}

// checkReader walks what somebody was told along the log.
func checkReader(r reader, log []message) []violation {
	next := after(log, 0, r.from) // the message of the log that is due
	at := r.from
	for _, t := range r.told {
		switch {
		case t.gap:
			return []violation{{ruleHole, r.name, "its client found a gap", []chat.Seq{at, t.seq}}}
		case t.resync:
			at = max(at, t.seq)
			next = after(log, next, at)
			continue
		case t.seq <= at:
			return []violation{{ruleOrder, r.name, t.String(), []chat.Seq{at, t.seq}}}
		}
		at = t.seq
		switch {
		case next == len(log) || log[next].seq > t.seq:
			return []violation{{ruleFalse, r.name, "not in the log: " + t.String(), []chat.Seq{t.seq}}}
		case log[next].seq < t.seq:
			return []violation{{ruleHole, r.name, fmt.Sprintf("missed %s before %s", log[next], t.message), []chat.Seq{log[next].seq, t.seq}}}
		case log[next] != t.message:
			return []violation{{ruleFalse, r.name, fmt.Sprintf("%s; the log has %s", t.message, log[next]), []chat.Seq{t.seq}}}
		}
		next++
	}
	if next < len(log) {
		return []violation{{ruleSilent, r.name, fmt.Sprintf("was not told of %s and %d after it", log[next], len(log)-next-1), []chat.Seq{log[next].seq}}}
	}
	return nil
}

// after is the first message of the log, from an index on, that comes after a seq.
func after(log []message, i int, seq chat.Seq) int {
	for i < len(log) && log[i].seq <= seq {
		i++
	}
	return i
}
