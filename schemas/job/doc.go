// Package job holds what is kept for later in JetStream: a Delivery that is owed to somebody, and a Scheduled message or
// reminder that waits for its time. Both are JSON that an operator reads with `nats stream view`.
//
// The subjects are in streams, the carrying is in streams/later. A reader ignores a field that it does not know; what has a
// higher v than it knows is left for a newer process.
package job
