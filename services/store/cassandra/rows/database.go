package rows

import (
	"context"

	"github.com/canopychat/canopy/services/store/cassandra/ring"
)

// Database is what the tables need of a ring.
type Database interface {
	// Batch runs writes of one partition as one.
	Batch(ctx context.Context, writes []ring.Write) error
	// ExecIf runs a write with a condition and reports whether it was met. After an error it may have been.
	ExecIf(ctx context.Context, w ring.Write) (applied bool, err error)
	// Rows reads all rows of q. scan may be called again for rows that it had, when a try broke off.
	Rows(ctx context.Context, q ring.Read, scan func(ring.Row) (any, error)) ([]any, error)
}

// Of is the keyspace of a ring as a Database.
func Of(r *ring.Ring) Database { return keyspace{r} }

type keyspace struct{ *ring.Ring }

// Rows implements Database.
func (k keyspace) Rows(ctx context.Context, q ring.Read, scan func(ring.Row) (any, error)) ([]any, error) {
	return ring.List(ctx, k.Ring, q, scan)
}

// Query reads all rows of q.
func Query[T any](ctx context.Context, db Database, q ring.Read, scan func(ring.Row) (T, error)) ([]T, error) {
	rows, err := db.Rows(ctx, q, func(r ring.Row) (any, error) { return scan(r) })
	if err != nil {
		return nil, err
	}
	out := make([]T, 0, len(rows))
	for _, row := range rows {
		out = append(out, row.(T))
	}
	return out, nil
}
