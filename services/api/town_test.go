package api_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/schemas/token"
	"github.com/canopychat/canopy/services/store"
)

// town is the directory and the sign-ins of a deployment, in memory: a small real one, with the rules of chat and the
// answers that services/directory and services/auth give. Ids count up.
type town struct {
	mu         sync.Mutex
	n          int
	now        time.Time
	users      map[chat.UserID]chat.User
	passwords  map[chat.UserID]string
	signIns    map[token.SignInID]store.SignIn
	tokens     map[string]token.Claims   // access tokens
	refreshes  map[string]token.SignInID // refresh tokens that were not used
	workspaces map[chat.WorkspaceID]chat.Workspace
	members    map[chat.WorkspaceID]map[chat.UserID]chat.Role
	channels   map[chat.ChannelID]chat.Channel
	inChannel  map[chat.ChannelID]map[chat.UserID]chat.ChannelRole
	invites    map[string]store.Invite // by code
	reads      map[chat.ChannelID]map[chat.UserID]chat.Seq
	gateways   []rpc.Process
	asked      string // the workspace and region that gateways were asked for
	device     store.Device
}

func newTown() *town {
	return &town{
		now: time.Date(2026, 1, 2, 3, 4, 5, 6_000_000, time.UTC), users: map[chat.UserID]chat.User{}, passwords: map[chat.UserID]string{},
		signIns: map[token.SignInID]store.SignIn{}, tokens: map[string]token.Claims{}, refreshes: map[string]token.SignInID{},
		workspaces: map[chat.WorkspaceID]chat.Workspace{}, members: map[chat.WorkspaceID]map[chat.UserID]chat.Role{},
		channels: map[chat.ChannelID]chat.Channel{}, inChannel: map[chat.ChannelID]map[chat.UserID]chat.ChannelRole{},
		invites: map[string]store.Invite{}, reads: map[chat.ChannelID]map[chat.UserID]chat.Seq{},
	}
}

func (w *town) lock() func() { w.mu.Lock(); return w.mu.Unlock }

func (w *town) id(kind string) string { w.n++; return fmt.Sprintf("%s%04d", kind, w.n) }

// parsed panics, and so makes the answer one that no test expects, when what should be an id came through unread.
func parsed[T ~string](ids ...T) {
	for _, id := range ids {
		if !chat.IsID(string(id)) {
			panic("an id that is none: " + string(id))
		}
	}
}

func invalid(err error) error {
	if err == nil {
		return nil
	}
	return fault.Wrap(fault.Invalid, err, "%v", err)
}

var errBadLogin = fault.New(fault.Unauthenticated, "the login or the password is wrong")

// Of services/auth.

func (w *town) Login(_ context.Context, login, password string, d store.Device) (store.SignedIn, error) {
	defer w.lock()()
	for id, u := range w.users {
		if u.Login == login && w.passwords[id] == password && password != "" && !u.Deactivated {
			return w.begin(u, d), nil
		}
	}
	return store.SignedIn{}, errBadLogin
}

func (w *town) Begin(_ context.Context, u chat.User, d store.Device) (store.SignedIn, error) {
	defer w.lock()()
	return w.begin(u, d), nil
}

func (w *town) begin(u chat.User, d store.Device) store.SignedIn {
	w.device = d
	s := store.SignIn{ID: token.SignInID(w.id("s")), UserID: u.ID, Device: d.Name, Address: d.Address, CreatedAt: w.now, UsedAt: w.now, ExpiresAt: w.now.Add(30 * 24 * time.Hour)}
	return w.issue(u, s)
}

func (w *town) issue(u chat.User, s store.SignIn) store.SignedIn {
	w.signIns[s.ID] = s
	c := token.Claims{UserID: u.ID, SignInID: s.ID, IssuedAt: w.now, ExpiresAt: w.now.Add(15 * time.Minute)}
	access, refresh := w.id("access-token-"), string(s.ID)+"."+w.id("secret-")
	w.tokens[access], w.refreshes[refresh] = c, s.ID
	return store.SignedIn{User: u, SignIn: s, Issued: token.Issued{Claims: c, Token: access}, Refresh: refresh}
}

func (w *town) Refresh(_ context.Context, refresh string, d store.Device) (store.SignedIn, error) {
	defer w.lock()()
	s, ok := w.signIns[w.refreshes[refresh]]
	if !ok {
		return store.SignedIn{}, fault.New(fault.Unauthenticated, "sign in again")
	}
	delete(w.refreshes, refresh)
	w.device, s.Address = d, d.Address
	return w.issue(w.users[s.UserID], s), nil
}

func (w *town) Verify(_ context.Context, raw string) (token.Claims, error) {
	defer w.lock()()
	c, ok := w.tokens[raw]
	if _, lasts := w.signIns[c.SignInID]; !ok || !lasts {
		return token.Claims{}, fault.New(fault.Unauthenticated, "the token is not valid, or no longer")
	}
	return c, nil
}

func (w *town) Ticket(_ context.Context, c token.Claims) (string, time.Duration, error) {
	defer w.lock()()
	return w.id("ticket-of-" + string(c.SignInID) + "-"), chat.TicketLife, nil
}

func (w *town) ChangePassword(_ context.Context, c token.Claims, old, changed string) error {
	defer w.lock()()
	if w.passwords[c.UserID] != old {
		return fault.New(fault.Forbidden, "the old password is wrong")
	}
	if err := chat.CheckPassword(changed); err != nil {
		return invalid(err)
	}
	w.passwords[c.UserID] = changed
	w.end(c.UserID, c.SignInID)
	return nil
}

// end ends the sign-ins of a user but one.
func (w *town) end(user chat.UserID, keep token.SignInID) {
	maps.DeleteFunc(w.signIns, func(id token.SignInID, s store.SignIn) bool { return s.UserID == user && id != keep })
}

func (w *town) List(_ context.Context, user chat.UserID) ([]store.SignIn, error) {
	defer w.lock()()
	var all []store.SignIn
	for _, id := range slices.Sorted(maps.Keys(w.signIns)) {
		if s := w.signIns[id]; s.UserID == user {
			all = append(all, s)
		}
	}
	return all, nil
}

func (w *town) Revoke(_ context.Context, user chat.UserID, id token.SignInID) error {
	defer w.lock()()
	parsed(id)
	if w.signIns[id].UserID != user {
		return fault.New(fault.NotFound, "there is no such session among yours")
	}
	delete(w.signIns, id)
	return nil
}

func (w *town) RevokeOthers(_ context.Context, user chat.UserID, keep token.SignInID) error {
	defer w.lock()()
	w.end(user, keep)
	return nil
}

// Of services/directory: people.

func (w *town) User(_ context.Context, id chat.UserID) (chat.User, error) {
	defer w.lock()()
	u, ok := w.users[id]
	if !ok {
		return u, fault.New(fault.NotFound, "there is no such user")
	}
	return u, nil
}

func (w *town) Users(_ context.Context, ids []chat.UserID) ([]chat.User, error) {
	defer w.lock()()
	var all []chat.User
	for _, id := range ids {
		all = append(all, w.users[id])
	}
	return all, nil
}

func (w *town) UpdateProfile(_ context.Context, by chat.UserID, displayName string) (chat.User, error) {
	defer w.lock()()
	if err := chat.CheckName(displayName); err != nil {
		return chat.User{}, invalid(err)
	}
	u := w.users[by]
	u.DisplayName = displayName
	w.users[by] = u
	return u, nil
}

func (w *town) NeedsSetup(context.Context) (bool, error) {
	defer w.lock()()
	return len(w.users) == 0, nil
}

func (w *town) Setup(_ context.Context, workspace string, owner store.Newcomer) (chat.User, error) {
	defer w.lock()()
	if len(w.users) > 0 {
		return chat.User{}, fault.New(fault.Conflict, "there is an account already")
	}
	if err := chat.CheckName(workspace); err != nil {
		return chat.User{}, invalid(err)
	}
	u, err := w.newcomer(owner)
	if err == nil {
		w.found(u.ID, workspace)
	}
	return u, err
}

func (w *town) newcomer(n store.Newcomer) (chat.User, error) {
	n.DisplayName = cmp.Or(n.DisplayName, n.Login)
	if err := cmp.Or(chat.CheckLogin(n.Login), chat.CheckName(n.DisplayName), chat.CheckPassword(n.Password)); err != nil {
		return chat.User{}, invalid(err)
	}
	for _, u := range w.users {
		if u.Login == n.Login {
			return chat.User{}, fault.New(fault.Conflict, "this login is taken")
		}
	}
	return w.add(n), nil
}

func (w *town) add(n store.Newcomer) chat.User {
	u := chat.User{ID: chat.UserID("u" + strings.Map(func(r rune) rune {
		if r < 'a' || r > 'z' {
			return -1
		}
		return r
	}, n.Login)), Login: n.Login, DisplayName: n.DisplayName, CreatedAt: w.now}
	w.users[u.ID], w.passwords[u.ID] = u, n.Password
	return u
}

// Of services/directory: workspaces.

func (w *town) found(owner chat.UserID, name string) store.Membership {
	ws := chat.Workspace{ID: chat.WorkspaceID(w.id("w")), Name: name, Shard: 1, Epoch: 1, CreatedAt: w.now}
	w.workspaces[ws.ID], w.members[ws.ID] = ws, map[chat.UserID]chat.Role{owner: chat.RoleOwner}
	return store.Membership{Workspace: ws, Role: chat.RoleOwner}
}

func (w *town) WorkspacesOf(_ context.Context, user chat.UserID) ([]store.Membership, error) {
	defer w.lock()()
	var all []store.Membership
	for _, id := range slices.Sorted(maps.Keys(w.workspaces)) {
		if role, ok := w.members[id][user]; ok {
			all = append(all, store.Membership{Workspace: w.workspaces[id], Role: role})
		}
	}
	return all, nil
}

func (w *town) Workspace(_ context.Context, by chat.UserID, id chat.WorkspaceID) (store.Membership, error) {
	defer w.lock()()
	return w.membership(by, id)
}

func (w *town) membership(by chat.UserID, id chat.WorkspaceID) (store.Membership, error) {
	parsed(id)
	role, ok := w.members[id][by]
	if !ok {
		return store.Membership{}, fault.New(fault.NotFound, "there is no such workspace among yours")
	}
	return store.Membership{Workspace: w.workspaces[id], Role: role}, nil
}

func (w *town) CreateWorkspace(_ context.Context, by chat.UserID, name string) (store.Membership, error) {
	defer w.lock()()
	if err := chat.CheckName(name); err != nil {
		return store.Membership{}, invalid(err)
	}
	return w.found(by, name), nil
}

func (w *town) UpdateWorkspace(_ context.Context, by chat.UserID, id chat.WorkspaceID, name string) (store.Membership, error) {
	defer w.lock()()
	m, err := w.membership(by, id)
	switch {
	case err != nil:
		return m, err
	case chat.CheckName(name) != nil:
		return m, invalid(chat.CheckName(name))
	case !chat.MayUpdateWorkspace(m.Role):
		return m, fault.New(fault.Forbidden, "administrators may name a workspace")
	}
	m.Workspace.Name = name
	w.workspaces[id] = m.Workspace
	return m, nil
}

// pair is what two people are in a workspace.
func (w *town) pair(by chat.UserID, ws chat.WorkspaceID, user chat.UserID) (mine, theirs chat.Role, err error) {
	m, err := w.membership(by, ws)
	if err != nil {
		return "", "", err
	}
	parsed(user)
	theirs, ok := w.members[ws][user]
	if !ok {
		return "", "", fault.New(fault.NotFound, "there is no such member of the workspace")
	}
	return m.Role, theirs, nil
}

func (w *town) SetRole(_ context.Context, c store.RoleChange) (chat.Member, error) {
	defer w.lock()()
	mine, theirs, err := w.pair(c.By, c.WorkspaceID, c.UserID)
	if err != nil {
		return chat.Member{}, err
	}
	if !chat.MaySetRole(mine, theirs, c.Role) {
		return chat.Member{}, fault.New(fault.Forbidden, "you may not give them this role")
	}
	if theirs == chat.RoleOwner && c.Role != chat.RoleOwner {
		return chat.Member{}, fault.New(fault.Conflict, "a workspace keeps an owner")
	}
	w.members[c.WorkspaceID][c.UserID] = c.Role
	return chat.Member{WorkspaceID: c.WorkspaceID, UserID: c.UserID, Role: c.Role}, nil
}

func (w *town) RemoveMember(_ context.Context, by chat.UserID, ws chat.WorkspaceID, user chat.UserID) error {
	defer w.lock()()
	mine, theirs, err := w.pair(by, ws, user)
	switch {
	case err != nil:
		return err
	case by != user && !chat.MayRemoveMember(mine, theirs):
		return fault.New(fault.Forbidden, "you may not take them out")
	case theirs == chat.RoleOwner:
		return fault.New(fault.Conflict, "a workspace keeps an owner")
	}
	delete(w.members[ws], user)
	return nil
}

func (w *town) SetDeactivated(_ context.Context, by chat.UserID, ws chat.WorkspaceID, d store.Deactivation) (chat.User, error) {
	defer w.lock()()
	mine, _, err := w.pair(by, ws, d.UserID)
	if err != nil {
		return chat.User{}, err
	}
	if !mine.Administers() || by == d.UserID {
		return chat.User{}, fault.New(fault.Forbidden, "you may not close this account")
	}
	u := w.users[d.UserID]
	u.Deactivated = d.Deactivated
	w.users[u.ID] = u
	return u, nil
}

func (w *town) Members(_ context.Context, q store.PeopleQuery) ([]chat.Member, error) {
	defer w.lock()()
	m, err := w.membership(q.Asker, q.WorkspaceID)
	if err != nil {
		return nil, err
	}
	if !chat.MayListMembers(m.Role) {
		return nil, fault.New(fault.Forbidden, "a guest may not list the members")
	}
	var all []chat.Member
	for _, id := range slices.Sorted(maps.Keys(w.members[q.WorkspaceID])) {
		if id > q.After && len(all) < q.Limit {
			all = append(all, chat.Member{WorkspaceID: q.WorkspaceID, UserID: id, Role: w.members[q.WorkspaceID][id]})
		}
	}
	return all, nil
}

// Of services/directory: invites.

func (w *town) CreateInvite(_ context.Context, n store.NewInvite) (store.Invited, error) {
	defer w.lock()()
	m, err := w.membership(n.By, n.WorkspaceID)
	if err != nil {
		return store.Invited{}, err
	}
	role := cmp.Or(n.Role, chat.RoleMember)
	if !role.Valid() {
		return store.Invited{}, fault.New(fault.Invalid, "role is admin, member or guest")
	}
	if !chat.MayInvite(m.Role, role) {
		return store.Invited{}, fault.New(fault.Forbidden, "you may not invite people")
	}
	code := w.id("code-")
	i := store.Invite{
		ID: store.InviteID(w.id("i")), WorkspaceID: n.WorkspaceID, Role: role, ChannelIDs: n.ChannelIDs, Address: n.Address, By: n.By,
		CreatedAt: w.now, ExpiresAt: w.now.Add(cmp.Or(n.Life, 7*24*time.Hour)), MaxUses: cmp.Or(n.MaxUses, 1),
	}
	w.invites[code] = i
	return store.Invited{Invite: i, Secret: code, URL: "https://canopy.example/invites/" + code, Sent: n.Address != ""}, nil
}

func (w *town) Invites(_ context.Context, by chat.UserID, q store.InviteQuery) ([]store.Invite, error) {
	defer w.lock()()
	m, err := w.membership(by, q.WorkspaceID)
	if err != nil {
		return nil, err
	}
	if !m.Role.Administers() {
		return nil, fault.New(fault.Forbidden, "administrators see invites")
	}
	var all []store.Invite
	for _, i := range w.invites {
		if i.WorkspaceID == q.WorkspaceID && i.Open(w.now) && i.ID > q.After {
			all = append(all, i)
		}
	}
	slices.SortFunc(all, func(a, b store.Invite) int { return cmp.Compare(a.ID, b.ID) })
	return all[:min(len(all), q.Limit)], nil
}

func (w *town) RevokeInvite(_ context.Context, by chat.UserID, ws chat.WorkspaceID, id store.InviteID) error {
	defer w.lock()()
	m, err := w.membership(by, ws)
	if err != nil {
		return err
	}
	if !m.Role.Administers() {
		return fault.New(fault.Forbidden, "administrators end invites")
	}
	parsed(id)
	for code, i := range w.invites {
		if i.ID == id && i.WorkspaceID == ws {
			i.RevokedAt = w.now
			w.invites[code] = i
			return nil
		}
	}
	return fault.New(fault.NotFound, "there is no such invite")
}

func (w *town) open(code string) (store.Invite, error) {
	i, ok := w.invites[code]
	if !ok || !i.Open(w.now) {
		return store.Invite{}, fault.New(fault.NotFound, "there is no such invite, or no longer")
	}
	return i, nil
}

func (w *town) Invitation(_ context.Context, code string) (store.Invitation, error) {
	defer w.lock()()
	i, err := w.open(code)
	return store.Invitation{Invite: i, Workspace: w.workspaces[i.WorkspaceID], By: w.users[i.By]}, err
}

func (w *town) AcceptAsNew(_ context.Context, code string, who store.Newcomer) (chat.User, error) {
	defer w.lock()()
	i, err := w.open(code)
	if err != nil {
		return chat.User{}, err
	}
	u, err := w.newcomer(who)
	if err != nil {
		return chat.User{}, err
	}
	w.accept(code, i, u.ID)
	return u, nil
}

func (w *town) accept(code string, i store.Invite, user chat.UserID) {
	i.Uses++
	w.invites[code] = i
	w.members[i.WorkspaceID][user] = i.Role
}

func (w *town) AcceptAs(_ context.Context, code string, user chat.UserID) (store.Membership, error) {
	defer w.lock()()
	i, err := w.open(code)
	if err != nil {
		return store.Membership{}, err
	}
	if _, already := w.members[i.WorkspaceID][user]; !already {
		w.accept(code, i, user)
	}
	return w.membership(user, i.WorkspaceID)
}

// Gateways are those that the registry would name.
func (w *town) Gateways(ws chat.WorkspaceID, region string) []rpc.Process {
	defer w.lock()()
	w.asked = string(ws) + " " + region
	return w.gateways
}
