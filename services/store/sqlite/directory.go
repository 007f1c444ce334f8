package sqlite

import (
	"context"

	"github.com/canopychat/canopy/schemas/ddl"
	"github.com/canopychat/canopy/services/store/relational"
	"github.com/canopychat/canopy/services/store/relational/directory"
	"github.com/canopychat/canopy/services/store/relational/reach"
	"github.com/canopychat/canopy/services/store/relational/signin"
	"github.com/canopychat/canopy/services/store/sqlite/file"
)

// Directory is a file with the users, workspaces, channels, memberships, sign-ins, keys and the outbox, and how
// people are reached.
type Directory = directory.Directory

// NewerSchemaError says that a file was written by a newer version of Canopy, which this one must not touch.
type NewerSchemaError = relational.NewerSchemaError

// OpenDirectory opens the file at path, or makes it, for its owner only, and brings its tables up to date. The
// error is a *NewerSchemaError when a newer version of Canopy wrote it.
func OpenDirectory(ctx context.Context, path string) (*Directory, error) {
	f, err := file.Open(ctx, path, ddl.SQLiteDirectory())
	if err != nil {
		return nil, err
	}
	return directory.New(f, signin.New(f), reach.New(f)), nil
}
