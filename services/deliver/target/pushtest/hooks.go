package pushtest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

// Hooks is a receiver of webhooks.
type Hooks struct {
	server
	secrets map[string][]byte // by path; guarded by mu
	taken   []Call            // guarded by mu
}

// Call is one request that was taken.
type Call struct {
	ID     string // the header webhook-id
	Header http.Header
	Body   []byte
}

// tolerance is how far a timestamp may be from now (Standard Webhooks, "verifying timestamp").
const tolerance = 5 * time.Minute

// StartHooks starts a receiver that ends with the test. What is wrong with a request fails the test.
func StartHooks(t testing.TB) *Hooks {
	t.Helper()
	h := &Hooks{secrets: make(map[string][]byte)}
	h.start(t, h.take)
	return h
}

// Webhook is a new webhook of a workspace, with a secret of its own.
func (h *Hooks) Webhook(ws chat.WorkspaceID) store.Webhook {
	path := "/hooks/" + base64.RawURLEncoding.EncodeToString(random(24))
	secret := random(32)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.secrets[path] = secret
	return store.Webhook{
		ID: chat.IDFromBytes([16]byte(random(16))), WorkspaceID: ws, URL: h.URL() + path, Secret: secret, CreatedAt: time.Now().UTC(),
	}
}

// Expect makes the receiver take what is signed with a secret on a path of its own, for webhooks that are made elsewhere. It
// returns the address.
func (h *Hooks) Expect(path string, secret []byte) (address string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.secrets[path] = secret
	return h.URL() + path
}

// Taken is every request that was taken, in order.
func (h *Hooks) Taken() []Call {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.taken)
}

// Told is the ids of what was taken, each once: what a receiver that knows repetitions acts on.
func (h *Hooks) Told() []string {
	var ids []string
	for _, c := range h.Taken() {
		if !slices.Contains(ids, c.ID) {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

func (h *Hooks) take(path string, r *http.Request, body []byte) (status int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	secret := h.secrets[path]
	if secret == nil {
		return fault.NotFound.Status()
	}
	if err := checkSignature(r.Header, body, secret); err != nil {
		h.t.Errorf("a webhook is wrong: %v", err)
		return fault.Unauthenticated.Status()
	}
	h.taken = append(h.taken, Call{ID: r.Header.Get("Webhook-Id"), Header: r.Header.Clone(), Body: body})
	return created
}

// checkSignature is what Standard Webhooks wants of a receiver.
func checkSignature(h http.Header, body, secret []byte) error {
	id, at := h.Get("Webhook-Id"), h.Get("Webhook-Timestamp")
	unix, err := strconv.ParseInt(at, 10, 64)
	if err != nil || id == "" {
		return fmt.Errorf("webhook-id %q, webhook-timestamp %q", id, at)
	}
	if off := time.Since(time.Unix(unix, 0)).Abs(); off > tolerance {
		return fmt.Errorf("the timestamp is %v off", off)
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(id + "." + at + "." + string(body)))
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	if !slices.ContainsFunc(strings.Fields(h.Get("Webhook-Signature")), func(s string) bool { return hmac.Equal([]byte(s), []byte(want)) }) {
		return fmt.Errorf("webhook-signature %q", h.Get("Webhook-Signature"))
	}
	return nil
}
