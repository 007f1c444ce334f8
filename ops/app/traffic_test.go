package app_test

import (
	"crypto/sha256"
	"flag"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/canopychat/canopy/schemas/rest/resttest"
	"github.com/canopychat/canopy/schemas/wire/wiretest"
)

// traffic is what all tests of this package send and are sent: every exchange and every frame is held against the
// documents, and in the end it is known what of the documents nobody tried.
type traffic struct {
	rest *resttest.Document
	wire *wiretest.Document

	mu        sync.Mutex
	recorders []*resttest.Recorder // one a deployment
	frames    map[string]bool      // seen and valid, by direction and type
	checked   map[[32]byte]bool    // frames that are valid, by hash: a frame to many is checked once
}

// watched is compiled once, and not at all where this binary is the canopy command.
var watched = sync.OnceValue(func() *traffic {
	rest, err := resttest.Open()
	if err != nil {
		panic(err)
	}
	wire, err := wiretest.Open()
	if err != nil {
		panic(err)
	}
	return &traffic{rest: rest, wire: wire, frames: make(map[string]bool), checked: make(map[[32]byte]bool)}
})

// http carries the requests of a deployment's users.
func (d *deployment) http() *http.Client {
	d.once.Do(func() {
		w := watched()
		r := resttest.NewRecorder(d.t, w.rest, nil)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.recorders = append(w.recorders, r)
		d.client = &http.Client{Transport: r}
	})
	return d.client
}

// frame holds a frame against the document. It is called by whoever has a socket, from any goroutine.
func (w *traffic) frame(t testing.TB, way wiretest.Direction, kind string, text []byte) {
	t.Helper()
	if err := w.note(way, kind, text); err != nil {
		t.Error(err)
	}
}

// note remembers that a frame was seen which is valid, or says why it is not.
func (w *traffic) note(way wiretest.Direction, kind string, text []byte) error {
	hash := sha256.Sum256(append([]byte(way), text...))
	w.mu.Lock()
	known := w.checked[hash]
	w.mu.Unlock()
	if known {
		return nil
	}
	if err := w.wire.Check(way, text); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.frames[string(way)+" "+kind], w.checked[hash] = true, true
	return nil
}

// unseen is the calls and the frames of the documents that no test has tried.
func (w *traffic) unseen() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var calls []string
	for i, r := range w.recorders {
		if i == 0 {
			calls = r.Unseen()
			continue
		}
		also := r.Unseen()
		calls = slices.DeleteFunc(calls, func(id string) bool { return !slices.Contains(also, id) })
	}
	for _, way := range []wiretest.Direction{wiretest.FromClient, wiretest.FromGateway} {
		for _, kind := range w.wire.Types(way) {
			if id := string(way) + " " + kind; !w.frames[id] {
				calls = append(calls, id)
			}
		}
	}
	slices.Sort(calls)
	return calls
}

// all reports whether nobody has chosen among the tests.
func all() bool {
	for _, name := range []string{"test.run", "test.skip", "test.list", "test.fuzz"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != "" {
			return false
		}
	}
	return true
}

// What the other tests have no need of, so that everything of the documents is tried on the whole system.
func TestTheRestOfTheDocuments(t *testing.T) {
	d := empty(t)
	ada, _ := d.found("ada")
	bob, _ := ada.invite("bob", "member")
	for path, has := range map[string]string{"/": "POST /login", "/openapi.json": `"openapi":"3.1`, "/asyncapi.json": `"asyncapi":"3.0`} {
		status, text := d.nobody().call("GET", path, nil)
		if status != http.StatusOK || !strings.Contains(strings.ReplaceAll(string(text), `": "`, `":"`), has) {
			t.Errorf("%s: %d %.200s", path, status, text)
		}
	}

	s := bob.open()
	ada.must(http.StatusOK, "PATCH", ada.workspace(""), map[string]any{"name": "Acme and Sons"}, nil)
	for f := s.stored(); f.Kind != "workspace.updated"; f = s.stored() {
	}
	var one struct{ Name, Role string }
	bob.must(http.StatusOK, "GET", bob.workspace(""), nil, &one)
	var mine struct{ Workspaces []struct{ ID, Name string } }
	bob.must(http.StatusOK, "GET", "/workspaces", nil, &mine)
	if one.Name != "Acme and Sons" || one.Role != "member" || len(mine.Workspaces) != 1 || mine.Workspaces[0].Name != one.Name {
		t.Errorf("it is %+v, among %+v", one, mine)
	}

	plans := ada.create("plans", "private")
	ada.must(http.StatusNoContent, "POST", "/channels/"+plans+"/members", map[string]any{"user_ids": []string{bob.id}}, nil)
	manager := map[string]any{"role": "manager"}
	bob.refused(http.StatusForbidden, "PATCH", "/channels/"+plans+"/members/"+bob.id, manager)
	ada.must(http.StatusOK, "PATCH", "/channels/"+plans+"/members/"+bob.id, manager, nil)
	bob.must(http.StatusOK, "PATCH", "/channels/"+plans+"/members/"+ada.id, manager, nil)
	var in struct {
		Members []struct {
			UserID string `json:"user_id"`
			Role   string `json:"channel_role"`
		}
	}
	bob.must(http.StatusOK, "GET", "/channels/"+plans+"/members", nil, &in)
	if len(in.Members) != 2 || in.Members[0].Role != "manager" || in.Members[1].Role != "manager" {
		t.Errorf("in the channel are %+v", in.Members)
	}

	first, second := ada.post(plans, map[string]any{"body": "one"}), ada.post(plans, map[string]any{"body": "two"})
	for _, seq := range []uint64{second.Seq, first.Seq} { // a cursor does not go back
		bob.must(http.StatusOK, "POST", "/channels/"+plans+"/read", map[string]any{"seq": seq}, nil)
	}
	var read struct {
		Cursors []struct {
			ChannelID string `json:"channel_id"`
			Seq       uint64
		}
	}
	bob.must(http.StatusOK, "GET", bob.workspace("/read"), nil, &read)
	marks := make(map[string]uint64) // of every channel that bob is in
	for _, c := range read.Cursors {
		marks[c.ChannelID] = c.Seq
	}
	if want := map[string]uint64{plans: second.Seq, bob.channel("general"): 0}; !maps.Equal(marks, want) {
		t.Errorf("bob has read %v, want %v", marks, want)
	}

	var made struct{ ID, Code string }
	ada.must(http.StatusCreated, "POST", ada.workspace("/invites"), map[string]any{}, &made)
	ada.must(http.StatusNoContent, "DELETE", ada.workspace("/invites/"+made.ID), nil, nil)
	if code := d.nobody().refused(http.StatusNotFound, "GET", "/invites/"+made.Code, nil); code != "not_found" {
		t.Errorf("an invite that was revoked: %s", code)
	}
	var invites struct{ Invites []struct{ ID string } }
	ada.must(http.StatusOK, "GET", ada.workspace("/invites"), nil, &invites)
	if slices.ContainsFunc(invites.Invites, func(i struct{ ID string }) bool { return i.ID == made.ID }) {
		t.Errorf("it is still among %+v", invites)
	}

	var other session
	d.nobody().must(http.StatusOK, "POST", "/login", map[string]any{"login": "ada", "password": "correct horse"}, &other)
	gone := d.as(other).open()
	ada.must(http.StatusNoContent, "DELETE", "/me/sessions", nil, nil)
	if code := gone.ends(); code != 4501 {
		t.Errorf("another session of the user ends with %d", code)
	}
	ada.must(http.StatusOK, "GET", "/me", nil, nil)
}
