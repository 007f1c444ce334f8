package rest

import (
	"github.com/canopychat/canopy/schemas/fault"
)

// ProblemType is the media type of a Problem.
const ProblemType = "application/problem+json"

// problemPrefix makes a URI of a code. It leads nowhere: a client branches on the code.
const problemPrefix = "urn:canopy:error:"

// Problem is a failure as clients read it (RFC 9457).
type Problem struct {
	Type       string     `json:"type"`
	Title      string     `json:"title"`                 // the same for every failure of its code
	Status     int        `json:"status"`                // of HTTP
	Detail     string     `json:"detail,omitempty"`      // what to do about this one
	Code       fault.Kind `json:"code"`                  // never changes its meaning
	RetryAfter float64    `json:"retry_after,omitempty"` // seconds until it is worth trying again
}

// ProblemOf is what a user may read of err.
func ProblemOf(err error) Problem {
	public := fault.Public(err)
	p := Problem{
		Type: problemPrefix + string(public.Kind), Title: public.Kind.Title(), Status: public.Kind.Status(),
		Code: public.Kind, RetryAfter: max(0, public.RetryAfter.Seconds()),
	}
	if public.Message != p.Title {
		p.Detail = public.Message
	}
	return p
}
