// Package deadletter makes a dead letter of every event that a consumer will never be given again, and tries letters again when an operator
// asks for it.
//
// It promises that no such end stays silent, that each is one letter however often it is told, that a letter which was dealt with stays
// dealt with (streams/dlq), and that a letter whose original is gone says so. It owns the consumer deadletter of
// ADVISORIES and the bucket deadletters. Any number of processes may run it. It must not know what an event says: for that it asks, by
// the name of a consumer, a Redriver (bring this letter's original to its end) and an Evidence (which of these events never came to theirs).
//
// # How an end is found, and what can be lost
//
//	by a note            a process of ours parks an event, or was handed it for the last time. It stores a note before it says so to
//	                     the server (streams/consume), so nothing is lost: no note, no end.
//	by an advisory       the server says MAX_DELIVERIES or MSG_TERMINATED once, on core NATS, to whoever listens. It is lost when the
//	                     stream ADVISORIES has no leader at that moment or does not listen, when the server that says it dies
//	                     first or is cut off, and when the consumer's leader changes in between.
//	by reconciliation    what neither told.
//
// Cases of a lost advisory, and what finds them:
//
//	given up by the      Handlers die, or never answer, until max_deliver. Until then such an event is outstanding, for the whole backoff
//	server               (half an hour and more), and the consumer's ack floor stays below it. Every few seconds each
//	                     consumer is looked at: a floor that is below what was handed out a while ago, while something is
//	                     redelivered, makes everything up to there suspect. When the floor moves on, the suspects below it
//	                     are looked up by Evidence; what is missing and has no letter becomes one.
//	parked by a foreign  `nats consumer next --term` and the like. It is as above if the event was outstanding for a while, else
//	client               only the advisory says it: whoever does this has seen the event. Nothing of ours parks without a note.
//	nobody looked        This process was down, or NATS was. How far each consumer was found whole is kept in a bucket, so all
//	                     that came since is suspect when it begins again.
//	ADVISORIES lost      It was purged, deleted, made anew, or dropped messages for its size or age, before the consumer
//	notes                deadletter had them. A consumer counts as whole only up to where all notes of it were handled, so
//	                     everything after that is suspect.
//	a note was given up  Processes died of it. The range of ADVISORIES that was outstanding is then handled again.
//	the bucket is lost   Then everything that the logs hold is suspect once. What operators dropped in the last days comes back.
//	the log forgot it    An event that is older than its stream keeps is gone, unseen, if nobody looked for that long (72 h for CHAT).
//	negative acks        Eight of them within the time between two looks end an event as unseen as a foreign park. Our consumers give
//	                     back what they hold only when their process ends.
//
// An event that is taken out of its stream before a consumer acknowledged it (a message that was deleted is erased from its log, a job that
// ended is taken away) is an advisory, too, and no dead letter: somebody decided that it is nobody's any more. They are counted
// (Counts.Deleted). What is parked or given up in a stream of jobs is moved: the letter has it, and the stream no longer.
//
// A consumer without Evidence has only the first two ways (of ours all have it); how many of its events were suspect is counted (Counts.Unproven).
package deadletter
