package resttest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"testing"
)

func unmarshal(b []byte, v any) error { return json.Unmarshal(b, v) }

// Recorder carries requests and holds every exchange against the document: what is wrong is an error of the test.
type Recorder struct {
	t        testing.TB
	document *Document
	base     http.RoundTripper

	mu   sync.Mutex
	seen map[string]int // guarded by mu; answers that were taken, by operation
}

// NewRecorder makes a Recorder that sends by base (nil: http.DefaultTransport). What goes to /socket passes unseen: it
// is not in the document.
func NewRecorder(t testing.TB, d *Document, base http.RoundTripper) *Recorder {
	if base == nil {
		base = http.DefaultTransport
	}
	return &Recorder{t: t, document: d, base: base, seen: make(map[string]int)}
}

// RoundTrip sends a request and reads its answer whole.
func (r *Recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Path == "/socket" {
		return r.base.RoundTrip(req)
	}
	x := Exchange{Method: req.Method, URL: req.URL, Header: req.Header}
	if req.Body != nil && req.Body != http.NoBody {
		body, err := io.ReadAll(req.Body) // whole: the transport may read on after the answer has come
		if closing := req.Body.Close(); err == nil {
			err = closing
		}
		if err != nil {
			return nil, err
		}
		x.RequestBody = body
		req = req.Clone(req.Context())
		req.Body = io.NopCloser(bytes.NewReader(body))
	}
	resp, err := r.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	if closing := resp.Body.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	x.Status, x.Answer, x.Body = resp.StatusCode, resp.Header, body
	if err := r.document.Check(x); err != nil {
		r.t.Error(err)
	}
	if o, _ := r.document.find(x.Method, x.URL.EscapedPath()); o != nil && x.Status < 400 {
		r.mu.Lock()
		r.seen[o.ID]++
		r.mu.Unlock()
	}
	return resp, nil
}

// Unseen is the calls that no request was taken of.
func (r *Recorder) Unseen() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for _, o := range r.document.operations {
		if r.seen[o.ID] == 0 {
			all = append(all, o.ID)
		}
	}
	return all
}
