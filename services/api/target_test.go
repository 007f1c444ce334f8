package api_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rest"
	"github.com/canopychat/canopy/schemas/rest/resttest"
	"github.com/canopychat/canopy/services/store"
)

// Everything that an enemy would send to any call of the document, and so (TestTheDocumentIsTheRouter) of the router.
func TestHostileInputOnEveryRoute(t *testing.T) {
	w := newWorld(t)
	c := w.channel("plans", chat.ChannelPrivate)
	w.call("alice", "POST", "/channels/"+string(c.ID)+"/members", `{"user_ids":["ubob"]}`).ok(204, nil)
	seq := w.post("alice", c.ID, "a secret text", "m-1").Seq
	var invite rest.Invite
	w.call("alice", "POST", "/workspaces/"+string(w.ws)+"/invites", `{}`).ok(201, &invite)
	var browser rest.Subscription
	w.call("alice", "POST", "/me/subscriptions", aBrowser).ok(201, &browser)
	var webhook rest.Webhook
	w.call("alice", "POST", "/workspaces/"+string(w.ws)+"/webhooks", `{"url":"https://hooks.example/1"}`).ok(201, &webhook)
	var waits rest.Scheduled
	w.call("alice", "POST", "/channels/"+string(c.ID)+"/scheduled", `{"body":"a secret text","at":"2026-02-01T08:00:00Z"}`).ok(201, &waits)
	revoked := w.town.begin(chat.User{ID: person("alice")}, store.Device{})
	w.must(w.town.Revoke(t.Context(), person("alice"), revoked.SignIn.ID))
	var sessions rest.SessionList
	w.call("alice", "GET", "/me/sessions", "").ok(200, &sessions)
	resttest.Target{
		URL: w.url, Document: document(), Member: w.tokens["alice"], Outsider: w.tokens["eve"], OutsiderID: "ueve", Guest: w.tokens["gus"],
		Dead: map[string]string{"revoked": revoked.Issued.Token},
		Here: map[string]string{
			"workspace": string(w.ws), "channel": string(c.ID), "user": "ubob", "session": string(sessions.Sessions[0].ID),
			"seq": fmt.Sprint(seq), "emoji": "x", "invite": invite.ID, "code": invite.Code,
			"subscription": browser.ID, "webhook": webhook.ID, "scheduled": waits.ID,
		},
		Secrets: []string{"a secret text", webhook.Secret, password, setupCode},
	}.Run(t)
	var after rest.SessionList
	w.call("alice", "GET", "/me/sessions", "").ok(200, &after)
	if len(w.desk.browsers) != 1 || len(w.desk.webhooks) != 1 || len(w.desk.waiting) != 1 || len(w.desk.preferences) != 0 || len(w.desk.follows) != 0 {
		t.Errorf("afterwards the desk has %+v", w.desk)
	}
	if len(after.Sessions) != len(sessions.Sessions) || strings.Contains(w.logged.String(), "a secret text") {
		t.Errorf("afterwards there are the sessions %+v", after)
	}
}

func TestTheDocumentIsTheRouter(t *testing.T) {
	w := newWorld(t)
	routes := map[string]bool{}
	for _, r := range w.api.Routes() {
		routes[r.Method+" "+r.Path] = true
	}
	for _, o := range document().Operations() {
		call := o.Method + " " + o.Path
		if !routes[call] {
			t.Errorf("openapi.json has %s, and the router has not", call)
		}
		delete(routes, call)
	}
	for call := range routes {
		t.Errorf("the router has %s, and openapi.json has not", call)
	}
}

// A day in which every call of the document is taken once, so that every answer was held against it.
func TestEveryCallIsTakenAsTheDocumentSays(t *testing.T) {
	w := emptyWorld(t)
	for _, path := range []string{"/", "/openapi.json", "/asyncapi.json", "/setup"} {
		w.call("", "GET", path, "").taken()
	}
	var in rest.SignedIn
	w.call("", "POST", "/setup", `{"code":"`+setupCode+`","workspace":"Canopy","login":"alice","display_name":"Alice","password":"`+password+`","device":"laptop"}`).ok(201, &in)
	w.tokens["alice"] = in.Token
	ws := in.Workspaces[0].ID
	var tokens rest.Tokens
	w.call("", "POST", "/token/refresh", `{"refresh_token":"`+in.RefreshToken+`"}`).ok(200, &tokens)
	w.call("", "POST", "/login", `{"login":"alice","password":"`+password+`","device":null}`).taken()
	for _, path := range []string{"/me", "/me/sessions", "/workspaces", "/gateways", at("workspaces", ws), at("workspaces", ws, "members"), at("workspaces", ws, "read")} {
		w.call("alice", "GET", path, "").taken()
	}
	w.call("alice", "PATCH", "/me", `{"display_name":"Alice A."}`).taken()
	w.call("alice", "PUT", "/me/password", `{"old":"`+password+`","new":"another horse"}`).taken()
	w.call("alice", "POST", "/workspaces", `{"name":"Second"}`).taken()
	w.call("alice", "PATCH", at("workspaces", ws), `{"name":"Canopy Ltd"}`).taken()
	w.call("alice", "POST", "/socket/ticket", "").taken()

	var invite, other rest.Invite
	w.call("alice", "POST", at("workspaces", ws, "invites"), `{"role":"member","max_uses":2,"expires_in":60,"email":"bob@example.org"}`).ok(201, &invite)
	w.call("alice", "POST", at("workspaces", ws, "invites"), `{"channel_ids":null}`).ok(201, &other)
	w.call("alice", "GET", at("workspaces", ws, "invites")+"?limit=1", "").taken()
	w.call("alice", "DELETE", at("workspaces", ws, "invites", other.ID), "").taken()
	w.call("", "GET", at("invites", invite.Code), "").taken()
	w.call("", "POST", at("invites", invite.Code, "accept"), `{"login":"bob","password":"`+password+`"}`).ok(201, &in)
	w.tokens["bob"] = in.Token
	w.call("bob", "POST", at("invites", invite.Code, "accept"), `{}`).ok(200, &rest.Workspace{})
	w.call("alice", "PATCH", at("workspaces", ws, "members", "ubob"), `{"role":"admin"}`).taken()

	var c rest.Channel
	w.call("alice", "POST", at("workspaces", ws, "channels"), `{"name":"plans"}`).ok(201, &c)
	w.call("alice", "GET", at("workspaces", ws, "channels"), "").taken()
	w.call("alice", "POST", at("workspaces", ws, "dms"), `{"user_ids":["ubob"]}`).taken()
	w.call("bob", "GET", at("channels", c.ID), "").taken()
	w.call("bob", "POST", at("channels", c.ID, "join"), "").taken()
	w.call("alice", "PATCH", at("channels", c.ID), `{"topic":"what next"}`).taken()
	w.call("alice", "GET", at("channels", c.ID, "members"), "").taken()
	w.call("alice", "PATCH", at("channels", c.ID, "members", "ubob"), `{"role":"manager"}`).taken()
	ack := w.post("bob", c.ID, "hello", "m-1")
	message := at("channels", c.ID, "messages", ack.Seq)
	w.call("bob", "PATCH", message, `{"body":"hello!"}`).taken()
	w.call("bob", "PUT", message+"/reactions/x", "").taken()
	w.call("bob", "GET", message+"/replies?after=0", "").taken()
	w.call("bob", "PUT", at("channels", c.ID, "pins", ack.Seq), "").taken()
	w.call("bob", "GET", at("channels", c.ID, "pins"), "").taken()
	w.call("bob", "GET", at("channels", c.ID, "messages")+"?limit=200", "").taken()
	w.call("bob", "POST", at("channels", c.ID, "read"), fmt.Sprintf(`{"seq":%d}`, ack.Seq)).taken()
	w.wait(ws, c.ID, ack.Seq)
	w.call("bob", "DELETE", at("channels", c.ID, "pins", ack.Seq), "").taken()
	w.call("bob", "DELETE", message+"/reactions/x", "").taken()
	w.call("bob", "DELETE", message, "").taken()
	w.call("bob", "POST", at("channels", c.ID, "leave"), "").taken()
	w.call("alice", "POST", at("channels", c.ID, "members"), `{"user_ids":["ubob"]}`).taken()
	w.call("alice", "DELETE", at("channels", c.ID, "members", "ubob"), "").taken()
	w.call("alice", "DELETE", at("workspaces", ws, "members", "ubob"), "").taken()
	second := w.town.begin(chat.User{ID: "ualice"}, store.Device{})
	w.call("alice", "DELETE", at("me", "sessions", second.SignIn.ID), "").taken()
	w.call("alice", "DELETE", "/me/sessions", "").taken()
	w.call("alice", "POST", "/logout", "").taken()
	if unseen := w.seen.Unseen(); len(unseen) > 0 {
		t.Errorf("nobody took %v", unseen)
	}
}

// wait takes every call about what waits for people.
func (w *world) wait(ws chat.WorkspaceID, c chat.ChannelID, seq chat.Seq) {
	w.t.Helper()
	message := at("channels", c, "messages", seq)
	w.call("alice", "GET", at("workspaces", ws, "read")+"?messages=true", "").taken()
	w.call("bob", "PUT", at("workspaces", ws, "preferences"), `{"muted_channels":["`+string(c)+`"],"keywords":["deploy"],"do_not_disturb":{"until":"2026-01-03T08:00:00+01:00","from":"22:00","to":"07:30","time_zone":"Europe/Berlin"}}`).taken()
	w.call("bob", "GET", at("workspaces", ws, "preferences"), "").taken()
	w.call("bob", "PUT", message+"/follow", "").taken()
	w.call("bob", "DELETE", message+"/follow", "").taken()
	w.call("bob", "GET", "/push/key", "").taken()
	var browser rest.Subscription
	w.call("bob", "POST", "/me/subscriptions", aBrowser).ok(201, &browser)
	w.call("bob", "GET", "/me/subscriptions", "").taken()
	w.call("bob", "DELETE", at("me", "subscriptions", browser.ID), "").taken()
	var webhook rest.Webhook
	w.call("alice", "POST", at("workspaces", ws, "webhooks"), `{"url":"https://hooks.example/1"}`).ok(201, &webhook)
	w.call("alice", "GET", at("workspaces", ws, "webhooks"), "").taken()
	w.call("alice", "DELETE", at("workspaces", ws, "webhooks", webhook.ID), "").taken()
	var waits rest.Scheduled
	w.call("bob", "POST", at("channels", c, "scheduled"), `{"body":"later","at":"2026-02-01T08:00:00.5+01:00","client_msg_id":null,"thread":`+fmt.Sprint(seq)+`}`).ok(201, &waits)
	w.call("bob", "POST", at("workspaces", ws, "reminders"), `{"text":"look at it","at":"2026-02-01T08:00:00Z","channel_id":"`+string(c)+`","seq":`+fmt.Sprint(seq)+`}`).taken()
	w.call("bob", "POST", at("workspaces", ws, "reminders"), `{"text":"go home","at":"2026-02-01T17:00:00Z","channel_id":null,"seq":0}`).taken()
	w.call("bob", "GET", at("workspaces", ws, "scheduled"), "").taken()
	w.call("bob", "DELETE", at("workspaces", ws, "scheduled", waits.ID), "").taken()
	w.call("alice", "GET", message+"/delivery?limit=2", "").taken()
}

// at is the address of these parts.
func at(parts ...any) string {
	return "/" + strings.ReplaceAll(strings.TrimSpace(fmt.Sprintln(parts...)), " ", "/")
}

// taken checks that a request was not refused.
func (r reply) taken() {
	r.t.Helper()
	if r.status >= 300 {
		r.t.Errorf("%s answers %d %s", r.what, r.status, r.body)
	}
}
