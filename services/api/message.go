package api

import (
	"net/http"
	"regexp"

	"github.com/labstack/echo/v4"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rest"
)

// changeOf begins a change of the channel of the path. Whether the user may make it is for the log's side to say, as
// for a socket's frames.
func (a *API) changeOf(c echo.Context, me chat.User, kind event.Kind) (event.Change, error) {
	s, err := a.spotOf(c, me)
	if err != nil {
		return event.Change{}, err
	}
	return event.Change{
		Kind: kind, Workspace: s.workspace.ID, Shard: s.workspace.Shard, Epoch: s.workspace.Epoch,
		ChannelID: s.channel.ID, UserID: me.ID, Standing: s.standing, TraceParent: traceParent(c.Request().Header),
	}, nil
}

// traceShape is a traceparent of version 00 (W3C Trace Context §3.2).
var traceShape = regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`)

// traceParent is the trace that a request belongs to, if it says so in the right form.
func traceParent(h http.Header) string {
	if given := h.Get("traceparent"); traceShape.MatchString(given) {
		return given
	}
	return ""
}

func (a *API) post(c echo.Context, me chat.User) error {
	var in rest.NewMessage
	if err := decode(c, &in); err != nil {
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
	return answer(c, status, rest.AckOf(change, receipt))
}

func (a *API) edit(c echo.Context, me chat.User) error {
	var in rest.EditMessage
	if err := decode(c, &in); err != nil {
		return err
	}
	return a.submit(c, me, event.Change{Kind: event.MessageEdited, Body: in.Body})
}

// about makes a handler of the kinds that say nothing but which message they are about.
func (a *API) about(kind event.Kind) func(echo.Context, chat.User) error {
	return func(c echo.Context, me chat.User) error { return a.submit(c, me, event.Change{Kind: kind}) }
}

func (a *API) react(kind event.Kind) func(echo.Context, chat.User) error {
	return func(c echo.Context, me chat.User) error {
		emoji, err := param(c, "emoji")
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
func (a *API) submit(c echo.Context, me chat.User, what event.Change) error {
	seq, err := pathSeq(c)
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
	return answer(c, http.StatusOK, rest.Stored{Seq: receipt.Seq})
}
