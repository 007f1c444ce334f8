package postgres

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"net"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/canopychat/canopy/services/store/relational"
)

// Codes of the server (PostgreSQL documentation, appendix A).
const (
	foreignKeyViolation  = "23503"
	uniqueViolation      = "23505"
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	notInEncoding        = "22021" // a zero byte, or no UTF-8
	untranslatable       = "22P05" // a zero byte in JSON
	outOfRange           = "22003"
	tooLong              = "22001"
	limitExceeded        = "54000" // a value that is too long for its index
	readOnly             = "25006" // a standby
	idleInTransaction    = "25P03"
	lockNotAvailable     = "55P03" // lock_timeout
	queryCanceled        = "57014" // statement_timeout
)

// downClasses are the first two letters of the codes of a server that does not serve, or not us, or not now.
var downClasses = map[string]bool{
	"08": true, // the connection
	"28": true, // who we are
	"3D": true, // the database is not there
	"53": true, // connections, memory, disk
	"57": true, // it was told to stop, or starts; a statement that was canceled
	"58": true, // its files
}

// meaning is what an error of the server or the driver means.
func meaning(err error) relational.Trouble {
	var said *pgconn.PgError
	if !errors.As(err, &said) {
		if isLost(err) {
			return relational.Down
		}
		return relational.Unknown
	}
	switch said.Code {
	case foreignKeyViolation:
		return relational.Missing
	case uniqueViolation:
		return relational.Taken
	case notInEncoding, untranslatable, outOfRange, tooLong, limitExceeded:
		return relational.Unfit
	case serializationFailure, deadlockDetected, readOnly, idleInTransaction, lockNotAvailable, queryCanceled:
		return relational.Down
	}
	if len(said.Code) == 5 && downClasses[said.Code[:2]] {
		return relational.Down
	}
	return relational.Unknown
}

// isLost reports whether err says that a connection was lost, or could not be made.
func isLost(err error) bool {
	var network net.Error
	var connect *pgconn.ConnectError
	for _, end := range []error{io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, driver.ErrBadConn, sql.ErrConnDone, sql.ErrTxDone, pgconn.ErrConnClosed} {
		if errors.Is(err, end) {
			return true
		}
	}
	return errors.As(err, &network) || errors.As(err, &connect) || pgconn.SafeToRetry(err) || pgconn.Timeout(err)
}

// gaveWay reports whether the server ended a transaction because of others, and would do it if it came again.
func gaveWay(err error) bool {
	var said *pgconn.PgError
	return errors.As(err, &said) && (said.Code == serializationFailure || said.Code == deadlockDetected)
}

func isStandby(err error) bool {
	var said *pgconn.PgError
	return errors.As(err, &said) && said.Code == readOnly
}
