// Package answer is how something ended that a stranger did, over REST or over a socket: which refusals are for good, which leave it open,
// and when it is tried again. It knows no transport but the form of a failure that HTTP carries (RFC 9457).
package answer

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/canopychat/canopy/ops/verify/record"
)

// Answer is how something ended, as an op of a record says it.
type Answer struct {
	Outcome   record.Outcome
	Code      string
	RetryIn   time.Duration
	Seq       int64
	Duplicate bool
	Unsent    bool // the server was not asked at all
	Again     bool // a try before the last one may have been taken
}

// OK is the answer that says no more than that.
func OK() Answer { return Answer{Outcome: record.OK} }

// Lost is the answer of which nothing came.
func Lost(err error) Answer { return Answer{Outcome: record.Unknown, Code: err.Error()} }

// Codes that are treated in a way of their own.
const (
	Unauthenticated = "unauthenticated" // the token does not count
	NotFound        = "not_found"

	limited     = "rate_limited" // what was limited was not begun
	unavailable = "unavailable"
	internal    = "internal"
)

// passing are the codes of refusals that leave it open whether a later try is taken.
var passing = []string{limited, unavailable, internal, "moving", "silent", "slow_reader"}

// Refusal is the answer that a code stands for.
func Refusal(code string, retryIn time.Duration) Answer {
	if slices.Contains(passing, code) {
		return Answer{Outcome: record.Unknown, Code: code, RetryIn: retryIn}
	}
	return Answer{Outcome: record.Refused, Code: code, RetryIn: retryIn}
}

// Failed reports whether a server answered that it could not, which leaves open whether it did.
func (a Answer) Failed() bool { return a.Code == unavailable || a.Code == internal }

// Measured is what an op of a measurement makes of a refusal: that it was one is all that it asks.
func (a Answer) Measured() Answer {
	if a.Code == limited || a.Code == unavailable {
		a.Outcome = record.Refused
	}
	return a
}

// Seconds is a time that a server says, as far as it can be one.
func Seconds(n float64) time.Duration {
	return time.Duration(min(max(n, 0), 3600) * float64(time.Second))
}

// problem is a failure as REST answers it.
type problem struct {
	Code       string  `json:"code"`
	RetryAfter float64 `json:"retry_after"`
}

// Of is the answer that came over HTTP; a success is read into out, where that is not nil. One that the documents do not know leaves
// everything open, unless its status is definite.
func Of(resp *http.Response, text []byte, out any) Answer {
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		if out != nil {
			if err := json.Unmarshal(text, out); err != nil {
				return Lost(fmt.Errorf("the answer is not as it is documented: %w", err))
			}
		}
		return OK()
	}
	var p problem
	if err := json.Unmarshal(text, &p); err == nil && p.Code != "" {
		retryIn := Seconds(p.RetryAfter)
		if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && retryIn == 0 {
			retryIn = Seconds(float64(n))
		}
		return Refusal(p.Code, retryIn)
	}
	a := Answer{Outcome: record.Refused, Code: "http " + strconv.Itoa(resp.StatusCode)}
	if resp.StatusCode >= 500 || resp.Header.Get("Retry-After") != "" {
		a.Outcome = record.Unknown
	}
	return a
}

// Patience says what is tried again.
type Patience struct {
	One   bool                // the first answer counts, as that of a measurement
	Reads bool                // it changes nothing, so no try leaves anything open
	Again func(a Answer) bool // another try may follow an answer that leaves it open; what was limited is tried again anyhow
}

// firstPause is doubled with each try.
const firstPause = 200 * time.Millisecond

// Persist tries until an answer is for good, or ctx is over; try is told whether one before it may have been taken. What such a try may
// have done stays open, whatever a later one is refused with.
func Persist(ctx context.Context, p Patience, try func(again bool) Answer) Answer {
	for pause, open := firstPause, false; ; pause *= 2 {
		a := try(open)
		if p.One {
			return a.Measured()
		}
		a.Again = open
		if a.Outcome == record.Refused && open {
			a.Outcome = record.Unknown
			return a
		}
		begun := a.Code != limited
		if a.Outcome != record.Unknown || begun && !p.Again(a) || !rest(ctx, max(pause, a.RetryIn)) {
			return a
		}
		open = open || begun && !p.Reads && !a.Unsent
	}
}

// rest waits, and reports whether there was time for it.
func rest(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
