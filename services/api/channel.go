package api

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rest"
	"github.com/canopychat/canopy/services/api/entry"
	"github.com/canopychat/canopy/services/store"
)

func (a *API) listChannels(c echo.Context, me entry.Asker) error {
	id, err := entry.Workspace(c)
	if err != nil {
		return err
	}
	after, limit, err := entry.Page(c, cursorChannels)
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
		list.NextCursor = entry.CursorAfter(cursorChannels, string(channels[limit-1].ID))
	}
	return entry.Answer(c, http.StatusOK, list)
}

func (a *API) createChannel(c echo.Context, me entry.Asker) error {
	id, err := entry.Workspace(c)
	if err != nil {
		return err
	}
	var in rest.NewChannel
	if err := entry.Decode(c, &in); err != nil {
		return err
	}
	if in.Type == "" {
		in.Type = chat.ChannelPublic
	}
	made, err := a.cfg.Channels.CreateChannel(c.Request().Context(), me.ID, chat.Channel{
		WorkspaceID: id, Name: in.Name, Type: in.Type, Topic: in.Topic,
	})
	if err != nil {
		return err
	}
	return entry.Answer(c, http.StatusCreated, rest.ChannelOf(made, true))
}

func (a *API) openDirect(c echo.Context, me entry.Asker) error {
	id, err := entry.Workspace(c)
	if err != nil {
		return err
	}
	var in rest.NewDirect
	if err := entry.Decode(c, &in); err != nil {
		return err
	}
	if err := entry.CheckUserIDs(in.UserIDs); err != nil {
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
	return entry.Answer(c, status, rest.ChannelOf(channel, true))
}

func (a *API) channel(c echo.Context, me entry.Asker) error {
	id, err := entry.Channel(c)
	if err != nil {
		return err
	}
	channel, standing, err := a.cfg.Channels.Channel(c.Request().Context(), me.ID, id)
	if err != nil {
		return err
	}
	return entry.Answer(c, http.StatusOK, rest.ChannelOf(channel, standing.InIt))
}

func (a *API) updateChannel(c echo.Context, me entry.Asker) error {
	id, err := entry.Channel(c)
	if err != nil {
		return err
	}
	var in rest.EditChannel
	if err := entry.Decode(c, &in); err != nil {
		return err
	}
	channel, err := a.cfg.Editing.UpdateChannel(c.Request().Context(), store.ChannelChange{
		ChannelID: id, By: me.ID, Name: in.Name, Topic: in.Topic, Archived: in.Archived,
	})
	if err != nil {
		return err
	}
	return entry.Answer(c, http.StatusOK, rest.ChannelOf(channel.Channel, channel.Joined))
}

func (a *API) join(c echo.Context, me entry.Asker) error {
	id, err := entry.Channel(c)
	if err != nil {
		return err
	}
	channel, err := a.cfg.Joining.Join(c.Request().Context(), me.ID, id)
	if err != nil {
		return err
	}
	return entry.Answer(c, http.StatusOK, rest.ChannelOf(channel, true))
}

func (a *API) leave(c echo.Context, me entry.Asker) error {
	id, err := entry.Channel(c)
	if err != nil {
		return err
	}
	return entry.Done(c, a.cfg.Joining.Leave(c.Request().Context(), me.ID, id))
}
