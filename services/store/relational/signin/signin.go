package signin

import (
	"context"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/token"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/relational"
)

const (
	remembered = 7 * 24 * time.Hour // how long an ended sign-in can still be read
	atOnce     = "100"              // rows that one call forgets; in the text, so that a planner knows how few they are
)

// Store is the sign-ins, tickets, keys and answers of a database. It is part of relational/directory.
type Store struct {
	db relational.Database
}

// New makes a store of a database with the Directory's tables, which stays the caller's.
func New(db relational.Database) *Store { return &Store{db: db} }

const columns = `id, user_id, device, address, created_at, used_at, expires_at, revoked_at `

func scan(r relational.Row) (s store.SignIn, err error) {
	return s, r.Scan(&s.ID, &s.UserID, &s.Device, &s.Address, relational.Moment{Into: &s.CreatedAt}, relational.Moment{Into: &s.UsedAt},
		relational.Moment{Into: &s.ExpiresAt}, relational.Moment{Into: &s.RevokedAt})
}

// asked is a question for sign-ins.
func asked(text string) relational.Asked[store.SignIn] { return relational.Ask("sign-in", text, scan) }

var one = asked(`SELECT ` + columns + `FROM sign_ins WHERE id = ?`)

// AddSignIn implements store.SignIns.
func (s *Store) AddSignIn(ctx context.Context, n store.SignIn, refresh store.Secret) error {
	if err := relational.CheckMoment(n.CreatedAt); err != nil {
		return err
	}
	return s.db.Change(ctx, "add sign-in", "sign-in", func(c relational.Change) error {
		closed, err := relational.Get(ctx, c.Source, relational.Ask("user", `SELECT deactivated FROM users WHERE id = ? /*pg FOR NO KEY UPDATE */`, relational.Scalar[bool]), n.UserID)
		if err != nil {
			return err
		}
		if closed {
			return fault.New(fault.Unauthenticated, "The account is closed.")
		}
		if err := forget(c, n.CreatedAt); err != nil {
			return err
		}
		if err := makeRoom(c, n); err != nil {
			return err
		}
		_, err = c.Exec(`INSERT INTO sign_ins (id, user_id, device, address, created_at, used_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			n.ID, n.UserID, n.Device, n.Address, relational.Micros(n.CreatedAt), relational.Micros(n.UsedAt), relational.Micros(n.ExpiresAt))
		if err != nil {
			return err
		}
		_, err = c.Exec(`INSERT INTO refresh_tokens (sign_in_id, secret, place) VALUES (?, ?, 1)`, n.ID, refresh[:])
		return err
	})
}

// makeRoom revokes those sign-ins of n's user that were used longest ago, so that with n there are not too many.
func makeRoom(c relational.Change, n store.SignIn) error {
	at := relational.Micros(n.CreatedAt)
	_, err := c.Exec(`UPDATE sign_ins SET revoked_at = ?1, unannounced = 1 
		WHERE user_id = ?2 AND revoked_at = 0 AND expires_at > ?1 AND id NOT IN (
			SELECT id FROM sign_ins WHERE user_id = ?2 AND revoked_at = 0 AND expires_at > ?1
			ORDER BY used_at DESC, id DESC LIMIT ?3)`, at, n.UserID, chat.MaxSignIns-1)
	return err
}

// forget deletes some rows of sign-ins that ended long ago. The refresh tokens go first, for there may be many of
// one sign-in: until all are gone it stays, and it is over anyway.
func forget(c relational.Change, now time.Time) error {
	const old = `SELECT id FROM sign_ins WHERE unannounced = 0 AND expires_at < ?1 ORDER BY expires_at LIMIT 10 /*pg FOR UPDATE SKIP LOCKED */`
	before := relational.Micros(now.Add(-remembered))
	_, err := c.Exec(`DELETE FROM refresh_tokens WHERE (sign_in_id, secret) IN (
			SELECT sign_in_id, secret FROM refresh_tokens WHERE sign_in_id IN (`+old+`) LIMIT `+atOnce+`)`, before)
	if err != nil {
		return err
	}
	_, err = c.Exec(`DELETE FROM sign_ins WHERE id IN (`+old+`) AND NOT EXISTS (
			SELECT 1 FROM refresh_tokens AS t WHERE t.sign_in_id = sign_ins.id)`, before)
	return err
}

// SignIn implements store.SignIns.
func (s *Store) SignIn(ctx context.Context, id token.SignInID) (store.SignIn, error) {
	return relational.Get(ctx, s.db.Source(), one, id)
}

// lasting is the sign-ins of a user that last, the one used last first.
var lasting = asked(`SELECT ` + columns + `FROM sign_ins WHERE user_id = ? AND revoked_at = 0 AND expires_at > ? ORDER BY used_at DESC, id DESC`)

// SignInsOf implements store.SignIns.
func (s *Store) SignInsOf(ctx context.Context, user chat.UserID, at time.Time) ([]store.SignIn, error) {
	return relational.List(ctx, s.db.Source(), lasting, user, relational.Micros(at))
}

// Revoke implements store.SignIns.
func (s *Store) Revoke(ctx context.Context, r store.Revocation) (ended []store.SignIn, err error) {
	err = s.db.Change(ctx, "revoke sign-ins", "sign-in", func(c relational.Change) error {
		ended, err = s.RevokeIn(c, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	return ended, nil
}

// RevokeIn ends sign-ins inside a change: for whatever else signs somebody out. The result is those that it ended.
func (*Store) RevokeIn(c relational.Change, r store.Revocation) ([]store.SignIn, error) {
	if err := relational.CheckMoment(r.At); err != nil {
		return nil, err
	}
	if err := lockUser(c, r.UserID); err != nil {
		return nil, err
	}
	last, err := relational.List(c.Ctx, c.Source, lasting, r.UserID, relational.Micros(r.At))
	if err != nil {
		return nil, err
	}
	var ended []store.SignIn
	for _, s := range last {
		if (r.Only != "" && s.ID != r.Only) || (r.Only == "" && s.ID == r.Except) {
			continue
		}
		s, did, err := revoke(c, s.ID, r.At)
		if err != nil {
			return nil, err
		}
		if did {
			ended = append(ended, s)
		}
	}
	return ended, nil
}

// revoke ends one sign-in. It is false when a refresh, which does not lock the user, has ended it meanwhile.
func revoke(c relational.Change, id token.SignInID, at time.Time) (s store.SignIn, did bool, err error) {
	s, err = relational.Get(c.Ctx, c.Source, asked(`UPDATE sign_ins SET revoked_at = ?, unannounced = 1
		WHERE id = ? AND revoked_at = 0 RETURNING `+columns), relational.Micros(at), id)
	if fault.Is(err, fault.NotFound) {
		return store.SignIn{}, false, nil
	}
	return s, err == nil, err
}

// lockUser lets one at a time sign a user in or out, or begin a request of theirs. An account that is not there is no
// error here.
func lockUser(c relational.Change, user chat.UserID) error {
	_, err := c.Exec(`SELECT id FROM users WHERE id = ? /*pg FOR NO KEY UPDATE */`, user)
	return err
}

// Unannounced implements store.SignIns.
func (s *Store) Unannounced(ctx context.Context, limit int) ([]store.SignIn, error) {
	if err := relational.CheckLimit(limit); err != nil {
		return nil, err
	}
	return relational.List(ctx, s.db.Source(), asked(`SELECT `+columns+`FROM sign_ins WHERE unannounced = 1 ORDER BY revoked_at, id LIMIT ?`), limit)
}

// Announced implements store.SignIns.
func (s *Store) Announced(ctx context.Context, ids []token.SignInID) error {
	list, err := relational.ListOf(ids)
	if err != nil {
		return err
	}
	return s.db.Change(ctx, "note announcements", "sign-in", func(c relational.Change) error {
		_, err := c.Exec(`UPDATE sign_ins SET unannounced = 0 WHERE id IN (
			SELECT id FROM sign_ins WHERE unannounced = 1 AND id IN (SELECT value FROM json_each(?)) ORDER BY id /*pg FOR NO KEY UPDATE */)`, list)
		return err
	})
}

func unauthenticated() error {
	return fault.New(fault.Unauthenticated, "The sign-in is over: sign in again.")
}
