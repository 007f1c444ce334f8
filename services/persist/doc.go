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
//	NoteProgress            of the log than it must; the next process writes the difference again, and notes it
//	while it writes again   what it noted is there; the next one goes on from there
//
// Progress is the consumer's ack floor, which the server keeps: nobody has to remember which batches are
// under way elsewhere. But the floor says what was acknowledged, and not into which store it went: a store that was emptied or
// restored, beside a consumer that was not, looks like a process that died before it noted its progress. So a process asks,
// before its first pull, what the consumer has handed out so far, and brings all of that which lies beyond the store's progress
// into the store from the log. It goes by what was handed out and not by the floor, because events beyond the floor can be
// acknowledged too, and never come again. Until then it notes only what it has written again; from then on the floor is true of
// this store. New events are taken meanwhile: writes may come in any order, and nobody waits for old ones. When nothing lies
// between, nothing is read. Any number of processes may do it at once.
//
// What lies between and is not in the log any more is lost. It is said as an error that names the range, counted in
// Counts.Lost, and passed: progress that stayed below it would make no page complete ever again. Only beside a new consumer an
// empty store lacks nothing; its history begins with the log.
//
// All persisters that share the consumers must write to one store, and none may run while it is emptied or restored. One that does
// looks at the store's progress each time before it notes more, and begins anew when that went back; but somebody else may have
// moved it in between.
package persist
