package bus

import (
	"github.com/nats-io/nats.go"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams"
)

// Republished is an event as the stream told it once, when it was stored.
type Republished struct {
	Entry
	Prev chat.Seq // the event before it on the same subject; 0: none is left
}

// MaxFanPending bounds the bytes of events that wait for one Deliver. Past it events are lost, and Broken says so.
const MaxFanPending = 8 << 20

// FanSubscription says what to follow and whom to tell.
type FanSubscription struct {
	Shard       streams.Shard
	WorkspaceID chat.WorkspaceID
	Deliver     func(Republished)  // one at a time; who is slow here loses events and is told so
	Broken      func(SignalReason) // events were lost because Deliver was slow; on another goroutine
}

// SubscribeFan delivers the events of a workspace that are stored from now on, in the order in which they
// come, at most once each. Republished.Prev, WatchSignals and Log.Count tell what is missing. A question
// that is asked on the same Conn afterwards reaches the hub after the subscription did.
//
// stop ends it; a delivery that has begun may end later. The error is Invalid, or Unavailable when the
// connection has been closed.
func (c *Conn) SubscribeFan(s FanSubscription) (stop func() error, err error) {
	filter, err := streams.FanWorkspaceFilter(s.Shard, s.WorkspaceID)
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "There is no such workspace")
	}
	stream := streams.ChatStream(s.Shard)
	sub, err := c.nc.Subscribe(filter, func(m *nats.Msg) {
		r, err := parseRepublished(m, stream)
		if err != nil {
			c.fanDrops.Add(1)
			return
		}
		s.Deliver(r)
	})
	if err != nil {
		return nil, Unavailable(err)
	}
	if err := sub.SetPendingLimits(-1, MaxFanPending); err != nil {
		return nil, Unavailable(err) // it ended with the connection
	}
	c.onSlow(sub, func() { s.Broken(SlowConsumer) })
	return func() error { return c.unsubscribe(sub) }, nil
}

// FanDrops is how many messages were not delivered because no stream had sent them: their headers are not
// those of a stored event, so somebody put them there by hand. They are in no log.
func (c *Conn) FanDrops() uint64 { return c.fanDrops.Load() }

// parseRepublished is strict: what a stream did not send is an error.
func parseRepublished(m *nats.Msg, stream string) (Republished, error) {
	e, err := parseEntry(m, stream)
	if err != nil {
		return Republished{}, err
	}
	place, err := streams.ParseFan(m.Subject)
	if (err != nil) != e.Foreign || place != e.Place {
		return Republished{}, errNotAnEvent
	}
	prev, err := seqOf(m, streams.HeaderLastSequence)
	if err != nil || prev >= e.Seq {
		return Republished{}, errNotAnEvent
	}
	return Republished{e, prev}, nil
}
