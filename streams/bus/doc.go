// Package bus is the door to NATS for services and edges: the connection, reading the logs and following
// what they republish; and the words for what streams/publish stores and streams/consume hands out.
// Names come from streams; types of nats.go stay under streams/.
//
//	Conn       one connection, to the hub or to a leaf; it never gives up
//	Conn.SubscribeFan   the republished events of a workspace, at most once each
//	Conn.WatchSignals   everything after which those may be incomplete
//	Log                 Direct Get of the logs: pages, counts, heads
//	Message, Ack        what streams/publish stores, and where it lies then
//	Delivery, Outcome   what streams/consume hands out, and what it gets back
//	Parked              that a consumer will not be given an event again: our note of it, or the server's
//
// It promises that an answer is whole or an error. It knows nothing of what a payload says.
//
// Failures are *fault.Error: Unavailable when NATS does not answer (sending again later is right),
// NotFound when the log does not hold it.
package bus
