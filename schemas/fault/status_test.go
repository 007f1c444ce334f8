package fault_test

import (
	"testing"

	"github.com/canopychat/canopy/schemas/fault"
)

func TestOfStatus(t *testing.T) {
	for status, want := range map[int]fault.Kind{
		200: "", 201: "", 204: "", 301: fault.Invalid, 307: fault.Invalid, 400: fault.Invalid, 401: fault.Unauthenticated,
		403: fault.Forbidden, 404: fault.NotFound, 405: fault.NotAllowed, 408: fault.Unavailable, 409: fault.Conflict,
		410: fault.NotFound, 413: fault.TooLarge, 418: fault.Invalid, 429: fault.RateLimited, 500: fault.Unavailable,
		501: fault.Unavailable, 503: fault.Unavailable, 599: fault.Unavailable, 100: fault.Invalid,
	} {
		if got := fault.OfStatus(status); got != want {
			t.Errorf("%d is %q, want %q", status, got, want)
		}
	}
}
