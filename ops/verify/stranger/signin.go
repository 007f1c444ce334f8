package stranger

import (
	"context"
	"net/http"

	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/ops/verify/stranger/answer"
	"github.com/canopychat/canopy/ops/verify/stranger/call"
)

// logout ends the sign-in. The tokens are kept: what they are still good for is the server's to say. It has no Idempotency-Key, since that
// would have HTTP send it a second time by itself, when a connection ends, which would be refused.
func (h *Hand) logout(ctx context.Context, op *record.Op) answer.Answer {
	return h.rest(ctx, op, call.Call{Method: http.MethodPost, Path: "/logout"})
}

// revoke ends the sign-ins of another device of the same person.
func (h *Hand) revoke(ctx context.Context, op *record.Op) answer.Answer {
	var list struct {
		Sessions []struct {
			ID      string `json:"id"`
			Device  string `json:"device"`
			Current bool   `json:"current"`
		} `json:"sessions"`
	}
	a := h.rest(ctx, op, call.Call{Method: http.MethodGet, Path: "/me/sessions", Out: &list, Again: true, Reads: true})
	if a.Outcome != record.OK {
		return a
	}
	a = answer.Refusal(answer.NotFound, 0) // the list does not have it
	for _, s := range list.Sessions {
		if s.Device != op.Target || s.Current {
			continue
		}
		if a = h.rest(ctx, op, call.Call{Method: http.MethodDelete, Path: "/me/sessions/" + s.ID}); a.Outcome != record.OK {
			return a
		}
	}
	return a
}
