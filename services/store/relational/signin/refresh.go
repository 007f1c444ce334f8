package signin

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/relational"
)

// Refresh implements store.SignIns. A second use of a token is answered with an error and yet kept: the transaction
// that revokes the sign-in succeeds, and the error comes after it.
func (s *Store) Refresh(ctx context.Context, r store.Refresh) (after store.SignIn, err error) {
	refused := false
	r.At = r.At.Truncate(time.Microsecond) // as what it is compared with
	err = s.db.Change(ctx, "refresh", "sign-in", func(c relational.Change) error {
		refused = false
		if err := relational.CheckMoment(r.At); err != nil {
			return err
		}
		t, err := tokenOf(c, r)
		if errors.Is(err, sql.ErrNoRows) {
			refused = true
			return nil
		}
		if err != nil {
			return err
		}
		if !t.counts(r) {
			refused = true
			_, _, err := revoke(c, r.ID, r.At)
			return err
		}
		after, err = rotate(c, r, t)
		return err
	})
	switch {
	case err != nil:
		return store.SignIn{}, err
	case refused:
		return store.SignIn{}, unauthenticated()
	}
	return after, nil
}

// used is a refresh token that somebody presents.
type used struct {
	place, newest int64     // its own, and that of the sign-in's newest token
	at            time.Time // of its use; zero: not used
}

// counts reports whether the token can be taken for another one; one that cannot was used before.
func (t used) counts(r store.Refresh) bool {
	return t.place == t.newest || r.At.Sub(t.at) <= r.Grace
}

// tokenOf reads the token that r presents. The error is sql.ErrNoRows when it never was one of the sign-in, or when the
// sign-in counts no more. The sign-in is locked first: it is refreshed, or ended, by one at a time.
func tokenOf(c relational.Change, r store.Refresh) (t used, err error) {
	if _, err := c.Exec(`SELECT id FROM sign_ins WHERE id = ? /*pg FOR NO KEY UPDATE */`, r.ID); err != nil {
		return t, err
	}
	return t, c.Row(`SELECT t.place, (SELECT max(place) FROM refresh_tokens WHERE sign_in_id = s.id), t.used_at
		FROM sign_ins AS s JOIN users AS u ON u.id = s.user_id JOIN refresh_tokens AS t ON t.sign_in_id = s.id
		WHERE s.id = ?1 AND s.revoked_at = 0 AND s.expires_at > ?2 AND NOT u.deactivated AND t.secret = ?3`,
		r.ID, relational.Micros(r.At), r.Used[:]).Scan(&t.place, &t.newest, relational.Moment{Into: &t.at})
}

// rotate makes r.Next the newest token, and of the one that was it a used one.
func rotate(c relational.Change, r store.Refresh, t used) (store.SignIn, error) {
	at := relational.Micros(r.At)
	_, err := c.Exec(`UPDATE refresh_tokens SET used_at = ? WHERE sign_in_id = ? AND place = ?`, at, r.ID, t.newest)
	if err != nil {
		return store.SignIn{}, err
	}
	_, err = c.Exec(`INSERT INTO refresh_tokens (sign_in_id, secret, place) VALUES (?, ?, ?)`, r.ID, r.Next[:], t.newest+1)
	if err != nil {
		return store.SignIn{}, err
	}
	return relational.Get(c.Ctx, c.Source, asked(`UPDATE sign_ins SET used_at = ?, expires_at = ?, address = ? WHERE id = ? RETURNING `+columns),
		at, relational.Micros(r.ExpiresAt), r.Address, r.ID)
}
