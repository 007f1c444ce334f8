// Package linear searches for an order in which what happened could have happened one by one: for those promises that have no place in
// the log while they are made. Three kinds of things are looked at, each a key at a time:
//
//	an idempotency key   a register that is set once: every send of it that is answered says the same seq        (INVARIANTS 6)
//	a read cursor        a register that only rises: every mark and every look says the furthest one             (12)
//	a membership         a switch that joining, leaving, adding and taking out turn, and that a sender meets     (14)
//
// What has an unknown outcome may take effect at any time up to the end of the record, or never. A change of membership
// reaches one process before another, so what is met while it is on its way shows nothing and is left out.
//
// The search (porcupine) is exponential at worst, so it has a budget; what could not be decided is said, and is no violation.
package linear
