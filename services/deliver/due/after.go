package due

import (
	"fmt"
	"strings"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/job"
)

// maxError is how many bytes of an error a state tells.
const maxError = 240

// Tried is what one target said in an attempt.
type Tried struct {
	Target     string
	Error      string        // for operators; empty: it took the notice
	Skipped    bool          // it was not asked: its breaker is open
	RetryAfter time.Duration // when it is worth asking again; 0: not said
}

// After says what becomes of a job after an attempt to reach all targets of its recipient. One that took the notice is enough.
// No attempt was made when there are targets, and the breakers of all of them are open. chance is from [0, 1).
func (p Policy) After(j job.Delivery, tried []Tried, now time.Time, chance float64) Decision {
	attempt, asked, after := chat.Attempt{At: now}, len(tried) == 0, time.Duration(0)
	var failed []string
	for _, t := range tried {
		switch {
		case t.Skipped:
			if after == 0 || t.RetryAfter < after {
				after = t.RetryAfter
			}
		case t.Error == "":
			return delivered(j, t.Target, now)
		default:
			asked, attempt.Target = true, t.Target
			failed = append(failed, t.Error)
		}
	}
	if !asked { // spread, so that one breaker that closes is not asked by all at once
		after = max(after, putOff)
		return waiting(j, now.Add(after+time.Duration(chance*float64(after))), KindSkipped, now)
	}
	switch len(failed) {
	case 0:
		attempt.Error = "there is nothing to reach them by: no push subscription, no webhook"
	case 1:
		attempt.Error = failed[0]
	default:
		attempt.Error = fmt.Sprintf("%d targets failed: %s", len(failed), strings.Join(failed, "; "))
	}
	attempt.Error = cut(attempt.Error)
	j.Tried++
	j.Attempts = last(j.Attempts, attempt)
	state := StateOf(j, now)
	if j.Tried >= p.Attempts {
		state.Status = chat.DeliveryDead
		state.Reason = fmt.Sprintf("undelivered after %d attempts: %s", j.Tried, attempt.Error)
		return Decision{Verdict: Dead, Kind: KindDead, State: state}
	}
	at := now.Add(max(p.Pause(j.Tried, chance), latest(tried, p.MaxRetry), min(time.Second, p.FirstRetry)))
	state.Next = at
	return Decision{Verdict: Wait, Kind: KindRetry, State: state, Job: j, At: at}
}

// latest is when the last of those that said so wants to be asked again, at most limit.
func latest(tried []Tried, limit time.Duration) (after time.Duration) {
	for _, t := range tried {
		if !t.Skipped {
			after = max(after, t.RetryAfter)
		}
	}
	return min(after, limit)
}

func delivered(j job.Delivery, target string, now time.Time) Decision {
	j.Attempts = last(j.Attempts, chat.Attempt{At: now, Target: target})
	state := StateOf(j, now)
	state.Status, state.Reason = chat.DeliveryDelivered, target
	return Decision{Verdict: End, Kind: KindDelivered, State: state}
}

// last appends an attempt to those that a job tells, in a new slice.
func last(attempts []chat.Attempt, a chat.Attempt) []chat.Attempt {
	all := append(append(make([]chat.Attempt, 0, len(attempts)+1), attempts...), a)
	return all[max(0, len(all)-chat.MaxAttempts):]
}

func cut(s string) string {
	if len(s) > maxError {
		s = strings.ToValidUTF8(s[:maxError], "")
	}
	return s
}
