package resttest

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rest"
)

// Target is a server to be tried and what is on it. Its limits of requests must be so high that nothing is refused for
// them. Nothing on it is changed.
type Target struct {
	URL      string
	Client   *http.Client // nil: http.DefaultClient
	Document *Document

	Member     string            // token of an owner of the workspace of Here, who is in its channel
	Outsider   string            // token of somebody of another workspace
	OutsiderID string            // the id of them
	Guest      string            // token of a guest of the workspace, who is in no channel of it
	Dead       map[string]string // tokens that do not count, by why: revoked, expired, of another key, alg none
	Here       map[string]string // the parts of paths, by name, that are Member's: workspace, channel, user, session, seq, emoji, invite, code, subscription, webhook, scheduled
	Secrets    []string          // what no answer may hold
}

// nowhere is an id of nothing.
const nowhere = "n0where"

// notIDs are no ids, or not of anything.
var notIDs = []string{
	"*", ">", "-", ".", "..", "...", "../../etc/passwd", "a.b", "a b", "\x00", "a\x00b", "%", "%2e%2e", "%00", "A", "é", "\xff", "' OR 1=1 --",
	"<script>", strings.Repeat("a", 27), strings.Repeat("z", 3000), "a.0.w1.c1", "/", "a/b", "0", "null", "$JS", "{}", "\u202e", "a\r\nb",
}

var notSeqs = []string{"-1", "1.5", "1e3", "01", "+1", "0x10", "281474976710656", "18446744073709551616", strings.Repeat("9", 300)}

// Run tries everything, each kind of input on every call of the document that can take it.
func (h Target) Run(t *testing.T) {
	for _, part := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"who is not signed in", h.strangers}, {"ids that are none", h.badIDs}, {"what is somebody else's", h.others},
		{"bodies", h.bodies}, {"parameters", h.queries}, {"keys", h.keys}, {"methods and addresses", h.methods},
	} {
		t.Run(part.name, part.run)
	}
}

// request is a request to be sent.
type request struct {
	o        *Operation
	here     map[string]string // instead of Target.Here
	path     string            // instead of that of o
	query    url.Values
	method   string // instead of that of o
	header   http.Header
	body     []byte
	wellMade bool // body is one that would be taken
}

// send sends a request and holds the answer against the document and the secrets.
func (h Target) send(t *testing.T, q request) Exchange {
	t.Helper()
	path, method := q.path, q.method
	if path == "" {
		here := maps.Clone(h.Here)
		maps.Copy(here, q.here)
		path = q.o.Path
		for _, name := range q.o.names {
			path = strings.ReplaceAll(path, "{"+name+"}", url.PathEscape(here[name]))
		}
	}
	if method == "" {
		method = q.o.Method
	}
	if q.wellMade && q.o.BodyName != "" {
		q.body = h.Document.sample(q.o.BodyName)
	}
	target := h.URL + path
	if len(q.query) > 0 {
		target += "?" + q.query.Encode()
	}
	req, err := http.NewRequestWithContext(t.Context(), method, target, bytes.NewReader(q.body))
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	maps.Copy(req.Header, q.header)
	client := h.Client
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
	x := Exchange{Method: method, URL: req.URL, Header: req.Header, RequestBody: q.body, Status: resp.StatusCode, Answer: resp.Header, Body: body}
	if err := h.Document.Check(x); err != nil {
		t.Error(err)
	}
	for _, secret := range append([]string{h.Member, h.Outsider, h.Guest}, h.Secrets...) {
		if secret != "" && bytes.Contains(body, []byte(secret)) {
			t.Errorf("%s %.200s tells a secret: %.300s", method, target, body)
		}
	}
	return x
}

// refused sends a request that must fail with a kind, and returns the answer.
func (h Target) refused(t *testing.T, kind fault.Kind, q request) Exchange {
	t.Helper()
	x := h.send(t, q)
	p, err := problemOf(x)
	if err != nil {
		t.Error(err)
	} else if p.Code != kind {
		t.Errorf("%s %.200s %v with %.200q answers %.300s, want %s", x.Method, x.URL, q.header, q.body, x.Body, kind)
	}
	return x
}

func bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

// as is who a call is made by: Member, or a stranger when it takes nobody else.
func (h Target) as(o *Operation) http.Header {
	if o.Token {
		return bearer(h.Member)
	}
	return http.Header{}
}

func (h Target) strangers(t *testing.T) {
	tokens := map[string][]string{
		"empty": {""}, "no scheme": {h.Member}, "basic": {"Basic YWxpY2U6eA=="}, "no token": {"Bearer "},
		"two": {"Bearer " + h.Member, "Bearer " + h.Member}, "cut": {"Bearer " + h.Member[:len(h.Member)-4]}, "longer": {"Bearer " + h.Member + "x"},
		"not text": {"Bearer \xff\xfe"}, "alg none": {"Bearer eyJhbGciOiJub25lIiwidHlwIjoiY2Fub3B5LWFjY2Vzcytqd3QiLCJraWQiOiIxIn0.e30."},
		"very long": {"Bearer " + strings.Repeat("a", 10_000)},
	}
	for why, token := range h.Dead {
		tokens[why] = []string{"Bearer " + token}
	}
	for _, o := range h.Document.operations {
		if !o.Token {
			continue
		}
		if !o.Stranger {
			h.refused(t, fault.Unauthenticated, request{o: o, wellMade: true})
		}
		for _, why := range slices.Sorted(maps.Keys(tokens)) {
			x := h.refused(t, fault.Unauthenticated, request{o: o, wellMade: true, header: http.Header{"Authorization": tokens[why]}})
			if x.Answer.Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("%s with a token that is %s: no WWW-Authenticate", o.ID, why)
			}
		}
	}
}

func (h Target) badIDs(t *testing.T) {
	for _, o := range h.Document.operations {
		for _, name := range o.names {
			bad, kind := notIDs, fault.NotFound
			switch name {
			case "seq":
				bad = append(slices.Clone(notIDs), notSeqs...)
			case "emoji":
				bad, kind = []string{" ", "\x00", "a/b", strings.Repeat("x", 65), "\xff", "\u00a0", ".."}, fault.Invalid
			}
			for _, id := range bad {
				h.refused(t, kind, request{o: o, here: map[string]string{name: id}, header: h.as(o), wellMade: true})
			}
		}
	}
}

// others asks for what is there and is not theirs, and for what is not there: the answers are the same, byte for byte.
func (h Target) others(t *testing.T) {
	same := func(o *Operation, token, name, theirs string) {
		t.Helper()
		x := h.refused(t, fault.NotFound, request{o: o, here: map[string]string{name: theirs}, header: bearer(token), wellMade: true})
		y := h.refused(t, fault.NotFound, request{o: o, here: map[string]string{name: nowhere}, header: bearer(token), wellMade: true})
		if !bytes.Equal(x.Body, y.Body) {
			t.Errorf("%s tells what is somebody else's from what is not there:\n%s\n%s", o.ID, x.Body, y.Body)
		}
	}
	for _, o := range h.Document.operations {
		if !o.Token {
			continue
		}
		for _, name := range o.names {
			switch name {
			case "workspace", "session", "subscription":
				same(o, h.Outsider, name, h.Here[name])
			case "channel":
				same(o, h.Outsider, name, h.Here[name])
				same(o, h.Guest, name, h.Here[name])
			case "user":
				same(o, h.Member, name, h.OutsiderID)
			}
		}
	}
}

func (h Target) bodies(t *testing.T) {
	for _, o := range h.Document.operations {
		if o.BodyName == "" {
			continue
		}
		for _, body := range h.Document.hostileBodies(o.BodyName) {
			h.refused(t, fault.Invalid, request{o: o, header: h.as(o), body: body})
		}
		h.refused(t, fault.TooLarge, request{o: o, header: h.as(o), body: bytes.Repeat([]byte(" "), rest.MaxRequest+1)})
	}
}

func (h Target) queries(t *testing.T) {
	for _, o := range h.Document.operations {
		for _, p := range o.parameters {
			if p.In != "query" {
				continue
			}
			bad := []string{"*", "\x00", "../..", "\xff", strings.Repeat("z", 3000)}
			if p.number {
				bad = append(bad, "-1", "1.5", "1e3", "01", "+1", "0x10", "999999999999999", "99999999999999999999")
			}
			if p.Name == "limit" {
				bad = slices.DeleteFunc(append(bad, "0", "201"), func(s string) bool { return s == "01" || s == "+1" }) // which Atoi reads
			}
			for _, value := range bad {
				h.refused(t, fault.Invalid, request{o: o, header: h.as(o), query: url.Values{p.Name: {value}}})
			}
		}
	}
}

func (h Target) keys(t *testing.T) {
	for _, o := range h.Document.operations {
		if !o.Token || o.Method != http.MethodPost {
			continue
		}
		for _, key := range []string{"", "a b", "é", "\xff", strings.Repeat("k", chat.MaxIdempotencyKey+1)} {
			header := h.as(o)
			header.Set("Idempotency-Key", key)
			h.refused(t, fault.Invalid, request{o: o, header: header, wellMade: true})
		}
		header := h.as(o)
		header["Idempotency-Key"] = []string{"one", "two"}
		h.refused(t, fault.Invalid, request{o: o, header: header, wellMade: true})
	}
}

func (h Target) methods(t *testing.T) {
	tried := map[string]bool{}
	for _, o := range h.Document.operations {
		if tried[o.Path] {
			continue
		}
		tried[o.Path] = true
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "BREW", "get"} {
			takes := slices.ContainsFunc(h.Document.operations, func(other *Operation) bool { return other.Path == o.Path && other.Method == method })
			if !takes {
				h.refused(t, fault.NotAllowed, request{o: o, method: method, header: bearer(h.Member)})
			}
		}
	}
	for _, path := range []string{"/nothing", "/me/", "//", "/me/nothing", "/workspaces/" + nowhere + "/nothing", "/channels//messages", "/..", "/%00", "/.git/config", "/" + strings.Repeat("a", 5000)} {
		h.refused(t, fault.NotFound, request{method: "GET", path: path, header: bearer(h.Member)})
	}
}
