package api_test

import (
	"strings"
	"testing"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rest"
)

func TestAChannelIsChanged(t *testing.T) {
	w := newWorld(t)
	c := w.channel("plans", chat.ChannelPublic)
	taken := w.channel("taken", chat.ChannelPrivate)
	at := "/channels/" + string(c.ID)
	for _, step := range []struct {
		body   string
		change func()
	}{
		{`{}`, func() {}},
		{`{"name":null,"topic":null,"archived":null,"newer":1}`, func() {}},
		{`{"archived":false}`, func() {}},
		{`{"name":"roadmap","topic":"what <comes>"}`, func() { c.Name, c.Topic = "roadmap", "what <comes>" }},
		{`{"topic":""}`, func() { c.Topic = "" }},
		{`{"name":"old-roadmap","archived":true}`, func() { c.Name, c.Archived = "old-roadmap", true }},
		{`{"name":"old-roadmap","archived":true}`, func() {}},
	} {
		var got, read rest.Channel
		w.call("alice", "PATCH", at, step.body).ok(200, &got)
		w.call("alice", "GET", at, "").ok(200, &read)
		if step.change(); got != c || read != c {
			t.Errorf("%s answers %+v, then it reads as %+v, want %+v", step.body, got, read, c)
		}
	}
	if p := w.call("alice", "PATCH", at, `{"archived":false}`).fails(fault.Invalid); !strings.Contains(p.Detail, "archived") {
		t.Errorf("who wants it back is told %q", p.Detail)
	}
	w.call("alice", "PATCH", at, `{"topic":"x"}`).fails(fault.Forbidden)
	w.call("gus", "PATCH", at, `{"topic":"x"}`).fails(fault.NotFound)
	other := w.channel("other", chat.ChannelPublic)
	at = "/channels/" + string(other.ID)
	w.call("bob", "PATCH", at, `{"topic":"x"}`).fails(fault.Forbidden)
	p := w.call("alice", "PATCH", at, `{"name":"`+taken.Name+`","topic":"x"}`).fails(fault.Conflict)
	if p.Detail != "A channel of this name exists already." {
		t.Errorf("of a name that is taken one is told %q", p.Detail)
	}
}

func TestAProfileIsChanged(t *testing.T) {
	w := newWorld(t)
	var got rest.User
	var me rest.Me
	w.call("bob", "PATCH", "/me", `{"display_name":"Bob Ünal","login":"root"}`).ok(200, &got)
	w.call("bob", "GET", "/me", "").ok(200, &me)
	if want := (rest.User{ID: "ubob", Login: "bob", DisplayName: "Bob Ünal"}); got != want || me.User != want {
		t.Errorf("answers %+v, then it reads as %+v", got, me.User)
	}
	for _, bad := range []string{`{}`, `{"display_name":""}`, `{"display_name":null}`, `{"display_name":7}`, `{"display_name":" x"}`, `{"display_name":"a\u202eb"}`} {
		w.call("bob", "PATCH", "/me", bad).fails(fault.Invalid)
	}
	w.call("", "PATCH", "/me", `{"display_name":"x"}`).fails(fault.Unauthenticated)
	var members rest.MemberList
	w.call("alice", "GET", "/workspaces/"+string(w.ws)+"/members", "").ok(200, &members)
	if members.Members[1].DisplayName != "Bob Ünal" {
		t.Errorf("the members are %+v", members)
	}
}
