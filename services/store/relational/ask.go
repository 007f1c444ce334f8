package relational

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
)

// Asked is a question to the tables: which rows, and how to read one.
type Asked[T any] struct {
	what string // a row is, for Failed
	text string
	scan func(Row) (T, error)
}

// Ask makes a question for rows that are a what.
func Ask[T any](what, text string, scan func(Row) (T, error)) Asked[T] {
	return Asked[T]{what: what, text: text, scan: scan}
}

// Get reads the one row that answers q. The error is NotFound without a row.
func Get[T any](ctx context.Context, from Source, q Asked[T], args ...any) (T, error) {
	ctx, end := from.dialect.Within(ctx)
	defer end()
	v, err := q.scan(from.queryer.QueryRowContext(ctx, from.dialect.Text(q.text), args...))
	return v, from.Failed(err, "read "+q.what, q.what)
}

// List reads all rows that answer q.
func List[T any](ctx context.Context, from Source, q Asked[T], args ...any) ([]T, error) {
	ctx, end := from.dialect.Within(ctx)
	defer end()
	rows, err := from.queryer.QueryContext(ctx, from.dialect.Text(q.text), args...)
	all, err := Collect(rows, err, q.scan)
	return all, from.Failed(err, "list "+q.what, q.what)
}

// Row is what *sql.Row and *sql.Rows have in common.
type Row interface{ Scan(into ...any) error }

// Scalar reads a row of one column.
func Scalar[T any](r Row) (v T, err error) { return v, r.Scan(&v) }

// Collect reads all rows, unless the query failed with err.
func Collect[T any](rows *sql.Rows, err error, scan func(Row) (T, error)) ([]T, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close() // its error is Err's, which is looked at
	var out []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// ListOf writes texts as json_each reads them.
func ListOf[T ~string](texts []T) (string, error) {
	if texts == nil {
		return "[]", nil // as JSON no list is null
	}
	list, err := json.Marshal(texts)
	return string(list), err
}

// CheckLimit refuses what no list gives. The error is Invalid.
func CheckLimit(n int) error {
	if n < 1 || n > chat.MaxPageSize {
		return fault.New(fault.Invalid, "A limit is 1 to %d.", chat.MaxPageSize)
	}
	return nil
}

// Micros writes a time; the zero time is 0.
func Micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// Moment scans what Micros wrote.
type Moment struct{ Into *time.Time }

// Scan implements sql.Scanner.
func (m Moment) Scan(v any) error {
	us, ok := v.(int64)
	if !ok {
		return fmt.Errorf("a time is a number, not %T", v)
	}
	if us != 0 {
		*m.Into = time.UnixMicro(us).UTC()
	}
	return nil
}

// CheckMoment refuses the zero time for something that happens: in a column it says that it did not. The error is Invalid.
func CheckMoment(t time.Time) error {
	if Micros(t) == 0 {
		return fault.New(fault.Invalid, "A moment is missing.")
	}
	return nil
}
