// Package receipt gathers what devices say they have got, and has it saved: the furthest cursor of each device, every
// few seconds, many in one question.
//
// The flow. A loop of the gateway notes the cursor that a client confirmed or resumed with, and the end of its socket. A
// note costs a map entry under a lock: nothing per message, and no wait. Run takes everything that came since and asks the
// service cursors to keep it, in batches. At a socket's end its cursor is saved again, soon, though it may not have moved:
// when a device was last there is what @here goes by.
//
// While the service does not answer, the latest cursor of each device waits, and it is asked again with growing pauses. That
// is bounded by the sockets that live, and by MaxEnded for those that have gone. What is lost (a batch that was refused, what
// is too much, a process that dies) costs no message: its recipients may be pushed what they have seen, until they
// confirm something later.
//
// It knows no socket and no stream.
package receipt
