package sqlite

import (
	"context"

	"github.com/canopychat/canopy/services/store/sqlite/directory"
	"github.com/canopychat/canopy/services/store/sqlite/file"
)

// Directory is a file with the users, workspaces, channels, memberships, sign-ins, keys and the outbox.
type Directory = directory.Directory

// NewerSchemaError says that a file was written by a newer version of Canopy, which this one must not touch.
type NewerSchemaError = file.NewerSchemaError

// OpenDirectory opens the file at path, or makes it, for its owner only, and brings its tables up to date. The
// error is a *NewerSchemaError when a newer version of Canopy wrote it.
func OpenDirectory(ctx context.Context, path string) (*Directory, error) {
	return directory.Open(ctx, path)
}
