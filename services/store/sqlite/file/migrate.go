package file

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"

	"github.com/canopychat/canopy/services/store/relational"
)

// migrate brings the tables of the file up to date. Two processes may do so at once, and either may die:
// everything is one transaction that holds the write lock. The error is a *relational.NewerSchemaError when the file
// is ahead of the program.
func migrate(ctx context.Context, path string, migrations fs.FS) (err error) {
	db, err := connect(path, 1, "")
	if err != nil {
		return fmt.Errorf("migrate %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	// The runner is given files that are not to be put into transactions, and the pool's only connection, which
	// is in one already.
	for _, text := range []string{"PRAGMA journal_mode=WAL", "BEGIN IMMEDIATE"} {
		if err := patiently(ctx, openWait, func() error { _, err := db.ExecContext(ctx, text); return err }); err != nil {
			return Failed(err, "migrate "+path, "database")
		}
	}
	if err := runMigrations(ctx, db, path, migrations); err != nil {
		// Closing the connection rolls back as well, if this cannot.
		_, rollback := db.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		return errors.Join(err, rollback)
	}
	_, err = db.ExecContext(ctx, "COMMIT")
	return Failed(err, "migrate "+path, "database")
}

func runMigrations(ctx context.Context, db *sql.DB, path string, migrations fs.FS) error {
	runner, err := goose.NewProvider(goose.DialectSQLite3, db, migrations,
		goose.WithDisableGlobalRegistry(true), goose.WithIsolateDDL(true))
	if err != nil {
		return fmt.Errorf("migrate %s: %w", path, err)
	}
	have, known, err := runner.GetVersions(ctx)
	if err != nil {
		return Failed(err, "migrate "+path, "database")
	}
	if have > known {
		return &relational.NewerSchemaError{Path: path, Have: have, Known: known}
	}
	if _, err := runner.Up(ctx); err != nil {
		return Failed(err, "migrate "+path, "database")
	}
	return nil
}
