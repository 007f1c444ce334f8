// Package postgres keeps services/store's Directory in PostgreSQL: it is relational/directory on a server. It is the only
// package that imports the driver, which it uses through database/sql, and by itself to listen.
//
// Many processes write at once. Transactions are READ COMMITTED, and lock the rows that they rest on (relational.Change),
// so none is given up because of another one but by a deadlock, which runs it again. What is written into the outbox is told
// to all who listen, by a trigger with the commit; a relay holds the workspaces that it publishes with FOR UPDATE SKIP
// LOCKED, in a transaction that ends with its connection.
//
// A server that does not answer a statement within Config.Budget is fault.Unavailable, also when the network swallows every
// packet. Nothing is to be started again when the server is back.
//
// The connections are MaxConns at most, and one more for each of: listening, and holding. A session must stay with one
// connection, so a pooler in between must not be in transaction mode. A DSN with several hosts needs
// target_session_attrs=read-write, so that the one that writes is found after a failover.
package postgres
