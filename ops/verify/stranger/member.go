package stranger

import (
	"cmp"
	"context"
	"net/http"
	"net/url"

	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/ops/verify/stranger/answer"
	"github.com/canopychat/canopy/ops/verify/stranger/call"
)

// belong changes who is in a channel or in the workspace. Ban takes somebody out of the workspace; with the body "account" their whole
// account is closed, which only who administers all their workspaces may do.
func (h *Hand) belong(ctx context.Context, op *record.Op) answer.Answer {
	channel := "/channels/" + url.PathEscape(op.Channel)
	switch op.F {
	case record.Join, record.Leave:
		return h.rest(ctx, op, call.Call{Method: http.MethodPost, Path: channel + "/" + string(op.F), Once: call.NewKey(), Again: true})
	}
	user, a := h.person(ctx, op)
	if a.Outcome != record.OK {
		return a
	}
	member := "/workspaces/" + h.space(op) + "/members/" + user
	switch {
	case op.F == record.Add:
		return h.rest(ctx, op, call.Call{Method: http.MethodPost, Path: channel + "/members", In: map[string][]string{"user_ids": {user}},
			Once: call.NewKey(), Again: true})
	case op.F == record.Kick:
		return h.rest(ctx, op, call.Call{Method: http.MethodDelete, Path: channel + "/members/" + user})
	case op.Body == "account":
		return h.rest(ctx, op, call.Call{Method: http.MethodPatch, Path: member, In: map[string]bool{"deactivated": true}})
	}
	return h.rest(ctx, op, call.Call{Method: http.MethodDelete, Path: member})
}

// space is the workspace of an op, for a path.
func (h *Hand) space(op *record.Op) string {
	return url.PathEscape(cmp.Or(op.Workspace, h.cfg.Workspace))
}

// members is a page of the list of a workspace's members.
type members struct {
	Members []struct {
		User  string `json:"user_id"`
		Login string `json:"login"`
	} `json:"members"`
	Next string `json:"next_cursor"`
}

// person is the id of the op's target, from the workspace's list of members. Ids do not change, so they are kept.
func (h *Hand) person(ctx context.Context, op *record.Op) (string, answer.Answer) {
	h.mu.Lock()
	id := h.people[op.Target]
	h.mu.Unlock()
	if id != "" {
		return id, answer.OK()
	}
	list := "/workspaces/" + h.space(op) + "/members?limit=200"
	for path := list; ; {
		var page members
		if a := h.rest(ctx, op, call.Call{Method: http.MethodGet, Path: path, Out: &page, Again: true, Reads: true}); a.Outcome != record.OK {
			return "", a
		}
		h.mu.Lock()
		for _, m := range page.Members {
			h.people[m.Login] = m.User
		}
		id := h.people[op.Target]
		h.mu.Unlock()
		if id != "" {
			return id, answer.OK()
		}
		if page.Next == "" {
			return "", answer.Refusal(answer.NotFound, 0) // the list does not have them
		}
		path = list + "&cursor=" + url.QueryEscape(page.Next)
	}
}
