package chat

import (
	"context"
	"fmt"
	"time"

	"github.com/canopychat/canopy/ops/chat/line"
	"github.com/canopychat/canopy/schemas/chat"
)

// readPause is how long the open channel's messages stand on the screen until they are marked as read: what comes meanwhile goes
// with the same mark.
const readPause = 2 * time.Second

// reading is how far the open channel was shown.
type reading struct {
	seen chat.Seq         // the newest message that was shown
	mark <-chan time.Time // when to mark it; nil: it is, or nobody looks
}

// saw notes that a message of a channel was shown. Only where somebody looks is it read by that.
func (t *talk) saw(ch chat.ChannelID, seq chat.Seq) {
	if ch != t.view.here || seq <= t.reading.seen {
		return
	}
	t.reading.seen = seq
	if t.o.Terminal && t.reading.mark == nil {
		t.reading.mark = time.After(readPause)
	}
}

// markRead marks what was shown. If it is lost, the next mark says more.
func (t *talk) markRead(ctx context.Context) error {
	t.reading.mark = nil
	_, err := t.conn.Read(ctx, t.view.here, t.reading.seen)
	return err
}

// look performs the commands about what was read.
func (t *talk) look(ctx context.Context, c line.Command) error {
	switch {
	case c.Name == "read" && t.reading.seen == 0:
		t.screen.Line("-- there is nothing to read in " + t.view.where(t.view.here))
	case c.Name == "read":
		if _, err := t.o.Client.MarkRead(ctx, t.view.here, t.reading.seen); err != nil {
			return err
		}
		t.reading.mark = nil
		t.screen.Line("-- " + t.view.where(t.view.here) + " is read")
	default:
		n, err := t.unread(ctx)
		if err == nil && n == 0 {
			t.screen.Line("-- nothing is unread")
		}
		return err
	}
	return nil
}

// unread shows what is unread, and says in how many channels.
func (t *talk) unread(ctx context.Context) (channels int, err error) {
	states, err := t.o.Client.ReadStates(ctx, t.ws.ID)
	if err != nil {
		return 0, err
	}
	for _, s := range states {
		if s.Unread == 0 {
			continue
		}
		channels++
		t.orient(ctx, s.ChannelID)
		text := fmt.Sprintf("-- unread in %s: %d", t.view.where(s.ChannelID), s.Unread)
		if s.More {
			text += " and more"
		}
		if s.Mentions > 0 {
			text += fmt.Sprintf(", %d for you", s.Mentions)
		}
		t.screen.Line(text)
	}
	return channels, nil
}
