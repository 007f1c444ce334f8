package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/canopychat/canopy/services/store/relational"
)

const (
	lookBudget = 10 * time.Second // for the look at what is there
	lockPeriod = 1                // seconds between two looks whether another process has finished its migration …
	lockLooks  = 300              // … and how many there are
)

// migrate brings the tables up to date. Of processes that start at once one does it, under a lock of its session, which
// ends with it; the others wait for it. When there is nothing to do, no lock is taken and nothing is written.
func (s server) migrate(ctx context.Context, migrations fs.FS) (err error) {
	op := "migrate " + s.name()
	db := s.connections(2, 0, 0) // a migration may take its time
	defer func() { err = errors.Join(err, db.Close()) }()
	session, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(lockPeriod, lockLooks))
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	runner, err := goose.NewProvider(goose.DialectPostgres, db, migrations,
		goose.WithDisableGlobalRegistry(true), goose.WithSessionLocker(session))
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	look, end := context.WithTimeout(ctx, min(lookBudget, s.cfg.Budget))
	defer end()
	begun, err := s.begun(look, db)
	if err != nil {
		return err
	}
	if begun { // else the question would make the runner's table, outside of the lock
		have, known, err := runner.GetVersions(look)
		switch {
		case err != nil:
			return relational.Failed(err, op, "database", meaning)
		case have > known:
			return &relational.NewerSchemaError{Path: s.name(), Have: have, Known: known}
		case have == known:
			return nil
		}
	}
	_, err = runner.Up(ctx)
	return relational.Failed(err, op, "database", meaning)
}

// begun reports whether anything was ever migrated here.
func (s server) begun(ctx context.Context, db *sql.DB) (is bool, err error) {
	err = db.QueryRowContext(ctx, `SELECT to_regclass('goose_db_version') IS NOT NULL`).Scan(&is)
	return is, relational.Failed(err, "look at "+s.name(), "database", meaning)
}
