package storetest

import (
	"slices"
	"testing"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

func lists(t *testing.T, f *fixture) {
	second := chat.Workspace{ID: newID[chat.WorkspaceID](), Name: "Second", Shard: 1, Epoch: 7, CreatedAt: atMicro.AddDate(-1, 0, 0)}
	ok(t, f.d.CreateWorkspace(f.ctx, second, f.none))
	wantUsers := []chat.UserID{f.owner, f.member, f.guest, f.none}
	slices.Sort(wantUsers)
	for _, limit := range []int{1, 3, chat.MaxPageSize} {
		var users []chat.UserID
		for after := chat.UserID(""); ; after = users[len(users)-1] {
			list, err := f.d.ListUsers(f.ctx, after, limit)
			ok(t, err)
			if len(list) == 0 {
				break
			}
			for _, u := range list {
				same(t, "user", newUser(u.ID).User, u)
				users = append(users, u.ID)
			}
		}
		same(t, "users", wantUsers, users)
		var all []chat.Workspace
		for after := chat.WorkspaceID(""); ; after = all[len(all)-1].ID {
			list, err := f.d.ListWorkspaces(f.ctx, after, limit)
			ok(t, err)
			if len(list) == 0 {
				break
			}
			all = append(all, list...)
		}
		same(t, "workspaces", []chat.Workspace{f.ws, second}, all)
	}
}

// founding is one that could begin a deployment.
func founding() store.Founding {
	owner := newUser(newID[chat.UserID]())
	ws := chat.Workspace{ID: newID[chat.WorkspaceID](), Name: "First", Shard: 2, Epoch: 1, CreatedAt: atMicro}
	return store.Founding{Owner: owner, Workspace: ws, Channel: chat.Channel{ID: newID[chat.ChannelID](), WorkspaceID: ws.ID,
		Name: "general", Type: chat.ChannelPublic, CreatorID: owner.ID, CreatedAt: atMicro}}
}

// founded expects everything of a founding in a store that was empty.
func (f *fixture) founded(of store.Founding) {
	f.t.Helper()
	u, hash, err := f.d.Credentials(f.ctx, of.Owner.Login)
	ok(f.t, err)
	same(f.t, "owner", of.Owner, store.NewUser{User: u, PasswordHash: hash})
	w, err := f.d.Workspace(f.ctx, of.Workspace.ID)
	ok(f.t, err)
	same(f.t, "workspace", of.Workspace, w)
	standing, c, err := f.d.Standing(f.ctx, of.Channel.ID, of.Owner.ID)
	ok(f.t, err)
	same(f.t, "channel", of.Channel, c)
	same(f.t, "standing", chat.Standing{Role: chat.RoleOwner, Type: chat.ChannelPublic, InIt: true, Manages: true}, standing)
	f.ws = of.Workspace
	f.told(joined("", u.ID, u.ID, chat.RoleOwner), created(c), managed(c.ID, u.ID, chat.RoleOwner))
}

func found(t *testing.T, f *fixture) {
	isKind(t, "where there are accounts", f.d.Found(f.ctx, founding()), fault.Conflict)
	f.told()
	f = f.bare()
	broken := founding()
	broken.Channel.Type = "secret"
	isKind(t, "a channel that no event can tell of", f.d.Found(f.ctx, broken), fault.Invalid)
	list, err := f.d.ListUsers(f.ctx, "", 10)
	ok(t, err)
	same(t, "accounts after that", []chat.User{}, list)
	first := founding()
	ok(t, f.d.Found(f.ctx, first))
	isKind(t, "a second time", f.d.Found(f.ctx, founding()), fault.Conflict)
	isKind(t, "the same again", f.d.Found(f.ctx, first), fault.Conflict)
	f.founded(first)
}

func raceToFound(t *testing.T, f *fixture) {
	f = f.bare()
	all := make([]store.Founding, many)
	for i := range all {
		all[i] = founding()
	}
	winner := -1
	for i, err := range together(many, func(i int) error { return f.d.Found(f.ctx, all[i]) }) {
		if err != nil {
			isKind(t, "who came second", err, fault.Conflict)
			continue
		}
		if winner >= 0 {
			t.Fatal("two deployments began")
		}
		winner = i
	}
	if winner < 0 {
		t.Fatal("nobody won")
	}
	list, err := f.d.ListUsers(f.ctx, "", 10)
	ok(t, err)
	same(t, "accounts", []chat.User{all[winner].Owner.User}, list)
	f.founded(all[winner])
}

func updateWorkspace(t *testing.T, f *fixture) {
	id, err := f.d.UpdateWorkspace(f.ctx, f.ws.ID, f.member, "Ärzte 🙂")
	ok(t, err)
	rows := f.pending()
	same(t, "id of the last row", rows[len(rows)-1].ID, id)
	f.told(event.Event{Kind: event.WorkspaceUpdated, SenderID: f.member, Workspace: &event.WorkspaceState{Name: "Ärzte 🙂"}})
	f.ws.Name = "Ärzte 🙂"
	same := func(what string) {
		t.Helper()
		got, err := f.d.Workspace(f.ctx, f.ws.ID)
		ok(t, err)
		same(t, what, f.ws, got)
	}
	same("workspace")
	id, err = f.d.UpdateWorkspace(f.ctx, f.ws.ID, f.owner, f.ws.Name)
	if err != nil || id != 0 {
		t.Errorf("the name that it has: %d, %v", id, err)
	}
	_, err = f.d.UpdateWorkspace(f.ctx, newID[chat.WorkspaceID](), f.owner, "x")
	isKind(t, "an unknown workspace", err, fault.NotFound)
	_, err = f.d.UpdateWorkspace(f.ctx, f.ws.ID, f.owner, " \n")
	isKind(t, "a name that no event can tell", err, fault.Invalid)
	same("workspace after what was refused")
	f.told()
}
