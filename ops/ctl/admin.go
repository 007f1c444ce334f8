package ctl

import (
	"context"
	"errors"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	schema "github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/rpc"
)

// Admin asks a deployment the questions of operators (schemas/rpc). A user is named by login, or by id. What is refused is a
// *config.Problem: the request has to change. Nothing is asked twice: when an answer is lost, a list shows what happened.
type Admin struct{ conn *bus.Conn }

// NewAdmin asks over conn, which stays the caller's.
func NewAdmin(conn *bus.Conn) Admin { return Admin{conn} }

// Users lists all accounts, one call of each for each.
func (a Admin) Users(ctx context.Context, each func(schema.Account) error) error {
	req := schema.UsersRequest{Limit: chat.MaxPageSize}
	for {
		page, err := admin[schema.UsersReply](ctx, a.conn, streams.AdminUsers, req)
		if err != nil {
			return err
		}
		if err := forEach(page.Users, each); err != nil || page.Next == "" {
			return err
		}
		req.After = page.Next
	}
}

// User asks about one account: who is its login or id, which req lacks.
func (a Admin) User(ctx context.Context, who string, req schema.UserRequest) (schema.UserReply, error) {
	return named(who, func(id chat.UserID, login string) (schema.UserReply, error) {
		req.UserID, req.Login = id, login
		return admin[schema.UserReply](ctx, a.conn, streams.AdminUser, req)
	})
}

// Workspaces lists all workspaces, one call of each for each.
func (a Admin) Workspaces(ctx context.Context, each func(schema.Workspace) error) error {
	req := schema.WorkspacesRequest{Limit: chat.MaxPageSize}
	for {
		page, err := admin[schema.WorkspacesReply](ctx, a.conn, streams.AdminWorkspaces, req)
		if err != nil {
			return err
		}
		if err := forEach(page.Workspaces, each); err != nil || page.Next == "" {
			return err
		}
		req.After = page.Next
	}
}

// AddWorkspace makes a workspace for an owner who has an account.
func (a Admin) AddWorkspace(ctx context.Context, name, owner string) (schema.Workspace, error) {
	reply, err := named(owner, func(id chat.UserID, login string) (schema.WorkspaceReply, error) {
		req := schema.WorkspaceRequest{Do: schema.WorkspaceAdd, Name: name, UserID: id, Login: login}
		return admin[schema.WorkspaceReply](ctx, a.conn, streams.AdminWorkspace, req)
	})
	return reply.Workspace, err
}

// RenameWorkspace gives a workspace another name.
func (a Admin) RenameWorkspace(ctx context.Context, ws chat.WorkspaceID, name string) (schema.Workspace, error) {
	req := schema.WorkspaceRequest{Do: schema.WorkspaceRename, WorkspaceID: ws, Name: name}
	reply, err := admin[schema.WorkspaceReply](ctx, a.conn, streams.AdminWorkspace, req)
	return reply.Workspace, err
}

// Members lists all members of a workspace, one call of each for each.
func (a Admin) Members(ctx context.Context, ws chat.WorkspaceID, each func(schema.Member) error) error {
	req := schema.WorkspaceRequest{WorkspaceID: ws, Limit: chat.MaxPageSize}
	for {
		page, err := admin[schema.WorkspaceReply](ctx, a.conn, streams.AdminWorkspace, req)
		if err != nil {
			return err
		}
		if err := forEach(page.Members, each); err != nil || page.Next == "" {
			return err
		}
		req.After = page.Next
	}
}

// Member changes what somebody is in a workspace: who is their login or id, which req lacks.
func (a Admin) Member(ctx context.Context, who string, req schema.MemberRequest) (schema.Member, error) {
	reply, err := named(who, func(id chat.UserID, login string) (schema.MemberReply, error) {
		req.UserID, req.Login = id, login
		return admin[schema.MemberReply](ctx, a.conn, streams.AdminMember, req)
	})
	return reply.Member, err
}

// Invite makes an invite.
func (a Admin) Invite(ctx context.Context, req schema.InviteRequest) (schema.InviteReply, error) {
	return admin[schema.InviteReply](ctx, a.conn, streams.AdminInvite, req)
}

// Token makes an access token for an account.
func (a Admin) Token(ctx context.Context, who string) (schema.TokenReply, error) {
	return named(who, func(id chat.UserID, login string) (schema.TokenReply, error) {
		return admin[schema.TokenReply](ctx, a.conn, streams.AdminToken, schema.TokenRequest{UserID: id, Login: login})
	})
}

// Keys lists the keys that sign tokens, the newest first, after it has made another one if rotate is set.
func (a Admin) Keys(ctx context.Context, rotate bool) ([]schema.SigningKey, error) {
	reply, err := admin[schema.SigningKeysReply](ctx, a.conn, streams.AdminKeys, schema.SigningKeysRequest{Rotate: rotate})
	return reply.Keys, err
}

func forEach[T any](all []T, each func(T) error) error {
	for _, one := range all {
		if err := each(one); err != nil {
			return err
		}
	}
	return nil
}

// notThere is what admin answers when something is not there: named looks for it.
type notThere struct{ error }

// named asks about an account by its login, and if there is none, by its id. A request that names nobody changes nothing.
func named[Reply any](who string, ask func(chat.UserID, string) (Reply, error)) (Reply, error) {
	if chat.CheckLogin(who) != nil {
		var none Reply
		return none, config.Problemf("%.80q is neither a login nor the id of an account", who)
	}
	reply, err := ask("", who)
	var missing notThere
	if !errors.As(err, &missing) || !chat.IsID(who) {
		return reply, err
	}
	if found, again := ask(chat.UserID(who), ""); again == nil || !errors.As(again, &missing) {
		return found, again
	}
	return reply, err
}

// admin asks one question.
func admin[Reply any](ctx context.Context, conn *bus.Conn, method streams.Method, req any) (Reply, error) {
	reply, err := rpc.Call[Reply](ctx, conn.NATS(), rpc.Method{Service: streams.ServiceAdmin, Method: method}, req)
	if ctx.Err() != nil {
		return reply, ctx.Err()
	}
	var f *fault.Error
	if !errors.As(err, &f) {
		return reply, err
	}
	switch f.Kind {
	case fault.NotFound:
		return reply, config.Problemf("%w", notThere{errors.New(f.Message)})
	case fault.Invalid, fault.Forbidden, fault.Conflict:
		return reply, config.Problemf("%s", f.Message)
	}
	return reply, errors.New(f.Message)
}
