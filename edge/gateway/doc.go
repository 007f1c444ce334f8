// Package gateway holds people's sockets: it turns an HTTP request into a session, moves the frames of
// edge/fanout to the sessions that may see them, and brings what they send to the log.
//
// The flow. ServeHTTP authenticates, takes the workspace's feed (position first), asks the directory for
// the user's snapshot (then state), answers 101 and hands the socket to one of the loops. From then on a
// loop alone touches it:
//
//	socket readable   read into the loop's one buffer → wsconn.Parser → wire.Parse → a send goes into the session's
//	                  lane and to the Submitter on a goroutine of its own, whose result comes back to the loop
//	feed moved        the room (a workspace on this loop) takes the new entries once, and writes their shared frames to
//	                  every live session that sees them: those of one turn go out in one writev per socket
//	socket full       the session is "behind": a cursor, and a pointer into the frame that was cut. Nothing queues
//	socket writable   it reads on from the ring, or from pages of the log, until it is at the head again
//
// On Linux sockets sit in epoll, one loop per core: no goroutine and no buffer per connection. What epoll cannot
// serve (TLS that ends in this process, other systems) has a reading and a writing goroutine that feed the same
// loop (edge/poll).
//
// It owns sockets, loops and deadlines. It promises bounded memory per socket, and that whoever is not given
// everything in order is told so: resync, or a close code whose range says whether to come back (schemas/fault).
// It knows no database, no JetStream and no password.
package gateway
