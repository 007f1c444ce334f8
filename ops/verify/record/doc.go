// Package record is what a run of canopy verify writes down, and what its checks read: one JSON object a line, each with one key that
// says what it is (Line).
//
//	run     what was run, and who is there: the first line
//	op      something that somebody did, from its start to its outcome: ok, refused or unknown
//	told    something that came over a socket, in the order in which it came there
//	fault   something that was broken, from its begin to its mending
//	event   one event of a workspace's log as a replica had it, when all was quiet, or right before its stream was lost
//	kept    one message as a view of the log had it, when all was quiet
//	sample  a figure of a process at a time
//	job     how one person's notice of one message stands in the ledger of deliveries
//	letter  a dead letter of an event of a log, when all was quiet
//	end     how the run ended: the last line
//
// Lines lie in the order in which they were written: an op when it ended, what was told as it came. Times are since the run's start, on
// the monotonic clock of the one process that observes. A record can be checked again at any time, by a later checker as well: what a
// line does not say counts as unknown.
//
// The package knows nothing of how things are done, and nothing of the product beyond words: ids and seqs are plain strings and numbers
// here, so that a client which shares no code with the product can write them.
package record
