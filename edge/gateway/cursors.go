package gateway

import (
	"context"
	"maps"
	"slices"

	"github.com/canopychat/canopy/edge/light"
	"github.com/canopychat/canopy/edge/readmark"
	"github.com/canopychat/canopy/edge/receipt"
	"github.com/canopychat/canopy/edge/wsconn"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/schemas/wire"
)

// gatherReceipts saves what devices have got until the result is called, which returns when the last of it is saved.
func (g *Gateway) gatherReceipts() (end func()) {
	if g.receipts == nil {
		return func() {}
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = g.receipts.Run(ctx) // it has none
	}()
	return func() {
		stop()
		<-ended
	}
}

// cursor takes a frame that says what the client has read or got.
func (l *loop) cursor(c *conn, in wire.Inbound) {
	switch {
	case l.gw.to.Cursors == nil:
		l.refuse(c, &in, fault.New(fault.Unsupported, "this server does not take %s", in.Type))
	case in.Type == wire.CursorDelivered:
		l.confirm(c, in.Seq)
	default:
		l.read(c, in)
	}
}

// confirm notes that the device has everything up to a seq: no further than what was written to this socket.
func (l *loop) confirm(c *conn, seq chat.Seq) {
	reach := c.sess.Cursor()
	if c.live() {
		reach = c.room.pos
	}
	if seq = min(seq, reach); l.gw.receipts == nil || c.signIn == "" || seq <= c.given {
		return
	}
	c.given = seq
	l.gw.receipts.Note(c.device())
}

// lastSeen has the cursor of a socket that has gone saved once more: it says when the device was there.
func (l *loop) lastSeen(c *conn) {
	if c.given > 0 {
		l.gw.receipts.End(c.device())
	}
}

func (c *conn) device() (receipt.Device, chat.Cursor) {
	place := c.room.feed.Place()
	return receipt.Device{WorkspaceID: place.WorkspaceID, UserID: c.sess.UserID, SignInID: c.signIn}, chat.Cursor{Epoch: place.Epoch, Seq: c.given}
}

// read takes what the client has read: in a channel of its user's, and no further than this gateway has the log.
func (l *loop) read(c *conn, in wire.Inbound) {
	switch {
	case l.gw.draining.Load():
		l.refuse(c, &in, errMoving())
		return
	case !l.standing(c, in.ChannelID).InIt:
		l.refuse(c, &in, fault.New(fault.NotFound, "there is no such channel among yours"))
		return
	}
	if c.marks == nil {
		c.marks = new(readmark.Lane)
	}
	if !c.marks.Offer(in.ChannelID, min(in.Seq, max(c.room.pos, c.room.feed.Reach().Head)), in.Ref) {
		l.refuse(c, &in, readmark.ErrFull())
		return
	}
	l.mark(c)
}

// mark asks for what waits in a session's lane, unless something of it is on its way. It goes on when the socket has gone:
// what was read was read.
func (l *loop) mark(c *conn) {
	for {
		next, ok := c.marks.Take()
		if !ok {
			break
		}
		if err := l.gw.marks.Book(); err != nil {
			l.marked(c, next, 0, err)
			continue
		}
		user := c.sess.UserID
		started := l.gw.begin(func(ctx context.Context) {
			seq, err := l.gw.marks.Mark(ctx, user, next)
			l.post(func() { // an ended loop has nobody to tell
				l.marked(c, next, seq, err)
				l.mark(c)
			})
			l.gw.marks.Free() // not before: Drain waits for answers
		})
		if started {
			return
		}
		l.gw.marks.Free() // the gateway has stopped
		break
	}
	if c.marks.Idle() {
		c.marks = nil
	}
}

// marked tells the client what became of a mark: in each frame that asked for it.
func (l *loop) marked(c *conn, a readmark.Ask, seq chat.Seq, err error) {
	c.marks.Done()
	for _, ref := range a.Refs {
		if err != nil {
			l.refuse(c, &wire.Inbound{Type: wire.CursorRead, Ref: ref}, err)
			continue
		}
		l.say(c, func(dst []byte) []byte { return wire.AppendRead(dst, a.ChannelID, seq, ref) })
	}
}

// DeliverRead tells a user's own sessions that they have read a channel.
func (g *Gateway) DeliverRead(ws chat.WorkspaceID, user chat.UserID, n rpc.ReadNotice) {
	g.gather(light.Item{
		WorkspaceID: ws, UserID: user, Channels: []chat.ChannelID{n.ChannelID}, Read: n.Seq,
		Frame: wsconn.Frame(func(dst []byte) []byte { return wire.AppendRead(dst, n.ChannelID, n.Seq, nil) }),
	})
}

// pickReaders gives each session the read marks of its user. Users are not looked up: in one walk for all that a moment
// brought, none of them costs memory while nobody reads.
func (r *room) pickReaders(frames map[chat.UserID][][]byte, told map[*conn][][]byte) {
	for c := range r.conns {
		if mine := frames[c.sess.UserID]; mine != nil {
			told[c] = append(told[c], mine...)
		}
	}
}

// DeliverStale tells the sessions of a workspace, or of all when it is empty, that read marks may have moved unseen.
func (g *Gateway) DeliverStale(ws chat.WorkspaceID) {
	if g.to.Cursors == nil {
		return
	}
	for _, l := range g.loops {
		l.post(func() { l.staleAll(ws) }) // an ended loop has nobody to tell
	}
}

// staleStep is how many sessions are told in one turn, so that messages do not wait for them all.
const staleStep = 256

func (l *loop) staleAll(ws chat.WorkspaceID) {
	var all []*conn
	for _, r := range l.rooms {
		if ws == "" || r.feed.Place().WorkspaceID == ws {
			all = slices.AppendSeq(all, maps.Keys(r.conns))
		}
	}
	for _, c := range all {
		c.stale = true
	}
	l.staleNext(all)
}

func (l *loop) staleNext(all []*conn) {
	for _, c := range all[:min(staleStep, len(all))] {
		l.tellStale(c)
	}
	if len(all) > staleStep {
		l.post(func() { l.staleNext(all[staleStep:]) })
	}
}

// tellStale tells a session that read marks may have moved unseen; one that takes nothing now is told when it does.
func (l *loop) tellStale(c *conn) {
	if c.stale && c.live() {
		c.stale = false
		l.gw.counts.Stale.Add(1)
		l.say(c, wire.AppendStale)
	}
}
