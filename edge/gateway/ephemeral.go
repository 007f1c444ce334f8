package gateway

import (
	"context"
	"slices"
	"time"

	"github.com/canopychat/canopy/edge/fanout"
	"github.com/canopychat/canopy/edge/light"
	"github.com/canopychat/canopy/edge/presence"
	"github.com/canopychat/canopy/edge/tally"
	"github.com/canopychat/canopy/edge/wsconn"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/wire"
)

// Presence knows who can be reached; edge/presence.Service is it. Nothing of it blocks, but for Query.
type Presence interface {
	// Connected says that a socket opened; channels are those of its user that are small enough for typing and presence.
	Connected(who presence.Someone, channels []chat.ChannelID)
	// Channels says that they changed.
	Channels(who presence.Someone, channels []chat.ChannelID)
	// Disconnected says that it has gone.
	Disconnected(who presence.Someone)
	// Set is what the client says of itself.
	Set(who presence.Someone, p chat.Presence)
	// Query says how users can be reached; who is not in the answer is offline.
	Query(ctx context.Context, ws chat.WorkspaceID, users []chat.UserID) (map[chat.UserID]chat.Presence, error)
	// Typing says that the user writes in a channel.
	Typing(who presence.Someone, channel chat.ChannelID)
}

const (
	maxNear    = 64                    // channels that presence is told of
	lightPause = 50 * time.Millisecond // that typing and presence wait for what else comes
)

func (c *conn) someone() presence.Someone {
	return presence.Someone{WorkspaceID: c.room.feed.Place().WorkspaceID, UserID: c.sess.UserID, SessionID: c.id}
}

func (l *loop) connected(c *conn) {
	if p := l.gw.to.Presence; p != nil {
		p.Connected(c.someone(), c.near())
	}
}

func (l *loop) disconnected(c *conn) {
	if p := l.gw.to.Presence; p != nil {
		p.Disconnected(c.someone())
	}
}

func (l *loop) tellChannels(c *conn) {
	if p := l.gw.to.Presence; p != nil && !c.gone {
		p.Channels(c.someone(), c.near())
	}
}

// near is the channels of the user, as the room knows them, that are small enough for typing and presence.
func (c *conn) near() []chat.ChannelID { return c.sess.Small(c.room.channels, c.ahead, maxNear) }

// ephemeral takes a frame that is no part of the log.
func (l *loop) ephemeral(c *conn, in wire.Inbound) {
	p := l.gw.to.Presence
	if p == nil {
		l.refuse(c, &in, fault.New(fault.Unsupported, "this server does not take %s", in.Type))
		return
	}
	switch in.Type {
	case wire.TypingStart:
		standing := l.standing(c, in.ChannelID)
		if !standing.InIt {
			l.refuse(c, &in, fault.New(fault.NotFound, "there is no such channel among yours"))
		} else if standing.MayPost() && !c.room.channels.At(c.room.channels.Number(in.ChannelID)).Quiet() {
			p.Typing(c.someone(), in.ChannelID)
		}
	case wire.PresenceSet:
		status := chat.Presence{Status: in.Status, Text: in.Text}
		p.Set(c.someone(), status)
		l.say(c, func(dst []byte) []byte { return wire.AppendPresence(dst, c.sess.UserID, status, in.Ref) })
	case wire.PresenceQuery:
		l.query(c, in)
	}
}

// query asks for the presence of people, and has the session watch them in place of those before.
func (l *loop) query(c *conn, in wire.Inbound) {
	if c.asking {
		l.refuse(c, &in, fault.New(fault.RateLimited, "the presence.query before it has no answer yet").After(busyPause))
		return
	}
	who, guest, asOf := c.someone(), c.role == chat.RoleGuest, c.room.left
	c.asking = l.gw.begin(func(ctx context.Context) {
		var found map[chat.UserID]chat.Presence
		users := in.UserIDs
		err := l.gw.desk.Attempt(ctx, func(ctx context.Context) (err error) {
			if guest {
				if users, err = l.gw.door.Shared(ctx, who.WorkspaceID, who.UserID, users); err != nil {
					return err
				}
			}
			found, err = l.gw.to.Presence.Query(ctx, who.WorkspaceID, users)
			return err
		})
		l.post(func() {
			c.asking = false
			switch {
			case c.gone || c.closing:
			case err != nil:
				l.refuse(c, &in, err)
			case c.role == chat.RoleGuest && (!guest || c.room.left != asOf): // whom they may know may have changed
				l.refuse(c, &in, fault.New(fault.Unavailable, "somebody left meanwhile; ask again").After(busyPause))
			default:
				c.room.watch(c, users)
				l.tellPresence(c, in.UserIDs, found, in.Ref) // of whom a guest may not know, as of who is not there
			}
		})
	})
}

func (l *loop) tellPresence(c *conn, users []chat.UserID, found map[chat.UserID]chat.Presence, ref wire.Ref) {
	var frames []byte
	for _, user := range users {
		p, ok := found[user]
		if !ok {
			p.Status = chat.StatusOffline
		}
		frames = append(frames, wsconn.Frame(func(dst []byte) []byte { return wire.AppendPresence(dst, user, p, ref) })...)
	}
	c.sayOwn(frames)
}

// watch has a session told of users, in place of those before. A session is in the list of a user at most once.
func (r *room) watch(c *conn, users []chat.UserID) {
	for _, user := range c.watch {
		r.watchers.Part(user, c)
	}
	c.watch = nil
	for _, user := range users {
		if !slices.Contains(c.watch, user) {
			c.watch = append(c.watch, user)
			r.watchers.Join(user, c)
		}
	}
}

// forgetGuest ends what a guest is told of others, when they may share no channel any more: they ask again.
func (r *room) forgetGuest(c *conn) {
	if c.role == chat.RoleGuest {
		r.watch(c, nil)
	}
}

// unwatch ends what guests are told of others when somebody leaves a channel: they may not share one any more, and ask
// again. That is the one who left, or everybody when it is the guest.
func (r *room) unwatch(e *fanout.Entry) {
	if e.Event.Kind != event.MemberLeft || !e.Event.Known() {
		return
	}
	r.left++
	for _, c := range slices.Backward(r.watchers.At(e.Event.UserID)) {
		if c.role == chat.RoleGuest {
			r.watch(c, slices.DeleteFunc(slices.Clone(c.watch), func(u chat.UserID) bool { return u == e.Event.UserID }))
		}
	}
}

// DeliverPresence tells how somebody can be reached: sessions that are in one of channels, and those that watch them.
func (g *Gateway) DeliverPresence(ws chat.WorkspaceID, user chat.UserID, p chat.Presence, channels []chat.ChannelID) {
	g.gather(light.Item{
		WorkspaceID: ws, UserID: user, Channels: channels,
		Frame: wsconn.Frame(func(dst []byte) []byte { return wire.AppendPresence(dst, user, p, nil) }),
	})
}

// DeliverTyping tells the others in a channel that somebody writes.
func (g *Gateway) DeliverTyping(ws chat.WorkspaceID, channel chat.ChannelID, user chat.UserID) {
	g.gather(light.Item{
		WorkspaceID: ws, UserID: user, Typing: true, Channels: []chat.ChannelID{channel},
		Frame: wsconn.Frame(func(dst []byte) []byte { return wire.AppendTyping(dst, channel, user) }),
	})
}

// gather has every loop tell it with what else comes in the next moment.
func (g *Gateway) gather(it light.Item) {
	for _, l := range g.loops {
		switch first, kept := l.light.Add(it); {
		case !kept:
			g.counts.Dropped.Add(tally.EphemeralQueue, 1)
			if it.Read != 0 {
				l.stale.Store(true) // what waits is taken soon, and then all are told
			}
		case first:
			time.AfterFunc(lightPause, func() { l.post(l.tellLight) }) // an ended loop takes it no more
		}
	}
}

// tellLight writes what was gathered: all that is for a socket at once. Who is told is decided now, not when it came.
func (l *loop) tellLight() {
	told := make(map[*conn][][]byte)
	reads := make(map[*room]map[chat.UserID][][]byte)
	for _, it := range l.light.Take() {
		switch r := l.newest[it.WorkspaceID]; {
		case r == nil:
		case it.Read == 0:
			l.turn++
			r.pick(it, told)
		default:
			if reads[r] == nil {
				reads[r] = make(map[chat.UserID][][]byte)
			}
			reads[r][it.UserID] = append(reads[r][it.UserID], it.Frame)
		}
	}
	for r, by := range reads {
		r.pickReaders(by, told)
	}
	counts := &l.gw.counts
	for c, frames := range told {
		taken := 0
		if !c.gone && c.live() {
			taken = c.push(frames)
		}
		counts.Ephemeral.Add(uint64(taken))
		if lost := len(frames) - taken; lost > 0 && !c.gone && !c.closing {
			counts.Dropped.Add(tally.EphemeralBlocked, uint64(lost))
			c.stale = c.stale || reads[c.room][c.sess.UserID] != nil
		}
	}
	if l.stale.CompareAndSwap(true, false) {
		l.staleAll("")
	}
}

// pick gives a frame to the sessions that it is for, to each once.
func (r *room) pick(it light.Item, told map[*conn][][]byte) {
	give := func(c *conn) {
		if c.turn != r.loop.turn && !(it.Typing && c.sess.UserID == it.UserID) {
			c.turn = r.loop.turn
			told[c] = append(told[c], it.Frame)
		}
	}
	for _, id := range it.Channels {
		n, known := r.channels.Lookup(id)
		if !known || r.channels.At(n).Quiet() {
			continue
		}
		for _, c := range r.members.At(n) {
			if in, ok := c.ahead[n]; in || !ok {
				give(c)
			}
		}
	}
	if !it.Typing {
		for _, c := range r.watchers.At(it.UserID) {
			give(c)
		}
	}
}
