package app_test

import (
	"flag"
	"net/http"
	"slices"
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
	return &traffic{rest: rest, wire: wire, frames: make(map[string]bool)}
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
	if err := w.wire.Check(way, text); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.frames[string(way)+" "+kind] = true
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
