package sqlite

import (
	"context"
	"encoding/json"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/services/store"
)

const userColumns = `SELECT id, login, display_name, deactivated, created_at FROM users `

func scanUser(r row) (chat.User, error) {
	var u chat.User
	err := r.Scan(&u.ID, &u.Login, &u.DisplayName, &u.Deactivated, moment{&u.CreatedAt})
	return u, err
}

// CreateUsers implements store.Users.
func (d *Directory) CreateUsers(ctx context.Context, users []store.NewUser) error {
	return d.write(ctx, "create users", "user", func(c change) error {
		insert, err := c.tx.PrepareContext(ctx,
			`INSERT INTO users (id, login, display_name, deactivated, password_hash, created_at) VALUES (?, ?, ?, ?, ?, ?)`)
		if err != nil {
			return err
		}
		defer insert.Close() // it ends with the transaction anyway
		for _, u := range users {
			_, err := insert.ExecContext(ctx, u.ID, u.Login, u.DisplayName, u.Deactivated, u.PasswordHash, micros(u.CreatedAt))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// User implements store.Users.
func (d *Directory) User(ctx context.Context, id chat.UserID) (chat.User, error) {
	return get(ctx, d, asked[chat.User]{"user", userColumns + `WHERE id = ?`, scanUser}, id)
}

// UsersByID implements store.Users.
func (d *Directory) UsersByID(ctx context.Context, ids []chat.UserID) ([]chat.User, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	if err := checkLimit(len(ids)); err != nil {
		return nil, err
	}
	wanted, err := json.Marshal(ids)
	if err != nil {
		return nil, failed(err, "read users", "user")
	}
	q := asked[chat.User]{"user", userColumns + `WHERE id IN (SELECT value FROM json_each(?))`, scanUser}
	return list(ctx, d, q, string(wanted))
}

// Credentials implements store.Users.
func (d *Directory) Credentials(ctx context.Context, login string) (chat.User, string, error) {
	u, err := get(ctx, d, asked[chat.User]{"user", userColumns + `WHERE login = ?`, scanUser}, login)
	if err != nil {
		return u, "", err
	}
	hash, err := get(ctx, d, asked[string]{"user", `SELECT password_hash FROM users WHERE id = ?`, scalar[string]}, u.ID)
	return u, hash, err
}

// UpdateUser implements store.Editing. The write lock is held, so nobody joins a workspace meanwhile who would
// be told of with the old name.
func (d *Directory) UpdateUser(ctx context.Context, m store.UserChange) (chat.User, error) {
	var after chat.User
	err := d.write(ctx, "change user", "user", func(c change) error {
		u, err := scanUser(c.tx.QueryRowContext(ctx, userColumns+`WHERE id = ?`, m.UserID))
		if err != nil {
			return err
		}
		after = u
		if after.DisplayName = m.DisplayName; after == u {
			return nil
		}
		if _, err := c.exec(`UPDATE users SET display_name = ? WHERE id = ?`, after.DisplayName, u.ID); err != nil {
			return err
		}
		homes, err := c.homesOf(u.ID)
		if err != nil {
			return err
		}
		for _, h := range homes {
			_, err := c.owe(h, event.Event{Kind: event.UserUpdated, SenderID: m.By, UserID: u.ID,
				User: &event.UserState{Login: after.Login, DisplayName: after.DisplayName, Deactivated: after.Deactivated}})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return chat.User{}, err
	}
	return after, nil
}

// homesOf is where the events of everything go that a user belongs to.
func (c change) homesOf(user chat.UserID) ([]home, error) {
	rows, err := c.tx.QueryContext(c.ctx, `SELECT w.id, w.shard, w.epoch
		FROM members AS m JOIN workspaces AS w ON w.id = m.workspace_id WHERE m.user_id = ? ORDER BY w.id`, user)
	return collect(rows, err, func(r row) (h home, err error) { return h, r.Scan(&h.workspace, &h.shard, &h.epoch) })
}
