package relational

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/canopychat/canopy/schemas/fault"
)

// Trouble is what an error of a database means.
type Trouble int

// The troubles. Unknown is ours: a mistake in a text, or a table that is not as it should be.
const (
	Unknown Trouble = iota
	Missing         // it refers to a row that is not there
	Taken           // there is such a row already
	Unfit           // a value that the database cannot keep
	Down            // the database does not answer, or not now
)

// Failed says what err means for whoever asked for op, which was about a what. It is nil for nil, and keeps an error
// that has a kind already. meaning is asked for what the database says itself.
func Failed(err error, op, what string, meaning func(error) Trouble) error {
	var kind *fault.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &kind):
		return err
	}
	cause := fmt.Errorf("%s: %w", op, err)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return fault.Wrap(fault.NotFound, cause, "There is no such %s.", what)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return unavailable(cause)
	}
	switch meaning(err) {
	case Missing:
		return fault.Wrap(fault.NotFound, cause, "The %s refers to something that is not there.", what)
	case Taken:
		return fault.Wrap(fault.Conflict, cause, "There is such a %s already.", what)
	case Unfit:
		return fault.Wrap(fault.Invalid, cause, "The %s has a value that cannot be kept.", what)
	case Down:
		return unavailable(cause)
	}
	return cause
}

// comeBack is when it is worth trying again: a database that was started anew is there after some seconds.
const comeBack = 2 * time.Second

func unavailable(cause error) error {
	return fault.Wrap(fault.Unavailable, cause, "The database does not answer.").After(comeBack)
}

// NewerSchemaError says that the tables were made by a newer version of Canopy, which this one must not touch.
type NewerSchemaError struct {
	Path  string // of the file, or where the server is; no secret
	Have  int64  // the schema of the tables
	Known int64  // the newest that this program knows
}

// Error is one line for whoever starts the program.
func (e *NewerSchemaError) Error() string {
	return fmt.Sprintf("%s belongs to a newer version of Canopy (its schema is %d, this program knows %d): start that version, or use other data",
		e.Path, e.Have, e.Known)
}
