// Package consume runs a handler on a durable consumer of one of our streams: a log, DELIVERY, SCHED or ADVISORIES. A handler gets
// batches and says an outcome for each event; only this package acknowledges.
//
// It promises that an event is acknowledged after its handler said so and never before; that an outage
// of what the handler depends on is waited out without spending deliveries; that an event is parked, or given up after its last
// delivery, only when a note of it and of the reason lies in ADVISORIES; and that pulling goes on by
// itself after anything that NATS does. An event may come more than once, and batches may overlap in
// time with those of another process: a handler is idempotent.
package consume
