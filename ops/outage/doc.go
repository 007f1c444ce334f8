// Package outage tests what people notice when a database is away. It has no code of its own.
//
// Its tests run the whole system, in one process, on a real Cassandra and a real PostgreSQL that they start, kill, pause
// and slow down while people chat. What must go on is in DESIGN §8: with Cassandra away people connect, send, receive,
// resume and read what is new; with PostgreSQL away open sessions go on. What cannot be done is refused, clearly and
// soon, and when the database is back nothing is lost, nothing is doubled, and nobody has to lend a hand. One test has a
// ring of three nodes and does without one of them.
//
// CANOPY_OUTAGE_FOR is how long Cassandra stays away or slow, as in 3m. By default it is away for longer than the log
// waits for an acknowledgement before it delivers again, so that an event which nobody held would be seen.
package outage
