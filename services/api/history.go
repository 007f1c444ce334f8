package api

import (
	"context"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rest"
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
func (a *API) spotOf(c echo.Context, me chat.User) (spot, error) {
	id, err := pathChannel(c)
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

func (a *API) listMessages(c echo.Context, me chat.User) error {
	q, err := pageQuery(c)
	if err != nil {
		return err
	}
	return a.page(c, me, q)
}

func (a *API) listReplies(c echo.Context, me chat.User) error {
	q, err := pageQuery(c)
	if err != nil {
		return err
	}
	if q.Thread, err = pathSeq(c); err != nil {
		return err
	}
	return a.page(c, me, q)
}

func (a *API) page(c echo.Context, me chat.User, q store.PageQuery) error {
	return a.read(c, me, func(ctx context.Context, at store.ChannelPlace) (store.Reading, error) {
		q.ChannelID = at.ChannelID
		return a.cfg.History.Page(ctx, at, q)
	})
}

func (a *API) listPins(c echo.Context, me chat.User) error { return a.read(c, me, a.cfg.History.Pins) }

// read answers what of reads of the channel of the path.
func (a *API) read(c echo.Context, me chat.User, of func(context.Context, store.ChannelPlace) (store.Reading, error)) error {
	s, err := a.spotOf(c, me)
	if err != nil {
		return err
	}
	r, err := of(c.Request().Context(), s.place())
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, rest.MessageListOf(r.Messages, r.HasMore, r.CompleteThrough))
}

// pageQuery reads before, after, around and limit.
func pageQuery(c echo.Context) (store.PageQuery, error) {
	limit, err := limitOf(c)
	if err != nil {
		return store.PageQuery{}, err
	}
	q := store.PageQuery{Limit: limit}
	given := 0
	for _, p := range []struct {
		name  string
		least chat.Seq
		into  *chat.Seq
	}{{"before", 1, &q.Before}, {"after", 0, &q.After}, {"around", 1, &q.Around}} {
		raw := c.QueryParam(p.name)
		if raw == "" {
			continue
		}
		seq, ok := parseSeq(raw)
		if !ok || seq < p.least {
			return store.PageQuery{}, fault.New(fault.Invalid, "%s is the seq of a message", p.name)
		}
		// after=0 asks for the beginning, and 0 in a query for nothing. No message has seq 1: what a workspace's log begins
		// with is that its owner joined, and nobody sends before the log has their joining.
		*p.into = max(seq, 1)
		given++
	}
	if given > 1 {
		return store.PageQuery{}, fault.New(fault.Invalid, "give one of before, after and around")
	}
	return q, nil
}
