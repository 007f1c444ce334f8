package live

import (
	"fmt"
	"time"

	"github.com/canopychat/canopy/schemas/wire"
)

// confirmEvery is the least time between two confirmations of a socket.
const confirmEvery = time.Second

// confirmRef names confirmations in a refusal; they have no other answer.
const confirmRef = "got"

// unconfirmed reports whether something was told that is not confirmed.
func (c *Conn) unconfirmed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.mute && c.confirm.Waiting() > 0
}

// throwConfirmation says what the program has taken, when that is anything new.
func (c *Conn) throwConfirmation() {
	c.mu.Lock()
	seq := c.confirm.Upto(len(c.events))
	c.mu.Unlock()
	if seq > 0 {
		c.throw(fmt.Appendf(nil, `{"type":%q,"ref":%q,"seq":%d}`, wire.CursorDelivered, confirmRef, seq))
	}
}
