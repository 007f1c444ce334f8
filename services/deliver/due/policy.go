package due

import (
	"time"

	"github.com/canopychat/canopy/schemas/chat"
)

// Defaults of a Policy. The pauses after the attempts are at most 30 s, 2 min, 8 min, 32 min, 2 h 8 min and then 6 h: with the
// jitter, ten attempts take about 14 hours, and at most 29. So who is away overnight, or whose push service is down for
// half a day, is still reached.
const (
	DefaultAttempts   = 10
	DefaultFirstRetry = 30 * time.Second
	DefaultMaxRetry   = 6 * time.Hour
	DefaultMaxAge     = 7 * 24 * time.Hour // a message that is older wakes nobody: quiet times and open breakers can keep one so long
	growth            = 4                  // from one pause to the next
)

// putOff is how long a job waits at least for something that is not its recipient's fault.
const putOff = 15 * time.Second

// Policy is how often and for how long a job is tried. The zero value is the defaults.
type Policy struct {
	Attempts   int           // of a round; at most chat.MaxAttempts, which is what a state tells
	FirstRetry time.Duration // the longest pause after the first attempt
	MaxRetry   time.Duration // the longest pause of all
	MaxAge     time.Duration // of the message; of a job that was redriven: since then
}

// WithDefaults fills in what was left out.
func (p Policy) WithDefaults() Policy {
	if p.Attempts <= 0 {
		p.Attempts = DefaultAttempts
	}
	p.Attempts = min(p.Attempts, chat.MaxAttempts)
	for _, d := range []struct {
		at        *time.Duration
		otherwise time.Duration
	}{{&p.FirstRetry, DefaultFirstRetry}, {&p.MaxRetry, DefaultMaxRetry}, {&p.MaxAge, DefaultMaxAge}} {
		if *d.at <= 0 {
			*d.at = d.otherwise
		}
	}
	return p
}

// Pause is how long a job waits after so many failed attempts: anything up to a bound that grows ("full jitter"), so that what
// failed together does not come again together. chance is from [0, 1).
func (p Policy) Pause(tried int, chance float64) time.Duration {
	bound := min(p.FirstRetry, p.MaxRetry)
	for range tried - 1 {
		if bound >= p.MaxRetry/growth {
			bound = p.MaxRetry
			break
		}
		bound *= growth
	}
	return time.Duration(chance * float64(bound))
}
