package directory

import (
	"context"
	"maps"
	"slices"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/relational"
)

const workspaceColumns = `SELECT w.id, w.name, w.shard, w.epoch, w.created_at `

// workspaceFields is where workspaceColumns are scanned to.
func workspaceFields(w *chat.Workspace) []any {
	return []any{&w.ID, &w.Name, &w.Shard, &w.Epoch, relational.Moment{Into: &w.CreatedAt}}
}

// askWorkspaces is a question for the workspaces of which rest says more.
func askWorkspaces(rest string) relational.Asked[chat.Workspace] {
	scan := func(r relational.Row) (w chat.Workspace, err error) { return w, r.Scan(workspaceFields(&w)...) }
	return relational.Ask("workspace", workspaceColumns+`FROM workspaces AS w WHERE `+rest, scan)
}

// CreateWorkspace implements store.Workspaces.
func (d *Directory) CreateWorkspace(ctx context.Context, w chat.Workspace, owner chat.UserID) error {
	return d.write(ctx, "create workspace", "workspace", func(c change) error { return c.createWorkspace(w, owner) })
}

func (c change) createWorkspace(w chat.Workspace, owner chat.UserID) error {
	if err := c.coming(owner); err != nil {
		return err
	}
	_, err := c.Exec(`INSERT INTO workspaces (id, name, shard, epoch, created_at) VALUES (?, ?, ?, ?, ?)`,
		w.ID, w.Name, w.Shard, w.Epoch, relational.Micros(w.CreatedAt))
	if err != nil {
		return err
	}
	return c.addMember(home{w.ID, w.Shard, w.Epoch}, owner, chat.Member{WorkspaceID: w.ID, UserID: owner, Role: chat.RoleOwner})
}

// ListWorkspaces implements store.Workspaces.
func (d *Directory) ListWorkspaces(ctx context.Context, after chat.WorkspaceID, limit int) ([]chat.Workspace, error) {
	if err := relational.CheckLimit(limit); err != nil {
		return nil, err
	}
	return list(ctx, d, askWorkspaces(`w.id > ? ORDER BY w.id LIMIT ?`), after, limit)
}

// Workspace implements store.Workspaces.
func (d *Directory) Workspace(ctx context.Context, id chat.WorkspaceID) (chat.Workspace, error) {
	return get(ctx, d, askWorkspaces(`w.id = ?`), id)
}

// WorkspacesOf implements store.Workspaces.
func (d *Directory) WorkspacesOf(ctx context.Context, user chat.UserID) ([]store.Membership, error) {
	scan := func(r relational.Row) (m store.Membership, err error) {
		return m, r.Scan(append(workspaceFields(&m.Workspace), &m.Role)...)
	}
	return list(ctx, d, relational.Ask("workspace", workspaceColumns+`, m.role
		FROM members AS m JOIN workspaces AS w ON w.id = m.workspace_id
		WHERE m.user_id = ? ORDER BY w.created_at, w.id`, scan), user)
}

// UpdateWorkspace implements store.Roles.
func (d *Directory) UpdateWorkspace(ctx context.Context, workspace chat.WorkspaceID, by chat.UserID, name string) (store.OutboxID, error) {
	return d.oweOne(ctx, "workspace", func(c change) (store.OutboxID, error) {
		h, err := c.home(workspace)
		if err != nil {
			return 0, err
		}
		w, err := relational.Get(ctx, c.Source, askWorkspaces(`w.id = ?`), workspace)
		if err != nil || w.Name == name {
			return 0, err
		}
		if _, err := c.Exec(`UPDATE workspaces SET name = ? WHERE id = ?`, name, w.ID); err != nil {
			return 0, err
		}
		return c.owe(h, event.Event{Kind: event.WorkspaceUpdated, SenderID: by, Workspace: &event.WorkspaceState{Name: name}})
	})
}

// AddMembers implements store.Workspaces.
func (d *Directory) AddMembers(ctx context.Context, by chat.UserID, members []chat.Member) error {
	return d.write(ctx, "add members", "member", func(c change) error {
		homes, err := c.homesFor(members)
		if err != nil {
			return err
		}
		for _, m := range members {
			if err := c.addMember(homes[m.WorkspaceID], by, m); err != nil {
				return err
			}
		}
		return nil
	})
}

// homesFor locks those who are to be members, and where.
func (c change) homesFor(members []chat.Member) (map[chat.WorkspaceID]home, error) {
	users := make([]chat.UserID, 0, len(members))
	homes := map[chat.WorkspaceID]home{}
	for _, m := range members {
		users = append(users, m.UserID)
		homes[m.WorkspaceID] = home{}
	}
	if err := c.coming(users...); err != nil {
		return nil, err
	}
	for _, id := range slices.Sorted(maps.Keys(homes)) {
		h, err := c.home(id)
		if err != nil {
			return nil, err
		}
		homes[id] = h
	}
	return homes, nil
}

// addMember writes a membership and its event, unless the user is a member. Who comes back has a new row, and so a
// new seq of joining.
func (c change) addMember(h home, by chat.UserID, m chat.Member) error {
	there, err := c.isMember(m.WorkspaceID, m.UserID)
	if err != nil || there {
		return err
	}
	id, err := c.owe(h, event.Event{Kind: event.MemberJoined, SenderID: by, UserID: m.UserID, Role: m.Role})
	if err != nil {
		return err
	}
	_, err = c.Exec(`INSERT INTO members (workspace_id, user_id, role, joined_by) VALUES (?, ?, ?, ?)`,
		m.WorkspaceID, m.UserID, m.Role, id)
	return err
}

func (c change) isMember(workspace chat.WorkspaceID, user chat.UserID) (bool, error) {
	return c.Exists(`SELECT 1 FROM members WHERE workspace_id = ? AND user_id = ?`, workspace, user)
}

// askMembers is a question for the members of a workspace, of which rest says more.
func askMembers(rest string) relational.Asked[chat.Member] {
	scan := func(r relational.Row) (m chat.Member, err error) {
		return m, r.Scan(&m.WorkspaceID, &m.UserID, &m.Role, &m.JoinedSeq)
	}
	return relational.Ask("member", `SELECT workspace_id, user_id, role, joined_seq FROM members WHERE workspace_id = ? `+rest, scan)
}

// Member implements store.Workspaces.
func (d *Directory) Member(ctx context.Context, workspace chat.WorkspaceID, user chat.UserID) (chat.Member, error) {
	return get(ctx, d, askMembers(`AND user_id = ?`), workspace, user)
}

// Members implements store.Workspaces.
func (d *Directory) Members(ctx context.Context, workspace chat.WorkspaceID, after chat.UserID, limit int) ([]chat.Member, error) {
	if err := relational.CheckLimit(limit); err != nil {
		return nil, err
	}
	return list(ctx, d, askMembers(`AND user_id > ? ORDER BY user_id LIMIT ?`), workspace, after, limit)
}
