package file

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	driver "modernc.org/sqlite"
	code "modernc.org/sqlite/lib"

	"github.com/canopychat/canopy/schemas/fault"
)

// Failed says what err means for whoever asked for op, which was about a what. It is nil for nil, and
// keeps an error that has a kind already.
func Failed(err error, op, what string) error {
	var kind *fault.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &kind):
		return err
	case errors.Is(err, sql.ErrNoRows):
		return fault.Wrap(fault.NotFound, fmt.Errorf("%s: %w", op, err), "There is no such %s.", what)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return unavailable(err, op)
	}
	var e *driver.Error
	if !errors.As(err, &e) {
		return fmt.Errorf("%s: %w", op, err)
	}
	switch e.Code() {
	case code.SQLITE_CONSTRAINT_FOREIGNKEY:
		return fault.Wrap(fault.NotFound, fmt.Errorf("%s: %w", op, err), "The %s refers to something that is not there.", what)
	case code.SQLITE_CONSTRAINT_UNIQUE, code.SQLITE_CONSTRAINT_PRIMARYKEY:
		return fault.Wrap(fault.Conflict, fmt.Errorf("%s: %w", op, err), "There is such a %s already.", what)
	}
	switch e.Code() & 0xff { // the primary code: extended ones say more in the bits above
	case code.SQLITE_BUSY, code.SQLITE_LOCKED, code.SQLITE_FULL, code.SQLITE_IOERR, code.SQLITE_CANTOPEN,
		code.SQLITE_READONLY, code.SQLITE_NOMEM, code.SQLITE_INTERRUPT, code.SQLITE_PROTOCOL:
		return unavailable(err, op)
	}
	return fmt.Errorf("%s: %w", op, err)
}

func unavailable(err error, op string) error {
	return fault.Wrap(fault.Unavailable, fmt.Errorf("%s: %w", op, err), "The database does not answer.")
}

// isBusy reports whether err says that another connection has the lock.
func isBusy(err error) bool {
	var e *driver.Error
	return errors.As(err, &e) && e.Code()&0xff == code.SQLITE_BUSY
}
