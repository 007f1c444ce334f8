package ring

import (
	"context"
	"errors"

	"github.com/canopychat/canopy/services/store/cassandra/migration"
)

// SchemaOf looks how far a keyspace is, and changes nothing: the number of the last migration that was applied, 0 when
// there is no keyspace, and of the last one in config.Migrations.
func SchemaOf(ctx context.Context, config Config) (have, known int64, err error) {
	config, err = config.checked()
	if err != nil {
		return 0, 0, err
	}
	files, err := migration.Read(config.Migrations)
	if err != nil {
		return 0, 0, err
	}
	n, err := reach(ctx, config)
	if err != nil {
		return 0, 0, err
	}
	defer n.Close()
	todo, err := n.pending(ctx, files)
	if newer := (*migration.NewerSchemaError)(nil); errors.As(err, &newer) {
		return int64(newer.Have), int64(newer.Known), nil
	}
	return int64(len(files) - len(todo)), int64(len(files)), err
}
