package accounts

import (
	"context"
	"fmt"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/services/store"
)

// importSettle leaves an import time to answer within that of a question (streams/rpc).
const importSettle = 3 * time.Second

// Import makes accounts and public channels in bulk and puts the accounts into channels, for `canopy seed`.
// What exists is kept, so a request that failed, or was cut off between any two lines, is sent again.
// It answers directory.import, and is for operators: whoever may ask it gets a token for any account that it names.
// Nobody can sign in to an account that it made with a password.
func (a *Admin) Import(ctx context.Context, req rpc.ImportRequest) (rpc.ImportReply, error) {
	if err := checkImport(req); err != nil {
		return rpc.ImportReply{}, err
	}
	owner, err := a.firstOwner(ctx, req.WorkspaceID)
	if err != nil {
		return rpc.ImportReply{}, err
	}
	in := &importing{Admin: a, req: req, owner: owner}
	var reply rpc.ImportReply
	if reply.Channels, err = in.channels(ctx); err != nil {
		return rpc.ImportReply{}, fmt.Errorf("import channels: %w", err)
	}
	if reply.Users, err = in.users(ctx); err != nil {
		return rpc.ImportReply{}, fmt.Errorf("import users: %w", err)
	}
	if err := in.join(ctx, reply.Users); err != nil {
		return rpc.ImportReply{}, fmt.Errorf("import members: %w", err)
	}
	within, cancel := context.WithTimeout(ctx, importSettle)
	defer cancel()
	return reply, a.cfg.Directory.Settle(within, req.WorkspaceID)
}

func checkImport(req rpc.ImportRequest) error {
	if len(req.Users) > rpc.MaxImport || len(req.Channels) > rpc.MaxImport {
		return fault.New(fault.Invalid, "an import is at most %d users and %d channels", rpc.MaxImport, rpc.MaxImport)
	}
	for _, c := range req.Channels {
		if err := chat.CheckChannelName(c.Name); err != nil {
			return fault.Wrap(fault.Invalid, err, "%v", err)
		}
		if err := chat.CheckTopic(c.Topic); err != nil {
			return fault.Wrap(fault.Invalid, err, "%v", err)
		}
	}
	for _, u := range req.Users {
		if err := chat.CheckLogin(u.Login); err != nil {
			return fault.Wrap(fault.Invalid, err, "%v", err)
		}
		if err := chat.CheckName(u.DisplayName); err != nil {
			return fault.Wrap(fault.Invalid, err, "%v", err)
		}
	}
	return nil
}

// importing is one request on its way. It belongs to one goroutine.
type importing struct {
	*Admin
	req    rpc.ImportRequest
	owner  chat.UserID
	byName map[string]chat.ChannelID // the workspace's public channels
}

// channels makes those that are missing.
func (in *importing) channels(ctx context.Context) ([]rpc.ImportedChannel, error) {
	if err := in.readChannels(ctx); err != nil {
		return nil, err
	}
	for _, c := range in.req.Channels {
		if in.byName[c.Name] != "" {
			continue
		}
		id, err := newID()
		if err != nil {
			return nil, err
		}
		err = in.db.CreateChannel(ctx, chat.Channel{
			ID: chat.ChannelID(id), WorkspaceID: in.req.WorkspaceID, Name: c.Name, Type: chat.ChannelPublic, Topic: c.Topic,
			CreatorID: in.owner, CreatedAt: in.cfg.Now().UTC(),
		}, []chat.UserID{in.owner})
		if err != nil { // Conflict: a private channel's name, or another import was faster
			return nil, err
		}
		in.byName[c.Name] = chat.ChannelID(id)
	}
	made := make([]rpc.ImportedChannel, len(in.req.Channels))
	for i, c := range in.req.Channels {
		made[i] = rpc.ImportedChannel{ChannelID: in.byName[c.Name], Name: c.Name}
	}
	return made, nil
}

func (in *importing) readChannels(ctx context.Context) error {
	in.byName = map[string]chat.ChannelID{}
	q := store.ChannelQuery{WorkspaceID: in.req.WorkspaceID, UserID: in.owner, Role: chat.RoleOwner, Limit: chat.MaxPageSize}
	for {
		page, err := in.db.ListChannels(ctx, q)
		if err != nil {
			return err
		}
		for _, c := range page {
			if q.After = c.ID; c.Type == chat.ChannelPublic {
				in.byName[c.Name] = c.ID
			}
		}
		if len(page) < q.Limit {
			return nil
		}
	}
}

// users makes the accounts that are missing, all members of the workspace, and a token for each.
func (in *importing) users(ctx context.Context) ([]rpc.ImportedUser, error) {
	imported := make([]rpc.ImportedUser, len(in.req.Users))
	members := make([]chat.Member, len(in.req.Users))
	var missing []store.NewUser
	making := map[string]chat.UserID{} // a login may be named twice
	for i, u := range in.req.Users {
		id, err := in.idOf(ctx, u.Login, making)
		if err != nil {
			return nil, err
		}
		if id == "" {
			made, err := in.withoutPassword(store.Newcomer{Login: u.Login, DisplayName: u.DisplayName})
			if err != nil {
				return nil, err
			}
			id = made.ID
			making[u.Login] = id
			missing = append(missing, made)
		}
		imported[i] = rpc.ImportedUser{UserID: id, Login: u.Login}
		members[i] = chat.Member{WorkspaceID: in.req.WorkspaceID, UserID: id, Role: chat.RoleMember}
	}
	if len(missing) > 0 {
		if err := in.db.CreateUsers(ctx, missing); err != nil { // Conflict: another import was faster
			return nil, err
		}
	}
	if len(members) > 0 {
		if err := in.db.AddMembers(ctx, in.owner, members); err != nil {
			return nil, err
		}
	}
	for i := range imported {
		issued, err := in.tokens.Issue(ctx, imported[i].UserID)
		if err != nil {
			return nil, err
		}
		imported[i].Token = issued.Token
	}
	return imported, nil
}

// idOf is the id of a login's account; empty when there is none.
func (in *importing) idOf(ctx context.Context, login string, making map[string]chat.UserID) (chat.UserID, error) {
	if id := making[login]; id != "" {
		return id, nil
	}
	user, _, err := in.db.Credentials(ctx, login)
	if fault.Is(err, fault.NotFound) {
		return "", nil
	}
	return user.ID, err
}

// join puts the accounts into the channels that the request names, one change a channel.
func (in *importing) join(ctx context.Context, users []rpc.ImportedUser) error {
	joins := map[string][]chat.UserID{}
	for i, u := range in.req.Users {
		for _, name := range u.Join {
			if in.byName[name] == "" {
				return fault.New(fault.NotFound, "there is no public channel %.80q", name)
			}
			joins[name] = append(joins[name], users[i].UserID)
		}
	}
	for name, ids := range joins {
		change := store.MemberChange{ChannelID: in.byName[name], By: in.owner, UserIDs: ids}
		if _, err := in.db.SetMembers(ctx, change); err != nil {
			return err
		}
	}
	return nil
}
