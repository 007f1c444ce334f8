package client_test

import (
	"encoding/json"
	"errors"
	"iter"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/edge/client/clienttest"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func signedIn(t *testing.T) (*clienttest.Server, *client.Client) {
	t.Helper()
	s := clienttest.New(t)
	c, err := client.Login(t.Context(), s.URL+"/", "alice", clienttest.Password, "laptop")
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

func collect[T any](t *testing.T, seq iter.Seq2[T, error]) (all []T) {
	t.Helper()
	for row, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, row)
	}
	return all
}

func TestCalls(t *testing.T) {
	s, c := signedIn(t)
	ctx := t.Context()
	must := func(what string, err error, ok bool) {
		t.Helper()
		if err != nil || !ok {
			t.Errorf("%s: %v", what, err)
		}
	}
	must("account", nil, c.Account().User.ID == clienttest.Alice && c.Account().Workspaces[0].ID == clienttest.Workspace && c.URL() == s.URL)
	me, err := c.Me(ctx)
	must("me", err, me.User.Login == "alice")
	ws, err := c.Workspaces(ctx)
	must("workspaces", err, len(ws) == 1)
	channels := collect(t, c.Channels(ctx, clienttest.Workspace))
	must("channels come page by page", nil, len(channels) == 2 && channels[0].Joined && !channels[1].Joined)
	for range c.Channels(ctx, clienttest.Workspace) {
		break // and no more is read than is asked for
	}
	must("members", nil, len(collect(t, c.Members(ctx, clienttest.Workspace))) == 2)
	must("members of a channel", nil, len(collect(t, c.ChannelMembers(ctx, clienttest.Plans))) == 1)
	joined, err := c.Join(ctx, clienttest.Plans)
	must("join", err, joined.Joined)
	must("leave", c.Leave(ctx, clienttest.Plans), true)
	made, err := c.CreateChannel(ctx, clienttest.Workspace, rest.NewChannel{Name: "new"})
	must("create", err, made.Name == "new" && made.Joined)
	topic := "what this is about"
	made, err = c.EditChannel(ctx, made.ID, rest.EditChannel{Topic: &topic})
	must("edit", err, made.Topic == topic)
	dm, err := c.OpenDirect(ctx, clienttest.Workspace, clienttest.Bob)
	must("dm", err, dm.Type == chat.ChannelDM)
	again, err := c.OpenDirect(ctx, clienttest.Workspace, clienttest.Bob)
	must("the same dm", err, again.ID == dm.ID)
	ack, err := c.Post(ctx, client.Message{ChannelID: clienttest.General, Body: "one"})
	must("post", err, ack.Seq != 0 && ack.ClientMsgID != "")
	reply, err := c.Post(ctx, client.Message{ChannelID: clienttest.General, Body: "two", Thread: ack.Seq})
	must("reply", err, reply.Seq > ack.Seq)
	page, err := c.History(ctx, clienttest.General, client.Page{Limit: 1})
	must("history", err, page.HasMore && len(page.Messages) == 1 && page.Messages[0].Body == "two")
	page, err = c.History(ctx, clienttest.General, client.Page{After: client.FromBeginning})
	must("from the beginning", err, len(page.Messages) == 2)
	page, err = c.Replies(ctx, clienttest.General, ack.Seq, client.Page{})
	must("replies", err, len(page.Messages) == 1 && page.Messages[0].Seq == reply.Seq)
	invite, err := c.CreateInvite(ctx, clienttest.Workspace, rest.NewInvite{})
	must("invite", err, invite.Code == "code1")
	must("logout", c.Logout(ctx), c.Session().Token == "")
	_, err = c.Me(ctx)
	must("signed out", nil, client.CodeOf(err) == fault.Unauthenticated)
}

func TestLoginIsRefused(t *testing.T) {
	s := clienttest.New(t)
	_, err := client.Login(t.Context(), s.URL, "alice", "wrong", "")
	var refused *client.Error
	if !errors.As(err, &refused) || refused.Code != fault.Unauthenticated || refused.RequestID != "request1" || refused.Message == "" {
		t.Errorf("%v", err)
	}
	for _, bad := range []string{"", "chat.example", "ftp://chat.example", "http://", "http://a/?b=c", "http://a b/"} {
		if _, err := client.Login(t.Context(), bad, "a", "b", ""); err == nil || client.CodeOf(err) != "" {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// scripted answers each request with the next of these.
func scripted(t *testing.T, answers ...func(http.ResponseWriter)) (*client.Client, *[]string) {
	t.Helper()
	var asked []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.RequestURI())
		if len(answers) == 0 {
			t.Errorf("one more request: %s", asked)
			return
		}
		answers[0](w)
		answers = answers[1:]
	}))
	t.Cleanup(s.Close)
	c, err := client.FromToken(s.URL, "token")
	if err != nil {
		t.Fatal(err)
	}
	return c, &asked
}

func failing(err error) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		p := rest.ProblemOf(err)
		w.WriteHeader(p.Status)
		_ = json.NewEncoder(w).Encode(p)
	}
}

func plain(status int, body string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) { w.WriteHeader(status); _, _ = w.Write([]byte(body)) }
}

// What may be repeated is, and nothing else; a post goes again under the same name.
func TestCallsAreRepeated(t *testing.T) {
	busy := failing(fault.New(fault.RateLimited, "slower").After(time.Millisecond))
	c, asked := scripted(t, busy, plain(503, "<html>"), plain(200, `{"messages":[],"has_more":false}`))
	if _, err := c.History(t.Context(), "c1", client.Page{Before: 7, Limit: 3}); err != nil || len(*asked) != 3 || (*asked)[0] != "GET /channels/c1/messages?before=7&limit=3" {
		t.Errorf("%v %q", err, *asked)
	}
	c, asked = scripted(t, busy)
	if err := c.Leave(t.Context(), "c1"); client.CodeOf(err) != fault.RateLimited || len(*asked) != 1 {
		t.Errorf("%v %q", err, *asked)
	}
	c, asked = scripted(t, failing(fault.New(fault.Forbidden, "no")))
	if _, err := c.Me(t.Context()); client.CodeOf(err) != fault.Forbidden || len(*asked) != 1 {
		t.Errorf("%v %q", err, *asked)
	}
	c, asked = scripted(t, failing(errors.New("secret")))
	if _, err := c.Me(t.Context()); client.CodeOf(err) != fault.Internal || len(*asked) != 1 {
		t.Errorf("%v %q", err, *asked)
	}
	c, _ = scripted(t, plain(200, "nonsense"), plain(200, "nonsense"), plain(200, "nonsense"), plain(200, "nonsense"))
	if _, err := c.CreateInvite(t.Context(), "w1", rest.NewInvite{}); err == nil || !strings.Contains(err.Error(), "does not parse") {
		t.Errorf("%v", err)
	}
}

// What makes something is repeated under one key, so that it is made once.
func TestACallThatMakesSomethingHasAKey(t *testing.T) {
	var keys []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		keys = append(keys, r.Header.Get("Idempotency-Key"))
		if len(keys) == 2 {
			plain(201, `{"id":"c9"}`)(w)
			return
		}
		failing(fault.New(fault.Unavailable, "busy").After(time.Millisecond))(w)
	}))
	defer s.Close()
	c, err := client.FromToken(s.URL, "token")
	if err != nil {
		t.Fatal(err)
	}
	made, err := c.CreateChannel(t.Context(), "w1", rest.NewChannel{Name: "new"})
	if err != nil || made.ID != "c9" || len(keys) != 2 || keys[0] == "" || keys[0] != keys[1] {
		t.Errorf("%v %+v %q", err, made, keys)
	}
}

// A sign-in that has ended is not asked for again and again; one that was handed over goes on.
func TestSessionsAreHandedOver(t *testing.T) {
	s, c := signedIn(t)
	next, err := client.FromSession(s.URL, c.Session())
	if err != nil {
		t.Fatal(err)
	}
	if me, err := next.Me(t.Context()); err != nil || me.User.ID != clienttest.Alice || next.Session().Token == c.Session().Token {
		t.Errorf("%v %+v", err, me)
	}
	s.Forget(time.Hour)
	for range 2 {
		if _, err := c.Me(t.Context()); client.CodeOf(err) != fault.Unauthenticated {
			t.Error(err)
		}
	}
	asked := slices.DeleteFunc(s.Asked(), func(a string) bool { return a != "POST /token/refresh" })
	if len(asked) != 2 { // one of each
		t.Errorf("%d refreshes", len(asked))
	}
}

// Setup and invites sign in.
func TestSigningUp(t *testing.T) {
	var asked []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.EscapedPath()+" "+r.Header.Get("Authorization"))
		if r.Header.Get("Authorization") != "" {
			plain(200, `{"id":"w7"}`)(w)
			return
		}
		plain(201, `{"token":"t","expires_in":900,"refresh_token":"r","session_id":"s","user":{"id":"u1"},"workspaces":[{"id":"w1"}]}`)(w)
	}))
	defer s.Close()
	first, err := client.Setup(t.Context(), s.URL, rest.Setup{Code: "x", Login: "ada"})
	if err != nil || first.Account().User.ID != "u1" || first.Session().Token != "t" {
		t.Fatal(err)
	}
	if _, err := client.AcceptInvite(t.Context(), s.URL, "a/b", rest.AcceptInvite{Login: "bob"}); err != nil {
		t.Error(err)
	}
	if ws, err := first.Accept(t.Context(), "c"); err != nil || ws.ID != "w7" {
		t.Error(err)
	}
	if err := first.ChangePassword(t.Context(), "old", "new"); err != nil {
		t.Error(err)
	}
	want := []string{"POST /setup ", "POST /invites/a%2Fb/accept ", "POST /invites/c/accept Bearer t", "PUT /me/password Bearer t"}
	if !slices.Equal(asked, want) {
		t.Errorf("%q", asked)
	}
}

// An answer that is no problem document, such as a proxy's, has a code by its status.
func TestAnswersOfOthers(t *testing.T) {
	got := map[int]fault.Kind{}
	for _, status := range []int{400, 401, 403, 404, 405, 409, 413, 418, 429, 301} {
		c, _ := scripted(t, slices.Repeat([]func(http.ResponseWriter){plain(status, "x")}, 4)...)
		err := c.Leave(t.Context(), "c1")
		got[status] = client.CodeOf(err)
	}
	want := map[int]fault.Kind{
		400: fault.Invalid, 401: fault.Unauthenticated, 403: fault.Forbidden, 404: fault.NotFound, 405: fault.NotAllowed,
		409: fault.Conflict, 413: fault.TooLarge, 418: fault.Invalid, 429: fault.RateLimited, 301: fault.Invalid,
	}
	for status, kind := range want {
		if got[status] != kind {
			t.Errorf("%d is %q", status, got[status])
		}
	}
}

// pauses are those of so many failures in a row, with these random numbers.
func pauses(atLeast time.Duration, random ...float64) []time.Duration {
	var b client.Backoff
	all := make([]time.Duration, len(random))
	for i, r := range random {
		all[i] = b.Next(r, atLeast)
	}
	b.Reset()
	if again := b.Next(1, 0); again != time.Second/2 {
		panic("it forgets nothing")
	}
	return all
}

func TestPauses(t *testing.T) {
	got := pauses(0, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0.5)
	s := time.Second
	want := []time.Duration{s / 2, s, 2 * s, 4 * s, 8 * s, 16 * s, 30 * s, 30 * s, 0, 15 * s}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := pauses(5*s, 0, 0.5, 1); got[0] != 5*s || got[1] != 5250*time.Millisecond || got[2] != 5500*time.Millisecond {
		t.Errorf("%v", got)
	}
}
