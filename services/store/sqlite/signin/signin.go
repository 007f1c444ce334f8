package signin

import (
	"context"
	"encoding/json"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/token"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/sqlite/file"
)

const (
	remembered = 7 * 24 * time.Hour // how long an ended sign-in can still be read
	atOnce     = 100                // rows that one call forgets
)

// Store is the sign-ins, tickets, keys and answers of a file. It is part of sqlite/directory.
type Store struct {
	file *file.File
}

// New makes a store of a file with the Directory's tables, which stays the caller's.
func New(f *file.File) *Store { return &Store{file: f} }

const columns = `id, user_id, device, address, created_at, used_at, expires_at, revoked_at `

func scan(r file.Row) (s store.SignIn, err error) {
	return s, r.Scan(&s.ID, &s.UserID, &s.Device, &s.Address, file.Moment{Into: &s.CreatedAt}, file.Moment{Into: &s.UsedAt},
		file.Moment{Into: &s.ExpiresAt}, file.Moment{Into: &s.RevokedAt})
}

// asked is a question for sign-ins.
func asked(text string) file.Asked[store.SignIn] { return file.Ask("sign-in", text, scan) }

var one = asked(`SELECT ` + columns + `FROM sign_ins WHERE id = ?`)

// AddSignIn implements store.SignIns.
func (s *Store) AddSignIn(ctx context.Context, n store.SignIn, refresh store.Secret) error {
	if err := file.CheckMoment(n.CreatedAt); err != nil {
		return err
	}
	return s.file.Change(ctx, "add sign-in", "sign-in", func(c file.Change) error {
		if err := forget(c, n.CreatedAt); err != nil {
			return err
		}
		closed, err := file.Get(ctx, c.Tx, file.Ask("user", `SELECT deactivated FROM users WHERE id = ?`, file.Scalar[bool]), n.UserID)
		if err != nil {
			return err
		}
		if closed {
			return fault.New(fault.Unauthenticated, "The account is closed.")
		}
		if err := makeRoom(c, n); err != nil {
			return err
		}
		_, err = c.Exec(`INSERT INTO sign_ins (id, user_id, device, address, created_at, used_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			n.ID, n.UserID, n.Device, n.Address, file.Micros(n.CreatedAt), file.Micros(n.UsedAt), file.Micros(n.ExpiresAt))
		if err != nil {
			return err
		}
		_, err = c.Exec(`INSERT INTO refresh_tokens (sign_in_id, secret, place) VALUES (?, ?, 1)`, n.ID, refresh[:])
		return err
	})
}

// makeRoom revokes those sign-ins of n's user that were used longest ago, so that with n there are not too many.
func makeRoom(c file.Change, n store.SignIn) error {
	at := file.Micros(n.CreatedAt)
	_, err := c.Exec(`UPDATE sign_ins SET revoked_at = ?1, unannounced = 1 WHERE id IN (
			SELECT id FROM sign_ins WHERE user_id = ?2 AND revoked_at = 0 AND expires_at > ?1
			ORDER BY used_at DESC, id DESC LIMIT -1 OFFSET ?3)`, at, n.UserID, chat.MaxSignIns-1)
	return err
}

// forget deletes some rows of sign-ins that ended long ago. The refresh tokens go first, for there may be many of
// one sign-in: until all are gone it stays, and it is over anyway.
func forget(c file.Change, now time.Time) error {
	const old = `SELECT id FROM sign_ins WHERE unannounced = 0 AND expires_at < ?1 ORDER BY expires_at LIMIT 10`
	before := file.Micros(now.Add(-remembered))
	_, err := c.Exec(`DELETE FROM refresh_tokens WHERE (sign_in_id, secret) IN (
			SELECT sign_in_id, secret FROM refresh_tokens WHERE sign_in_id IN (`+old+`) LIMIT ?2)`, before, atOnce)
	if err != nil {
		return err
	}
	_, err = c.Exec(`DELETE FROM sign_ins WHERE id IN (`+old+`) AND NOT EXISTS (
			SELECT 1 FROM refresh_tokens AS t WHERE t.sign_in_id = sign_ins.id)`, before)
	return err
}

// SignIn implements store.SignIns.
func (s *Store) SignIn(ctx context.Context, id token.SignInID) (store.SignIn, error) {
	return file.Get(ctx, s.file.Reader, one, id)
}

// lasting is the sign-ins of a user that last, the one used last first.
var lasting = asked(`SELECT ` + columns + `FROM sign_ins WHERE user_id = ? AND revoked_at = 0 AND expires_at > ? ORDER BY used_at DESC, id DESC`)

// SignInsOf implements store.SignIns.
func (s *Store) SignInsOf(ctx context.Context, user chat.UserID, at time.Time) ([]store.SignIn, error) {
	return file.List(ctx, s.file.Reader, lasting, user, file.Micros(at))
}

// Revoke implements store.SignIns.
func (s *Store) Revoke(ctx context.Context, r store.Revocation) (ended []store.SignIn, err error) {
	err = s.file.Change(ctx, "revoke sign-ins", "sign-in", func(c file.Change) error {
		ended, err = Revoke(c, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	return ended, nil
}

// Revoke ends sign-ins inside a change: for whatever else signs somebody out. The result is those that it ended.
func Revoke(c file.Change, r store.Revocation) ([]store.SignIn, error) {
	if err := file.CheckMoment(r.At); err != nil {
		return nil, err
	}
	last, err := file.List(c.Ctx, c.Tx, lasting, r.UserID, file.Micros(r.At))
	if err != nil {
		return nil, err
	}
	var ended []store.SignIn
	for _, s := range last {
		if (r.Only != "" && s.ID != r.Only) || (r.Only == "" && s.ID == r.Except) {
			continue
		}
		if s, err = revoke(c, s.ID, r.At); err != nil {
			return nil, err
		}
		ended = append(ended, s)
	}
	return ended, nil
}

// revoke ends one sign-in, which lasts.
func revoke(c file.Change, id token.SignInID, at time.Time) (store.SignIn, error) {
	return file.Get(c.Ctx, c.Tx, asked(`UPDATE sign_ins SET revoked_at = ?, unannounced = 1 WHERE id = ? RETURNING `+columns),
		file.Micros(at), id)
}

// Unannounced implements store.SignIns.
func (s *Store) Unannounced(ctx context.Context, limit int) ([]store.SignIn, error) {
	if err := file.CheckLimit(limit); err != nil {
		return nil, err
	}
	return file.List(ctx, s.file.Reader, asked(`SELECT `+columns+`FROM sign_ins WHERE unannounced = 1 ORDER BY revoked_at, id LIMIT ?`), limit)
}

// Announced implements store.SignIns.
func (s *Store) Announced(ctx context.Context, ids []token.SignInID) error {
	list, err := json.Marshal(ids)
	if err != nil {
		return file.Failed(err, "note announcements", "sign-in")
	}
	return s.file.Change(ctx, "note announcements", "sign-in", func(c file.Change) error {
		_, err := c.Exec(`UPDATE sign_ins SET unannounced = 0 WHERE unannounced = 1 AND id IN (SELECT value FROM json_each(?))`, string(list))
		return err
	})
}

func unauthenticated() error {
	return fault.New(fault.Unauthenticated, "The sign-in is over: sign in again.")
}
