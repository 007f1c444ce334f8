// Package count keeps what is unread for a program with a live.Conn, in each channel of its user: it tells an unread.Tracker
// what comes, and asks the server when that is due.
//
//	counter := count.New(c)
//	conn := live.Connect(c, live.Options{Watch: counter.Tell})
//	go func() { ended <- counter.Run(ctx) }()
//	… counter.Unread()[channel].Mentions
//
// A question is asked at once the first time, and at a random moment of some seconds later on, because a crowd that lost
// one gateway comes back together. Now and then it is asked unasked: a mark may be lost without a word.
package count

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/edge/client/live"
	"github.com/canopychat/canopy/edge/client/unread"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rest"
)

const (
	countSpread  = 5 * time.Second  // a question after the first is asked at a random moment of this: a crowd comes back together
	countRecheck = 30 * time.Minute // for what nobody noticed: marks may be lost without a word
)

// Counter counts. It may be used from many goroutines.
type Counter struct {
	client  *client.Client
	ask     chan struct{} // holds one: the server may have to be asked
	counted chan struct{} // holds one: it has answered
	spread  time.Duration // of questions after the first

	mu        sync.Mutex
	workspace chat.WorkspaceID
	epoch     chat.Epoch
	self      chat.UserID
	tracker   *unread.Tracker // nil before the first Online
	login     string          // empty: not known yet
}

// New makes a Counter of somebody who is signed in. Its Tell and its Run are both needed.
func New(c *client.Client) *Counter {
	return &Counter{client: c, ask: make(chan struct{}, 1), counted: make(chan struct{}, 1), spread: countSpread}
}

// Unread is what waits in each channel that the user is in, by what was told; empty before the server was asked. A Count
// that is not Sure is being asked for.
func (n *Counter) Unread() map[chat.ChannelID]unread.Count {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.tracker == nil {
		return nil
	}
	return n.tracker.All()
}

// Counted has a signal each time that the server has said what is unread: between two of them, counts change with events
// alone.
func (n *Counter) Counted() <-chan struct{} { return n.counted }

// Tell takes an event of the live.Conn. It does not wait.
func (n *Counter) Tell(e live.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if on, ok := e.(live.Online); ok {
		n.begin(on)
	}
	if n.tracker == nil {
		return
	}
	switch e := e.(type) {
	case live.Posted:
		m := e.Message
		n.tracker.Tell(unread.Event{Kind: event.MessagePosted, ChannelID: m.ChannelID, Seq: m.Seq, SenderID: m.SenderID, Body: m.Body, Deleted: m.Deleted})
	case live.Changed:
		told := unread.Event{Kind: e.Kind, ChannelID: e.ChannelID, Seq: e.Seq, MessageSeq: e.MessageSeq, UserID: e.UserID, Body: e.Body}
		if e.Channel != nil {
			told.Type = e.Channel.Type
		}
		n.tracker.Tell(told)
	case live.ReadMoved:
		n.tracker.Read(e.ChannelID, e.Seq)
	case live.Gap:
		n.tracker.Missed(e.ChannelID, e.Through)
	case live.ReadStale, live.Resync:
		n.tracker.Stale()
	}
	n.rouse()
}

// begin takes a socket that opened: read marks may have moved meanwhile.
func (n *Counter) begin(on live.Online) {
	switch {
	case n.tracker == nil || n.self != on.UserID || n.workspace != on.WorkspaceID:
		n.tracker = unread.New(on.UserID, n.login)
	case n.epoch != on.Cursor.Epoch:
		n.tracker.Reset()
	default:
		n.tracker.Stale()
	}
	n.self, n.workspace, n.epoch = on.UserID, on.WorkspaceID, on.Cursor.Epoch
}

// rouse has the server asked, when that is due. Under mu.
func (n *Counter) rouse() {
	if n.tracker.Due() || n.login == "" || len(n.tracker.Untyped()) > 0 {
		signal(n.ask)
	}
}

// Run asks the server when that is due, until ctx ends, which is no error.
func (n *Counter) Run(ctx context.Context) error {
	recheck := time.NewTicker(countRecheck/2 + rand.N(countRecheck/2))
	defer recheck.Stop()
	var failures client.Backoff
	spread := time.Duration(0) // the first time somebody waits for it
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-recheck.C:
			n.stale()
		case <-n.ask:
		}
		if client.Wait(ctx, time.Duration(rand.Float64()*float64(spread))) != nil {
			return nil
		}
		if err := n.recount(ctx); err != nil {
			var refused *client.Error
			least := time.Duration(0)
			if errors.As(err, &refused) {
				least = refused.RetryAfter
			}
			if client.Wait(ctx, failures.Next(rand.Float64(), least)) != nil {
				return nil
			}
			signal(n.ask)
			continue
		}
		failures.Reset()
		spread = n.spread
	}
}

func (n *Counter) stale() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.tracker != nil {
		n.tracker.Stale()
	}
}

// recount asks the server what is unread, if that is due, and what the tracker does not know of channels and of the user.
func (n *Counter) recount(ctx context.Context) error {
	if err := n.learnLogin(ctx); err != nil {
		return err
	}
	n.mu.Lock()
	t, workspace := n.tracker, n.workspace
	due := t.Due()
	var q unread.Question
	if due {
		q = t.Begin()
	}
	n.mu.Unlock()
	if due {
		all, err := n.client.ReadStates(ctx, workspace)
		n.mu.Lock()
		if err != nil {
			t.Failed(q)
		} else {
			t.Answer(q, all)
		}
		n.mu.Unlock()
		if err != nil {
			return err
		}
	}
	if err := n.learnTypes(ctx, t); err != nil {
		return err
	}
	signal(n.counted)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.rouse()
	return nil
}

// learnLogin asks for the user's login, once: until it is known nothing can be counted that names them.
func (n *Counter) learnLogin(ctx context.Context) error {
	n.mu.Lock()
	known := n.login != ""
	n.mu.Unlock()
	if known {
		return nil
	}
	me, err := n.client.Me(ctx)
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.login = me.User.Login
	n.tracker = unread.New(n.self, n.login)
	return nil
}

// learnTypes asks for the types of channels that are not known: all at once when they are many.
func (n *Counter) learnTypes(ctx context.Context, t *unread.Tracker) error {
	n.mu.Lock()
	untyped, workspace := t.Untyped(), n.workspace
	n.mu.Unlock()
	found := make(map[chat.ChannelID]rest.Channel)
	if len(untyped) > 3 {
		for ch, err := range n.client.Channels(ctx, workspace) {
			if err != nil {
				return err
			}
			found[ch.ID] = ch
		}
	} else {
		for _, id := range untyped {
			ch, err := n.client.Channel(ctx, id)
			if err != nil && client.CodeOf(err) != fault.NotFound {
				return err
			}
			found[id] = ch
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, id := range untyped {
		kind := found[id].Type
		if kind == "" { // it is not theirs any more: the log is about to say so
			kind = chat.ChannelPrivate
		}
		t.SetType(id, kind)
	}
	return nil
}

// signal wakes whoever waits on a channel that holds one signal.
func signal(to chan struct{}) {
	select {
	case to <- struct{}{}:
	default: // it is signalled already
	}
}
