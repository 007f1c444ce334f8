package file

import (
	"errors"

	driver "modernc.org/sqlite"
	code "modernc.org/sqlite/lib"

	"github.com/canopychat/canopy/services/store/relational"
)

// Failed says what err means for whoever asked for op, which was about a what. It is nil for nil, and
// keeps an error that has a kind already.
func Failed(err error, op, what string) error { return relational.Failed(err, op, what, meaning) }

func meaning(err error) relational.Trouble {
	var e *driver.Error
	if !errors.As(err, &e) {
		return relational.Unknown
	}
	switch e.Code() {
	case code.SQLITE_CONSTRAINT_FOREIGNKEY:
		return relational.Missing
	case code.SQLITE_CONSTRAINT_UNIQUE, code.SQLITE_CONSTRAINT_PRIMARYKEY:
		return relational.Taken
	}
	switch e.Code() & 0xff { // the primary code: extended ones say more in the bits above
	case code.SQLITE_BUSY, code.SQLITE_LOCKED, code.SQLITE_FULL, code.SQLITE_IOERR, code.SQLITE_CANTOPEN,
		code.SQLITE_READONLY, code.SQLITE_NOMEM, code.SQLITE_INTERRUPT, code.SQLITE_PROTOCOL:
		return relational.Down
	}
	return relational.Unknown
}

// isBusy reports whether err says that another connection has the lock.
func isBusy(err error) bool {
	var e *driver.Error
	return errors.As(err, &e) && e.Code()&0xff == code.SQLITE_BUSY
}
