package api_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rest"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/services/api"
	"github.com/canopychat/canopy/services/store"
)

func setupBody(code string) string {
	return `{"code":"` + code + `","workspace":"Canopy","login":"alice","password":"` + password + `"}`
}

func TestTheFirstVisitorSetsUp(t *testing.T) {
	w := emptyWorld(t)
	var state rest.SetupState
	if w.call("", "GET", "/setup", "").ok(200, &state); !state.Needed {
		t.Error("nobody is here and no setup is needed")
	}
	for _, wrong := range []string{"", "let-me-im", setupCode + " ", strings.Repeat("x", 1000)} {
		w.call("", "POST", "/setup", setupBody(wrong)).fails(fault.Forbidden)
	}
	w.call("", "POST", "/setup", `{"code":"`+setupCode+`","workspace":"Canopy","login":"Not A Login","password":"`+password+`"}`).fails(fault.Invalid)
	w.call("", "POST", "/setup", `{"code":"`+setupCode+`","device":"a\u0007b"}`).fails(fault.Invalid)
	var in rest.SignedIn
	w.call("", "POST", "/setup", setupBody(setupCode)).ok(201, &in)
	if in.User.DisplayName != "alice" || len(in.Workspaces) != 1 || in.Workspaces[0].Role != chat.RoleOwner || in.RefreshToken == "" {
		t.Errorf("the first visitor is %+v", in)
	}
	w.tokens["alice"] = in.Token
	w.call("alice", "GET", "/me", "").ok(200, &rest.Me{})
	if w.call("", "GET", "/setup", "").ok(200, &state); state.Needed {
		t.Error("a setup is needed again")
	}
	for _, code := range []string{setupCode, "wrong"} {
		w.call("", "POST", "/setup", setupBody(code)).fails(fault.Conflict)
	}
}

func TestWithoutACodeNobodySetsUp(t *testing.T) {
	w := emptyWorld(t, func(c *api.Config) { c.SetupCode = "" })
	var state rest.SetupState
	if w.call("", "GET", "/setup", "").ok(200, &state); state.Needed {
		t.Error("a setup is offered that nobody can do")
	}
	w.call("", "POST", "/setup", setupBody("")).fails(fault.Forbidden)
}

func TestSessions(t *testing.T) {
	w := newWorld(t)
	var phone rest.SignedIn
	w.call("", "POST", "/login", `{"login":"alice","password":"`+password+`","device":"phone"}`).ok(200, &phone)
	if w.town.device != (store.Device{Name: "phone", Address: "127.0.0.1"}) {
		t.Errorf("the device is %+v", w.town.device)
	}
	w.call("", "POST", "/login", `{"login":"alice","password":"`+password+`","device":"`+strings.Repeat("x", 81)+`"}`).fails(fault.Invalid)
	w.tokens["phone"] = phone.Token
	var list rest.SessionList
	w.call("phone", "GET", "/me/sessions", "").ok(200, &list)
	if len(list.Sessions) != 2 || list.Sessions[0].Current || !list.Sessions[1].Current || list.Sessions[1].ID != phone.SessionID || list.Sessions[1].Device != "phone" {
		t.Errorf("the sessions are %+v", list)
	}
	var next rest.Tokens
	refresh := `{"refresh_token":"` + phone.RefreshToken + `"}`
	w.call("", "POST", "/token/refresh", refresh).ok(200, &next)
	if next.SessionID != phone.SessionID || next.RefreshToken == phone.RefreshToken || next.Token == phone.Token {
		t.Errorf("refreshed to %+v", next)
	}
	w.call("", "POST", "/token/refresh", refresh).fails(fault.Unauthenticated)
	w.tokens["laptop"], w.tokens["phone"] = w.tokens["alice"], next.Token
	w.call("bob", "DELETE", "/me/sessions/"+string(phone.SessionID), "").fails(fault.NotFound)
	w.call("phone", "PUT", "/me/password", `{"old":"wrong","new":"another horse"}`).fails(fault.Forbidden)
	w.call("phone", "PUT", "/me/password", `{"old":"`+password+`","new":"short"}`).fails(fault.Invalid)
	w.call("phone", "PUT", "/me/password", `{"old":"`+password+`","new":"another horse"}`).ok(204, nil)
	w.call("laptop", "GET", "/me", "").fails(fault.Unauthenticated)
	var ticket rest.Ticket
	if w.call("phone", "POST", "/socket/ticket", "").ok(201, &ticket); ticket.ExpiresIn != 30 || !strings.Contains(ticket.Ticket, string(phone.SessionID)) {
		t.Errorf("the ticket is %+v", ticket)
	}
	var third rest.SignedIn
	w.call("", "POST", "/login", `{"login":"alice","password":"another horse"}`).ok(200, &third)
	w.tokens["third"] = third.Token
	w.call("third", "DELETE", "/me/sessions", "").ok(204, nil)
	w.call("phone", "GET", "/me", "").fails(fault.Unauthenticated)
	w.call("third", "POST", "/logout", "").ok(204, nil)
	w.call("third", "GET", "/me", "").fails(fault.Unauthenticated)
	w.call("third", "POST", "/socket/ticket", "").fails(fault.Unauthenticated)
}

func TestInvites(t *testing.T) {
	w := newWorld(t)
	path := "/workspaces/" + string(w.ws) + "/invites"
	var made, second rest.Invite
	w.call("alice", "POST", path, `{"role":"guest","expires_in":3600,"max_uses":2,"channel_ids":["c1"],"email":"dan@example.org"}`).ok(201, &made)
	if made.Code == "" || !strings.HasSuffix(made.URL, made.Code) || made.Role != chat.RoleGuest || made.MaxUses != 2 || !made.Sent || made.Email != "dan@example.org" ||
		!slices.Equal(made.Channels, []chat.ChannelID{"c1"}) || made.By != "ualice" {
		t.Errorf("made %+v", made)
	}
	w.call("alice", "POST", path, `{}`).ok(201, &second)
	var all []string
	for cursor := ""; ; {
		var page rest.InviteList
		w.call("alice", "GET", path+"?limit=1&cursor="+cursor, "").ok(200, &page)
		for _, i := range page.Invites {
			all = append(all, i.ID)
			if i.Code != "" || i.URL != "" {
				t.Errorf("a list tells the code: %+v", i)
			}
		}
		if cursor = page.NextCursor; cursor == "" {
			break
		}
	}
	if !slices.Equal(all, []string{made.ID, second.ID}) {
		t.Errorf("the invites are %v", all)
	}
	for _, bad := range []string{`{"expires_in":-1}`, `{"expires_in":9223372036854775807}`, `{"expires_in":2592001}`, `{"max_uses":-1}`, `{"max_uses":10001}`, `{"role":"king"}`, `{"channel_ids":["*"]}`} {
		w.call("alice", "POST", path, bad).fails(fault.Invalid)
	}
	w.call("alice", "POST", path, `{"role":"owner"}`).fails(fault.Forbidden)
	w.call("bob", "POST", path, `{}`).fails(fault.Forbidden)
	w.call("bob", "GET", path, "").fails(fault.Forbidden)
	w.call("eve", "GET", path, "").fails(fault.NotFound)

	var state rest.InviteState
	w.call("", "GET", "/invites/"+made.Code, "").ok(200, &state)
	if state.Workspace != "Canopy" || state.InvitedBy != "Alice" || state.Role != chat.RoleGuest {
		t.Errorf("the invite says %+v", state)
	}
	accept := "/invites/" + made.Code + "/accept"
	w.call("", "POST", accept, `{"login":"alice","password":"`+password+`"}`).fails(fault.Conflict)
	w.call("", "POST", accept, `{"login":"dan","password":"short"}`).fails(fault.Invalid)
	var in rest.SignedIn
	w.call("", "POST", accept, `{"login":"dan","display_name":"Dan","password":"`+password+`","device":"laptop"}`).ok(201, &in)
	if in.User.DisplayName != "Dan" || len(in.Workspaces) != 1 || in.Workspaces[0].Role != chat.RoleGuest || in.Token == "" {
		t.Errorf("came in as %+v", in)
	}
	var joined rest.Workspace
	w.call("eve", "POST", accept, `{}`).ok(200, &joined)
	if joined != (rest.Workspace{ID: w.ws, Name: "Canopy", Role: chat.RoleGuest}) {
		t.Errorf("eve joined %+v", joined)
	}
	w.tokens["stale"] = "stale"
	w.call("stale", "POST", "/invites/"+second.Code+"/accept", `{"login":"fay","password":"`+password+`"}`).fails(fault.Unauthenticated)
	used, missing := w.call("", "GET", "/invites/"+made.Code, ""), w.call("", "GET", "/invites/n0where", "")
	if used.fails(fault.NotFound); string(used.body) != string(missing.body) {
		t.Errorf("an invite that is used up is told from none: %s", used.body)
	}
	w.call("bob", "DELETE", path+"/"+second.ID, "").fails(fault.Forbidden)
	w.call("alice", "DELETE", path+"/"+second.ID, "").ok(204, nil)
	w.call("", "POST", "/invites/"+second.Code+"/accept", `{"login":"fay","password":"`+password+`"}`).fails(fault.NotFound)
}

func TestMembersAreChanged(t *testing.T) {
	w := newWorld(t)
	path := "/workspaces/" + string(w.ws) + "/members/"
	var m rest.Member
	w.call("alice", "PATCH", path+"ubob", `{"role":"admin"}`).ok(200, &m)
	if m != (rest.Member{UserID: "ubob", Login: "bob", DisplayName: "Bob", Role: chat.RoleAdmin}) {
		t.Errorf("bob is %+v", m)
	}
	w.call("bob", "PATCH", path+"ucarol", `{"role":null,"deactivated":true}`).ok(200, &m)
	if m != (rest.Member{UserID: "ucarol", Login: "carol", DisplayName: "Carol", Role: chat.RoleMember, Deactivated: true}) {
		t.Errorf("carol is %+v", m)
	}
	w.call("carol", "GET", "/me", "").fails(fault.Unauthenticated)
	m = rest.Member{}
	w.call("bob", "PATCH", path+"ucarol", `{"role":"guest","deactivated":false}`).ok(200, &m)
	if m.Deactivated || m.Role != chat.RoleGuest {
		t.Errorf("carol is %+v", m)
	}
	for body, kind := range map[string]fault.Kind{
		`{}`: fault.Invalid, `{"role":""}`: fault.Invalid, `{"role":"king"}`: fault.Invalid, `{"deactivated":"yes"}`: fault.Invalid, `{"role":"owner"}`: fault.Forbidden,
	} {
		w.call("bob", "PATCH", path+"ugus", body).fails(kind)
	}
	w.call("alice", "PATCH", path+"ualice", `{"role":"member"}`).fails(fault.Conflict)
	w.call("carol", "PATCH", path+"ugus", `{"role":"admin"}`).fails(fault.Forbidden)
	w.call("alice", "PATCH", path+"ueve", `{"role":"admin"}`).fails(fault.NotFound)
	w.call("gus", "DELETE", path+"ubob", "").fails(fault.Forbidden)
	w.call("alice", "DELETE", path+"ugus", "").ok(204, nil)
	w.call("gus", "GET", "/workspaces/"+string(w.ws), "").fails(fault.NotFound)
	w.call("carol", "DELETE", path+"ucarol", "").ok(204, nil) // they go themselves
	w.call("alice", "DELETE", path+"ualice", "").fails(fault.Conflict)
	var named rest.Workspace
	w.call("bob", "PATCH", "/workspaces/"+string(w.ws), `{"name":"Canopy Ltd"}`).ok(200, &named)
	if named != (rest.Workspace{ID: w.ws, Name: "Canopy Ltd", Role: chat.RoleAdmin}) {
		t.Errorf("it is %+v", named)
	}
	w.call("bob", "PATCH", "/workspaces/"+string(w.ws), `{"name":""}`).fails(fault.Invalid)
}

func TestMembersOfAChannelAreChanged(t *testing.T) {
	w := newWorld(t)
	c := w.channel("plans", chat.ChannelPublic)
	path := "/channels/" + string(c.ID) + "/members"
	w.call("alice", "POST", path, `{"user_ids":["ubob","ucarol"]}`).ok(204, nil)
	var m rest.Member
	w.call("bob", "PATCH", path+"/ucarol", `{"role":"manager"}`).fails(fault.Forbidden)
	w.call("alice", "PATCH", path+"/ubob", `{"role":"manager"}`).ok(200, &m)
	if m != (rest.Member{UserID: "ubob", Login: "bob", DisplayName: "Bob", ChannelRole: chat.ChannelManager}) {
		t.Errorf("bob is %+v", m)
	}
	w.call("bob", "PATCH", path+"/ucarol", `{"role":"admin"}`).fails(fault.Invalid)
	w.call("bob", "DELETE", path+"/ucarol", "").ok(204, nil)
	w.call("bob", "DELETE", path+"/ucarol", "").fails(fault.NotFound)
	var list rest.MemberList
	w.call("alice", "GET", path, "").ok(200, &list)
	want := []rest.Member{
		{UserID: "ualice", Login: "alice", DisplayName: "Alice", ChannelRole: chat.ChannelManager},
		{UserID: "ubob", Login: "bob", DisplayName: "Bob", ChannelRole: chat.ChannelManager},
	}
	if !slices.Equal(list.Members, want) {
		t.Errorf("the members are %+v", list)
	}
}

func TestReadMarks(t *testing.T) {
	w := newWorld(t)
	c := w.channel("plans", chat.ChannelPublic)
	path := "/channels/" + string(c.ID) + "/read"
	for _, step := range []struct{ told, kept chat.Seq }{{5, 5}, {3, 5}, {9, 9}} {
		var got rest.ReadCursor
		w.call("bob", "POST", path, fmt.Sprintf(`{"seq":%d}`, step.told)).ok(200, &got)
		if got != (rest.ReadCursor{ChannelID: c.ID, Seq: step.kept}) {
			t.Errorf("%d is answered %+v", step.told, got)
		}
	}
	for _, bad := range []string{`{}`, `{"seq":0}`, `{"seq":281474976710656}`} {
		w.call("bob", "POST", path, bad).fails(fault.Invalid)
	}
	w.call("gus", "POST", path, `{"seq":1}`).fails(fault.NotFound)
	var list rest.ReadCursorList
	w.call("bob", "GET", "/workspaces/"+string(w.ws)+"/read", "").ok(200, &list)
	if len(list.Cursors) != 0 {
		t.Errorf("of a channel that bob is not in: %+v", list)
	}
	w.call("bob", "POST", "/channels/"+string(c.ID)+"/join", "").ok(200, &rest.Channel{})
	w.call("bob", "GET", "/workspaces/"+string(w.ws)+"/read", "").ok(200, &list)
	if len(list.Cursors) != 1 || list.Cursors[0].ChannelID != c.ID || list.Cursors[0].Seq != 9 {
		t.Errorf("the cursors are %+v", list)
	}
	w.call("eve", "GET", "/workspaces/"+string(w.ws)+"/read", "").fails(fault.NotFound)
}

func TestGateways(t *testing.T) {
	w := newWorld(t)
	w.town.gateways = []rpc.Process{{ID: "g2", URL: "wss://g2.example", Region: "eu", Sockets: 3, MaxSockets: 10}, {ID: "g1", URL: "wss://g1.example", Region: "us", Draining: true}}
	var list rest.GatewayList
	w.call("bob", "GET", "/gateways?region=eu", "").ok(200, &list)
	want := []rest.Gateway{{ID: "g2", URL: "wss://g2.example", Region: "eu", Sockets: 3, Max: 10}, {ID: "g1", URL: "wss://g1.example", Region: "us", Draining: true}}
	if !slices.Equal(list.Gateways, want) || w.town.asked != string(w.ws)+" eu" {
		t.Errorf("%+v, asked for %s", list, w.town.asked)
	}
	w.call("bob", "GET", "/gateways?workspace="+string(w.ws), "").ok(200, &list)
	w.call("eve", "GET", "/gateways?workspace="+string(w.ws), "").fails(fault.NotFound)
	w.town.found(person("bob"), "Second")
	w.call("bob", "GET", "/gateways", "").fails(fault.Invalid)
	w.town.gateways = nil
	if r := w.call("eve", "GET", "/gateways", ""); string(r.body) != `{"gateways":[]}` {
		t.Errorf("none are %s", r.body)
	}
}

func TestTheDocumentsAreKeptByWhoReadsThem(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/openapi.json", "/asyncapi.json"} {
		r := w.call("", "GET", path, "")
		r.ok(200, &map[string]any{})
		tag := r.header.Get("ETag")
		if tag == "" || r.header.Get("Cache-Control") != "public, max-age=300" {
			t.Errorf("%s: %v", path, r.header)
		}
		if again := w.send("GET", path, http.Header{"If-None-Match": {tag}}, nil); again.status != 304 || len(again.body) != 0 {
			t.Errorf("%s again: %d, %d bytes", path, again.status, len(again.body))
		}
		w.send("GET", path, http.Header{"If-None-Match": {`"other"`}}, nil).ok(200, nil)
	}
}
