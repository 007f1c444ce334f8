package relational

import (
	"context"
	"database/sql"
)

// Database is what a technology fulfils. It is safe for use by many at once.
type Database interface {
	// Source answers questions outside of a change.
	Source() Source
	// Change runs do in one transaction, which is kept when do returns nil; op and what are for Failed. A database that
	// gave up because of others who changed the same runs do again, so it begins with what its results are without any.
	Change(ctx context.Context, op, what string, do func(c Change) error) error
	// Hold takes those of names that nobody else holds, the first ones first, at most most of them. It never waits for who
	// holds one. What a process that died held is free again.
	Hold(ctx context.Context, names []string, most int) (Held, error)
	// Listen calls wake when others may have changed the database, until ctx ends; then it returns nil. A database that does
	// not tell does not call.
	Listen(ctx context.Context, wake func()) error
	// Close ends all connections.
	Close() error
}

// Held is names that are held.
type Held struct {
	Names   []string
	Release func() // gives them back, and may be called twice. Never nil
}

// Dialect is what is different from one database to another for who asks it questions.
type Dialect interface {
	// Text is a text of this tree as the database takes it.
	Text(text string) string
	// Meaning is what an error of the database means.
	Meaning(err error) Trouble
	// Within gives the ctx of one statement the end after which the database does not answer any more.
	Within(ctx context.Context) (context.Context, context.CancelFunc)
}

// Queryer is what *sql.DB, *sql.Tx and *sql.Conn have in common.
type Queryer interface {
	ExecContext(ctx context.Context, text string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, text string, args ...any) *sql.Row
}

// Source is where rows come from: a Database, or a Change.
type Source struct {
	queryer Queryer
	dialect Dialect
}

// SourceOf makes a Source of connections.
func SourceOf(q Queryer, d Dialect) Source { return Source{queryer: q, dialect: d} }

// Failed says what err means for whoever asked for op, which was about a what. It is nil for nil, and keeps an error
// that has a kind already.
func (s Source) Failed(err error, op, what string) error {
	return Failed(err, op, what, s.dialect.Meaning)
}

// Change is a transaction at work. What it has locked stays as it reads it. Locks are the /*pg … */ of the texts; a
// database that lets one transaction write at a time needs none. So that nobody waits in a circle they are taken in this
// order: an advisory lock, accounts by their ids, workspaces by their ids, rows of the outbox by theirs, tenures and then
// members by their primary keys, then all else, where many rows of a table are locked in the order of a key. Who changes
// anything of a workspace, or owes it an event, has the lock of its row; but for the seqs of what was owed, which come
// without it.
type Change struct {
	Source
	Ctx context.Context
}

// Exec runs one statement and returns how many rows it changed.
func (c Change) Exec(text string, args ...any) (int64, error) {
	ctx, end := c.dialect.Within(c.Ctx)
	defer end()
	result, err := c.queryer.ExecContext(ctx, c.dialect.Text(text), args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// Row asks for one row, and must be scanned. Scan says sql.ErrNoRows without one.
func (c Change) Row(text string, args ...any) Row {
	ctx, end := c.dialect.Within(c.Ctx)
	return answer{row: c.queryer.QueryRowContext(ctx, c.dialect.Text(text), args...), end: end}
}

// answer is a row whose question ends when it is read.
type answer struct {
	row *sql.Row
	end context.CancelFunc
}

// Scan implements Row.
func (a answer) Scan(into ...any) error {
	defer a.end()
	return a.row.Scan(into...)
}

// Exists reports whether a SELECT has a row.
func (c Change) Exists(text string, args ...any) (is bool, err error) {
	return is, c.Row("SELECT EXISTS ("+text+")", args...).Scan(&is)
}
