package chat

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/edge/client/live"
	"github.com/canopychat/canopy/ops/chat/line"
	"github.com/canopychat/canopy/ops/plain"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rest"
)

// do performs a command: calls within ctx, and answers that come later within run.
func (t *talk) do(ctx, run context.Context, c line.Command) error {
	switch c.Name {
	case line.Say:
		return t.send(ctx, run, client.Message{ChannelID: t.view.here, Body: c.Text})
	case "thread":
		if c.Text == "" {
			return t.replies(ctx, c.Seq)
		}
		return t.send(ctx, run, client.Message{ChannelID: t.view.here, Body: c.Text, Thread: c.Seq})
	case "react", "unreact", "edit", "delete", "away", "online":
		return t.change(ctx, run, c)
	case "who":
		return t.callRoll(ctx, run)
	case "quit":
		return errQuit
	case "help":
		t.screen.Line(line.Help()...)
		return nil
	case "unread", "read":
		return t.look(ctx, c)
	case "later", "remind", "scheduled", "cancel":
		return t.later(ctx, c)
	case "follow", "unfollow":
		return t.follows(ctx, c)
	case "mute", "unmute", "quiet":
		return t.prefer(ctx, c)
	case "history":
		return t.history(ctx, int(min(cmp.Or(c.Seq, shownAtFirst), chat.MaxPageSize)))
	}
	return t.move(ctx, c)
}

// move performs the commands that are about channels and people.
func (t *talk) move(ctx context.Context, c line.Command) error {
	switch c.Name {
	case "join":
		found, err := t.find(ctx, c.Word)
		return t.goTo(ctx, found, err)
	case "create":
		made, err := t.o.Client.CreateChannel(ctx, t.ws.ID, rest.NewChannel{Name: c.Word})
		return t.goTo(ctx, made, err)
	case "dm":
		other, err := t.person(ctx, c.Word)
		if err != nil {
			return err
		}
		direct, err := t.o.Client.OpenDirect(ctx, t.ws.ID, other)
		return t.goTo(ctx, direct, err)
	case "leave":
		if err := t.o.Client.Leave(ctx, t.view.here); err != nil {
			return err
		}
		t.screen.Line("-- you left " + t.view.where(t.view.here) + "; /join opens another channel")
		return nil
	case "channels":
		return t.list(ctx)
	case "topic":
		return t.topic(ctx, c.Text)
	}
	return t.invite(ctx)
}

// goTo opens a channel that was found, unless it was not.
func (t *talk) goTo(ctx context.Context, c rest.Channel, err error) error {
	if err == nil {
		err = t.enter(ctx, c)
	}
	if err != nil {
		return err
	}
	return t.opened(ctx)
}

// send says something, and shows that it is on its way.
func (t *talk) send(ctx, run context.Context, m client.Message) error {
	p, err := t.conn.Send(ctx, m)
	if err != nil {
		return err
	}
	t.view.own[p.ID()] = struct{}{}
	t.sends[p.ID()] = m
	t.screen.Sending(p.ID(), m.Body)
	t.follow(run, p, m.Body)
	return nil
}

// sent is a message as the log has it.
func (t *talk) sent(s settled) rest.Message {
	m := t.sends[s.pending.ID()]
	delete(t.sends, s.pending.ID())
	return rest.Message{Seq: s.receipt.Seq, ChannelID: m.ChannelID, SenderID: t.me.ID, Body: m.Body, Thread: m.Thread, TS: rest.Time(s.receipt.At)}
}

// change sends what is no message.
func (t *talk) change(ctx, run context.Context, c line.Command) error {
	var p *live.Pending
	var err error
	switch c.Name {
	case "react":
		p, err = t.conn.React(ctx, t.view.here, c.Seq, c.Text)
	case "unreact":
		p, err = t.conn.Unreact(ctx, t.view.here, c.Seq, c.Text)
	case "edit":
		p, err = t.conn.Edit(ctx, t.view.here, c.Seq, c.Text)
	case "delete":
		p, err = t.conn.Delete(ctx, t.view.here, c.Seq)
	case "away", "online": // the words are those of the statuses
		p, err = t.conn.SetPresence(ctx, chat.Status(c.Name), c.Text)
	}
	if err != nil {
		return err
	}
	t.follow(run, p, "/"+c.Name)
	return nil
}

func (t *talk) replies(ctx context.Context, root chat.Seq) error {
	page, err := t.o.Client.Replies(ctx, t.view.here, root, client.Page{Limit: shownAtFirst})
	if err != nil {
		return err
	}
	if len(page.Messages) == 0 {
		t.screen.Line(fmt.Sprintf("-- nobody has replied to #%d", root))
	}
	for i := len(page.Messages) - 1; i >= 0; i-- {
		t.screen.Line(t.view.message(page.Messages[i]))
	}
	return nil
}

func (t *talk) list(ctx context.Context) error {
	for c, err := range t.o.Client.Channels(ctx, t.ws.ID) {
		if err != nil {
			return err
		}
		t.view.channels[c.ID] = c
		mark := " "
		switch {
		case c.Archived:
			continue
		case c.ID == t.view.here:
			mark = ">"
		case c.Joined:
			mark = "*"
		}
		line := fmt.Sprintf("%s %-20s", mark, t.view.where(c.ID))
		if c.Topic != "" {
			line += " " + plain.Line(c.Topic)
		}
		t.screen.Line(line)
	}
	return nil
}

func (t *talk) topic(ctx context.Context, text string) error {
	if text == "" {
		c, err := t.o.Client.Channel(ctx, t.view.here)
		if err != nil {
			return err
		}
		t.screen.Line("-- the topic of " + t.view.where(c.ID) + ": " + cmp.Or(plain.Line(c.Topic), "(none)"))
		return nil
	}
	_, err := t.o.Client.EditChannel(ctx, t.view.here, rest.EditChannel{Topic: &text})
	return err // its event shows it
}

func (t *talk) invite(ctx context.Context) error {
	made, err := t.o.Client.CreateInvite(ctx, t.ws.ID, rest.NewInvite{})
	if err != nil {
		return err
	}
	where := made.URL // the link has the code in it
	if where == "" {
		where = "--url " + t.o.Client.URL() + " " + made.Code
	}
	until := time.Time(made.ExpiresAt).In(t.o.Zone).Format("2006-01-02 15:04")
	t.screen.Line(
		fmt.Sprintf("-- lets %d in as %s, until %s, who types:", made.MaxUses, made.Role, until),
		fmt.Sprintf("   %s join %s", cmp.Or(t.o.Program, "canopy"), plain.Line(where)),
	)
	return nil
}

// person finds somebody by their login or id.
func (t *talk) person(ctx context.Context, want string) (chat.UserID, error) {
	for m, err := range t.o.Client.Members(ctx, t.ws.ID) {
		if err != nil {
			return "", err
		}
		t.learn(m)
		if m.Login == want || string(m.UserID) == want {
			return m.UserID, nil
		}
	}
	return "", &client.Error{Code: fault.NotFound, Message: "there is nobody called " + plain.Line(want) + " here"}
}
