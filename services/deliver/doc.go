// Package deliver sees to it that a message which is owed to somebody ends: delivered, expired, or dead with a reason.
//
//	CHAT_n ──▶ Router ── job ──▶ DELIVERY delivery.<ws>.<user> ──▶ Worker ── notice ──▶ targets
//	              │                     ▲                            │ │
//	              │       at its time   └── delivery.<ws>.<user>.<seq> ┘ │ waits
//	              └───────── state ─────────────▶ Deliveries ◀───────────┘
//
// The Router (consumer deliver of each CHAT) stays Grace behind the log on purpose: by then who is online has confirmed. Of each
// message it finds out who is owed it (package route), leaves out whom a cursor of a device or of reading covers, and writes a job and a state
// for each of the others. What is no event it passes over: the consumer persist parks it, so that an operator sees one letter
// about it. An edit owes nothing. Who joins or leaves at that very moment holds the batch until the log has said where.
//
// The Worker (consumer push of DELIVERY) takes the jobs that are due and decides (package due): a crowd that comes back is covered by
// its cursors, and its jobs vanish without an attempt. Who is not to be disturbed is waited for. For the others it asks all
// their targets at once (package attempt); one that takes the notice is enough. Between attempts a job waits in the stream itself, as a schedule.
// After the last attempt the state is dead, and the job is parked: a dead letter, which an operator may make due again in a new round.
//
// What is promised: a message that is owed is told at least once, or ends as expired or dead; and mostly once. A receiver knows a
// repetition by the id of the notice. An outage of a database, of NATS or of all targets spends no attempts: batches are held,
// and a target whose breaker is open is not asked.
//
// The process may die between any two steps, and several may run at once. Each step begins after what the one before it wrote is kept:
//
//	Router, per page of recipients
//	before the jobs          the event comes again
//	jobs, before the states  the same, and finds no state: the job is stored again under the same id, which the stream knows for two
//	                         minutes. Later there are two jobs of one recipient: the first that is tried writes a state
//	                         that is ahead of the other, which is dropped
//	states, before the ack   the event comes again, and who has a state is passed over
//
//	Worker, per batch
//	before the attempt       the job comes again; nothing happened
//	attempt, before what     the job comes again and is tried again: the receiver knows it by its id, and the attempt is not
//	follows from it          counted. Nothing can be done at once in two systems
//	next job waits, before   the job comes again, and is tried as if it had not been; the next one replaces what waits
//	the state
//	state, before the ack    the job comes again: the state is ahead of it, so it is dropped. It is dead in this very round: parked
//	ack, before it is taken  it lies in the stream until it is too old, and is delivered to nobody
//	out
//	dead, before the park    the job comes again, finds that it is dead, and is parked with the same reason
//
// States never go back (chat.Delivery.Rank), whoever writes them in whatever order. So what the Router writes late changes nothing
// that the Worker wrote.
//
// It must not know how a target is reached, nor how an operator asks.
package deliver
