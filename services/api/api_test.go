package api_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rest"
	"github.com/canopychat/canopy/services/store"
)

func TestTheFrontPageSaysWhatThisIs(t *testing.T) {
	w := newWorld(t)
	r := w.call("", "GET", "/", "")
	if r.status != 200 || !strings.HasPrefix(r.header.Get("Content-Type"), "text/plain") || !bytes.Contains(r.body, []byte("README.md")) {
		t.Errorf("%d %v %s", r.status, r.header, r.body)
	}
	if r := w.call("", "HEAD", "/", ""); r.status != 200 || len(r.body) != 0 {
		t.Errorf("HEAD: %d %q", r.status, r.body)
	}
}

func TestSigningIn(t *testing.T) {
	w := newWorld(t)
	var in rest.SignedIn
	w.call("", "POST", "/login", `{"login":"alice","password":"`+password+`","device":"laptop","newer":{}}`).ok(200, &in)
	want := []rest.Workspace{{ID: w.ws, Name: "Canopy", Role: chat.RoleOwner}}
	if in.ExpiresIn != int64(900) || in.User.ID != "ualice" || in.User.Login != "alice" || !slices.Equal(in.Workspaces, want) {
		t.Errorf("signed in as %+v", in)
	}
	var me rest.Me
	w.tokens["fresh"] = in.Token
	w.call("fresh", "GET", "/me", "").ok(200, &me)
	if me.User != in.User || !slices.Equal(me.Workspaces, want) {
		t.Errorf("me = %+v", me)
	}
	wrong := w.call("", "POST", "/login", `{"login":"alice","password":"wrong"}`)
	unknown := w.call("", "POST", "/login", `{"login":"nobody","password":"wrong"}`)
	wrong.fails(fault.Unauthenticated)
	if !bytes.Equal(wrong.body, unknown.body) {
		t.Errorf("an unknown login is told apart: %s, %s", wrong.body, unknown.body)
	}
	for _, body := range []string{`{}`, `{"login":"alice"}`, `{"login":"alice","password":null}`} {
		w.call("", "POST", "/login", body).fails(fault.Unauthenticated)
	}
	if out := w.logged.String(); strings.Contains(out, password) || strings.Contains(out, in.Token) || !strings.Contains(out, "/login") {
		t.Errorf("the log holds a secret, or no requests: %s", out)
	}
}

func TestNobodyGetsInWithoutAToken(t *testing.T) {
	w := newWorld(t)
	good := w.tokens["alice"]
	for name, values := range map[string][]string{
		"none": nil, "empty": {""}, "no scheme": {good}, "basic": {"Basic YWxpY2U6eA=="}, "no token": {"Bearer "},
		"two":       {"Bearer " + good, "Bearer " + good},
		"cut":       {"Bearer " + good[:len(good)-4]},
		"alg none":  {"Bearer eyJhbGciOiJub25lIiwidHlwIjoiY2Fub3B5LWFjY2Vzcytqd3QiLCJraWQiOiIxIn0.e30."},
		"very long": {"Bearer " + strings.Repeat("a", 10_000)},
	} {
		r := w.send("GET", "/me", http.Header{"Authorization": values}, nil)
		if r.fails(fault.Unauthenticated); r.header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("%s: no WWW-Authenticate", name)
		}
	}
	w.send("GET", "/me?token="+good, nil, nil).fails(fault.Unauthenticated)
	w.send("GET", "/me", http.Header{"Authorization": {"bearer  " + good}}, nil).ok(200, &rest.Me{})
	w.tokens["nobody"] = w.town.begin(chat.User{ID: "un0body"}, store.Device{}).Issued.Token
	w.call("nobody", "GET", "/me", "").fails(fault.Unauthenticated)
	w.call("nobody", "POST", "/workspaces", `{"name":"x"}`).fails(fault.Unauthenticated)
}

func TestWorkspaces(t *testing.T) {
	w := newWorld(t)
	var made rest.Workspace
	w.call("bob", "POST", "/workspaces", `{"name":"Bob's"}`).ok(201, &made)
	if made.Name != "Bob's" || made.Role != chat.RoleOwner {
		t.Errorf("made %+v", made)
	}
	var list rest.WorkspaceList
	w.call("bob", "GET", "/workspaces", "").ok(200, &list)
	if len(list.Workspaces) != 2 || list.Workspaces[0].Role != chat.RoleMember || list.Workspaces[1] != made {
		t.Errorf("bob's workspaces are %+v", list)
	}
	var one rest.Workspace
	w.call("bob", "GET", "/workspaces/"+string(made.ID), "").ok(200, &one)
	if one != made {
		t.Errorf("read %+v", one)
	}
	w.call("alice", "GET", "/workspaces/"+string(made.ID), "").fails(fault.NotFound)
	w.call("bob", "POST", "/workspaces", `{"name":" "}`).fails(fault.Invalid)
	var members rest.MemberList
	w.call("bob", "GET", "/workspaces/"+string(w.ws)+"/members", "").ok(200, &members)
	want := []rest.Member{
		{UserID: "ualice", Login: "alice", DisplayName: "Alice", Role: chat.RoleOwner},
		{UserID: "ubob", Login: "bob", DisplayName: "Bob", Role: chat.RoleMember},
		{UserID: "ucarol", Login: "carol", DisplayName: "Carol", Role: chat.RoleMember},
		{UserID: "ugus", Login: "gus", DisplayName: "Gus", Role: chat.RoleGuest},
	}
	if !slices.Equal(members.Members, want) || members.NextCursor != "" {
		t.Errorf("the members are %+v", members)
	}
	w.call("gus", "GET", "/workspaces/"+string(w.ws)+"/members", "").fails(fault.Forbidden)
}

func TestListsComeInPages(t *testing.T) {
	w := newWorld(t)
	var made []string
	for i := range 5 {
		made = append(made, w.channel(fmt.Sprint("c", i), chat.ChannelPublic).Name)
	}
	at := "/workspaces/" + string(w.ws) + "/channels?limit=2"
	var names []string
	pages := 0
	for cursor := ""; ; {
		var page rest.ChannelList
		w.call("bob", "GET", at+"&cursor="+cursor, "").ok(200, &page)
		for _, c := range page.Channels {
			names = append(names, c.Name)
		}
		pages++
		if cursor = page.NextCursor; cursor == "" {
			break
		}
	}
	if slices.Sort(names); !slices.Equal(names, made) || pages != 3 {
		t.Errorf("%d pages hold %v", pages, names)
	}
	var people rest.MemberList
	w.call("bob", "GET", "/workspaces/"+string(w.ws)+"/members?limit=1", "").ok(200, &people)
	w.call("bob", "GET", "/workspaces/"+string(w.ws)+"/members?limit=1&cursor="+people.NextCursor, "").ok(200, &people)
	if len(people.Members) != 1 || people.Members[0].UserID != "ubob" {
		t.Errorf("the second member is %+v", people)
	}
	for _, bad := range []string{
		"&cursor=x", "&cursor=" + people.NextCursor, "&cursor=Y2M-", "&cursor=%00", "&limit=2&cursor=Li4v",
	} {
		w.call("bob", "GET", at+bad, "").fails(fault.Invalid)
	}
	for _, bad := range []string{"0", "-1", "201", "1000000000", "99999999999999999999", "x", "1.5", "0x10"} {
		w.call("bob", "GET", "/workspaces/"+string(w.ws)+"/channels?limit="+bad, "").fails(fault.Invalid)
		w.call("bob", "GET", "/workspaces/"+string(w.ws)+"/members?limit="+bad, "").fails(fault.Invalid)
	}
}

func TestChannels(t *testing.T) {
	w := newWorld(t)
	var c rest.Channel
	at := "/workspaces/" + string(w.ws) + "/channels"
	w.call("alice", "POST", at, `{"name":"plans","type":"public","topic":"What next"}`).ok(201, &c)
	if c.Name != "plans" || c.Type != chat.ChannelPublic || c.Topic != "What next" || c.CreatorID != "ualice" || c.WorkspaceID != w.ws || !c.Joined || c.Archived {
		t.Errorf("made %+v", c)
	}
	w.call("bob", "POST", at, `{"name":"plans"}`).fails(fault.Conflict)
	w.call("bob", "POST", at, `{"name":"Not A Name"}`).fails(fault.Invalid)
	w.call("bob", "POST", at, `{"name":"x","type":"dm"}`).fails(fault.Invalid)
	w.call("gus", "POST", at, `{"name":"x"}`).fails(fault.Forbidden)
	w.call("eve", "POST", at, `{"name":"x"}`).fails(fault.NotFound)

	one := "/channels/" + string(c.ID)
	var got rest.Channel
	w.call("bob", "GET", one, "").ok(200, &got)
	if got.Joined || got.ID != c.ID {
		t.Errorf("bob sees %+v", got)
	}
	w.call("bob", "POST", one+"/join", "").ok(200, &got)
	if !got.Joined {
		t.Errorf("bob joined %+v", got)
	}
	w.call("bob", "POST", one+"/join", "").ok(200, &got)
	var members rest.MemberList
	w.call("carol", "GET", one+"/members", "").ok(200, &members)
	if len(members.Members) != 2 || members.Members[1].DisplayName != "Bob" {
		t.Errorf("the members are %+v", members)
	}
	w.call("bob", "POST", one+"/leave", "").ok(204, nil)
	w.call("bob", "POST", one+"/leave", "").ok(204, nil)
	w.call("alice", "POST", one+"/members", `{"user_ids":["ugus","ubob"]}`).ok(204, nil)
	w.call("gus", "GET", one, "").ok(200, &got)
	w.call("alice", "POST", one+"/members", `{"user_ids":["ueve"]}`).fails(fault.NotFound)
	w.call("alice", "POST", one+"/members", `{"user_ids":["a.b"]}`).fails(fault.Invalid)
	w.call("carol", "POST", one+"/members", `{"user_ids":["ucarol"]}`).fails(fault.Forbidden)
}

func TestDirectMessages(t *testing.T) {
	w := newWorld(t)
	at := "/workspaces/" + string(w.ws) + "/dms"
	var first, again, group rest.Channel
	w.call("alice", "POST", at, `{"user_ids":["ubob"]}`).ok(201, &first)
	w.call("bob", "POST", at, `{"user_ids":["ualice","ubob"]}`).ok(200, &again)
	if first.ID != again.ID || first.Type != chat.ChannelDM || first.Name != "" || !again.Joined {
		t.Errorf("%+v, then %+v", first, again)
	}
	w.call("carol", "POST", at, `{"user_ids":["ubob","ualice"]}`).ok(201, &group)
	if group.Type != chat.ChannelGroupDM || group.ID == first.ID {
		t.Errorf("of three: %+v", group)
	}
	w.call("carol", "GET", "/channels/"+string(first.ID), "").fails(fault.NotFound)
	w.call("bob", "POST", "/channels/"+string(first.ID)+"/leave", "").fails(fault.Forbidden)
	w.call("carol", "POST", "/channels/"+string(first.ID)+"/join", "").fails(fault.NotFound)
	for body, kind := range map[string]fault.Kind{
		`{}`: fault.Invalid, `{"user_ids":[]}`: fault.Invalid, `{"user_ids":["*"]}`: fault.Invalid, `{"user_ids":"ubob"}`: fault.Invalid,
		`{"user_ids":[1]}`: fault.Invalid, `{"user_ids":["ueve"]}`: fault.NotFound, `{"user_ids":["nobody"]}`: fault.NotFound,
		`{"user_ids":[` + strings.Repeat(`"ubob","x1","x2","x3","x4","x5","x6","x7","x8","x9",`, 3) + `"y"]}`: fault.Invalid,
	} {
		w.call("alice", "POST", at, body).fails(kind)
	}
}

func TestAMessageAndWhatIsDoneToIt(t *testing.T) {
	w := newWorld(t)
	c := w.channel("plans", chat.ChannelPublic)
	at := messages(c.ID)
	r := w.call("alice", "POST", at, `{"body":"hello","client_msg_id":"m-1"}`)
	var ack rest.Ack
	r.ok(201, &ack)
	want := fmt.Sprintf(`{"client_msg_id":"m-1","channel_id":"%s","seq":%d,"server_msg_id":"1.%d","ts":"2026-01-02T02:04:05.678Z","status":"stored","duplicate":false}`, c.ID, ack.Seq, ack.Seq)
	if string(r.body) != want {
		t.Errorf("the ack is\n%s, want\n%s", r.body, want)
	}
	var dup rest.Ack
	w.call("alice", "POST", at, `{"body":"hello","client_msg_id":"m-1"}`).ok(200, &dup)
	if !dup.Duplicate || dup.Seq != ack.Seq {
		t.Errorf("sent again: %+v", dup)
	}
	w.call("alice", "POST", at, `{"body":"other","client_msg_id":"m-1"}`).fails(fault.Conflict)

	one := fmt.Sprintf("%s/%d", at, ack.Seq)
	reply := w.call("alice", "POST", at, fmt.Sprintf(`{"body":"re","client_msg_id":"m-2","thread":%d}`, ack.Seq))
	reply.ok(201, &dup)
	var stored rest.Stored
	w.call("alice", "PATCH", one, `{"body":"hello!"}`).ok(200, &stored)
	if stored.Seq <= dup.Seq {
		t.Errorf("the edit is at %d, after %d", stored.Seq, dup.Seq)
	}
	w.call("alice", "PUT", one+"/reactions/%F0%9F%91%8D", "").ok(200, &stored)
	w.call("alice", "PUT", one+"/reactions/%3Atada%3A", "").ok(200, &stored)
	if got := w.log.lastChange(); got.Emoji != ":tada:" || got.Kind != event.ReactionAdded || got.MessageSeq != ack.Seq || got.Epoch != 1 || !got.Standing.InIt {
		t.Errorf("the change is %+v", got)
	}
	w.call("alice", "DELETE", one+"/reactions/:tada:", "").ok(200, &stored)
	w.call("alice", "PUT", fmt.Sprintf("/channels/%s/pins/%d", c.ID, ack.Seq), "").ok(200, &stored)

	page := w.call("bob", "GET", at+"?limit=1&before="+fmt.Sprint(dup.Seq), "")
	want = fmt.Sprintf(`{"messages":[{"seq":%d,"server_msg_id":"1.%d","channel_id":"%s","sender_id":"ualice","body":"hello!","client_msg_id":"m-1",`+
		`"ts":"2026-01-02T02:04:05.678Z","edited_at":"2026-01-02T02:04:06.678Z","reactions":[{"emoji":"👍","user_ids":["ualice"]}]}],"has_more":false,"complete_through":%d}`,
		ack.Seq, ack.Seq, c.ID, stored.Seq)
	if string(page.body) != want {
		t.Errorf("the page is\n%s, want\n%s", page.body, want)
	}
	var list rest.MessageList
	w.call("bob", "GET", one+"/replies", "").ok(200, &list)
	if len(list.Messages) != 1 || list.Messages[0].Thread != ack.Seq || list.Messages[0].Body != "re" {
		t.Errorf("the replies are %+v", list)
	}
	w.call("bob", "GET", "/channels/"+string(c.ID)+"/pins", "").ok(200, &list)
	if len(list.Messages) != 1 || list.Messages[0].Seq != ack.Seq {
		t.Errorf("the pins are %+v", list)
	}
	w.call("alice", "DELETE", fmt.Sprintf("/channels/%s/pins/%d", c.ID, ack.Seq), "").ok(200, &stored)
	list = rest.MessageList{}
	if r := w.call("bob", "GET", "/channels/"+string(c.ID)+"/pins", ""); !bytes.Contains(r.body, []byte(`"messages":[]`)) {
		t.Errorf("no pins are %s", r.body)
	}
	w.call("alice", "DELETE", one, "").ok(200, &stored)
	gone := w.call("bob", "GET", at, "")
	gone.ok(200, &list)
	if last := list.Messages[1]; !last.Deleted || bytes.Contains(gone.body, []byte("hello")) || bytes.Contains(gone.body, []byte("👍")) {
		t.Errorf("a deleted message still says something: %s", gone.body)
	}
}

func TestHistoryIsReadFromAnyPlace(t *testing.T) {
	w := newWorld(t)
	c := w.channel("plans", chat.ChannelPublic)
	var seqs []chat.Seq
	for i := range 5 {
		seqs = append(seqs, w.post("alice", c.ID, fmt.Sprint("m", i), fmt.Sprint("id-", i)).Seq)
	}
	read := func(query string) (bodies []string, more bool) {
		var list rest.MessageList
		w.call("bob", "GET", messages(c.ID)+query, "").ok(200, &list)
		for _, m := range list.Messages {
			bodies = append(bodies, m.Body)
		}
		return bodies, list.HasMore
	}
	for query, want := range map[string]string{
		"":                                 "[m4 m3 m2 m1 m0] false",
		"?limit=2":                         "[m4 m3] true",
		fmt.Sprintf("?before=%d", seqs[2]): "[m1 m0] false",
		fmt.Sprintf("?after=%d", seqs[2]):  "[m4 m3] false",
		"?after=0&limit=2":                 "[m1 m0] true",
		"?limit=200&after=1000000000":      "[] false",
	} {
		if bodies, more := read(query); fmt.Sprint(bodies, more) != want {
			t.Errorf("%s reads %v %v, want %s", query, bodies, more, want)
		}
	}
	if p := w.log.place; p.WorkspaceID != w.ws || p.ChannelID != c.ID {
		t.Errorf("history was asked about %+v", p)
	}
	for _, bad := range []string{
		"?before=0", "?around=0", "?before=x", "?after=-1", "?after=1.5", "?around=01", "?before=+1", "?before=999999999999999",
		"?before=99999999999999999999", "?before=1&after=1", "?after=0&around=3", "?limit=0", "?limit=1000000000",
	} {
		w.call("bob", "GET", messages(c.ID)+bad, "").fails(fault.Invalid)
		w.call("bob", "GET", fmt.Sprintf("%s/%d/replies%s", messages(c.ID), seqs[0], bad), "").fails(fault.Invalid)
	}
}

func TestHistoryIsForWhoMaySeeTheChannel(t *testing.T) {
	w := newWorld(t)
	open, closed := w.channel("open", chat.ChannelPublic), w.channel("closed", chat.ChannelPrivate)
	for _, c := range []rest.Channel{open, closed} {
		w.post("alice", c.ID, "a secret", "id-"+c.Name)
	}
	w.call("bob", "GET", messages(open.ID), "").ok(200, &rest.MessageList{})
	w.call("bob", "POST", messages(open.ID), `{"body":"x","client_msg_id":"x"}`).fails(fault.NotFound) // he is not in it
	seq := w.post("alice", closed.ID, "another", "id").Seq
	for _, try := range []struct {
		login string
		c     chat.ChannelID
	}{{"bob", closed.ID}, {"gus", open.ID}, {"eve", open.ID}, {"eve", closed.ID}, {"alice", "n0where"}} {
		missing := w.call("alice", "GET", "/channels/n0where", "")
		for _, call := range w.everyCall(try.c, seq) {
			r := w.call(try.login, call[0], call[1], call[2])
			r.fails(fault.NotFound)
			if !bytes.Equal(r.body, missing.body) {
				t.Errorf("%s as %s can be told from a channel that does not exist: %s", r.what, try.login, r.body)
			}
		}
	}
}

// everyCall is every call about a channel, with a body that would be right.
func (w *world) everyCall(c chat.ChannelID, seq chat.Seq) [][3]string {
	one := "/channels/" + string(c)
	message := fmt.Sprintf("%s/messages/%d", one, seq)
	pin := fmt.Sprintf("%s/pins/%d", one, seq)
	return [][3]string{
		{"GET", one, ""}, {"PATCH", one, `{"topic":"x"}`}, {"POST", one + "/join", ""}, {"POST", one + "/leave", ""}, {"GET", one + "/members", ""},
		{"POST", one + "/members", `{"user_ids":["ubob"]}`}, {"GET", one + "/messages", ""}, {"GET", one + "/pins", ""},
		{"POST", one + "/read", `{"seq":1}`}, {"POST", one + "/scheduled", `{"body":"x","at":"2026-02-01T08:00:00Z"}`},
		{"POST", one + "/messages", `{"body":"x","client_msg_id":"x"}`}, {"PATCH", message, `{"body":"x"}`}, {"DELETE", message, ""},
		{"GET", message + "/replies", ""}, {"PUT", message + "/reactions/x", ""}, {"DELETE", message + "/reactions/x", ""},
		{"PUT", pin, ""}, {"DELETE", pin, ""}, {"PUT", message + "/follow", ""}, {"DELETE", message + "/follow", ""}, {"GET", message + "/delivery", ""},
	}
}

func TestFailuresSayWhatTheyMay(t *testing.T) {
	w := newWorld(t)
	c := w.channel("plans", chat.ChannelPublic)
	send := func() reply { return w.call("alice", "POST", messages(c.ID), `{"body":"x","client_msg_id":"x"}`) }

	w.log.set(fault.Wrap(fault.Unavailable, errors.New("nats: 10.0.0.7"), "the log does not answer").After(1500*time.Millisecond), false)
	r := send()
	if p := r.fails(fault.Unavailable); p.RetryAfter != 1.5 || p.Detail != "the log does not answer" || r.header.Get("Retry-After") != "2" {
		t.Errorf("%+v, Retry-After %q", p, r.header.Get("Retry-After"))
	}
	for _, secret := range []func(){
		func() { w.log.set(errors.New("the secret of the log"), false) },
		func() { w.log.set(nil, true) },
	} {
		secret()
		w.logged.Reset()
		if r := send(); r.status != 500 || bytes.Contains(r.body, []byte("secret")) || r.header.Get("Retry-After") != "" {
			t.Errorf("%d %s", r.status, r.body)
		}
		if !strings.Contains(w.logged.String(), "the secret of the log") {
			t.Errorf("the log does not say why: %s", w.logged)
		}
	}
	w.log.set(nil, false)
	send().ok(201, &rest.Ack{})

	w.call("alice", "GET", "/nothing/here", "").fails(fault.NotFound)
	w.call("", "GET", "/socket/ticket", "").fails(fault.NotAllowed)
	r = w.call("alice", "PUT", "/channels/"+string(c.ID)+"/messages", "")
	if r.fails(fault.NotAllowed); !strings.Contains(r.header.Get("Allow"), "GET") {
		t.Errorf("Allow is %q", r.header.Get("Allow"))
	}
}

func TestEveryAnswerCarriesItsHeaders(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/", "/me", "/nothing", "/workspaces/*"} {
		r := w.call("alice", "GET", path, "")
		for key, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"} {
			if got := r.header.Get(key); got != want {
				t.Errorf("%s: %s is %q", path, key, got)
			}
		}
		if id := r.header.Get("X-Request-Id"); !chat.IsID(id) {
			t.Errorf("%s: the request's id is %q", path, id)
		}
	}
	for given, echoed := range map[string]bool{
		"abc-123_X.9": true, "": false, "with space": false, strings.Repeat("x", 65): false, "a\"b": false, "<script>": false,
	} {
		r := w.send("GET", "/", http.Header{"X-Request-Id": {given}}, nil)
		if got := r.header.Get("X-Request-Id"); (got == given) != echoed || got == "" {
			t.Errorf("the id %q is answered with %q", given, got)
		}
	}
}

func TestATraceIsCarriedOn(t *testing.T) {
	w := newWorld(t)
	c := w.channel("plans", chat.ChannelPublic)
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for i, given := range []string{trace, "00-xyz", ""} {
		header := http.Header{"Authorization": {"Bearer " + w.tokens["alice"]}, "Traceparent": {given}}
		body, err := json.Marshal(rest.NewMessage{Body: "x", ClientMsgID: chat.ClientMsgID(fmt.Sprint("id-", i))})
		w.must(err)
		w.send("POST", messages(c.ID), header, bytes.NewReader(body)).ok(201, nil)
		if got := w.log.lastChange().TraceParent; (got == given) != (given != "00-xyz") {
			t.Errorf("the trace %q became %q", given, got)
		}
	}
}
