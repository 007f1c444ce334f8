// Package sqlite keeps both of services/store's contracts in SQLite files, for `canopy up` and for
// deployments of one machine. Messages is here; the Directory is relational/directory on a file; and what both need
// of a file (opening, migrations, transactions, errors) is in the folder file.
//
// A file is in WAL mode with synchronous=FULL: a commit is on the disk before it returns. Messages needs
// that too although the log could rebuild it: the persister acknowledges an event once Apply returned, the log
// does not deliver it again, and so a commit that a power cut takes back would be a hole in the history.
//
// No read precedes a write in Messages: every write is an upsert that a higher version wins, as in Cassandra.
//
// What is deleted leaves the file as well: secure_delete overwrites it, and the write-ahead log is cut
// off after a batch with a delete.
package sqlite
