package probe

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/ops/verify/stranger/answer"
	"github.com/canopychat/canopy/ops/verify/stranger/call"
	"github.com/canopychat/canopy/ops/verify/stranger/socket"
)

// hostile are ids that are none, by what they are.
var hostile = []struct{ what, id string }{
	{"star", "*"}, {"greater", ">"}, {"dot", "."}, {"dots", ".."}, {"nul", "\x00"}, {"subject", "a.b"},
	{"slashes", "../../workspaces"}, {"long", strings.Repeat("a", 10<<10)}, {"quote", `"`}, {"space", " "},
}

// place is where an id or a cursor stands.
type place struct {
	name  string
	plain bool // what stands there is no id of a workspace or of a channel
	try   func(ctx context.Context, m Means, op *record.Op, id string) answer.Answer
}

var places = []place{
	{"path channel", false, get(func(id string) string { return "/channels/" + url.PathEscape(id) + "/messages" })},
	{"path workspace", false, get(func(id string) string { return "/workspaces/" + url.PathEscape(id) + "/channels" })},
	{"path members", false, get(func(id string) string { return "/channels/" + url.PathEscape(id) + "/members" })},
	{"path read", false, get(func(id string) string { return "/workspaces/" + url.PathEscape(id) + "/read" })},
	{"path unescaped", false, get(func(id string) string { return "/channels/" + asItIs(id) + "/messages" })},
	{"query workspace", false, get(func(id string) string { return "/gateways?workspace=" + url.QueryEscape(id) })},
	{"query before", true, func(ctx context.Context, m Means, op *record.Op, id string) answer.Answer {
		return look(ctx, m, "/channels/"+op.Channel+"/messages?before="+url.QueryEscape(id))
	}},
	{"query limit", true, func(ctx context.Context, m Means, op *record.Op, id string) answer.Answer {
		return look(ctx, m, "/channels/"+op.Channel+"/messages?limit="+url.QueryEscape(id))
	}},
	{"query cursor", true, func(ctx context.Context, m Means, op *record.Op, id string) answer.Answer {
		return look(ctx, m, "/workspaces/"+m.space(op)+"/members?cursor="+url.QueryEscape(id))
	}},
	{"body post", false, func(ctx context.Context, m Means, _ *record.Op, id string) answer.Answer {
		return m.Calls.Do(ctx, call.Call{Method: http.MethodPost, Path: "/channels/" + url.PathEscape(id) + "/messages",
			In: map[string]string{"body": "hostile", "client_msg_id": call.NewKey()}})
	}},
	{"body join", false, func(ctx context.Context, m Means, _ *record.Op, id string) answer.Answer {
		return m.Calls.Do(ctx, call.Call{Method: http.MethodPost, Path: "/channels/" + url.PathEscape(id) + "/join"})
	}},
	{"body dm", false, func(ctx context.Context, m Means, op *record.Op, id string) answer.Answer {
		return m.Calls.Do(ctx, call.Call{Method: http.MethodPost, Path: "/workspaces/" + m.space(op) + "/dms",
			In: map[string][]string{"user_ids": {id}}})
	}},
	{"header token", true, func(ctx context.Context, m Means, _ *record.Op, id string) answer.Answer {
		return m.Calls.Do(ctx, call.Call{Method: http.MethodGet, Path: "/me", Bare: true,
			Header: http.Header{"Authorization": {"Bearer " + asItIs(id)}}})
	}},
	{"socket workspace", false, func(ctx context.Context, m Means, op *record.Op, id string) answer.Answer {
		return m.Knock(ctx, op.At, url.Values{"workspace": {id}})
	}},
	{"socket cursor", true, func(ctx context.Context, m Means, op *record.Op, id string) answer.Answer {
		return m.Knock(ctx, op.At, url.Values{"workspace": {m.Space}, "cursor": {id}})
	}},
	{"frame send", false, asked(func(id string) socket.Request {
		return socket.Request{"type": "message.send", "channel_id": id, "client_msg_id": call.NewKey(), "body": "hostile"}
	})},
	{"frame edit", false, asked(func(id string) socket.Request {
		return socket.Request{"type": "message.edit", "channel_id": id, "seq": 1, "body": "hostile"}
	})},
	{"frame delete", false, asked(func(id string) socket.Request {
		return socket.Request{"type": "message.delete", "channel_id": id, "seq": 1}
	})},
	{"frame react", false, asked(func(id string) socket.Request {
		return socket.Request{"type": "reaction.add", "channel_id": id, "seq": 1, "emoji": "👀"}
	})},
	{"frame read", false, asked(func(id string) socket.Request {
		return socket.Request{"type": "cursor.read", "channel_id": id, "seq": 1}
	})},
	{"frame name", true, func(ctx context.Context, m Means, op *record.Op, id string) answer.Answer {
		return ask(ctx, m, op, socket.Request{"type": "message.send", "channel_id": op.Channel, "client_msg_id": id, "body": "hostile"})
	}},
	{"frame type", true, asked(func(id string) socket.Request { return socket.Request{"type": id} })},
}

// asItIs leaves an id as it is, as far as it can stand in a request at all.
func asItIs(id string) string {
	return strings.NewReplacer("\x00", "%00", " ", "%20", "/", "%2f").Replace(id)
}

// space is the workspace of an op, as it stands in a path.
func (m Means) space(op *record.Op) string { return url.PathEscape(cmp.Or(op.Workspace, m.Space)) }

// get is the attempt to read at an address.
func get(path func(id string) string) func(context.Context, Means, *record.Op, string) answer.Answer {
	return func(ctx context.Context, m Means, _ *record.Op, id string) answer.Answer {
		return look(ctx, m, path(id))
	}
}

// look tries to read.
func look(ctx context.Context, m Means, path string) answer.Answer {
	return m.Calls.Do(ctx, call.Call{Method: http.MethodGet, Path: path, Again: true, Reads: true})
}

// asked is the attempt to have a frame answered.
func asked(r func(id string) socket.Request) func(context.Context, Means, *record.Op, string) answer.Answer {
	return func(ctx context.Context, m Means, op *record.Op, id string) answer.Answer {
		return ask(ctx, m, op, r(id))
	}
}
