package signin

import (
	"bytes"
	"context"
	"database/sql"
	"errors"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/relational"
)

// Begin implements store.Idempotency.
func (s *Store) Begin(ctx context.Context, k store.IdempotencyKey) (a store.Answered, done bool, err error) {
	err = s.db.Change(ctx, "begin request", "request", func(c relational.Change) error {
		a, done = store.Answered{}, false
		if err := lockUser(c, k.UserID); err != nil {
			return err
		}
		old := relational.Micros(k.At.Add(-chat.IdempotencyWindow))
		if err := forgetAnswers(c, k, old); err != nil {
			return err
		}
		var request []byte
		var until int64
		err := c.Row(`SELECT request, leased_until, status, body FROM idempotency WHERE user_id = ? AND key = ?`,
			k.UserID, k.Key).Scan(&request, &until, &a.Status, &a.Body)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return begin(c, k)
		case err != nil:
			return err
		case !bytes.Equal(request, k.Request[:]):
			return fault.New(fault.Conflict, "The Idempotency-Key belongs to another request: use a new one.")
		case a.Status != 0:
			done = true
			return nil
		case relational.Micros(k.At) <= until:
			return fault.New(fault.Conflict, "The first request with this Idempotency-Key is being done still: ask again later.")
		}
		return begin(c, k)
	})
	if err != nil {
		return store.Answered{}, false, err
	}
	return a, done, nil
}

// begin notes that a request is being done, by whoever asked at k.At.
func begin(c relational.Change, k store.IdempotencyKey) error {
	_, err := c.Exec(`INSERT INTO idempotency (user_id, key, request, begun_at, leased_until) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT (user_id, key) DO UPDATE SET request = excluded.request, begun_at = excluded.begun_at,
			leased_until = excluded.leased_until, status = 0, body = NULL`,
		k.UserID, k.Key, k.Request[:], relational.Micros(k.At), relational.Micros(k.At.Add(k.Lease)))
	return err
}

// forgetAnswers deletes some of the keys that were begun before a moment, k among them.
func forgetAnswers(c relational.Change, k store.IdempotencyKey, before int64) error {
	_, err := c.Exec(`DELETE FROM idempotency WHERE user_id = ? AND key = ? AND begun_at < ?`, k.UserID, k.Key, before)
	if err != nil {
		return err
	}
	_, err = c.Exec(`DELETE FROM idempotency WHERE (user_id, key) IN (
			SELECT user_id, key FROM idempotency WHERE begun_at < ? ORDER BY begun_at LIMIT `+atOnce+` /*pg FOR UPDATE SKIP LOCKED */)`, before)
	return err
}

// End implements store.Idempotency. Who began at k.At and took longer than the lease may have been followed by
// another one, whose answer is to count then.
func (s *Store) End(ctx context.Context, k store.IdempotencyKey, a store.Answered) error {
	return s.db.Change(ctx, "end request", "request", func(c relational.Change) error {
		const mine = ` WHERE user_id = ? AND key = ? AND request = ? AND begun_at = ? AND status = 0`
		which := []any{k.UserID, k.Key, k.Request[:], relational.Micros(k.At)}
		if a.Status == 0 {
			_, err := c.Exec(`DELETE FROM idempotency`+mine, which...)
			return err
		}
		_, err := c.Exec(`UPDATE idempotency SET status = ?, body = ?`+mine, append([]any{a.Status, a.Body}, which...)...)
		return err
	})
}
