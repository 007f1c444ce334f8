// Package sqlite keeps both of services/store's contracts in SQLite files, for `canopy up` and for
// deployments of one machine. It is the only package that imports the driver and the migrations' runner.
//
// A file is in WAL mode with synchronous=FULL: a commit is on the disk before it returns. Messages needs
// that too although the log could rebuild it: the persister acknowledges an event once Apply returned, the log
// does not deliver it again, and so a commit that a power cut takes back would be a hole in the history.
//
// In a process there is one connection that writes and a few that read. Several processes may have
// the same files open: a write begins with BEGIN IMMEDIATE, so that it waits for its turn and never
// fails half-way, and migrations run in one such transaction. No read precedes a write in Messages: every
// write is an upsert that a higher version wins, as in Cassandra.
//
// What is deleted leaves the file as well: secure_delete overwrites it, and the write-ahead log is cut
// off after a batch with a delete.
package sqlite
