package api

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rest"
	"github.com/canopychat/canopy/services/api/entry"
	"github.com/canopychat/canopy/services/store"
)

// spot is a channel that a user may see, where its log lies, and what they are towards it.
type spot struct {
	channel   chat.Channel
	standing  chat.Standing
	workspace chat.Workspace
}

func (s spot) place() store.ChannelPlace {
	return store.ChannelPlace{WorkspaceID: s.workspace.ID, Shard: s.workspace.Shard, ChannelID: s.channel.ID}
}

// spotOf finds the channel of the path. Whoever may see a channel may read all of it.
func (a *API) spotOf(c echo.Context, me entry.Asker) (spot, error) {
	id, err := entry.Channel(c)
	if err != nil {
		return spot{}, err
	}
	ctx := c.Request().Context()
	channel, standing, err := a.cfg.Channels.Channel(ctx, me.ID, id)
	if err != nil {
		return spot{}, err
	}
	m, err := a.cfg.Workspaces.Workspace(ctx, me.ID, channel.WorkspaceID)
	return spot{channel: channel, standing: standing, workspace: m.Workspace}, err
}

func (a *API) listMessages(c echo.Context, me entry.Asker) error {
	q, err := entry.History(c)
	if err != nil {
		return err
	}
	return a.page(c, me, q)
}

func (a *API) listReplies(c echo.Context, me entry.Asker) error {
	q, err := entry.History(c)
	if err != nil {
		return err
	}
	if q.Thread, err = entry.Seq(c); err != nil {
		return err
	}
	return a.page(c, me, q)
}

func (a *API) page(c echo.Context, me entry.Asker, q store.PageQuery) error {
	return a.read(c, me, func(ctx context.Context, at store.ChannelPlace) (store.Reading, error) {
		q.ChannelID = at.ChannelID
		return a.cfg.History.Page(ctx, at, q)
	})
}

func (a *API) listPins(c echo.Context, me entry.Asker) error {
	return a.read(c, me, a.cfg.History.Pins)
}

// read answers what of reads of the channel of the path.
func (a *API) read(c echo.Context, me entry.Asker, of func(context.Context, store.ChannelPlace) (store.Reading, error)) error {
	s, err := a.spotOf(c, me)
	if err != nil {
		return err
	}
	r, err := of(c.Request().Context(), s.place())
	if err != nil {
		return err
	}
	return entry.Answer(c, http.StatusOK, rest.MessageListOf(r.Messages, r.HasMore, r.CompleteThrough))
}
