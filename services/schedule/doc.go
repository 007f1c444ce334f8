// Package schedule sends messages later and reminds people, at a time that they said.
//
// What waits is a message schedule of the stream SCHED (streams/later), which the hub keeps over restarts and puts before the
// consumer due at its time. Any number of processes may work on that. It promises
//
//   - that a message which became due is sent exactly once, by the client_msg_id that its job has from the beginning: whoever dies
//     between sending it and saying so leaves it to the next, and the log knows the repetition for ever;
//   - that cancelling and becoming due exclude each other: one of them is written down for a job, once, before anything is sent
//     and before anybody is told that it was cancelled;
//   - that a message is sent under the rules of its time: who may not post there any more leaves a dead letter with the reason.
//
// It does not know how a message gets into the log, nor who is in a channel: Submitter and Directory do.
package schedule
