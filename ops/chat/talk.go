package chat

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/edge/client/live"
	"github.com/canopychat/canopy/ops/chat/line"
	"github.com/canopychat/canopy/ops/plain"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rest"
)

// talk is a conversation in lines.
type talk struct {
	*run
	ended <-chan time.Time                    // when to stop waiting; nil while In goes on
	roll  *roll                               // a /who on its way
	sends map[chat.ClientMsgID]client.Message // that have no answer

	reading reading
}

// shownAtFirst is how many messages are shown when a channel is opened.
const shownAtFirst = 20

// callBudget is how long a command may take: nothing is shown meanwhile.
const callBudget = 20 * time.Second

// errQuit ends the conversation.
var errQuit = errors.New("quit")

func (t *talk) loop(ctx context.Context) error {
	show := func(e live.Event) { t.event(ctx, e) }
	if err := t.online(ctx, show); err != nil {
		return err
	}
	if err := t.first(ctx); err != nil {
		return err
	}
	if _, err := t.unread(ctx); err != nil {
		return fmt.Errorf("what is unread: %w", err)
	}
	if err := t.opened(ctx); err != nil {
		return err
	}
	for t.screen.Err() == nil {
		if t.ended != nil && t.waiting == 0 && t.roll == nil {
			return t.rest(show)
		}
		select {
		case e, open := <-t.conn.Events():
			if !open {
				return errConnEnded
			}
			show(e)
		case line, more := <-t.open():
			err := errQuit
			if more {
				err = t.line(ctx, line)
			}
			if errors.Is(err, errQuit) {
				t.quit()
			} else if err != nil {
				return err
			}
		case s := <-t.settled:
			t.answer(s)
		case <-t.roll.late():
			t.calledAll()
		case <-t.reading.mark:
			if err := t.markRead(ctx); err != nil {
				return err
			}
		case <-t.ended:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// quit takes no more lines, and waits for the answers to those before.
func (t *talk) quit() {
	t.lines, t.ended = nil, time.After(t.o.Linger)
	if t.waiting > 0 && t.o.Terminal {
		t.screen.Line("-- waiting for the last answers; Ctrl-C leaves at once")
	}
}

// opened shows the channel that is open now.
func (t *talk) opened(ctx context.Context) error {
	t.reading = reading{}
	c := t.view.channels[t.view.here]
	head := fmt.Sprintf("-- %s in %s; you are %s", t.view.where(c.ID), plain.Line(t.ws.Name), t.view.name(t.me.ID))
	if c.Topic != "" {
		head += "; " + plain.Line(c.Topic)
	}
	t.screen.Line(head)
	return t.history(ctx, shownAtFirst)
}

func (t *talk) history(ctx context.Context, n int) error {
	page, err := t.o.Client.History(ctx, t.view.here, client.Page{Limit: n})
	if err != nil {
		return err
	}
	t.screen.Line(t.view.page(page)...)
	if len(page.Messages) > 0 {
		t.saw(t.view.here, page.Messages[0].Seq)
	}
	return nil
}

func (t *talk) event(ctx context.Context, e live.Event) {
	switch e := e.(type) {
	case live.Typing:
		t.screen.Pass(t.view.typing(e))
		return
	case live.Presence:
		if t.roll.called(e.UserID) {
			t.view.presence[e.UserID] = e
			if len(t.roll.missing) == 0 {
				t.calledAll()
			}
			return
		}
	case live.Posted:
		t.introduce(ctx, e.Message.SenderID)
		t.orient(ctx, e.Message.ChannelID)
		t.saw(e.Message.ChannelID, e.Message.Seq)
	case live.Changed:
		t.introduce(ctx, e.SenderID, e.UserID)
		t.orient(ctx, e.ChannelID)
	case live.Refused:
		t.told(e)
	}
	t.screen.Line(t.view.event(e))
}

// introduce asks once for the names of people who came after the channel was opened.
func (t *talk) introduce(ctx context.Context, ids ...chat.UserID) {
	for _, id := range ids {
		if id == "" || t.view.people[id] != "" {
			continue
		}
		t.view.people[id] = string(id) // and if it fails, that is the name
		for m, err := range t.o.Client.Members(ctx, t.ws.ID) {
			if err != nil {
				break
			}
			t.learn(m)
		}
	}
}

// orient asks once for a channel that the person came into after the channels were listed, such as direct messages that
// somebody else has begun.
func (t *talk) orient(ctx context.Context, id chat.ChannelID) {
	if _, known := t.view.channels[id]; known || id == "" {
		return
	}
	t.view.channels[id] = rest.Channel{} // and if it fails, it is called by its id
	if c, err := t.o.Client.Channel(ctx, id); err == nil {
		t.view.channels[id] = c
	}
}

// line does what a line asks for. The error ends the conversation.
func (t *talk) line(ctx context.Context, typed string) error {
	t.screen.Typed()
	if strings.TrimSpace(typed) == "" {
		return nil
	}
	c, err := line.Parse(typed)
	if err == nil {
		calling, cancel := context.WithTimeout(ctx, callBudget)
		err = t.do(calling, ctx, c)
		cancel()
	}
	switch {
	case errors.Is(err, errQuit), ctx.Err() != nil, errors.Is(err, live.ErrClosed):
		return err
	case err != nil:
		t.refused++
		t.screen.Line("! " + plain.Line(err.Error()))
	}
	return nil
}

// answer shows what became of what was sent.
func (t *talk) answer(s settled) {
	t.waiting--
	id := s.pending.ID()
	switch {
	case s.err != nil:
		t.refused++
		delete(t.view.own, id)
		delete(t.sends, id)
		t.screen.Settled(id, fmt.Sprintf("! refused (%s): %s", plain.Line(s.err.Error()), plain.Text(s.shown)))
	case id != "":
		m := t.sent(s)
		t.screen.Settled(id, t.view.message(m))
	}
}

// roll is a /who that waits for presences.
type roll struct {
	people  []rest.Member
	missing map[chat.UserID]bool
	timer   <-chan time.Time
}

// rollBudget is how long a /who waits for the presences.
const rollBudget = 2 * time.Second

func (r *roll) late() <-chan time.Time {
	if r == nil {
		return nil
	}
	return r.timer
}

// called reports whether a presence is one that a /who waits for.
func (r *roll) called(id chat.UserID) bool {
	if r == nil || !r.missing[id] {
		return false
	}
	delete(r.missing, id)
	return true
}

// callRoll begins a /who.
func (t *talk) callRoll(ctx, run context.Context) error {
	r := &roll{missing: map[chat.UserID]bool{}, timer: time.After(rollBudget)}
	var ids []chat.UserID
	for m, err := range t.o.Client.ChannelMembers(ctx, t.view.here) {
		if err != nil {
			return err
		}
		t.learn(m)
		r.people = append(r.people, m)
		if len(ids) < chat.MaxWatched {
			r.missing[m.UserID], ids = true, append(ids, m.UserID)
		}
	}
	p, err := t.conn.QueryPresence(ctx, ids...)
	if err != nil {
		return err
	}
	t.follow(run, p, "/who")
	t.roll = r
	return nil
}

// calledAll shows a /who: first those who are there.
func (t *talk) calledAll() {
	people := t.roll.people
	t.roll = nil
	rank := func(m rest.Member) uint { // who is neither is last
		return uint(slices.Index([]string{"online", "away"}, t.view.presence[m.UserID].Status))
	}
	slices.SortStableFunc(people, func(a, b rest.Member) int { return cmp.Compare(rank(a), rank(b)) })
	for _, m := range people {
		p := t.view.presence[m.UserID]
		line := fmt.Sprintf("  %-20s %s", plain.Line(m.Login), cmp.Or(plain.Line(p.Status), "unknown"))
		if p.Text != "" {
			line += ": " + plain.Line(p.Text)
		}
		t.screen.Line(line)
	}
}
