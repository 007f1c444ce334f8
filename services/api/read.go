package api

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rest"
	"github.com/canopychat/canopy/services/api/entry"
	"github.com/canopychat/canopy/services/store"
)

func (a *API) markRead(c echo.Context, me entry.Asker) error {
	id, err := entry.Channel(c)
	if err != nil {
		return err
	}
	var in rest.MarkRead
	if err := entry.Decode(c, &in); err != nil {
		return err
	}
	if in.Seq == 0 || in.Seq > chat.MaxSeq {
		return fault.New(fault.Invalid, "seq is that of the last message that was read")
	}
	cursor, err := a.cfg.Reads.MarkRead(c.Request().Context(), me.ID, id, in.Seq)
	if err != nil {
		return err
	}
	return entry.Answer(c, http.StatusOK, readCursorOf(cursor))
}

func (a *API) listReadCursors(c echo.Context, me entry.Asker) error {
	id, err := entry.Workspace(c)
	if err != nil {
		return err
	}
	cursors, err := a.cfg.Reads.ReadCursors(c.Request().Context(), me.ID, id)
	if err != nil {
		return err
	}
	list := rest.ReadCursorList{Cursors: make([]rest.ReadCursor, len(cursors))}
	for i, cursor := range cursors {
		list.Cursors[i] = readCursorOf(cursor)
	}
	return entry.Answer(c, http.StatusOK, list)
}

func readCursorOf(r store.ReadCursor) rest.ReadCursor {
	return rest.ReadCursor{ChannelID: r.ChannelID, Seq: r.Cursor.Seq}
}
