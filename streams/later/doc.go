// Package later keeps messages in JetStream until they are needed: now, for the next one of a consumer, or at a time, as a message
// schedule of the stream. DELIVERY and SCHED hold them.
//
// It promises that what Put stored is stored by the hub, that a message which waits is stored on its target at its time, or within a second or two
// after that, once, and survives restarts meanwhile; that a later Put on the same subject replaces what waits there; and that
// a List sees what was put and cancelled before. The server decides what time it is: whoever puts something for a while from now asks a Clock. It knows nothing of what a payload says, and starts nothing that
// outlives a call.
package later
