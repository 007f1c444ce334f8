package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/pressly/goose/v3"

	"github.com/canopychat/canopy/schemas/ddl"
	"github.com/canopychat/canopy/services/store/relational"
)

// SchemaOf looks how far the tables of a database are, and changes nothing: the number of the last migration that was
// applied, 0 when there is none, and of the last one that this program has.
func SchemaOf(ctx context.Context, cfg Config) (have, known int64, err error) {
	s, err := serverOf(cfg)
	if err != nil {
		return 0, 0, err
	}
	db := s.connections(1, 0, 0)
	defer func() { err = errors.Join(err, db.Close()) }()
	runner, err := goose.NewProvider(goose.DialectPostgres, db, ddl.PostgresDirectory(), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return 0, 0, fmt.Errorf("migrations: %w", err)
	}
	begun, err := s.begun(ctx, db)
	if err != nil {
		return 0, 0, err
	}
	if !begun {
		sources := runner.ListSources()
		return 0, sources[len(sources)-1].Version, nil
	}
	have, known, err = runner.GetVersions(ctx)
	return have, known, relational.Failed(err, "look at "+s.name(), "database", meaning)
}
