// Package kv is a typed bucket of keys and values over a bus.Conn: of the hub, from anywhere, or of a leaf's own domain.
//
// Bucket writes (Put, Create, Delete, with a TTL of a key where that is wanted), reads (Get, GetMany, List) and watches.
// A write is acknowledged by the bucket's own leader, or it is an error. Get asks the leader and is never stale;
// GetMany, List and Watch may be answered by a replica that is a little behind.
//
// A TTL belongs to one write: every later write of the key sets its own, and Put takes it away. TTLs are whole seconds,
// and the server ends a key up to about two seconds late. What ends so is told to a watcher as a delete.
//
// Failures are *fault.Error: Unavailable (the outcome of a write is then unknown; to write again is safe),
// NotFound, Conflict (the key is there already), Invalid (a key or filter that is not one).
//
// It spells no name (streams does) and knows nothing of what a value says.
package kv
