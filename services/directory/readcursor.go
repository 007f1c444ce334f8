package directory

import (
	"context"
	"fmt"
	"slices"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

// MarkRead says that a user has read a channel up to seq, and answers what counts then: it never goes back.
func (s *Service) MarkRead(ctx context.Context, by chat.UserID, ch chat.ChannelID, seq chat.Seq) (store.ReadCursor, error) {
	if s.cfg.Read == nil {
		return store.ReadCursor{}, fault.New(fault.Unsupported, "this server does not remember what was read")
	}
	channel, _, err := s.Channel(ctx, by, ch)
	if err != nil {
		return store.ReadCursor{}, err
	}
	if seq == 0 || seq > chat.MaxSeq {
		return store.ReadCursor{}, fault.New(fault.Invalid, "seq is that of a message")
	}
	w, err := s.db.Workspace(ctx, channel.WorkspaceID)
	if err != nil {
		return store.ReadCursor{}, err
	}
	read, err := s.cfg.Read.SetRead(ctx, store.ReadCursor{
		WorkspaceID: w.ID, ChannelID: ch, UserID: by, Cursor: chat.Cursor{Epoch: w.Epoch, Seq: seq}, At: s.cfg.Now().UTC(),
	})
	if err != nil {
		return store.ReadCursor{}, fmt.Errorf("mark a channel read: %w", err)
	}
	return read, nil
}

// ReadCursors lists how far a user has read the channels of a workspace that they may see, by channel id. A cursor of
// an earlier log of the workspace says nothing of this one, and is left out.
func (s *Service) ReadCursors(ctx context.Context, by chat.UserID, ws chat.WorkspaceID) ([]store.ReadCursor, error) {
	if s.cfg.Read == nil {
		return nil, fault.New(fault.Unsupported, "this server does not remember what was read")
	}
	member, err := s.member(ctx, ws, by)
	if err != nil {
		return nil, err
	}
	w, err := s.db.Workspace(ctx, ws)
	if err != nil {
		return nil, err
	}
	all, err := s.cfg.Read.ReadCursorsOf(ctx, ws, by)
	if err != nil {
		return nil, fmt.Errorf("list what was read: %w", err)
	}
	all = slices.DeleteFunc(all, func(r store.ReadCursor) bool { return r.Cursor.Epoch != w.Epoch })
	if len(all) == 0 {
		return nil, nil
	}
	visible, err := s.visible(ctx, member, all[len(all)-1].ChannelID)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(r store.ReadCursor) bool { return !visible[r.ChannelID] }), nil
}

// visible is the channels with an id of at most last that a member may see.
func (s *Service) visible(ctx context.Context, member chat.Member, last chat.ChannelID) (map[chat.ChannelID]bool, error) {
	seen := map[chat.ChannelID]bool{}
	q := store.ChannelQuery{WorkspaceID: member.WorkspaceID, UserID: member.UserID, Role: member.Role, Limit: chat.MaxPageSize}
	for {
		page, err := s.db.ListChannels(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, c := range page {
			q.After, seen[c.ID] = c.ID, true
		}
		if len(page) < q.Limit || q.After >= last {
			return seen, nil
		}
	}
}
