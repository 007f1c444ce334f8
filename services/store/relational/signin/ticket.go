package signin

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/token"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/relational"
)

// lapsedTicket is how long a ticket that nobody redeemed is kept: longer than clocks differ.
const lapsedTicket = time.Hour

// AddTicket implements store.Tickets.
func (s *Store) AddTicket(ctx context.Context, t store.Ticket) error {
	return s.db.Change(ctx, "add ticket", "ticket", func(c relational.Change) error {
		_, err := c.Exec(`DELETE FROM tickets WHERE secret IN (SELECT secret FROM tickets WHERE expires_at < ? ORDER BY expires_at LIMIT `+atOnce+` /*pg FOR UPDATE SKIP LOCKED */)`,
			relational.Micros(t.ExpiresAt.Add(-lapsedTicket)))
		if err != nil {
			return err
		}
		_, err = c.Exec(`INSERT INTO tickets (secret, sign_in_id, expires_at) VALUES (?, ?, ?)`, t.Secret[:], t.SignInID, relational.Micros(t.ExpiresAt))
		return err
	})
}

// RedeemTicket implements store.Tickets. A ticket goes also when it opens nothing.
func (s *Store) RedeemTicket(ctx context.Context, ticket store.Secret, at time.Time) (of store.SignIn, err error) {
	opens := false
	err = s.db.Change(ctx, "redeem ticket", "ticket", func(c relational.Change) error {
		opens = false
		var id token.SignInID
		var expires time.Time
		err := c.Row(`DELETE FROM tickets WHERE secret = ? RETURNING sign_in_id, expires_at`, ticket[:]).
			Scan(&id, relational.Moment{Into: &expires})
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		of, err = relational.Get(ctx, c.Source, one, id)
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
