package app_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// session is what a login, a setup or the acceptance of an invite answers.
type session struct {
	Token        string `json:"token"`
	RefreshToken string `json:"refresh_token"`
	SessionID    string `json:"session_id"`
	ExpiresIn    int    `json:"expires_in"`
	User         struct {
		ID    string `json:"id"`
		Login string `json:"login"`
	} `json:"user"`
	Workspaces []struct{ ID, Name, Role string } `json:"workspaces"`
}

// as is the user whom s lets in, in the first of their workspaces.
func (d *deployment) as(s session) *user {
	d.t.Helper()
	if d.run.Workspace.ID == "" && len(s.Workspaces) > 0 {
		d.run.Workspace.ID = s.Workspaces[0].ID
	}
	return &user{d: d, id: s.User.ID, token: s.Token}
}

// nobody asks without a token.
func (d *deployment) nobody() *user { return &user{d: d} }

// found makes the first account of an empty deployment.
func (d *deployment) found(login string) (*user, session) {
	d.t.Helper()
	var s session
	d.nobody().must(http.StatusCreated, "POST", "/setup", map[string]any{
		"code": d.run.Setup.Code, "workspace": "Acme", "login": login, "password": "correct horse", "device": "test",
	}, &s)
	return d.as(s), s
}

// invite brings somebody into the workspace of u, as a role.
func (u *user) invite(login, role string) (*user, session) {
	u.d.t.Helper()
	var made struct{ Code, URL string }
	u.must(http.StatusCreated, "POST", u.workspace("/invites"), map[string]any{"role": role}, &made)
	if made.Code == "" || !strings.Contains(made.URL, made.Code) {
		u.d.t.Errorf("an invite is %+v", made)
	}
	var s session
	u.d.nobody().must(http.StatusCreated, "POST", "/invites/"+made.Code+"/accept", map[string]any{
		"login": login, "password": "battery staple", "display_name": strings.ToUpper(login[:1]) + login[1:],
	}, &s)
	return u.d.as(s), s
}

func empty(t *testing.T) *deployment {
	t.Helper()
	cfg := testConfig(t)
	cfg.Empty = true
	return up(t, cfg)
}

// An empty deployment belongs to its first visitor, who needs the code, and to nobody after them.
func TestTheFirstVisitorSetsUp(t *testing.T) {
	t.Parallel()
	d := empty(t)
	if d.run.Setup.Code == "" || !strings.HasSuffix(d.run.Setup.URL, "/setup") || len(d.run.Logins) > 0 {
		t.Fatalf("it says %+v", d.run)
	}
	var state struct{ Needed bool }
	d.nobody().must(http.StatusOK, "GET", "/setup", nil, &state)
	if !state.Needed {
		t.Error("it needs no setup")
	}
	setup := map[string]any{"code": "no", "workspace": "Acme", "login": "ada", "password": "correct horse"}
	if code := d.nobody().refused(http.StatusForbidden, "POST", "/setup", setup); code != "forbidden" {
		t.Errorf("a wrong code is %s", code)
	}
	ada, s := d.found("ada")
	if len(s.Workspaces) != 1 || s.Workspaces[0].Role != "owner" || s.Workspaces[0].Name != "Acme" || s.RefreshToken == "" || s.ExpiresIn < 60 {
		t.Errorf("the first visitor is %+v", s)
	}
	setup["code"], setup["login"] = d.run.Setup.Code, "eve"
	if code := d.nobody().refused(http.StatusConflict, "POST", "/setup", setup); code != "conflict" {
		t.Errorf("a second setup is %s", code)
	}
	general := ada.channel("general")
	bob, _ := ada.invite("bob", "member")
	a, b := ada.open(), bob.open()
	a.post(general, "the first")
	if got := b.want("message.deliver"); got.Message.Body != "the first" || got.Seq == 0 {
		t.Errorf("%s", got.raw)
	}

	// The next start finds them, and makes no demo.
	d.stop()
	again := up(t, d.cfg)
	if again.run.Setup.Code != "" || len(again.run.Logins) > 0 {
		t.Errorf("the second start says %+v", again.run)
	}
	again.run.Workspace = d.run.Workspace
	var in session
	again.nobody().must(http.StatusOK, "POST", "/login", map[string]any{"login": "ada", "password": "correct horse"}, &in)
	if messages, _ := again.as(in).history(general); len(messages) != 1 {
		t.Errorf("history has %v", messages)
	}
}

// ends waits until a socket is closed, and answers the code.
func (s *socket) ends() int {
	s.t.Helper()
	for {
		if _, err := s.read(); err != nil {
			return s.codeOf(err)
		}
	}
}

// Whoever signs out, is signed out, changes their password or is deactivated loses every socket of that sign-in, at once.
func TestASignInThatEndsTakesItsSocketsAlong(t *testing.T) {
	t.Parallel()
	d := empty(t)
	ada, _ := d.found("ada")
	_, first := ada.invite("bob", "member")
	login := func(password string) (*user, session) {
		var s session
		d.nobody().must(http.StatusOK, "POST", "/login", map[string]any{"login": "bob", "password": password, "device": "laptop"}, &s)
		return d.as(s), s
	}
	phone := d.as(first)
	laptop, second := login("battery staple")

	gone, stays := phone.open(), laptop.open()
	phone.must(http.StatusNoContent, "POST", "/logout", nil, nil)
	if code := gone.ends(); code != 4501 {
		t.Errorf("after a logout the socket ends with %d", code)
	}
	if code := phone.refused(http.StatusUnauthorized, "GET", "/me", nil); code != "unauthenticated" {
		t.Errorf("the token of a session that ended is %s", code)
	}
	if _, err := phone.dial(""); err == nil {
		t.Error("it opens a socket")
	}
	stays.post(ada.channel("general"), "still here")
	stays.want("message.ack")

	// The other one sees it in the list, and ends a third.
	tablet, third := login("battery staple")
	open := tablet.open()
	var sessions struct {
		Sessions []struct {
			ID      string
			Device  string
			Current bool
		}
	}
	laptop.must(http.StatusOK, "GET", "/me/sessions", nil, &sessions)
	if len(sessions.Sessions) != 2 {
		t.Errorf("sessions %+v", sessions)
	}
	laptop.must(http.StatusNoContent, "DELETE", "/me/sessions/"+third.SessionID, nil, nil)
	if code := open.ends(); code != 4501 {
		t.Errorf("a session that was revoked ends with %d", code)
	}

	// Another password: the others end, this one stays.
	tablet, _ = login("battery staple")
	open = tablet.open()
	laptop.must(http.StatusNoContent, "PUT", "/me/password", map[string]any{"old": "battery staple", "new": "another staple"}, nil)
	if code := open.ends(); code != 4501 {
		t.Errorf("with another password it ends with %d", code)
	}
	stays.post(ada.channel("general"), "still here")
	stays.want("message.ack")

	// Tokens are exchanged; the old ones of long ago end everything.
	var tokens session
	d.nobody().must(http.StatusOK, "POST", "/token/refresh", map[string]any{"refresh_token": second.RefreshToken}, &tokens)
	if tokens.RefreshToken == second.RefreshToken || tokens.SessionID != second.SessionID {
		t.Errorf("a refresh gives %+v of %+v", tokens, second)
	}

	ada.must(http.StatusOK, "PATCH", ada.workspace("/members/"+laptop.id), map[string]any{"deactivated": true}, nil)
	if code := stays.ends(); code != 4501 {
		t.Errorf("who is deactivated ends with %d", code)
	}
	if code := d.nobody().refused(http.StatusUnauthorized, "POST", "/login", map[string]any{"login": "bob", "password": "another staple"}); code != "unauthenticated" {
		t.Errorf("who is deactivated signs in: %s", code)
	}
	if code := d.nobody().refused(http.StatusUnauthorized, "POST", "/token/refresh", map[string]any{"refresh_token": tokens.RefreshToken}); code != "unauthenticated" {
		t.Errorf("who is deactivated refreshes: %s", code)
	}
}

// A ticket opens one socket, once.
func TestATicketOpensOneSocket(t *testing.T) {
	d := empty(t)
	ada, _ := d.found("ada")
	var ticket struct {
		Ticket    string
		ExpiresIn int `json:"expires_in"`
	}
	ada.must(http.StatusCreated, "POST", "/socket/ticket", nil, &ticket)
	anybody := &user{d: d}
	c, err := anybody.dial("&ticket=" + ticket.Ticket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s := &socket{t: t, c: c}
	if hello := s.next(); hello.Type != "hello" || hello.UserID != ada.id {
		t.Errorf("it opens with %s", hello.raw)
	}
	if _, err := anybody.dial("&ticket=" + ticket.Ticket); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("a second time: %v", err)
	}
	ada.must(http.StatusNoContent, "POST", "/logout", nil, nil)
	if code := s.ends(); code != 4501 {
		t.Errorf("a socket of a ticket survives its sign-in: %d", code)
	}
}

// Roles change while people are connected: what they may do follows at once.
func TestRolesAndRemovals(t *testing.T) {
	t.Parallel()
	d := empty(t)
	ada, _ := d.found("ada")
	bob, _ := ada.invite("bob", "member")
	gus, _ := ada.invite("gus", "guest")
	b, g := bob.open(), gus.open()

	if code := bob.refused(http.StatusForbidden, "POST", bob.workspace("/invites"), map[string]any{}); code != "forbidden" {
		t.Errorf("a member invites: %s", code)
	}
	ada.must(http.StatusOK, "PATCH", ada.workspace("/members/"+bob.id), map[string]any{"role": "admin"}, nil)
	for f := b.want("event"); f.Kind != "member.updated"; f = b.want("event") {
	}
	bob.must(http.StatusCreated, "POST", bob.workspace("/invites"), map[string]any{}, nil)
	if code := bob.refused(http.StatusForbidden, "PATCH", bob.workspace("/members/"+ada.id), map[string]any{"role": "member"}); code != "forbidden" {
		t.Errorf("an admin unseats the owner: %s", code)
	}
	if code := ada.refused(http.StatusConflict, "PATCH", ada.workspace("/members/"+ada.id), map[string]any{"role": "member"}); code != "conflict" {
		t.Errorf("the last owner steps down: %s", code)
	}

	// A channel's manager takes somebody out; a workspace's administrator takes somebody out of everything.
	plans := bob.create("plans", "private")
	bob.must(http.StatusNoContent, "POST", "/channels/"+plans+"/members", map[string]any{"user_ids": []string{gus.id}}, nil)
	g.joined(plans)
	bob.must(http.StatusNoContent, "DELETE", "/channels/"+plans+"/members/"+gus.id, nil, nil)
	for f := g.stored(); f.Kind != "member.left" || f.ChannelID != plans; f = g.stored() {
	}
	if code := g.refused(map[string]any{"type": "message.send", "channel_id": plans, "body": "hi", "client_msg_id": newMsgID()}); code != "not_found" {
		t.Errorf("who was taken out sends: %s", code)
	}
	bob.must(http.StatusNoContent, "DELETE", bob.workspace("/members/"+gus.id), nil, nil)
	if code := g.ends(); code != 4503 {
		t.Errorf("who was taken out of the workspace ends with %d", code)
	}
	if code := gus.refused(http.StatusNotFound, "GET", gus.workspace(""), nil); code != "not_found" {
		t.Errorf("and sees it: %s", code)
	}
}

// people reads frames up to a presence of a user that is so.
func (s *socket) sees(user, status, text string) {
	s.t.Helper()
	for {
		f := s.want("presence.update")
		var p struct{ Status, Text string }
		mustJSON(s.t, f.raw, &p)
		if f.UserID == user && p.Status == status && p.Text == text {
			return
		}
	}
}

// Presence and typing reach those who share a channel, and nobody else.
func TestPresenceAndTyping(t *testing.T) {
	t.Parallel()
	d := empty(t)
	ada, _ := d.found("ada")
	bob, _ := ada.invite("bob", "member")
	gus, _ := ada.invite("gus", "guest") // in no channel
	general := ada.channel("general")
	a, g := ada.open(), gus.open()
	b := bob.open()
	a.sees(bob.id, "online", "")
	b.send(map[string]any{"type": "presence.set", "status": "away", "text": "at lunch"})
	a.sees(bob.id, "away", "at lunch")
	b.send(map[string]any{"type": "typing.start", "channel_id": general})
	if f := a.want("typing"); f.UserID != bob.id || f.ChannelID != general {
		t.Errorf("typing is %s", f.raw)
	}
	// Who asks is answered, and told of changes; a guest learns nothing of people they share no channel with.
	a.send(map[string]any{"type": "presence.query", "user_ids": []string{bob.id, gus.id, "nobody"}, "ref": "q"})
	a.sees("nobody", "offline", "")
	g.send(map[string]any{"type": "presence.query", "user_ids": []string{bob.id}, "ref": "q"})
	g.sees(bob.id, "offline", "")
	if code := g.refused(map[string]any{"type": "typing.start", "channel_id": general}); code != "not_found" {
		t.Errorf("a guest types where they are not: %s", code)
	}
	b.cut()
	a.sees(bob.id, "offline", "")
}

// The idempotency of a POST: sent again it is answered the same, and done once.
func TestIdempotencyKey(t *testing.T) {
	d := empty(t)
	ada, _ := d.found("ada")
	once := ada.with("Idempotency-Key", "k-1")
	var first, second struct{ ID string }
	once.must(http.StatusCreated, "POST", ada.workspace("/channels"), map[string]any{"name": "plans"}, &first)
	once.must(http.StatusCreated, "POST", ada.workspace("/channels"), map[string]any{"name": "plans"}, &second)
	if first.ID == "" || first != second {
		t.Errorf("%+v, and again %+v", first, second)
	}
	if code := once.refused(http.StatusConflict, "POST", ada.workspace("/channels"), map[string]any{"name": "others"}); code != "conflict" {
		t.Errorf("another request with the key: %s", code)
	}
}

// GET /gateways leads to sockets.
func TestGateways(t *testing.T) {
	d := empty(t)
	ada, _ := d.found("ada")
	var list struct {
		Gateways []struct{ ID, URL, Region string } `json:"gateways"`
	}
	for end := time.Now().Add(patience); len(list.Gateways) == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no gateway is in the registry")
		}
		ada.must(http.StatusOK, "GET", "/gateways?workspace="+d.run.Workspace.ID, nil, &list)
	}
	if g := list.Gateways[0]; !strings.HasPrefix(g.URL, "ws://127.0.0.1:") || !strings.HasSuffix(g.URL, "/socket") || g.Region != "local" {
		t.Errorf("it is %+v", g)
	}
}
