package live

import (
	"context"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
)

// State is where something that was sent stands.
type State string

// The states. Sending ends in one of the two others, and then never changes.
const (
	Sending State = "sending" // in the outbox, or on its way
	Stored  State = "stored"  // a quorum of the log has it
	Failed  State = "failed"  // refused, or the Conn ended first
)

// Receipt is where the log has put something.
type Receipt struct {
	Seq         chat.Seq // of the message, or of the event of an edit, delete or reaction; 0 for a ping
	ServerMsgID string   // of a message
	At          time.Time
	Duplicate   bool // the message was there already, from a send whose answer was lost
}

// Pending is something that was sent and will be answered. It may be used from many goroutines.
type Pending struct {
	id   chat.ClientMsgID
	done chan struct{} // closed by end, after receipt and err are set

	receipt Receipt
	err     error
}

func newPending() *Pending { return &Pending{done: make(chan struct{})} }

// ID is the client_msg_id of a message; empty for everything else.
func (p *Pending) ID() chat.ClientMsgID { return p.id }

// Done is closed when it is stored or has failed.
func (p *Pending) Done() <-chan struct{} { return p.done }

// State says where it stands now.
func (p *Pending) State() State {
	select {
	case <-p.done:
	default:
		return Sending
	}
	if p.err != nil {
		return Failed
	}
	return Stored
}

// Wait waits until it is stored or has failed, or ctx ends, which leaves it in the outbox. The error is an *client.Error
// when the server refused, ErrClosed when the Conn ended, and ctx's. Whoever reads Conn.Events waits in another
// goroutine: the answer comes over the same socket as the events.
func (p *Pending) Wait(ctx context.Context) (Receipt, error) {
	select {
	case <-p.done:
		return p.receipt, p.err
	case <-ctx.Done():
		return Receipt{}, ctx.Err()
	}
}

func (p *Pending) end(r Receipt, err error) {
	p.receipt, p.err = r, err
	close(p.done)
}
