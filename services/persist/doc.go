// Package persist fills the Messages store from the logs. Every shard has one durable consumer, which any
// number of processes share; what one of them holds when it dies goes to another.
//
// It promises that an event is acknowledged only after the store has it, that what is not an event is
// parked with its reason and stops nothing, and that an outage of the store parks nothing and gives nothing
// up: the batch is held until the store is back. It records in the store how far each shard has been
// applied, which is where history goes on with the log itself.
// Several batches of a shard are under way at once and may end in any order: what a write changes is decided by the
// log's version of its event, not by when it comes.
//
// When a delete is in the store, the texts of its message, of the post and of all its edits, are erased from the
// log as well: a replay must not say what a delete took back.
//
// The process may die between any two lines:
//
//	before Apply            the server delivers the batch again, to anybody
//	during Apply            the same; applying a part twice changes nothing (store.Messages)
//	after Apply, before ack the same; erasing what is erased changes nothing
//	after ack, before       the recorded progress is lower than the true one, so that history reads more
//	NoteProgress            of the log than it must; the next one who notes it catches up
//
// Progress is the consumer's ack floor, which the server keeps: nobody has to remember which batches are
// under way elsewhere.
package persist
