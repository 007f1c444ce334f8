package signin

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/token"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/sqlite/file"
)

// lapsedTicket is how long a ticket that nobody redeemed is kept: longer than clocks differ.
const lapsedTicket = time.Hour

// AddTicket implements store.Tickets.
func (s *Store) AddTicket(ctx context.Context, t store.Ticket) error {
	return s.file.Change(ctx, "add ticket", "ticket", func(c file.Change) error {
		_, err := c.Exec(`DELETE FROM tickets WHERE secret IN (SELECT secret FROM tickets WHERE expires_at < ? ORDER BY expires_at LIMIT ?)`,
			file.Micros(t.ExpiresAt.Add(-lapsedTicket)), atOnce)
		if err != nil {
			return err
		}
		_, err = c.Exec(`INSERT INTO tickets (secret, sign_in_id, expires_at) VALUES (?, ?, ?)`, t.Secret[:], t.SignInID, file.Micros(t.ExpiresAt))
		return err
	})
}

// RedeemTicket implements store.Tickets. A ticket goes also when it opens nothing.
func (s *Store) RedeemTicket(ctx context.Context, ticket store.Secret, at time.Time) (of store.SignIn, err error) {
	opens := false
	err = s.file.Change(ctx, "redeem ticket", "ticket", func(c file.Change) error {
		var id token.SignInID
		var expires time.Time
		err := c.Tx.QueryRowContext(ctx, `DELETE FROM tickets WHERE secret = ? RETURNING sign_in_id, expires_at`, ticket[:]).
			Scan(&id, file.Moment{Into: &expires})
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		of, err = file.Get(ctx, c.Tx, one, id)
		opens = at.Before(expires) && of.Lasts(at)
		return err
	})
	switch {
	case err != nil:
		return store.SignIn{}, err
	case !opens:
		return store.SignIn{}, fault.New(fault.Unauthenticated, "The ticket was used already, or is too old: ask for another one.")
	}
	return of, nil
}
