package resttest_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/canopychat/canopy/schemas/rest/resttest"
)

const (
	channel  = `{"id":"c1","workspace_id":"w1","name":"plans","type":"public","topic":"","creator_id":"u1","created_at":"2026-03-04T06:06:07.089Z","archived":false,"joined":true}`
	notFound = `{"type":"urn:canopy:error:not_found","title":"There is no such thing, or it is not yours to see","status":404,"code":"not_found"}`
	notTaken = `{"type":"urn:canopy:error:not_allowed","title":"This address does not take that method","status":405,"code":"not_allowed"}`
)

// exchange is made of a call "METHOD address", what it takes, a status and what it answers.
func exchange(t *testing.T, call, takes string, status int, answers string) resttest.Exchange {
	t.Helper()
	method, address, _ := strings.Cut(call, " ")
	u, err := url.Parse("http://localhost" + address)
	if err != nil {
		t.Fatal(err)
	}
	x := resttest.Exchange{Method: method, URL: u, Header: http.Header{}, RequestBody: []byte(takes), Status: status, Answer: http.Header{}, Body: []byte(answers)}
	switch {
	case status >= 400:
		x.Answer.Set("Content-Type", "application/problem+json")
	case answers != "":
		x.Answer.Set("Content-Type", "application/json")
	}
	return x
}

func TestTrafficIsHeldAgainstTheDocument(t *testing.T) {
	d, err := resttest.Open()
	if err != nil {
		t.Fatal(err)
	}
	const make = `{"name":"plans"}`
	for _, tt := range []struct {
		name, call, takes string
		status            int
		answers           string
		ok                bool
	}{
		{"as it should be", "POST /workspaces/w1/channels", make, 201, channel, true},
		{"a field that is newer", "POST /workspaces/w1/channels", `{"name":"plans","newer":{}}`, 201, channel, true},
		{"a field that is null", "POST /workspaces/w1/channels", `{"name":"plans","topic":null}`, 201, channel, true},
		{"a body that is wrong and taken", "POST /workspaces/w1/channels", `{"name":7}`, 201, channel, false},
		{"a body that lacks a field and is taken", "POST /workspaces/w1/channels", `{}`, 201, channel, false},
		{"an id that is none and is taken", "POST /workspaces/W1/channels", make, 201, channel, false},
		{"another status", "POST /workspaces/w1/channels", make, 200, channel, false},
		{"an answer that lacks a field", "POST /workspaces/w1/channels", make, 201, strings.Replace(channel, `"archived":false,`, "", 1), false},
		{"an answer with another type", "POST /workspaces/w1/channels", make, 201, strings.Replace(channel, "true", "1", 1), false},
		{"an answer with another time", "POST /workspaces/w1/channels", make, 201, strings.Replace(channel, ".089Z", "+01:00", 1), false},
		{"no answer", "POST /workspaces/w1/channels", make, 201, "", false},
		{"a failure", "GET /channels/c1", "", 404, notFound, true},
		{"a failure of another status", "GET /channels/c1", "", 403, notFound, false},
		{"a failure that is not in the document", "GET /me", "", 404, notFound, false},
		{"a failure that is no problem", "GET /channels/c1", "", 404, `{"error":"x"}`, false},
		{"a wrong request that is refused", "GET /channels/*", "", 404, notFound, true},
		{"a parameter", "GET /workspaces/w1/channels?limit=200", "", 200, `{"channels":[` + channel + `]}`, true},
		{"a parameter that is wrong and taken", "GET /workspaces/w1/channels?limit=201", "", 200, `{"channels":[]}`, false},
		{"a parameter that is not in the document", "GET /workspaces/w1/channels?size=1", "", 200, `{"channels":[]}`, false},
		{"nothing", "POST /channels/c1/leave", "", 204, "", true},
		{"nothing with a body", "POST /channels/c1/leave", "", 204, "{}", false},
		{"an address that is not in the document", "GET /nothing", "", 404, notFound, true},
		{"an address that is not in the document, and answers", "GET /nothing", "", 200, "{}", false},
		{"a method without Allow", "DELETE /me", "", 405, notTaken, false},
	} {
		if err := d.Check(exchange(t, tt.call, tt.takes, tt.status, tt.answers)); (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	allowed := exchange(t, "DELETE /me", "", 405, notTaken)
	allowed.Answer.Set("Allow", "GET, PATCH")
	if err := d.Check(allowed); err != nil {
		t.Error(err)
	}
	html := exchange(t, "GET /channels/c1", "", 200, channel)
	html.Answer.Set("Content-Type", "text/html")
	if d.Check(html) == nil {
		t.Error("HTML passes for JSON")
	}
}
