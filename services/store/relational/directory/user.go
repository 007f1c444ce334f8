package directory

import (
	"cmp"
	"context"
	"slices"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/relational"
)

func scanUser(r relational.Row) (u chat.User, err error) {
	return u, r.Scan(&u.ID, &u.Login, &u.DisplayName, &u.Deactivated, relational.Moment{Into: &u.CreatedAt})
}

// askUsers is a question for the accounts of which where says more.
func askUsers(where string) relational.Asked[chat.User] {
	return relational.Ask("user", `SELECT id, login, display_name, deactivated, created_at FROM users WHERE `+where, scanUser)
}

// CreateUsers implements store.Users.
func (d *Directory) CreateUsers(ctx context.Context, users []store.NewUser) error {
	return d.write(ctx, "create users", "user", func(c change) error { return c.createUsers(users) })
}

// createUsers writes accounts in the order of their logins, by which two that create the same ones may wait for each other.
func (c change) createUsers(users []store.NewUser) error {
	byLogin := func(a, b store.NewUser) int { return cmp.Compare(a.Login, b.Login) }
	for _, u := range slices.SortedFunc(slices.Values(users), byLogin) {
		_, err := c.Exec(`INSERT INTO users (id, login, display_name, deactivated, password_hash, created_at) VALUES (?, ?, ?, ?, ?, ?)`,
			u.ID, u.Login, u.DisplayName, u.Deactivated, u.PasswordHash, relational.Micros(u.CreatedAt))
		if err != nil {
			return c.Failed(err, "create users", "user")
		}
	}
	return nil
}

// oneFounder lets one at a time look whether there is an account: there is no row yet that could be locked.
const oneFounder = `SELECT 1 /*pg FROM pg_advisory_xact_lock(hashtext('canopy.founding')) */`

// Found implements store.Users.
func (d *Directory) Found(ctx context.Context, f store.Founding) error {
	return d.write(ctx, "found", "deployment", func(c change) error {
		if _, err := c.Exec(oneFounder); err != nil {
			return err
		}
		founded, err := c.Exists(`SELECT 1 FROM users`)
		if err != nil {
			return err
		}
		if founded {
			return fault.New(fault.Conflict, "There is an account already: ask its owner for an invite.")
		}
		if err := c.createUsers([]store.NewUser{f.Owner}); err != nil {
			return err
		}
		if err := c.createWorkspace(f.Workspace, f.Owner.ID); err != nil {
			return err
		}
		return c.createChannel(f.Channel, []chat.UserID{f.Owner.ID})
	})
}

// User implements store.Users.
func (d *Directory) User(ctx context.Context, id chat.UserID) (chat.User, error) {
	return get(ctx, d, askUsers(`id = ?`), id)
}

// UsersByID implements store.Users.
func (d *Directory) UsersByID(ctx context.Context, ids []chat.UserID) ([]chat.User, error) {
	wanted, err := listOf(ids)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	return list(ctx, d, askUsers(`id IN (SELECT value FROM json_each(?))`), wanted)
}

// listOf writes ids as json_each reads them. The error is Invalid for too many.
func listOf(ids []chat.UserID) (string, error) {
	if len(ids) > chat.MaxPageSize {
		return "", relational.CheckLimit(len(ids))
	}
	return relational.ListOf(ids)
}

// ListUsers implements store.Users.
func (d *Directory) ListUsers(ctx context.Context, after chat.UserID, limit int) ([]chat.User, error) {
	if err := relational.CheckLimit(limit); err != nil {
		return nil, err
	}
	return list(ctx, d, askUsers(`id > ? ORDER BY id LIMIT ?`), after, limit)
}

// Credentials implements store.Users.
func (d *Directory) Credentials(ctx context.Context, login string) (chat.User, string, error) {
	u, err := get(ctx, d, askUsers(`login = ?`), login)
	if err != nil {
		return u, "", err
	}
	hash, err := get(ctx, d, relational.Ask("user", `SELECT password_hash FROM users WHERE id = ?`, relational.Scalar[string]), u.ID)
	return u, hash, err
}

// UpdateUser implements store.Editing.
func (d *Directory) UpdateUser(ctx context.Context, m store.UserChange) (chat.User, error) {
	return d.changeUser(ctx, m.UserID, func(c change, u *chat.User) error {
		if u.DisplayName == m.DisplayName {
			return nil
		}
		u.DisplayName = m.DisplayName
		if _, err := c.Exec(`UPDATE users SET display_name = ? WHERE id = ?`, u.DisplayName, u.ID); err != nil {
			return err
		}
		return c.tellUser(*u, m.By)
	})
}

// changeUser locks an account, lets do change it, and returns it as it is then.
func (d *Directory) changeUser(ctx context.Context, id chat.UserID, do func(c change, u *chat.User) error) (chat.User, error) {
	var u chat.User
	err := d.write(ctx, "change user", "user", func(c change) (err error) {
		if u, err = relational.Get(ctx, c.Source, askUsers(`id = ? /*pg FOR NO KEY UPDATE */`), id); err != nil {
			return err
		}
		return do(c, &u)
	})
	if err != nil {
		return chat.User{}, err
	}
	return u, nil
}

// tellUser tells every workspace of an account what it is. The account is locked: it does not come into one meanwhile that
// would not be told.
func (c change) tellUser(u chat.User, by chat.UserID) error {
	homes, err := c.homesOf(u.ID)
	if err != nil {
		return err
	}
	for _, h := range homes {
		_, err := c.owe(h, event.Event{Kind: event.UserUpdated, SenderID: by, UserID: u.ID,
			User: &event.UserState{Login: u.Login, DisplayName: u.DisplayName, Deactivated: u.Deactivated}})
		if err != nil {
			return err
		}
	}
	return nil
}

// SetDeactivated implements store.Roles. Closing an account that is closed already ends its sign-ins again, should
// there be one.
func (d *Directory) SetDeactivated(ctx context.Context, m store.Deactivation) (chat.User, error) {
	return d.changeUser(ctx, m.UserID, func(c change, u *chat.User) error {
		if m.Deactivated {
			if _, err := d.RevokeIn(c.Change, store.Revocation{UserID: u.ID, At: m.At}); err != nil {
				return err
			}
		}
		if u.Deactivated == m.Deactivated {
			return nil
		}
		if m.Deactivated {
			if _, err := c.homesOf(u.ID); err != nil { // locked: the other owners stay
				return err
			}
			if err := c.keepsOwners(u.ID); err != nil {
				return err
			}
		}
		u.Deactivated = m.Deactivated
		if _, err := c.Exec(`UPDATE users SET deactivated = ? WHERE id = ?`, u.Deactivated, u.ID); err != nil {
			return err
		}
		return c.tellUser(*u, m.By)
	})
}

// SetPassword implements store.Roles.
func (d *Directory) SetPassword(ctx context.Context, passwordHash string, r store.Revocation) error {
	_, err := d.changeUser(ctx, r.UserID, func(c change, u *chat.User) error {
		if _, err := c.Exec(`UPDATE users SET password_hash = ? WHERE id = ?`, passwordHash, u.ID); err != nil {
			return err
		}
		_, err := d.RevokeIn(c.Change, r)
		return err
	})
	return err
}
