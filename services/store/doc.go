// Package store holds the contracts of Canopy's two kinds of database, one technology a folder below
// it, and storetest, the suite that every implementation passes on the real server.
//
// Messages is a view of the log: it can be rebuilt from it, and every write carries the log's version,
// so that redelivery, reordering and parallel writers all end in the same rows. It fits Cassandra: no
// read before a write, no transaction over rows, no counter. Three things in it are nowhere else, and only move forward:
// up to where people have read (ReadCursors), up to where their devices have got everything (DeviceCursors), and what became of
// messages that were owed to somebody and not confirmed (Deliveries).
//
// Directory is the authority for what needs constraints: unique names, roles, memberships. It is SQL.
// A change and the event that tells it are written in one transaction (the outbox), so there is no dual
// write; what an event's seq decides is filled in when the outbox has it (Outbox).
//
// The package owns no connection and no SQL. An error that a user may read is a *fault.Error:
// NotFound, Conflict; Unavailable when the database does not answer. Every method takes a deadline from ctx.
package store
