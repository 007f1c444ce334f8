package notify

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rest"
	"github.com/canopychat/canopy/services/api/entry"
	"github.com/canopychat/canopy/services/store"
)

func (n notify) markRead(c echo.Context, me entry.Asker) error {
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
	cursor, err := n.cfg.Reads.MarkRead(c.Request().Context(), me.ID, id, in.Seq)
	if err != nil {
		return err
	}
	return entry.Answer(c, http.StatusOK, rest.ReadCursor{ChannelID: cursor.ChannelID, Seq: cursor.Cursor.Seq})
}

// listReads answers what was read and what is unread. The cursors are read first: what is marked as read in between is
// counted as unread, and a client that marked it knows.
func (n notify) listReads(c echo.Context, me entry.Asker) error {
	id, err := entry.Workspace(c)
	if err != nil {
		return err
	}
	messages, err := entry.Flag(c, "messages")
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	m, err := n.cfg.Workspaces.Workspace(ctx, me.ID, id)
	if err != nil {
		return err
	}
	in, err := n.cfg.Reads.ReadCursors(ctx, me.ID, id)
	if err != nil {
		return err
	}
	unread, err := n.cfg.Unreads.Unread(ctx, store.UnreadQuery{
		User: me.User, WorkspaceID: id, Shard: m.Workspace.Shard, Channels: in, Messages: messages,
	})
	if err != nil {
		return err
	}
	list := rest.ReadCursorList{Cursors: make([]rest.ReadState, len(unread))}
	for i, u := range unread {
		list.Cursors[i] = readStateOf(in[i], u)
	}
	return entry.Answer(c, http.StatusOK, list)
}

func readStateOf(in store.ReadIn, u store.Unread) rest.ReadState {
	out := rest.ReadState{
		ChannelID: in.ChannelID, Seq: in.Read, JoinedSeq: in.Joined, Unread: u.Count, Mentions: u.Mentions, More: u.More, Through: u.Through,
	}
	for _, m := range u.Messages {
		out.Messages = append(out.Messages, rest.UnreadMessage(m))
	}
	return out
}
