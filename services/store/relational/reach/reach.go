package reach

import (
	"context"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/relational"
)

// Store is how people are reached, in a database. It is part of relational/directory.
type Store struct {
	db relational.Database
}

var _ store.Reach = (*Store)(nil)

// New makes a store of a database with the Directory's tables, which stays the caller's.
func New(db relational.Database) *Store { return &Store{db: db} }

// list reads all rows that answer q.
func list[T any](ctx context.Context, s *Store, q relational.Asked[T], args ...any) ([]T, error) {
	return relational.List(ctx, s.db.Source(), q, args...)
}

// exec runs one statement, and is NotFound when there is no row that it changes.
func (s *Store) exec(ctx context.Context, op, what, text string, args ...any) error {
	return s.db.Change(ctx, op, what, func(c relational.Change) error {
		n, err := c.Exec(text, args...)
		if err == nil && n == 0 {
			return fault.New(fault.NotFound, "There is no such %s.", what)
		}
		return err
	})
}

// checkMost refuses more of something than a question may be about. The error is Invalid.
func checkMost(n, most int) error {
	if n > most {
		return fault.New(fault.Invalid, "These are %d, and at most %d can be asked for at once.", n, most)
	}
	return nil
}

// KeepSecret implements store.Secrets. Who comes second waits for the first, and reads theirs then.
func (s *Store) KeepSecret(ctx context.Context, name string, value []byte) (kept []byte, err error) {
	err = s.db.Change(ctx, "keep secret", "secret", func(c relational.Change) error {
		if _, err := c.Exec(`INSERT INTO secrets (name, value) VALUES (?, ?) ON CONFLICT (name) DO NOTHING`, name, value); err != nil {
			return err
		}
		kept, err = relational.Get(ctx, c.Source, relational.Ask("secret", `SELECT value FROM secrets WHERE name = ?`, relational.Scalar[[]byte]), name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return kept, nil
}

// at is a seq as a column has it. One beyond the log is at its end.
func at(seq chat.Seq) int64 { return int64(min(seq, chat.MaxSeq)) }
