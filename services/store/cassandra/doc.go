// Package cassandra is store.Messages on a Cassandra ring.
//
// Every cell carries the version of the event that wrote it as its timestamp, so that Apply needs no read, no condition
// and no order: redelivered, reordered and parallel writes end in the same rows. schemas/ddl has the tables and says why
// each is as it is.
//
// A channel's rows lie in buckets, one partition each. A bucket is a range of seqs, and a row's bucket is a function of
// its seq alone: an edit, which names its message by seq and may come before the post, finds the same row. buckets_by_channel
// says where buckets begin, and has a ceiling: up to it the function is fixed for ever, so that a process may remember it.
// A writer that has a seq above the ceiling raises it first, by a condition on that one small partition, and decides
// thereby whether a new bucket begins above the old ceiling, where nobody can have written yet. A reader whose
// knowledge may be old sees in the newest bucket that it knows whether there is another (next_bucket), because that is written
// before the other's first row.
//
// A send is found by its key alone. Its partition is made of the time in its id, so that posts which are stored together are
// written together, or of a hash where that time cannot be believed (slotOf); a look-up asks for both.
//
// Any process may die between any two lines: a ceiling that nobody uses costs nothing, a bucket whose predecessor does not
// tell of it is linked by whoever uses it first, and Apply can be called again.
//
// All writers of a keyspace belong to one datacenter, because ceilings are raised at LOCAL_SERIAL. A keyspace that is
// emptied or restored under a running process leaves it with places that are no more: start it again.
//
// The package owns the statements of what the log makes. Who got and read it is kept by package receipt; it knows no connection
// (package ring) and no log.
package cassandra
