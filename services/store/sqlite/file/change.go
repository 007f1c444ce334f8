package file

import (
	"context"
	"database/sql"
)

// Change is a write transaction at work. It holds the file's write lock, so what it reads stays true.
type Change struct {
	Tx  *sql.Tx
	Ctx context.Context
}

// Change runs do in one transaction, which is kept when do returns nil; op and what are for Failed.
func (f *File) Change(ctx context.Context, op, what string, do func(c Change) error) error {
	err := f.Write(ctx, func(tx *sql.Tx) error { return do(Change{Tx: tx, Ctx: ctx}) })
	return Failed(err, op, what)
}

// Exec runs one statement and returns how many rows it changed.
func (c Change) Exec(text string, args ...any) (int64, error) {
	result, err := c.Tx.ExecContext(c.Ctx, text, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// Exists reports whether a SELECT has a row.
func (c Change) Exists(text string, args ...any) (is bool, err error) {
	return is, c.Tx.QueryRowContext(c.Ctx, "SELECT EXISTS ("+text+")", args...).Scan(&is)
}
