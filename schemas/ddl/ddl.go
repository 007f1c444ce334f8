// Package ddl holds the tables of every database, as numbered migrations: one folder for each technology and
// contract. A file that was released is never changed; a change is a new file.
//
// The files of SQL are in goose's format. Those of SQLite say "NO TRANSACTION", because their runner puts all of them
// into one transaction: a database is at one version or at another, never between two (services/store/sqlite).
// Cassandra has no transactions, and its files are not goose's: they are plain statements, each of which may be run
// twice, because a migration that died half-way is run again from its beginning (services/store/cassandra/ring).
//
// The package owns the SQL and CQL of the tables, and nothing that reads or writes rows.
package ddl

import (
	"embed"
	"io/fs"
)

//go:embed sqlite/messages/*.sql
var sqliteMessages embed.FS

//go:embed sqlite/directory/*.sql
var sqliteDirectory embed.FS

//go:embed cassandra/messages/*.cql
var cassandraMessages embed.FS

// SQLiteMessages is the migrations of the contract Messages for SQLite.
func SQLiteMessages() fs.FS { return sub(sqliteMessages, "sqlite/messages") }

// SQLiteDirectory is the migrations of the contract Directory for SQLite.
func SQLiteDirectory() fs.FS { return sub(sqliteDirectory, "sqlite/directory") }

// CassandraMessages is the migrations of the contract Messages for Cassandra.
func CassandraMessages() fs.FS { return sub(cassandraMessages, "cassandra/messages") }

func sub(files embed.FS, folder string) fs.FS {
	below, err := fs.Sub(files, folder)
	if err != nil {
		panic(err) // only for a folder name that is no valid path, and ours are constants
	}
	return below
}
