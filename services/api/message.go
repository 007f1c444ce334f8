package api

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rest"
	"github.com/canopychat/canopy/services/api/entry"
)

// changeOf begins a change of the channel of the path. Whether the user may make it is for the log's side to say, as
// for a socket's frames.
func (a *API) changeOf(c echo.Context, me entry.Asker, kind event.Kind) (event.Change, error) {
	s, err := a.spotOf(c, me)
	if err != nil {
		return event.Change{}, err
	}
	return event.Change{
		Kind: kind, Workspace: s.workspace.ID, Shard: s.workspace.Shard, Epoch: s.workspace.Epoch,
		ChannelID: s.channel.ID, UserID: me.ID, Standing: s.standing, TraceParent: entry.TraceParent(c),
	}, nil
}

func (a *API) post(c echo.Context, me entry.Asker) error {
	var in rest.NewMessage
	if err := entry.Decode(c, &in); err != nil {
		return err
	}
	if _, err := chat.ParseClientMsgID(string(in.ClientMsgID)); err != nil {
		return fault.Wrap(fault.Invalid, err, "%v", err)
	}
	change, err := a.changeOf(c, me, event.MessagePosted)
	if err != nil {
		return err
	}
	change.ClientMsgID, change.Body, change.Thread = in.ClientMsgID, in.Body, in.Thread
	receipt, err := a.cfg.Log.Submit(c.Request().Context(), change)
	if err != nil {
		return err
	}
	status := http.StatusCreated
	if receipt.Duplicate {
		status = http.StatusOK
	}
	return entry.Answer(c, status, rest.AckOf(change, receipt))
}

func (a *API) edit(c echo.Context, me entry.Asker) error {
	var in rest.EditMessage
	if err := entry.Decode(c, &in); err != nil {
		return err
	}
	return a.submit(c, me, event.Change{Kind: event.MessageEdited, Body: in.Body})
}

// about makes a handler of the kinds that say nothing but which message they are about.
func (a *API) about(kind event.Kind) func(echo.Context, entry.Asker) error {
	return func(c echo.Context, me entry.Asker) error { return a.submit(c, me, event.Change{Kind: kind}) }
}

func (a *API) react(kind event.Kind) func(echo.Context, entry.Asker) error {
	return func(c echo.Context, me entry.Asker) error {
		emoji, err := entry.Param(c, "emoji")
		if err != nil {
			return err
		}
		if err := chat.CheckEmoji(emoji); err != nil {
			return fault.Wrap(fault.Invalid, err, "%v", err)
		}
		return a.submit(c, me, event.Change{Kind: kind, Emoji: emoji})
	}
}

// submit brings a change of the message of the path into the log. Of what it takes Kind, Body and Emoji.
func (a *API) submit(c echo.Context, me entry.Asker, what event.Change) error {
	seq, err := entry.Seq(c)
	if err != nil {
		return err
	}
	change, err := a.changeOf(c, me, what.Kind)
	if err != nil {
		return err
	}
	change.MessageSeq, change.Body, change.Emoji = seq, what.Body, what.Emoji
	receipt, err := a.cfg.Log.Submit(c.Request().Context(), change)
	if err != nil {
		return err
	}
	return entry.Answer(c, http.StatusOK, rest.Stored{Seq: receipt.Seq})
}
