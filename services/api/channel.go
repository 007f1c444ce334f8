package api

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rest"
	"github.com/canopychat/canopy/services/store"
)

func (a *API) listChannels(c echo.Context, me chat.User) error {
	id, err := pathWorkspace(c)
	if err != nil {
		return err
	}
	after, limit, err := listOf(c, cursorChannels)
	if err != nil {
		return err
	}
	channels, err := a.cfg.Channels.ListChannels(c.Request().Context(), store.ChannelQuery{
		WorkspaceID: id, UserID: me.ID, After: chat.ChannelID(after), Limit: limit,
	})
	if err != nil {
		return err
	}
	list := rest.ChannelList{Channels: make([]rest.Channel, len(channels))}
	for i, ch := range channels {
		list.Channels[i] = rest.ChannelOf(ch.Channel, ch.Joined)
	}
	if len(channels) == limit {
		list.NextCursor = cursorAfter(cursorChannels, string(channels[limit-1].ID))
	}
	return answer(c, http.StatusOK, list)
}

func (a *API) createChannel(c echo.Context, me chat.User) error {
	id, err := pathWorkspace(c)
	if err != nil {
		return err
	}
	in := rest.NewChannel{Type: chat.ChannelPublic}
	if err := decode(c, &in); err != nil {
		return err
	}
	made, err := a.cfg.Channels.CreateChannel(c.Request().Context(), me.ID, chat.Channel{
		WorkspaceID: id, Name: in.Name, Type: in.Type, Topic: in.Topic,
	})
	if err != nil {
		return err
	}
	return answer(c, http.StatusCreated, rest.ChannelOf(made, true))
}

func (a *API) openDirect(c echo.Context, me chat.User) error {
	id, err := pathWorkspace(c)
	if err != nil {
		return err
	}
	var in rest.NewDirect
	if err := decode(c, &in); err != nil {
		return err
	}
	if err := checkUserIDs(in.UserIDs); err != nil {
		return err
	}
	channel, created, err := a.cfg.Directs.OpenDirect(c.Request().Context(), me.ID, id, in.UserIDs)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	return answer(c, status, rest.ChannelOf(channel, true))
}

func (a *API) channel(c echo.Context, me chat.User) error {
	id, err := pathChannel(c)
	if err != nil {
		return err
	}
	channel, standing, err := a.cfg.Channels.Channel(c.Request().Context(), me.ID, id)
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, rest.ChannelOf(channel, standing.InIt))
}

func (a *API) updateChannel(c echo.Context, me chat.User) error {
	id, err := pathChannel(c)
	if err != nil {
		return err
	}
	var in rest.EditChannel
	if err := decode(c, &in); err != nil {
		return err
	}
	channel, err := a.cfg.Editing.UpdateChannel(c.Request().Context(), store.ChannelChange{
		ChannelID: id, By: me.ID, Name: in.Name, Topic: in.Topic, Archived: in.Archived,
	})
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, rest.ChannelOf(channel.Channel, channel.Joined))
}

func (a *API) join(c echo.Context, me chat.User) error {
	id, err := pathChannel(c)
	if err != nil {
		return err
	}
	channel, err := a.cfg.Joining.Join(c.Request().Context(), me.ID, id)
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, rest.ChannelOf(channel, true))
}

func (a *API) leave(c echo.Context, me chat.User) error {
	id, err := pathChannel(c)
	if err != nil {
		return err
	}
	if err := a.cfg.Joining.Leave(c.Request().Context(), me.ID, id); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

func (a *API) listChannelMembers(c echo.Context, me chat.User) error {
	id, err := pathChannel(c)
	if err != nil {
		return err
	}
	after, limit, err := listOf(c, cursorPeople)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	ids, err := a.cfg.People.ChannelMembers(ctx, store.PeopleQuery{
		ChannelID: id, Asker: me.ID, After: chat.UserID(after), Limit: limit,
	})
	if err != nil {
		return err
	}
	members := make([]chat.Member, len(ids))
	for i, user := range ids {
		members[i].UserID = user
	}
	list, err := a.memberList(ctx, members, limit)
	if err != nil {
		return err
	}
	return answer(c, http.StatusOK, list)
}

func (a *API) addMembers(c echo.Context, me chat.User) error {
	id, err := pathChannel(c)
	if err != nil {
		return err
	}
	var in rest.AddMembers
	if err := decode(c, &in); err != nil {
		return err
	}
	if err := checkUserIDs(in.UserIDs); err != nil {
		return err
	}
	if err := a.cfg.Joining.AddMembers(c.Request().Context(), me.ID, id, in.UserIDs); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
