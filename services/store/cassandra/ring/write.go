package ring

import (
	"context"
	"errors"

	"github.com/gocql/gocql"
)

// Statement is a text of CQL with ? for each argument. It begins with its verb, so that the driver prepares it, and is
// one of a fixed number of texts: each is kept prepared.
type Statement string

// Write is an INSERT, UPDATE or DELETE. Run twice, it changes what it changes once.
type Write struct {
	Statement Statement
	Args      []any // in the text's order; the one of USING TIMESTAMP among them
}

// Exec runs w at LOCAL_QUORUM. When the error is Unavailable, w may have been run.
func (r *Ring) Exec(ctx context.Context, w Write) error {
	return r.call(ctx, "exec", true, func(ctx context.Context) error {
		return r.session.Query(string(w.Statement), w.Args...).WithContext(ctx).Exec()
	})
}

// Batch runs writes of one partition as one unlogged batch, which the replicas apply as a whole. Nothing to write is
// no call.
func (r *Ring) Batch(ctx context.Context, writes []Write) error {
	switch len(writes) {
	case 0:
		return nil
	case 1:
		return r.Exec(ctx, writes[0])
	}
	return r.call(ctx, "batch", true, func(ctx context.Context) error {
		batch := r.session.NewBatch(gocql.UnloggedBatch).WithContext(ctx)
		for _, w := range writes {
			batch.Entries = append(batch.Entries, gocql.BatchEntry{Stmt: string(w.Statement), Args: w.Args, Idempotent: true})
		}
		return r.session.ExecuteBatch(batch)
	})
}

// ExecIf runs w, which has a condition, at LOCAL_SERIAL, and reports whether the condition was met. It is tried once:
// when the error is Unavailable, w may have been applied, and a Serial read says whether it was.
func (r *Ring) ExecIf(ctx context.Context, w Write) (applied bool, err error) {
	err = r.call(ctx, "exec_if", false, func(ctx context.Context) error {
		applied, _, err = conditional(r.session.Query(string(w.Statement), w.Args...).WithContext(ctx))
		return err
	})
	return applied, err
}

// conditional runs a query with a condition, once. When it was not met, row is what is there.
func conditional(q *gocql.Query) (applied bool, row map[string]any, err error) {
	iter := q.RetryPolicy(nil).Idempotent(false).NoSkipMetadata().Iter()
	row = map[string]any{}
	iter.MapScan(row)
	if err := iter.Close(); err != nil {
		return false, nil, err
	}
	applied, ok := row["[applied]"].(bool)
	if !ok {
		return false, nil, errors.New("the statement has no condition")
	}
	return applied, row, nil
}
