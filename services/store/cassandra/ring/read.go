package ring

import (
	"context"
	"errors"
	"fmt"

	"github.com/gocql/gocql"

	"github.com/canopychat/canopy/schemas/fault"
)

// Read is a SELECT of one partition.
type Read struct {
	Statement Statement
	Args      []any // in the text's order
	Serial    bool  // see what every ExecIf before did, also one whose outcome is unknown; slower
	PageSize  int   // rows that a node answers at a time, at most 5,000; 0: 500
}

// Row is a row of an answer.
type Row interface{ Scan(into ...any) error }

// List reads all rows that answer q, page after page. It is for answers that fit into memory: a LIMIT says so.
func List[T any](ctx context.Context, r *Ring, q Read, scan func(Row) (T, error)) ([]T, error) {
	var all []T
	err := r.call(ctx, "list", true, func(ctx context.Context) error {
		all = nil // a try that broke off after some pages
		return r.rows(ctx, q, func(row Row) error {
			v, err := scan(row)
			all = append(all, v)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// One reads the first row that answers q, which is a what. The error is NotFound without a row.
func One[T any](ctx context.Context, r *Ring, q Read, what string, scan func(Row) (T, error)) (T, error) {
	var one T
	var found bool
	err := r.call(ctx, "one", true, func(ctx context.Context) error {
		found = false
		return r.rows(ctx, q, func(row Row) (err error) {
			if one, err = scan(row); err != nil {
				return err
			}
			found = true
			return errEnough
		})
	})
	var none T
	switch {
	case err != nil:
		return none, err
	case !found:
		return none, fault.New(fault.NotFound, "There is no such %s.", what)
	}
	return one, nil
}

// errEnough ends rows without a failure.
var errEnough = errors.New("enough rows")

func (r *Ring) rows(ctx context.Context, q Read, each func(Row) error) error {
	query := r.session.Query(string(q.Statement), q.Args...).WithContext(ctx).PageSize(pageSize(q.PageSize))
	if q.Serial {
		query = query.Consistency(gocql.Consistency(gocql.LocalSerial))
	}
	iter := query.Iter()
	rows := iter.Scanner()
	for rows.Next() {
		err := each(rows)
		if err == nil {
			continue
		}
		// What else the iterator has to say is about rows that nobody wants any more.
		_ = iter.Close()
		if errors.Is(err, errEnough) {
			return nil
		}
		return fmt.Errorf("read a row: %w", err)
	}
	return rows.Err()
}

func pageSize(n int) int {
	if n <= 0 {
		return pageRows
	}
	return min(n, maxPageRows)
}
