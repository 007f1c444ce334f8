// Package eph carries what nobody stores: who types, how somebody can be reached, what somebody has read, which gateways live.
// It is core NATS: at most once, to those who listen at that moment. What a receiver loses because it is slow shows in the next
// message that it gets; of what is lost on the way it is told nothing.
//
// It promises that a publish never waits for a server, and that a slow receiver loses messages and holds nobody up.
// It spells no subject (streams does) and does not know what a message says.
package eph

import (
	"github.com/nats-io/nats.go"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
)

// maxPending bounds the bytes that wait for one handler; what comes past it is lost.
const maxPending = 4 << 20

// Carrier publishes and follows ephemeral messages over a connection. It may be used from many goroutines.
type Carrier struct{ conn *bus.Conn }

// New makes a Carrier.
func New(conn *bus.Conn) *Carrier { return &Carrier{conn} }

// Publish sends data on one of the eph subjects of package streams. The error is Unavailable while there is no connection.
func (c *Carrier) Publish(subject string, data []byte) error {
	if err := c.conn.NATS().Publish(subject, data); err != nil {
		return bus.Unavailable(err)
	}
	return nil
}

// Message is one that came. Who may answer it does so at Reply.
type Message struct {
	Subject string
	Reply   string // empty: nobody waits for an answer
	Data    []byte
	Lost    bool // some before it were lost, because the handler did not keep up
}

// FollowWorkspace hands everything ephemeral of a workspace to handle, one at a time, until stop is called. The error
// is chat.ErrBadID, or Unavailable when the connection has been closed.
func (c *Carrier) FollowWorkspace(ws chat.WorkspaceID, handle func(Message)) (stop func() error, err error) {
	filter, err := streams.EphWorkspaceFilter(ws)
	if err != nil {
		return nil, err
	}
	return c.follow(filter, handle)
}

// FollowLeases hands the leases of all gateways to handle, as FollowWorkspace does.
func (c *Carrier) FollowLeases(handle func(Message)) (stop func() error, err error) {
	return c.follow(streams.EphLeaseFilter(), handle)
}

// Ask sends a question on subject, and hands every answer that comes until stop is called to handle.
func (c *Carrier) Ask(subject string, handle func(Message)) (stop func() error, err error) {
	inbox := c.conn.NATS().NewInbox()
	stop, err = c.follow(inbox, handle)
	if err != nil {
		return nil, err
	}
	if err := c.conn.NATS().PublishRequest(subject, inbox, nil); err != nil {
		_ = stop() // the question is what failed
		return nil, bus.Unavailable(err)
	}
	return stop, nil
}

func (c *Carrier) follow(filter string, handle func(Message)) (func() error, error) {
	dropped := 0 // so far; messages come one at a time
	sub, err := c.conn.NATS().Subscribe(filter, func(m *nats.Msg) {
		now, err := m.Sub.Dropped()
		lost := err == nil && now > dropped // the error is that the subscription has ended
		dropped = max(dropped, now)
		handle(Message{Subject: m.Subject, Reply: m.Reply, Data: m.Data, Lost: lost})
	})
	if err != nil {
		return nil, bus.Unavailable(err)
	}
	if err := sub.SetPendingLimits(-1, maxPending); err != nil {
		return nil, bus.Unavailable(err)
	}
	return func() error {
		if err := sub.Unsubscribe(); err != nil && c.conn.Connected() {
			return err
		}
		return nil // the connection ended it
	}, nil
}
