package sqlite

import (
	"context"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/services/store"
)

const workspaceColumns = `SELECT w.id, w.name, w.shard, w.epoch, w.created_at `

// workspaceFields is where workspaceColumns are scanned to.
func workspaceFields(w *chat.Workspace) []any {
	return []any{&w.ID, &w.Name, &w.Shard, &w.Epoch, moment{&w.CreatedAt}}
}

// CreateWorkspace implements store.Workspaces.
func (d *Directory) CreateWorkspace(ctx context.Context, w chat.Workspace, owner chat.UserID) error {
	return d.write(ctx, "create workspace", "workspace", func(c change) error {
		_, err := c.exec(`INSERT INTO workspaces (id, name, shard, epoch, created_at) VALUES (?, ?, ?, ?, ?)`,
			w.ID, w.Name, w.Shard, w.Epoch, micros(w.CreatedAt))
		if err != nil {
			return err
		}
		return c.addMember(home{w.ID, w.Shard, w.Epoch}, owner, chat.Member{WorkspaceID: w.ID, UserID: owner, Role: chat.RoleOwner})
	})
}

// Workspace implements store.Workspaces.
func (d *Directory) Workspace(ctx context.Context, id chat.WorkspaceID) (chat.Workspace, error) {
	scan := func(r row) (w chat.Workspace, err error) { return w, r.Scan(workspaceFields(&w)...) }
	return get(ctx, d, asked[chat.Workspace]{"workspace", workspaceColumns + `FROM workspaces AS w WHERE id = ?`, scan}, id)
}

// WorkspacesOf implements store.Workspaces.
func (d *Directory) WorkspacesOf(ctx context.Context, user chat.UserID) ([]store.Membership, error) {
	scan := func(r row) (m store.Membership, err error) {
		return m, r.Scan(append(workspaceFields(&m.Workspace), &m.Role)...)
	}
	return list(ctx, d, asked[store.Membership]{"workspace", workspaceColumns + `, m.role
		FROM members AS m JOIN workspaces AS w ON w.id = m.workspace_id
		WHERE m.user_id = ? ORDER BY w.created_at, w.id`, scan}, user)
}

// AddMembers implements store.Workspaces.
func (d *Directory) AddMembers(ctx context.Context, by chat.UserID, members []chat.Member) error {
	return d.write(ctx, "add members", "member", func(c change) error {
		homes := map[chat.WorkspaceID]home{}
		for _, m := range members {
			h, ok := homes[m.WorkspaceID]
			if !ok {
				var err error
				if h, err = c.home(m.WorkspaceID); err != nil {
					return err
				}
				homes[m.WorkspaceID] = h
			}
			if err := c.addMember(h, by, m); err != nil {
				return err
			}
		}
		return nil
	})
}

// addMember writes a membership and its event, unless the user is a member. The write lock is held, so what it reads
// stays true until it has written.
func (c change) addMember(h home, by chat.UserID, m chat.Member) error {
	var there bool
	err := c.tx.QueryRowContext(c.ctx, `SELECT EXISTS (SELECT 1 FROM members WHERE workspace_id = ? AND user_id = ?)`,
		m.WorkspaceID, m.UserID).Scan(&there)
	if err != nil || there {
		return err
	}
	id, err := c.owe(h, event.Event{Kind: event.MemberJoined, SenderID: by, UserID: m.UserID, Role: m.Role})
	if err != nil {
		return err
	}
	_, err = c.exec(`INSERT INTO members (workspace_id, user_id, role, joined_by) VALUES (?, ?, ?, ?)`,
		m.WorkspaceID, m.UserID, m.Role, id)
	return err
}

const memberColumns = `SELECT workspace_id, user_id, role, joined_seq FROM members WHERE workspace_id = ? `

func scanMember(r row) (m chat.Member, err error) {
	return m, r.Scan(&m.WorkspaceID, &m.UserID, &m.Role, &m.JoinedSeq)
}

// Member implements store.Workspaces.
func (d *Directory) Member(ctx context.Context, workspace chat.WorkspaceID, user chat.UserID) (chat.Member, error) {
	return get(ctx, d, asked[chat.Member]{"member", memberColumns + `AND user_id = ?`, scanMember}, workspace, user)
}

// Members implements store.Workspaces.
func (d *Directory) Members(ctx context.Context, workspace chat.WorkspaceID, after chat.UserID, limit int) ([]chat.Member, error) {
	if err := checkLimit(limit); err != nil {
		return nil, err
	}
	q := asked[chat.Member]{"member", memberColumns + `AND user_id > ? ORDER BY user_id LIMIT ?`, scanMember}
	return list(ctx, d, q, workspace, after, limit)
}
