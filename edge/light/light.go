// Package light gathers frames that are no part of the log, typing, presence and read marks, so that a socket gets those of a
// moment in one write: when a crowd comes, each of its people is news to all the others. Of a user's presence only the newest
// waits, of their read marks in a channel only the furthest. It is bounded; what comes on top is lost, as such frames may be. It knows no socket and starts no timer.
package light

import (
	"sync"

	"github.com/canopychat/canopy/schemas/chat"
)

// Max is how many frames wait for one loop.
const Max = 8192

// Item is a frame and whom it is for.
type Item struct {
	WorkspaceID chat.WorkspaceID
	UserID      chat.UserID // whom it is about
	Typing      bool        // it is for the others in Channels[0] alone; else for who is in one of Channels, and who watches the user
	Read        chat.Seq    // not 0: up to where the user has read Channels[0]; it is for their own sessions alone
	Channels    []chat.ChannelID
	Frame       []byte // whole; never written to
}

// Gather is what waits for one loop. It may be used from many goroutines; the zero one is empty.
type Gather struct {
	mu    sync.Mutex
	items []Item
	at    map[key]int // in items
}

// key is what one item stands for: a newer one takes its place.
type key struct {
	workspace chat.WorkspaceID
	user      chat.UserID
	channel   chat.ChannelID // of typing, and of a read mark
	read      bool
}

// Add takes an item in. first: nothing waited before, so somebody has to come and Take. It is not kept when too much
// waits.
func (g *Gather) Add(it Item) (first, kept bool) {
	k := key{workspace: it.WorkspaceID, user: it.UserID, read: it.Read != 0}
	if it.Typing || k.read {
		k.channel = it.Channels[0]
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if i, waits := g.at[k]; waits {
		if it.Read >= g.items[i].Read { // marks may come in another order than they were set
			g.items[i] = it
		}
		return false, true
	}
	if len(g.items) >= Max {
		return false, false
	}
	if g.at == nil {
		g.at = make(map[key]int)
	}
	g.at[k] = len(g.items)
	g.items = append(g.items, it)
	return len(g.items) == 1, true
}

// Take gives what waits, in the order in which it came.
func (g *Gather) Take() []Item {
	g.mu.Lock()
	defer g.mu.Unlock()
	items := g.items
	g.items, g.at = nil, nil
	return items
}
