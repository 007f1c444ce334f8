package api_test

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rest"
	"github.com/canopychat/canopy/services/api"
	"github.com/canopychat/canopy/services/store"
)

// noID is what is no id, or not one of anything.
var noID = []string{
	"*", ">", "-", ".", "..", "...", "../../etc/passwd", "a.b", "a b", "\x00", "a\x00b", "%", "%2e%2e", "A", "é", "\xff", "' OR 1=1 --",
	"<script>", strings.Repeat("a", 27), strings.Repeat("z", 300), "chat.0.w1.c1", "/", "a/b", "0", "null",
}

func TestHostileIDsInAPathAreNotFound(t *testing.T) {
	w := newWorld(t)
	c := w.channel("plans", chat.ChannelPublic)
	seq := w.post("alice", c.ID, "x", "x").Seq
	for _, id := range noID {
		esc := url.PathEscape(id)
		for _, call := range w.everyCall("PLACE", seq) {
			w.call("alice", call[0], strings.Replace(call[1], "PLACE", esc, 1), call[2]).fails(fault.NotFound)
		}
		for _, path := range []string{"/workspaces/%s", "/workspaces/%s/members", "/workspaces/%s/channels"} {
			w.call("alice", "GET", fmt.Sprintf(path, esc), "").fails(fault.NotFound)
		}
		w.call("alice", "POST", "/workspaces/"+esc+"/channels", `{"name":"x"}`).fails(fault.NotFound)
		w.call("alice", "POST", "/workspaces/"+esc+"/dms", `{"user_ids":["ubob"]}`).fails(fault.NotFound)
		for _, path := range []string{"/channels/%s/messages/%s", "/channels/%s/pins/%s"} {
			w.call("alice", "DELETE", fmt.Sprintf(path, c.ID, esc), "").fails(fault.NotFound)
		}
	}
	for _, seq := range []string{"-1", "1.5", "1e3", "01", "+1", "0x10", "281474976710656", "18446744073709551616", strings.Repeat("9", 300)} {
		w.call("alice", "PATCH", messages(c.ID)+"/"+seq, `{"body":"x"}`).fails(fault.NotFound)
	}
}

func TestWorkspacesDoNotReachEachOther(t *testing.T) {
	w := newWorld(t)
	c := w.channel("plans", chat.ChannelPublic)
	var hers rest.Channel
	w.call("eve", "POST", "/workspaces/"+string(w.eves)+"/channels", `{"name":"hers"}`).ok(201, &hers)
	seq := w.post("alice", c.ID, "a secret", "x").Seq
	// The seq of a message of one channel, through another channel that one may see.
	for _, call := range w.everyCall(hers.ID, seq)[11:] {
		if call[0] != "GET" {
			w.call("eve", call[0], call[1], call[2]).fails(fault.NotFound)
		}
	}
	var list rest.MessageList
	w.call("eve", "GET", messages(hers.ID), "").ok(200, &list)
	if len(list.Messages) != 0 {
		t.Errorf("eve reads %+v", list)
	}
	w.call("alice", "POST", "/channels/"+string(c.ID)+"/members", `{"user_ids":["ueve"]}`).fails(fault.NotFound)
	for _, path := range []string{"", "/members", "/channels"} {
		w.call("eve", "GET", "/workspaces/"+string(w.ws)+path, "").fails(fault.NotFound)
	}
}

func TestHostileBodiesAreRefused(t *testing.T) {
	w := newWorld(t)
	c := w.channel("plans", chat.ChannelPublic)
	at := messages(c.ID)
	seq := w.post("alice", c.ID, "x", "x").Seq
	bodies := []string{
		"", " ", "null", "[]", `"x"`, "1", "{", "{}x", "{} {}", `{"body":"x","client_msg_id":"a"}{}`, `{"body":1}`, `{"name":[],"body":{},"login":1,"user_ids":{}}`,
		"\x00", "{\"body\":\"\xff\",\"client_msg_id\":\"a\"}", "body=x&client_msg_id=a", strings.Repeat("[", 100_000),
		`{"body":"half \ud83d of a pair","client_msg_id":"a"}`, `{"body":"x","body":"y","client_msg_id":"a"}`,
		`{"body":"x","client_msg_id":"a","deep":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`,
		`{"body":"x","client_msg_id":"a","thread":-1}`, `{"body":"x","client_msg_id":"a","thread":1.5}`, `{"body":"x","client_msg_id":"a","thread":"1"}`,
		`{"body":"x","client_msg_id":"a","thread":18446744073709551616}`,
	}
	for _, body := range bodies {
		w.call("alice", "POST", at, body).fails(fault.Invalid)
	}
	for _, body := range append([]string{`{"name":1}`, `{"topic":{}}`, `{"archived":"yes"}`, `{"archived":1}`, `{"name":""}`}, bodies[:10]...) {
		w.call("alice", "PATCH", "/channels/"+string(c.ID), body).fails(fault.Invalid)
	}
	for _, body := range bodies[:12] {
		w.call("", "POST", "/login", body).refused()
		w.call("alice", "POST", "/workspaces", body).fails(fault.Invalid)
		w.call("alice", "POST", "/workspaces/"+string(w.ws)+"/channels", body).fails(fault.Invalid)
		w.call("alice", "POST", "/workspaces/"+string(w.ws)+"/dms", body).fails(fault.Invalid)
		w.call("alice", "POST", "/channels/"+string(c.ID)+"/members", body).fails(fault.Invalid)
		w.call("alice", "PATCH", fmt.Sprintf("%s/%d", at, seq), body).refused()
		w.call("alice", "PATCH", "/me", body).fails(fault.Invalid)
	}
	for _, id := range []string{"", "a b", "a.b", "*", "é", strings.Repeat("x", 65)} {
		w.call("alice", "POST", at, `{"body":"x","client_msg_id":"`+id+`"}`).fails(fault.Invalid)
	}
	for _, emoji := range []string{"%20", "%00", "a%2Fb", strings.Repeat("x", 65), "%FF", "%C2%A0"} {
		w.call("alice", "PUT", fmt.Sprintf("%s/%d/reactions/%s", at, seq, emoji), "").fails(fault.Invalid)
	}
	// As large as a message may be, in the longest way to write it.
	long := strings.Repeat(`\u0041`, chat.MaxBody)
	w.call("alice", "POST", at, `{"body":"`+long+`","client_msg_id":"long"}`).ok(201, &rest.Ack{})
}

// refused checks that a request is the client's fault.
func (r reply) refused() {
	r.t.Helper()
	if r.status < 400 || r.status >= 500 {
		r.t.Errorf("%s answers %d %s", r.what, r.status, r.body)
	}
}

func TestAHugeBodyIsNotRead(t *testing.T) {
	w := newWorld(t)
	c := w.channel("plans", chat.ChannelPublic)
	for _, path := range []string{"/login", messages(c.ID), "/workspaces"} {
		huge := io.MultiReader(strings.NewReader(`{"body":"`), bytes.NewReader(make([]byte, 10<<20)))
		req, err := http.NewRequestWithContext(t.Context(), "POST", w.url+path, huge)
		w.must(err)
		req.Header.Set("Authorization", "Bearer "+w.tokens["alice"])
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			continue // the server closed the connection while the body was still being sent
		}
		body, err := io.ReadAll(resp.Body)
		w.must(err)
		w.must(resp.Body.Close())
		reply{t: t, what: path, status: resp.StatusCode, header: resp.Header, body: body}.fails(fault.TooLarge)
	}
	exact := strings.Repeat(" ", rest.MaxRequest+1)
	w.call("alice", "POST", "/workspaces", exact).fails(fault.TooLarge)
}

func TestABodyThatEndsEarlyIsTheClientsFault(t *testing.T) {
	w := newWorld(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
	w.must(err)
	_, err = io.WriteString(conn, "POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"login\"")
	w.must(err)
	w.must(conn.(*net.TCPConn).CloseWrite())
	got, err := io.ReadAll(conn)
	w.must(err)
	w.must(conn.Close())
	if !bytes.HasPrefix(got, []byte("HTTP/1.1 400 ")) || !bytes.Contains(got, []byte(`"invalid"`)) {
		t.Errorf("%s", got)
	}
}

func TestUnknownFieldsAreIgnored(t *testing.T) {
	w := newWorld(t)
	c := w.channel("plans", chat.ChannelPublic)
	w.call("alice", "POST", messages(c.ID), `{"body":"x","client_msg_id":"a","newer":{"deep":[1,2]},"attachments":null}`).ok(201, &rest.Ack{})
}

// FuzzRequest sends anything to an API whose town is empty but for the one who asks: no request may be our fault.
func FuzzRequest(f *testing.F) {
	for _, seed := range [][3]string{
		{"GET", "/channels/x/messages?before=1", ""}, {"POST", "/login", `{"login":"alice"}`}, {"PUT", "/channels/%2e%2e/pins/1", ""},
		{"POST", "/channels/x/messages", `{"body":"x","client_msg_id":"y"}`}, {"HEAD", "//", ""}, {"GET", "/workspaces/x/members?cursor=cGE", ""},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	town := newTown()
	signed := town.begin(town.add(store.Newcomer{Login: "alice", DisplayName: "Alice", Password: password}), store.Device{})
	cfg := config(town, &memory{})
	cfg.Logger = slog.New(slog.DiscardHandler)
	handler := api.New(cfg).Handler()
	f.Fuzz(func(t *testing.T, method, path, body string) {
		u, err := url.ParseRequestURI(path)
		if err != nil || method == "" {
			t.Skip()
		}
		req := httptest.NewRequest("GET", "/", strings.NewReader(body))
		req.Method, req.URL = method, u
		req.Header.Set("Authorization", "Bearer "+signed.Issued.Token)
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, req)
		if rec.Code >= 500 {
			t.Errorf("%s %s answers %d: %s", method, path, rec.Code, rec.Body)
		}
	})
}
