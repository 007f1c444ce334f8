package directory

import (
	"context"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rpc"
)

// Session answers what a socket starts from, as schemas/rpc promises.
//
// Changes that were made before the request may still be on their way to the log, at a position before or
// after the one that the gateway stands at. So it waits until they have their seqs, and tells those. A change
// that is made later gets a position after the gateway's, which meets its event in the log; here it shows
// as no seq yet, and is left out.
//
// What is read here is not shared between questions, and not kept: an answer that was read for an earlier question
// may lack a change that is before this one's position, and nobody would ever tell it. Only the numbers of members, which
// are rough, are (census).
func (s *Service) Session(ctx context.Context, req rpc.SessionRequest) (rpc.SessionReply, error) {
	if !chat.IsID(string(req.UserID)) || (req.WorkspaceID != "" && !chat.IsID(string(req.WorkspaceID))) || req.Since > chat.MaxSeq {
		return rpc.SessionReply{}, fault.New(fault.NotFound, "there is no such workspace among yours")
	}
	if err := s.active(ctx, req.UserID); err != nil {
		return rpc.SessionReply{}, err
	}
	ws, err := s.workspaceOf(ctx, req)
	if err != nil {
		return rpc.SessionReply{}, err
	}
	if err := s.settleAll(ctx, ws, min(sessionSettle, s.cfg.Settle)); err != nil {
		return rpc.SessionReply{}, err
	}
	place, err := s.Workspace(ctx, req.UserID, ws)
	if err != nil {
		return rpc.SessionReply{}, err
	}
	reply := rpc.SessionReply{
		WorkspaceID: ws, Shard: place.Workspace.Shard, Epoch: place.Workspace.Epoch, Role: place.Role,
	}
	if reply.Tenures, err = s.tenures(ctx, ws, req); err != nil {
		return rpc.SessionReply{}, err
	}
	counts, err := s.census.of(ctx, ws)
	if err != nil {
		return rpc.SessionReply{}, err
	}
	reply.Members = max(counts.Members, 1) // counts may be older than a workspace that was just made, and than who asks
	for i, t := range reply.Tenures {
		reply.Tenures[i].Members = counts.Channels[t.ChannelID]
		if t.LeftSeq == 0 {
			reply.Tenures[i].Members = max(counts.Channels[t.ChannelID], 1)
		}
	}
	return reply, nil
}

// active refuses a user who was deactivated after their token was made.
func (s *Service) active(ctx context.Context, id chat.UserID) error {
	user, err := s.db.User(ctx, id)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	if err != nil || user.Deactivated {
		return fault.New(fault.Unauthenticated, "the account does not exist, or no longer")
	}
	return nil
}

// workspaceOf is the workspace that a request is about.
func (s *Service) workspaceOf(ctx context.Context, req rpc.SessionRequest) (chat.WorkspaceID, error) {
	if req.WorkspaceID != "" {
		_, err := s.member(ctx, req.WorkspaceID, req.UserID)
		return req.WorkspaceID, err
	}
	all, err := s.db.WorkspacesOf(ctx, req.UserID)
	switch {
	case err != nil:
		return "", err
	case len(all) == 0:
		return "", fault.New(fault.NotFound, "you belong to no workspace")
	case len(all) > 1:
		return "", fault.New(fault.Invalid, "you belong to %d workspaces; say which workspace", len(all))
	}
	return all[0].Workspace.ID, nil
}

func (s *Service) tenures(ctx context.Context, ws chat.WorkspaceID, req rpc.SessionRequest) ([]rpc.Tenure, error) {
	since := req.Since
	if since == 0 {
		since = chat.MaxSeq // no tenure ends there: only those that last
	}
	found, err := s.db.Tenures(ctx, ws, req.UserID, since)
	if err != nil {
		return nil, err
	}
	tenures := make([]rpc.Tenure, 0, len(found))
	for _, t := range found {
		if t.JoinedSeq == 0 || (t.LeftSeq != 0 && t.LeftSeq < since) {
			continue
		}
		tenures = append(tenures, rpc.Tenure{
			ChannelID: t.ChannelID, Type: t.Type, Archived: t.Archived, JoinedSeq: t.JoinedSeq, LeftSeq: t.LeftSeq,
		})
	}
	return tenures, nil
}
