// Package ring connects to a Cassandra ring, brings its tables up to date, and runs what reads and writes them. It is
// the only package that imports the driver, and uses of it what versions 1 and 2 have alike.
//
// What it promises:
//
//   - A write is at LOCAL_QUORUM and may be tried again without doubt: its timestamp is its place in the log, so that
//     the second of two equal writes changes nothing. ExecIf alone is tried once, because the answer to a condition
//     that was met already is another one.
//   - No call waits for ever: a try ends with Config.Timeout, a call with its context, or after five tries' time.
//   - A ring that does not answer, or answers that it cannot, is fault.Unavailable. A statement that the ring refuses
//     is not: trying it again would change nothing.
//   - With the schema in place a start issues no DDL, and does not mind a node that is down. A migration with a node
//     down is refused before it begins: its schema would part from that of the others.
//
// There is no speculative execution: a ring is slow because it has too much to do, and a second copy of each question
// is more to do.
//
// The package knows no table but its own two, schema_migrations and schema_lock.
package ring
