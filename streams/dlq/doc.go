// Package dlq puts dead letters into the stream DLQ and finds them again: what a consumer parked or gave up, with the reason.
//
// It promises that one end of one event at one consumer is one letter at most, however often it is told and by how many at once, and
// that a letter which was dealt with does not come back for 30 days (Lasts), longer than anything that tells of it again is kept.
// For that a letter lies on a subject of its own (streams.DeadMsgID), stored only while nothing lies there, and what was dealt with is
// noted in the bucket deadletters before its letter is taken out.
//
// `nats stream view DLQ` shows a letter as it is. Its payload is the original's, byte for byte. Its headers are:
//
//	Canopy-Dead-*      where the original came from, why and when it ended (streams/deadletter.go)
//	Canopy-Dead-Nats-* the original's own headers that begin with Nats-, under another name: Nats-Rollup, Nats-TTL,
//	                   Nats-Expected-*, Nats-Schedule* and their like would order the DLQ about. Nats-Msg-Id is Canopy-Dead-Msg-Id
//	Nats-Msg-Id, Nats-Expected-Last-Subject-Sequence  the letter's, so that there is one
//	anything else      the original's own. A value is made one line that a terminal can show; what the original calls Canopy-Dead-
//	                   or what cannot be a header's name is left out, and so is what goes beyond 24 KiB (Canopy-Dead-Cut says how many)
//
// An original is at most 64 KiB with its headers, and a letter may be 128 KiB, so nothing is too large for the DLQ.
//
// It reads what it concludes from at the leader of a stream, or compares with it. It knows nothing of what a payload says.
package dlq
