package ddl

import (
	"embed"
	"io/fs"
)

//go:embed postgres/directory/*.sql
var postgresDirectory embed.FS

// PostgresDirectory is the migrations of the contract Directory for PostgreSQL. Each file is one transaction of its own.
func PostgresDirectory() fs.FS { return sub(postgresDirectory, "postgres/directory") }
