package gateway

import (
	"slices"
	"time"

	"github.com/canopychat/canopy/edge/door"
	"github.com/canopychat/canopy/edge/fanout"
	"github.com/canopychat/canopy/edge/session"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
)

// room is one workspace on one loop: its sessions, by the channels they are in. It belongs to the loop.
//
// Invariants: a live session has been given everything up to pos that it may see. members at n holds a conn just
// when its session is in channel n at its own cursor; one that is behind is there for its own position, and is
// passed over.
type room struct {
	loop       *loop
	feed       *fanout.Feed
	pos        chat.Seq
	left       uint32 // counts who left a channel or the workspace
	generation uint32
	due        time.Time // while gathering: when what has come is taken; otherwise zero
	several    bool      // the last turn took more than one entry
	channels   *session.Channels
	members    session.Roster[session.Number, *conn]
	watchers   session.Roster[chat.UserID, *conn] // who asked for a user's presence
	conns      map[*conn]struct{}
}

func newRoom(l *loop, f *fanout.Feed) *room {
	reach := f.Reach()
	return &room{
		loop: l, feed: f, pos: reach.Head, generation: reach.Generation,
		channels: session.NewChannels(), conns: make(map[*conn]struct{}),
	}
}

// enter takes in a socket. Its session is behind until it has read on to the room's position.
func (r *room) enter(c *conn, o door.Opened) {
	c.room = r
	r.feed.Watch(r.loop)
	for r.pos < o.Head && r.advance() { // the room must not be before the position that the session starts from
	}
	r.conns[c] = struct{}{} // not before: without its session the socket must not be shown anything
	r.place(c, o)
	if reach := r.feed.Reach(); reach.Head != r.pos || reach.Generation != r.generation {
		r.loop.Wake(r.feed) // it moved before it was watched
	}
}

// place puts a session where its snapshot says.
func (r *room) place(c *conn, o door.Opened) {
	tenures := make([]session.Tenure, 0, len(o.Tenures))
	for _, t := range o.Tenures {
		n := r.channels.Number(t.ChannelID)
		if t.Type != "" {
			r.channels.Learn(session.Channel{ID: t.ChannelID, Type: t.Type, Archived: t.Archived, AsOf: o.Head, Members: t.Members})
		}
		tenures = append(tenures, session.Tenure{Channel: n, Tenure: chat.Tenure{
			ChannelID: t.ChannelID, JoinedSeq: t.JoinedSeq, LeftSeq: t.LeftSeq,
		}})
	}
	c.sess = session.Start(o.UserID, o.Role, o.Start, tenures)
	for _, n := range c.sess.Channels() {
		r.members.Join(n, c)
	}
	c.lag(true)
	c.ahead, c.member, c.role, c.roleAt = nil, o.Head, o.Role, o.Head
	r.forgetGuest(c)
	now := make(map[session.Number]bool, len(tenures)) // of a channel's tenures at most one lasts
	for _, t := range tenures {
		now[t.Channel] = now[t.Channel] || t.LeftSeq == 0
	}
	for n, in := range now {
		if in != c.sess.In(n) {
			c.expect(n, in)
		}
	}
}

// expect notes a membership that the log changes after the session's cursor: what the user may send counts now.
func (c *conn) expect(n session.Number, in bool) {
	if c.ahead == nil {
		c.ahead = make(map[session.Number]bool)
	}
	c.ahead[n] = in
}

// leave takes a socket out.
func (r *room) leave(c *conn) {
	for _, n := range c.sess.Channels() {
		r.members.Part(n, c)
	}
	r.watch(c, nil)
	delete(r.conns, c)
	r.feed.Unwatch(r.loop)
}

// gathers reports whether what has come waits for what comes right after it. Where a turn took several entries at
// once the next ones are on their way, and each that joins saves a write a socket. One message at a time never waits.
func (r *room) gathers() bool {
	switch {
	case !r.due.IsZero():
		if r.loop.turned.Before(r.due) {
			return true
		}
		r.due = time.Time{}
		return false
	case !r.several || len(r.conns) < gatherOver:
		return false
	}
	wait := min(gatherMax, time.Duration(len(r.conns))*gatherEach)
	r.due = r.loop.turned.Add(wait)
	time.AfterFunc(wait, func() { r.loop.Wake(r.feed) }) // it finds nobody when the room or the loop has gone
	return true
}

// advance takes the feed's new entries, at most turnEntries of them, to the live sessions. It reports whether
// there are more.
func (r *room) advance() (more bool) {
	entries, reach := r.feed.After(r.pos, turnEntries)
	switch {
	case reach.Generation != r.generation:
		r.begin(reach)
		return false
	case reach.Floor > r.pos:
		r.overrun(reach)
		return false
	}
	for i := 0; i < len(entries); {
		j := i
		for j < len(entries) && session.Plain(entries[j]) {
			j++
		}
		if j > i {
			r.fan(entries[i:j])
			r.pos = entries[j-1].Seq
			i = j
			continue
		}
		r.change(entries[i])
		r.pos = entries[i].Seq
		i++
	}
	r.several = len(entries) > 1
	if len(entries) == turnEntries {
		return true
	}
	r.pos = max(r.pos, reach.Head)
	return false
}

// begin starts a new generation: what was missed cannot be shown in order, so every session resyncs.
func (r *room) begin(reach fanout.Reach) {
	r.generation, r.pos = reach.Generation, reach.Head
	r.left++ // it may be
	for c := range r.conns {
		r.reopen(c, reopenGap)
	}
}

// overrun happens when more came between two turns than the ring holds: everybody reads pages of the log.
func (r *room) overrun(reach fanout.Reach) {
	r.left++ // as above
	for c := range r.conns {
		if c.live() {
			c.lag(true)
			c.sess.Move(r.pos)
			r.loop.gw.counts.Behind.Add(1)
		}
	}
	r.pos = reach.Head
	for c := range r.conns {
		r.forgetGuest(c)
		r.loop.pump(c)
	}
}

// fan writes plain entries to the live sessions that see them: all in one write per socket.
func (r *room) fan(run []*fanout.Entry) {
	s := &r.loop.scratch
	for _, e := range run[1:] {
		if e.ChannelID != run[0].ChannelID {
			r.fanMixed(run)
			return
		}
	}
	n, known := r.channels.Lookup(run[0].ChannelID)
	if !known {
		return
	}
	s.frames = s.frames[:0]
	for _, e := range run {
		s.frames = append(s.frames, e.Frame)
	}
	// Backwards: a socket that fails takes itself out of the list, and the last one takes its place.
	first := true
	for _, c := range slices.Backward(r.members.At(n)) {
		if c.live() {
			if taken := c.write(s.frames); c.behind && taken > 0 {
				c.sess.Move(run[taken-1].Seq)
			}
			if first {
				first = false
				r.observe(run)
			}
		}
	}
}

// observe tells how old entries are that have just gone to the first socket.
func (r *room) observe(run []*fanout.Entry) {
	if tell := r.loop.gw.to.Delivered; tell != nil {
		now := time.Now()
		for _, e := range run {
			tell(max(0, now.Sub(e.At)))
		}
	}
}

// fanMixed is fan for entries of several channels.
func (r *room) fanMixed(run []*fanout.Entry) {
	s := &r.loop.scratch
	r.loop.turn++
	s.dirty = s.dirty[:0]
	for _, e := range run {
		n, known := r.channels.Lookup(e.ChannelID)
		if !known {
			continue
		}
		for _, c := range r.members.At(n) {
			if c.turn != r.loop.turn && c.live() {
				c.turn = r.loop.turn
				s.dirty = append(s.dirty, c)
			}
		}
	}
	for i, c := range s.dirty {
		s.dirty[i] = nil
		r.give(c, run)
		if i == 0 {
			r.observe(run)
		}
	}
}

// give writes the plain entries of run that a session sees, and moves it: to the end of run, or to the last
// entry that its socket took.
func (r *room) give(c *conn, run []*fanout.Entry) {
	frames := r.loop.scratch.frames[:0]
	last := make([]chat.Seq, 0, len(run))
	for _, e := range run {
		if n, known := r.channels.Lookup(e.ChannelID); known && c.sess.Sees(e, n) {
			frames, last = append(frames, e.Frame), append(last, e.Seq)
		}
	}
	r.loop.scratch.frames = frames
	if len(frames) > 0 {
		taken := c.write(frames)
		if c.gone {
			return
		}
		if c.out.Blocked() {
			c.sess.Move(last[taken-1])
			return
		}
	}
	if c.behind {
		c.sess.Move(run[len(run)-1].Seq)
	}
}

// change takes an entry that is not plain: it is asked of each session what it does to it.
func (r *room) change(e *fanout.Entry) {
	r.channels.Note(e)
	n := r.numberOf(e)
	r.unwatch(e)
	for c := range r.conns {
		if e.Event.Channel != nil || e.Event.UserID == c.sess.UserID {
			c.moved.Add(1)
		}
		r.noteRole(c, e)
		switch {
		case c.gone || c.closing:
		case c.behind:
			r.foretell(c, e, n)
		default:
			r.show(c, e, n)
		}
		if e.ChannelID != "" && e.Event.UserID == c.sess.UserID {
			r.loop.tellChannels(c)
			if e.Event.Kind == event.MemberLeft {
				r.forgetGuest(c)
			}
		}
	}
}

// noteRole takes what an entry says of the user's role, unless something newer is known.
func (r *room) noteRole(c *conn, e *fanout.Entry) {
	if role := session.NewRole(e, c.sess.UserID); role != "" && e.Seq > c.roleAt {
		c.role, c.roleAt = role, e.Seq
		r.forgetGuest(c)
	}
}

// numberOf is the number of an entry's channel; 0, without meaning, when it is of the whole workspace.
func (r *room) numberOf(e *fanout.Entry) session.Number {
	if e.ChannelID == "" {
		return 0
	}
	return r.channels.Number(e.ChannelID)
}

// foretell tells a session that is behind what will count for what its user sends.
func (r *room) foretell(c *conn, e *fanout.Entry, n session.Number) {
	if !e.Event.Known() || e.Event.UserID != c.sess.UserID {
		return
	}
	switch {
	case e.Event.Kind == event.MemberLeft && e.ChannelID == "":
		r.loop.close(c, fault.Forbidden, "no longer a member of this workspace") // at once, and not when it has read on
	case e.ChannelID != "" && e.Event.Kind == event.MemberLeft:
		c.expect(n, false)
	case e.ChannelID != "" && e.Event.Kind == event.MemberJoined:
		c.expect(n, true)
	}
}

// show lets a session read an entry that is not plain.
func (r *room) show(c *conn, e *fanout.Entry, n session.Number) {
	seen, effect := c.sess.Read(e, n)
	switch effect {
	case session.Joins:
		r.members.Join(n, c)
	case session.Leaves:
		r.members.Part(n, c)
	case session.Nothing, session.Ends:
	}
	if seen {
		c.write([][]byte{e.Frame})
	}
	// Who left and came back reads of the leaving when resuming from before it.
	if effect == session.Ends && e.Seq > c.member && !c.gone {
		r.loop.close(c, fault.Forbidden, "no longer a member of this workspace")
	}
}
