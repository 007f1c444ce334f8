package sqlite

import (
	"context"
	"encoding/json"

	"github.com/canopychat/canopy/schemas/chat"
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
