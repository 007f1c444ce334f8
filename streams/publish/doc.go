// Package publish stores events in the logs: thousands in flight, each repeated under its own Nats-Msg-Id
// over lost answers, elections and restarts, until its outcome is certain or its budget used up.
//
// It promises one outcome for every event, and that the outcome is true: an Ack means that the hub's
// stream holds the event; an error without bus.ErrUnknown means that it does not and will not. It owns
// the reading of every answer of the server to a publish. A Publisher is for the events of the logs; Store and StoreAll are for
// messages of other streams, now and then. It knows nothing of what a payload says.
package publish
