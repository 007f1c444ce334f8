// Package gateway holds people's sockets: it moves the frames of edge/fanout to the sessions that may see them, and brings
// what they send to the log.
//
// The flow. edge/door turns a request into a session's start: who, the workspace's feed (position first), the user's
// snapshot (then state); it answers 101 and hands the socket to one of the loops (Enter). From then on a loop alone touches it:
//
//	socket readable   read into the loop's one buffer → the socket's paces → wsconn.Parser → wire.Parse → a send goes into
//	                  the session's lane and by the courier to the log, on a goroutine of its own, whose result comes
//	                  back to the loop; typing and presence go to Presence
//	feed moved        the room (a workspace on this loop) takes the new entries once, and writes their shared frames to
//	                  every live session that sees them: those of one turn go out in one writev per socket
//	somebody reads    a mark waits in the session's lane, is asked for by the office (edge/readmark), and its answer goes to
//	                  the client; the user's other sockets hear of it by a notice, in one write with what else comes
//	a client confirms its device's cursor is noted (edge/receipt), which is saved with others every few seconds
//	somebody types    one shared frame for those in the room who may know; lost for a socket that takes nothing now
//	socket full       the session is "behind": a cursor, and a pointer into the frame that was cut. Nothing queues
//	socket writable   it reads on from the ring, or from pages of the log, until it is at the head again
//	sign-in ended     its sockets are closed at once, on every loop (SignOut)
//
// A socket lasts as long as its sign-in, not as its access token: that was asked for when it opened. Whether the sign-in
// lasts is looked at before the 101 and once more when the loop has the socket, so none slips through between.
//
// Limits, in the order in which they are met: addresses (door), sockets and how many come a second (door), frames and bytes of
// a socket (session.Meter), sends of a user and to a channel (Gate), a session's lane, what is on its way to the log
// (courier), bytes that wait for sockets (MaxBytes). What is refused says when to come back; who goes far beyond is
// closed. Past nine tenths of what may be held or sent nothing new begins, and what is open has the rest.
//
// On Linux sockets sit in epoll, one loop per core: no goroutine and no buffer per connection. What epoll cannot
// serve (TLS that ends in this process, other systems) has a reading and a writing goroutine that feed the same
// loop (edge/poll).
//
// It owns sockets, loops and deadlines. It promises bounded memory per socket, and that whoever is not given
// everything in order is told so: resync, or a close code whose range says whether to come back (schemas/fault).
// It knows no database, no JetStream and no password.
package gateway
