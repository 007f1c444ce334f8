// Package hook is a receiver of webhooks that writes down whom it was told of. It checks signatures by its own means (Standard Webhooks),
// and shares no code with who sends.
package hook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/canopychat/canopy/ops/deploy/certs"
	"github.com/canopychat/canopy/ops/httpd"
	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/schemas/fault"
)

const (
	path     = "/verify"
	maxBytes = 1 << 20
)

// Hook is the receiver. It takes what is signed, and writes it down.
type Hook struct {
	CA string // file of who has signed its certificate

	listener httpd.Listener
	rec      func() *record.Recorder

	mu      sync.Mutex
	secrets [][]byte          // guarded by mu; of the webhooks that lead here
	logins  map[string]string // guarded by mu; by user id
}

// New takes an address, and keeps its certificate in a folder. Nothing is served before Run. rec may be nil, and may return nil: then what
// is told is taken, and not written down.
func New(dir string, rec func() *record.Recorder) (*Hook, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	set, err := certs.Make(dir)
	if err != nil {
		return nil, err
	}
	l, err := httpd.Listen("127.0.0.1:0", set.Cert, set.Key)
	if err != nil {
		return nil, err
	}
	return &Hook{CA: set.CA, listener: l, rec: rec, logins: make(map[string]string)}, nil
}

// Address is its host:port.
func (h *Hook) Address() string { return strings.TrimPrefix(h.listener.URL(), "https://") }

// URL is what a webhook that comes by another address has as its own.
func URL(address string) string { return "https://" + address + path }

// Run serves until ctx ends.
func (h *Hook) Run(ctx context.Context) error {
	return h.listener.Serve(ctx, h, slog.New(slog.DiscardHandler))
}

// Expect takes what is signed by a secret as a webhook's maker was told it, and knows whom it is about.
func (h *Hook) Expect(secret string, people []record.Person) error {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.secrets = append(h.secrets, key)
	for _, p := range people {
		h.logins[p.ID] = p.Login
	}
	return nil
}

// notice is what we read of what a webhook is told.
type notice struct {
	ID        string `json:"id"`
	Workspace string `json:"workspace_id"`
	Channel   string `json:"channel_id"`
	Seq       int64  `json:"seq"`
	User      string `json:"user_id"`
	Body      string `json:"body"`
}

// ServeHTTP takes one notice. Who signs it wrongly is told so, as by any receiver, and the notice counts as not delivered.
func (h *Hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBytes))
	if err != nil {
		return // whoever asked went away
	}
	if !h.signed(r.Header, body) {
		w.WriteHeader(fault.Unauthenticated.Status())
		return
	}
	var n notice
	if err := json.Unmarshal(body, &n); err != nil {
		w.WriteHeader(fault.Invalid.Status())
		return
	}
	h.write(n)
	w.WriteHeader(http.StatusNoContent)
}

// signed is what Standard Webhooks wants of a receiver.
func (h *Hook) signed(head http.Header, body []byte) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.ContainsFunc(h.secrets, func(secret []byte) bool {
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte(head.Get("Webhook-Id") + "." + head.Get("Webhook-Timestamp") + "." + string(body)))
		want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
		return slices.ContainsFunc(strings.Fields(head.Get("Webhook-Signature")), func(s string) bool { return hmac.Equal([]byte(s), []byte(want)) })
	})
}

func (h *Hook) write(n notice) {
	h.mu.Lock()
	who, known := h.logins[n.User]
	h.mu.Unlock()
	if !known {
		who = n.User // a check says that it is nobody's
	}
	if h.rec == nil {
		return
	}
	rec := h.rec()
	if rec == nil {
		return
	}
	op := record.Op{
		Who: who, At: "hook", F: record.Notify, Workspace: n.Workspace, Channel: n.Channel, ID: n.ID, Body: n.Body, Message: n.Seq,
	}
	rec.Begin(&op)
	op.Outcome = record.OK
	rec.Done(op)
}
