package messages

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/canopychat/canopy/ops/verify/check/ledger"
	"github.com/canopychat/canopy/ops/verify/check/messages/tail"
	"github.com/canopychat/canopy/ops/verify/check/verdict"
	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/schemas/event"
)

// The rules about what sockets tell, in words of INVARIANTS.
const (
	ruleRising  = "a reader sees rising seqs"                              // 4
	ruleContent = "a seq is the same for all"                              // 4
	ruleThere   = "what is told is in the log"                             // 4
	ruleHole    = "a reader misses nothing"                                // 5
	ruleGap     = "a client finds no gap"                                  // 5
	rulePrev    = "prev is the event before it in the channel"             // 5
	ruleMissing = "a resume delivers everything after the cursor"          // 11
	ruleOnce    = "a resume delivers it once and in order"                 // 11
	ruleSilent  = "a socket that does not resume says resync"              // 11
	ruleEpoch   = "nothing resumes in another epoch"                       // 11
	ruleMember  = "nothing is told to one who was not a member at the seq" // 14
	ruleTyping  = "typing is told to members"                              // 14
	ruleRoot    = "a root is told before what replies to it"               // 7
	ruleFilled  = "history is read by those who may see the channel"       // 14
)

// socket walks along what one conn told: it is a position in the log, as a session is.
//
// Invariant: everything up to pos that its user may see was told, or a hello or a resync said that it is not.
type socket struct {
	c           *check
	conn, who   string
	space, user string
	pos         int64
	epoch       int64        // of the hello before
	placed      bool         // pos means something
	greeted     bool         // it had a hello before
	owes        *record.Told // a hello that did not go on where the conn stood, and no resync yet
	resumed     *record.Told // the hello that what is told now follows, if it resumed
	last        *record.Told // that moved pos
	typed       []*record.Told
	late        tail.Holes
	told        map[int64]bool
	replies     map[int64]*record.Told // the first reply told, by its root
}

// sockets walks all conns.
func (c *check) sockets() {
	walks, order, untold := map[string]*socket{}, []*socket{}, tail.Of(c.r)
	for i := range c.r.Told {
		t := &c.r.Told[i]
		w := walks[t.Conn]
		if w == nil {
			w = &socket{
				c: c, conn: t.Conn, who: t.Who, space: c.l.Home(t.Who), user: c.l.UserID(t.Who), told: map[int64]bool{}, replies: map[int64]*record.Told{},
				late: tail.Holes{Tail: untold},
			}
			walks[t.Conn] = w
			order = append(order, w)
		}
		w.take(t)
	}
	for _, w := range order {
		w.settleTyped(math.MaxInt64)
		w.overdue(math.MaxInt64)
	}
	c.note(5, "conns: %d", len(order))
	c.note(11, "told to resync: %s", cmp.Or(c.resyncs(), "never"))
}

// resyncs says how often sockets were told to resync, by the reason.
func (c *check) resyncs() string {
	times := map[string]int{}
	for _, t := range c.r.Told {
		if t.T == record.Resync {
			times[t.Code]++
		}
	}
	return strings.TrimSuffix(strings.TrimPrefix(fmt.Sprint(times), "map["), "]") // fmt sorts them
}

func (w *socket) take(t *record.Told) {
	w.overdue(t.Time)
	switch t.T {
	case record.Offline:
		w.late.Told()
	case record.Hello:
		w.hello(t)
	case record.Resync:
		w.late.Told()
		w.settleTyped(max(t.Head, w.pos))
		w.pos, w.placed, w.owes, w.resumed, w.last = t.Head, true, nil, nil, t
	case record.Gap:
		w.c.broken(5, w.violation(ruleGap, fmt.Sprintf("something of %s up to %d did not come", t.Channel, t.Seq), []int64{w.pos, t.Seq}, w.last, t))
	case record.Typed:
		w.typed = append(w.typed, t)
	case record.Posted, record.Changed:
		if t.Filled {
			w.filled(t)
			return
		}
		w.stored(t)
	}
}

// overdue breaks what should have been told by a time.
func (w *socket) overdue(now time.Duration) {
	for _, v := range w.late.Overdue(now) {
		w.c.broken(5, v)
	}
}

// hello begins at a cursor. A conn that comes back to where it stood stays there: what it asked for is what it has.
func (w *socket) hello(t *record.Told) {
	epoch, seq, ok := ledger.Position(t.Cursor)
	if t.Resumed && w.greeted && epoch != w.epoch {
		w.c.broken(11, w.violation(ruleEpoch, fmt.Sprintf("it stood in epoch %d", w.epoch), []int64{w.pos, seq}, w.last, t))
	}
	w.epoch = epoch
	w.settleTyped(max(seq, w.pos))
	w.space, w.resumed, w.owes = cmp.Or(t.Space, w.space), nil, nil
	again := w.greeted
	w.greeted = true
	if !t.Resumed || !w.placed {
		w.pos, w.placed = seq, ok
	}
	if t.Resumed {
		w.resumed = t
		w.countResume(t)
	} else if again {
		w.owes = t
	}
}

// countResume counts a resume when something that its user may see was stored for sure after the cursor and before the hello.
func (w *socket) countResume(t *record.Told) {
	if !w.placed {
		return
	}
	for _, e := range w.c.l.Between(w.space, w.pos, math.MaxInt64) {
		by, known := w.c.l.StoredBy(w.space, e.Seq)
		if !known || by > t.Time {
			return
		}
		if sees, sure := w.c.l.Visible(w.space, w.user, e); sees && sure && !e.Erased {
			w.c.of(11).Cases++
			return
		}
	}
}

func (w *socket) violation(rule, what string, seqs []int64, history ...any) verdict.Violation {
	return verdict.Violation{Rule: rule, Who: w.who + " on " + w.conn, What: what, Seqs: seqs, History: verdict.Lines(history...)}
}

// stored takes a stored event.
func (w *socket) stored(t *record.Told) {
	w.settleTyped(t.Seq)
	c := w.c
	c.of(4).Cases++
	if w.owes != nil {
		c.broken(11, w.violation(ruleSilent, "it goes on at "+w.owes.Cursor, []int64{w.pos, t.Seq}, w.last, w.owes, t))
		w.owes = nil
	}
	if w.placed && t.Seq <= w.pos {
		c.broken(4, w.violation(ruleRising, "", []int64{w.pos, t.Seq}, w.last, t))
		if w.resumed != nil {
			c.broken(11, w.violation(ruleOnce, "", []int64{w.pos, t.Seq}, w.resumed, w.last, t))
		}
		w.reply(t)
		return
	}
	if w.placed {
		c.of(5).Cases++
		for _, e := range c.l.Between(w.space, w.pos, t.Seq-1) {
			w.passed(e, t)
		}
	}
	w.content(t)
	w.reply(t)
	w.pos, w.placed, w.last = t.Seq, true, t
}

// passed looks at an event that was not told before t.
func (w *socket) passed(e record.Event, t *record.Told) {
	sees, known := w.c.l.Visible(w.space, w.user, e)
	if !known || e.Kind == "" || e.Kind == record.Unreadable {
		return
	}
	if !sees {
		w.c.of(14).Cases++
		return
	}
	if e.Erased && !w.c.before(w.space, e, t.Time) {
		return // its text was taken out of the log, perhaps before this socket came to it
	}
	what := fmt.Sprintf("%s of %s before %d", e.Kind, e.Sender, t.Seq)
	hole := w.violation(ruleHole, what, []int64{e.Seq, t.Seq}, w.last, e, t)
	if w.late.Add(t.Time, hole) {
		return
	}
	w.c.broken(5, hole)
	if w.resumed != nil {
		w.c.broken(11, w.violation(ruleMissing, what, []int64{e.Seq, t.Seq}, w.resumed, e, t))
	}
}

// about is the message that an event posts or changes.
func about(e record.Event) int64 {
	if e.Kind == string(event.MessagePosted) {
		return e.Seq
	}
	return e.Message
}

// before reports whether a time is before anybody tried to delete the message that an event posts or edits: then it had its text.
func (c *check) before(space string, e record.Event, t time.Duration) bool {
	tried, known := c.deletes[at{space, about(e)}]
	return known && t < tried
}

// content holds what was told against the log's event of that seq.
func (w *socket) content(t *record.Told) {
	c := w.c
	e, there := c.l.At(w.space, t.Seq)
	if nothing := e.Erased && e.Kind == ""; !there || nothing { // no delete says what was taken out
		if c.covers(w.space, t.Seq) && (c.r.End != nil || !nothing) {
			c.broken(4, w.violation(ruleThere, fmt.Sprintf("%q", t.Body), []int64{t.Seq}, t))
		}
		return
	}
	if sees, known := c.l.Visible(w.space, w.user, e); known && !sees {
		c.of(14).Cases++
		b := w.violation(ruleMember, fmt.Sprintf("%s in %s", e.Kind, e.Channel), []int64{t.Seq}, append(w.c.tenure(w.space, w.user, e.Channel, t.Seq), w.last, t)...)
		c.broken(14, b)
	}
	is := record.Event{Kind: t.Kind, Channel: t.Channel, Sender: t.Sender, Body: t.Body}
	must := record.Event{Kind: e.Kind, Channel: e.Channel, Sender: e.Sender, Body: e.Body}
	if t.T == record.Posted {
		is.Kind, is.ID, is.Thread = string(event.MessagePosted), t.ID, t.Thread
		must.ID, must.Thread = e.ID, e.Thread
	} else {
		is.Message, is.Emoji, is.User = t.Message, t.Emoji, t.User
		must.Message, must.Emoji, must.User = e.Message, e.Emoji, e.User
	}
	switch {
	case e.Erased:
		must.Body = is.Body
		if e.Sender == "" {
			must.Sender, must.ID, must.Thread = is.Sender, is.ID, is.Thread
		}
	case is.Body == "" && c.gone(w.space, about(e)) && !c.before(w.space, e, t.Time):
		must.Body = "" // shown without its text
	}
	if is != must {
		c.broken(4, w.violation(ruleContent, fmt.Sprintf("%s %q of %s; the log has %s %q of %s", is.Kind, is.Body, is.Sender, e.Kind, e.Body, e.Sender), []int64{t.Seq}, t, e))
	}
	w.prev(t, e)
}

// prev holds the seq that proves completeness to clients against the log. 0 is none that the log's window still has, or none that the
// record knows.
func (w *socket) prev(t *record.Told, e record.Event) {
	if t.Prev <= 0 || e.Channel == "" {
		return
	}
	for _, b := range w.c.l.Between(w.space, t.Prev, t.Seq-1) {
		if b.Channel == e.Channel && !b.Erased && b.Kind != record.Unreadable {
			w.c.broken(5, w.violation(rulePrev, fmt.Sprintf("it names %d", t.Prev), []int64{t.Prev, b.Seq, t.Seq}, b, t))
			return
		}
	}
}

// filled takes a message that a client read from history: what is in it is looked at with pages.
func (w *socket) filled(t *record.Told) {
	if w.c.shut(visitor{w.space, w.user, t.Channel}, t.Time, t.Time) {
		w.c.broken(14, w.violation(ruleFilled, t.Channel, []int64{t.Seq}, t))
	}
}

// settleTyped looks at typing that came between two positions: its user was in the channel at some seq there.
func (w *socket) settleTyped(to int64) {
	for _, t := range w.typed {
		w.c.of(14).Cases++
		if _, known := w.c.l.Member(w.space, w.user, t.Channel, w.pos); !w.placed || !known {
			continue
		}
		in := slices.ContainsFunc(w.c.l.Tenures(w.space, w.user, t.Channel), func(in ledger.Tenure) bool {
			return in.From <= to && (in.To == 0 || in.To > w.pos)
		})
		if !in {
			w.c.broken(14, w.violation(ruleTyping, "in "+t.Channel, []int64{w.pos}, append(w.c.tenure(w.space, w.user, t.Channel, w.pos), w.last, t)...))
		}
	}
	w.typed = nil
}

// tenure is the event by which somebody went out of a channel before a seq, if there is one.
func (c *check) tenure(space, user, channel string, seq int64) []any {
	var gone int64
	for _, t := range c.l.Tenures(space, user, channel) {
		if t.To != 0 && t.To <= seq {
			gone = t.To
		}
	}
	if e, there := c.l.At(space, gone); there && gone != 0 {
		return []any{e}
	}
	return nil
}

// reply notes what replies to what on a conn. A root that is told for the first time after its reply came too late.
func (w *socket) reply(t *record.Told) {
	first := !w.told[t.Seq]
	w.told[t.Seq] = true
	if reply := w.replies[t.Seq]; first && reply != nil {
		w.c.broken(7, w.violation(ruleRoot, "", []int64{t.Seq, reply.Seq}, reply, t))
	}
	if t.T == record.Posted && t.Thread != 0 && w.replies[t.Thread] == nil {
		w.replies[t.Thread] = t
	}
}
