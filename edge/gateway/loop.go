package gateway

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/canopychat/canopy/edge/door"
	"github.com/canopychat/canopy/edge/fanout"
	"github.com/canopychat/canopy/edge/light"
	"github.com/canopychat/canopy/edge/mailbox"
	"github.com/canopychat/canopy/edge/poll"
	"github.com/canopychat/canopy/edge/session"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/token"
	"github.com/canopychat/canopy/schemas/wire"
)

const (
	wheelSlots  = 16  // parts of the sockets that are looked at in turn, all within one heartbeat
	turnEntries = 256 // entries that a room takes in one turn, so that one workspace cannot hold up the others
	pumpEntries = 64  // entries that a session that is behind takes in one step
	pumpSteps   = 8   // steps in one turn
	closeGrace  = 5 * time.Second
	gatherOver  = 64                   // sockets of a room from which on a wait costs less than the writes it saves
	gatherEach  = 2 * time.Microsecond // a socket of the room: half of what a write to it costs (ops/bench), so a wait is at most half a turn
	gatherMax   = 4 * time.Millisecond
	busyPause   = time.Second // when what was refused is worth trying again
)

// loop owns a share of the sockets: nothing else touches them after they are added, so a session has no lock.
type loop struct {
	// Immutable after newLoop.
	gw   *Gateway
	log  *slog.Logger
	poll *poll.Poller

	light light.Gather // for use by many
	stale atomic.Bool  // a read mark was lost on its way to light: all are told

	mail mailbox.Mailbox[*fanout.Feed, token.SignInID] // of feeds that moved on, and of sign-ins that ended

	// Owned by the loop's goroutine.
	born    time.Time
	now     time.Time // of this turn, on the loop's clock: see pass
	turned  time.Time // when this turn began
	conns   map[*conn]struct{}
	closing map[*conn]struct{} // those that wait for the client's close
	rooms   map[*fanout.Feed]*room
	newest  map[chat.WorkspaceID]*room // of a workspace; more than one while it moves
	wheel   [wheelSlots]map[*conn]struct{}
	slot    int // of the wheel, looked at next
	turn    uint32
	pause   time.Duration // while a client is heard that sends too much: until it may again
	scratch scratch
}

// scratch is what a turn needs and the next one reuses.
type scratch struct {
	frames [][]byte
	dirty  []*conn
	own    []byte
}

func newLoop(g *Gateway, i int) (*loop, error) {
	l := &loop{
		gw: g, log: g.cfg.Log.With("loop", i),
		conns: make(map[*conn]struct{}), closing: make(map[*conn]struct{}),
		rooms: make(map[*fanout.Feed]*room), newest: make(map[chat.WorkspaceID]*room), now: time.Now(),
	}
	l.turned, l.born = l.now, l.now
	for s := range l.wheel {
		l.wheel[s] = make(map[*conn]struct{})
	}
	var err error
	if l.poll, err = poll.New(); err == nil {
		l.mail.Wake = l.poll.Wake
	}
	return l, err
}

// Poller is poll.Loop: what the loop waits with.
func (l *loop) Poller() *poll.Poller { return l.poll }

// Post is poll.Loop.
func (l *loop) Post(fn func()) bool { return l.post(fn) }

// Begin is poll.Loop.
func (l *loop) Begin(work func(ctx context.Context)) bool { return l.gw.begin(work) }

// Wake is fanout.Watcher: a feed has moved on.
func (l *loop) Wake(f *fanout.Feed) { l.mail.Note(f) }

// post has fn run by the loop. It is false when the loop has ended: then fn never runs.
func (l *loop) post(fn func()) bool { return l.mail.Post(fn) }

// run is the loop. It returns when stop has run, with every socket closed.
func (l *loop) run() {
	defer l.poll.Close()
	for !l.mail.Closed() {
		if err := l.poll.Wait(); err != nil {
			l.log.Error("waiting for sockets failed; they are closed", "err", err)
			l.mail.Close()
			break
		}
		l.pass(time.Now())
		l.poll.Dispatch()
		l.work()
	}
	l.work() // what was posted before stop: sockets may be on their way here
	for c := range l.conns {
		l.drop(c, string(fault.Moving))
	}
}

// pass moves the loop's clock. A tick wakes the loop every beat, so a longer time is one in which the process did
// not run, and could not hear its clients: it is not held against them.
func (l *loop) pass(now time.Time) {
	l.now = l.now.Add(min(now.Sub(l.turned), 2*l.gw.beat()))
	l.turned = now
}

// work does what others asked for, and moves the rooms whose feeds moved.
func (l *loop) work() {
	mail := l.mail.Take()
	for _, fn := range mail.Posts {
		fn()
	}
	if len(mail.Ended) > 0 { // however many ended, the sockets are looked at once
		for c := range l.conns {
			if _, is := mail.Ended[c.signIn]; is {
				l.close(c, fault.Unauthenticated, signedOut)
			}
		}
	}
	for f := range mail.Moved {
		if r := l.rooms[f]; r != nil && !r.gathers() && r.advance() {
			l.Wake(f) // there is more: the other rooms and sockets have their turn first
		}
	}
}

// signedOut is what clients read whose sign-in has ended.
const signedOut = "signed out; sign in again"

// add takes over a socket whose session has been opened, and says hello.
func (l *loop) add(c *conn, o door.Opened) {
	c.loop, c.signIn, c.heard, c.progress = l, o.SignInID, l.now, l.now
	if err := c.out.Link.Attach(l, c); err != nil {
		l.log.Error("could not watch a socket", "err", err)
		c.gone = true // the link may tell of its end
		l.gw.turnAway(c.out.Link, o.Feed)
		return
	}
	l.conns[c] = struct{}{}
	c.slot = rand.IntN(wheelSlots)
	l.wheel[c.slot][c] = struct{}{}
	l.gw.counts.Opened.Add(1)
	if o.Resumed {
		l.gw.counts.Resumed.Add(1)
	}
	r := l.rooms[o.Feed]
	if r == nil {
		r = newRoom(l, o.Feed)
	}
	r.enter(c, o)
	l.rooms[o.Feed] = r // also one that was there: its last socket may have gone while it moved
	l.newest[o.Feed.Place().WorkspaceID] = r
	l.connected(c)
	if o.Resumed {
		l.confirm(c, o.Start)
	}
	if l.gw.to.Verifier.Revoked(c.signIn) { // since the door looked; what ends later comes by signOut
		l.close(c, fault.Unauthenticated, signedOut)
		return
	}
	l.welcome(c, o)
}

// welcome says hello, and begins with what the client missed.
func (l *loop) welcome(c *conn, o door.Opened) {
	l.say(c, func(dst []byte) []byte {
		return wire.AppendHello(dst, wire.Hello{
			SessionID: c.id, UserID: c.sess.UserID, WorkspaceID: o.Feed.Place().WorkspaceID, Epoch: o.Feed.Place().Epoch,
			Head: o.Head, Resumed: o.Resumed, Heartbeat: l.gw.cfg.Heartbeat,
		})
	})
	if o.Resync != "" {
		l.resync(c, o.Resync, o.Head)
	}
	if len(o.Early) > 0 && !c.gone {
		l.feed(c, o.Early)
	}
	if !c.gone {
		l.pump(c)
	}
	if l.gw.draining.Load() { // it was opened while the others were told
		l.move(c)
		l.close(c, fault.Moving, "restarting")
	}
}

// drop ends a socket at once.
func (l *loop) drop(c *conn, reason string) {
	if c.gone {
		return
	}
	c.gone = true
	c.away.Store(true)
	c.lag(false)
	c.account()
	l.gw.counts.ClosedBy.Add(reason, 1)
	delete(l.conns, c)
	delete(l.closing, c)
	delete(l.wheel[c.slot], c)
	r := c.room
	r.leave(c)
	l.disconnected(c)
	l.lastSeen(c)
	if len(r.conns) == 0 {
		delete(l.rooms, r.feed)
		if ws := r.feed.Place().WorkspaceID; l.newest[ws] == r {
			delete(l.newest, ws)
		}
	}
	l.gw.turnAway(c.out.Link, r.feed)
}

// close ends a conversation because of kind: the client is told, and has closeGrace to read it.
func (l *loop) close(c *conn, kind fault.Kind, reason string) {
	l.hangUp(c, kind.CloseCode(), reason, string(kind))
}

// hangUp sends a close frame and waits for the client's; counted is the reason for the counters.
func (l *loop) hangUp(c *conn, code int, reason, counted string) {
	if c.gone || c.closing {
		return
	}
	c.closing = true
	c.lag(false)
	c.moved.Add(1) // what of a burst has not gone does not go
	c.closedFor, c.heard = counted, l.now
	l.closing[c] = struct{}{}
	c.sayClose(code, reason)
	if !c.gone && !c.out.Blocked() {
		c.out.Link.ShutdownWrites()
	}
}

// tick looks at one part of the sockets: whom to ping, and whom to give up.
func (l *loop) tick() {
	slot := l.slot
	l.slot = (l.slot + 1) % wheelSlots
	for c := range l.wheel[slot] {
		l.check(c)
	}
	for c := range l.closing {
		l.check(c)
	}
}

func (l *loop) check(c *conn) {
	switch {
	case c.closing:
		if l.now.Sub(c.heard) >= closeGrace {
			l.drop(c, c.closedFor)
		}
	case c.out.Blocked():
		// A full socket cannot be pinged; TCP says whether anybody is there.
		if l.now.Sub(c.progress) >= l.gw.cfg.StallTimeout {
			l.drop(c, string(fault.SlowReader))
		}
	case c.dawdles():
		l.close(c, fault.Silent, "the frame was not finished")
	default:
		switch session.Listen(l.now.Sub(c.heard), l.gw.cfg.Heartbeat) {
		case session.Ping:
			c.ping()
		case session.Dead:
			l.close(c, fault.Silent, "two pings were not answered")
		case session.Fine:
		}
	}
}

// sayMoving tells everybody when to come back.
func (l *loop) sayMoving() {
	for c := range l.conns {
		l.move(c)
	}
}

func (l *loop) move(c *conn) {
	wait := time.Duration(rand.Int64N(int64(l.gw.cfg.DrainSpread) + 1)).Round(time.Millisecond)
	moving := fault.New(fault.Moving, "this gateway is going away; connect again with your cursor").After(max(wait, time.Millisecond))
	l.say(c, func(dst []byte) []byte { return wire.AppendError(dst, moving, nil) })
}

// closeMoving closes everybody's socket with a code that asks them to come back.
func (l *loop) closeMoving() {
	for c := range l.conns {
		l.close(c, fault.Moving, "restarting")
	}
}

// resync tells a session that it was not given everything up to head, and puts it there.
func (l *loop) resync(c *conn, reason wire.ResyncReason, head chat.Seq) {
	l.gw.counts.Resyncs.Add(1)
	l.gw.counts.ResyncsBy.Add(string(reason), 1)
	l.say(c, func(dst []byte) []byte { return wire.AppendResync(dst, reason, head) })
}

func newID() string { return chat.IDFromBytes(uuid.Must(uuid.NewV7())) }
