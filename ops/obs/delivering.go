package obs

// Delivering is what the role deliver did since it began.
type Delivering struct {
	Messages  uint64                // of the logs that the router looked at
	Owed      map[string]uint64     // jobs that it wrote, by why
	Passed    map[string]uint64     // recipients who were owed no job, by why not
	Decisions map[string]uint64     // what became of jobs that were due
	Attempts  map[TargetEnd]uint64  // sendings to targets
	Open      int                   // targets whose breaker is open now
	Scheduled map[string]uint64     // what became of messages and reminders for later
	Held      map[string]uint64     // times that a batch was held in an outage, by the part that held it
	Dead      map[LetterFrom]uint64 // dead letters that were written
	Retries   map[string]uint64     // dead letters that were tried again, by how it ended
	Checks    map[string]uint64     // what the reconciliation of dead letters did
}

// TargetEnd is how one sending ended.
type TargetEnd struct{ Target, Outcome string }

// LetterFrom is where a dead letter came from.
type LetterFrom struct{ Consumer, Found string }

var (
	routed       = counter("canopy_deliver_messages_total", "Messages that the router looked at; what was delivered again counts again.")
	owedTo       = counter("canopy_deliver_owed_total", "Jobs that were written for recipients who had not confirmed a message, by why it is owed to them.", "why")
	passed       = counter("canopy_deliver_passed_total", "Recipients who needed no job, by why not.", "why")
	decisions    = counter("canopy_deliver_jobs_total", "What became of jobs that were due.", "became")
	attempts     = counter("canopy_deliver_attempts_total", "Sendings to push services and webhooks.", "target", "outcome")
	breakersOpen = gauge("canopy_deliver_breakers_open", "Push services and webhooks that are left alone because they failed.")
	scheduled    = counter("canopy_scheduled_total", "What became of messages and reminders for later.", "became")
	deliverHeld  = counter("canopy_deliver_held_total", "Times that a batch was held because a database or NATS did not answer.", "part")
	letters      = counter("canopy_deadletters_total", "Dead letters that were written, by the consumer and by how it was noticed.", "consumer", "found")
	retries      = counter("canopy_deadletter_retries_total", "Dead letters that were tried again.", "outcome")
	checks       = counter("canopy_deadletter_checks_total", "What the reconciliation of dead letters did.", "what")
)

func (out sink) delivering(d Delivering) {
	out.put(routed, float64(d.Messages))
	out.by(owedTo, d.Owed)
	out.by(passed, d.Passed)
	out.by(decisions, d.Decisions)
	for end, n := range d.Attempts {
		out.put(attempts, float64(n), end.Target, end.Outcome)
	}
	out.put(breakersOpen, float64(d.Open))
	out.by(scheduled, d.Scheduled)
	out.by(deliverHeld, d.Held)
	for from, n := range d.Dead {
		out.put(letters, float64(n), from.Consumer, from.Found)
	}
	out.by(retries, d.Retries)
	out.by(checks, d.Checks)
}
