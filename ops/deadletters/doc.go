// Package deadletters is canopy dlq: what an operator does about events and jobs that a consumer parked or gave up.
//
// Looking and dropping go to the stream DLQ itself, as `nats stream view DLQ` does, so they work whatever else is down. Trying
// again is asked of the role deliver, which knows what each consumer's work is. Nothing is done to what a filter finds
// without being counted first, and whatever is refused stays where it is, with the reason.
package deadletters
