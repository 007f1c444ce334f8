package target_test

import (
	"context"
	"crypto/x509"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/deliver/notice"
	"github.com/canopychat/canopy/services/deliver/target"
	"github.com/canopychat/canopy/services/store"
)

// shelf is the three stores in memory.
type shelf struct {
	mu            sync.Mutex
	subscriptions []store.Subscription
	webhooks      []store.Webhook
	secrets       map[string][]byte
	down          bool // secrets do not answer
}

func (s *shelf) AddSubscription(_ context.Context, sub store.Subscription) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subscriptions = append(s.subscriptions, sub)
	return nil
}

func (s *shelf) SubscriptionsOf(_ context.Context, user chat.UserID) ([]store.Subscription, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.subscriptions), func(o store.Subscription) bool { return o.UserID != user }), nil
}

func (s *shelf) RemoveSubscription(_ context.Context, user chat.UserID, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.subscriptions)
	s.subscriptions = slices.DeleteFunc(s.subscriptions, func(o store.Subscription) bool { return o.UserID == user && o.ID == id })
	if len(s.subscriptions) == n {
		return fault.New(fault.NotFound, "no such subscription")
	}
	return nil
}

func (s *shelf) AddWebhook(_ context.Context, h store.Webhook) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.webhooks = append(s.webhooks, h)
	return nil
}

func (s *shelf) WebhooksOf(_ context.Context, ws chat.WorkspaceID) ([]store.Webhook, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.webhooks), func(o store.Webhook) bool { return o.WorkspaceID != ws }), nil
}

func (s *shelf) RemoveWebhook(context.Context, chat.WorkspaceID, string) error { panic("nobody asks") }

func (s *shelf) KeepSecret(_ context.Context, name string, value []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return nil, fault.New(fault.Unavailable, "the directory does not answer")
	}
	if s.secrets == nil {
		s.secrets = map[string][]byte{}
	}
	if s.secrets[name] == nil {
		s.secrets[name] = slices.Clone(value)
	}
	return s.secrets[name], nil
}

// clock is a time that a test moves.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Now()} } // receivers look at their own watch

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) wait(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

const (
	ann = chat.UserID("ann")
	ws  = chat.WorkspaceID("w1")
)

// example is a notice for Ann.
func example() notice.Notice {
	return notice.Notice{
		ID: notice.IDOf(ws, chat.Cursor{Epoch: 1, Seq: 17}, ann), WorkspaceID: ws, Workspace: "Canopy", ChannelID: "c1", Channel: "general",
		Seq: 17, Epoch: 1, SenderID: "bob", Sender: "Bob <b>", UserID: ann, Why: chat.OwedMention, Body: "@ann did you see \"it\"?",
		PostedAt: time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC), Attempt: 1, TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	}
}

// make makes Targets that may reach this machine and trust who roots certify.
func (s *shelf) make(t *testing.T, roots *x509.CertPool, change func(*target.Config)) *target.Targets {
	t.Helper()
	cfg := target.Config{
		Subscriptions: s, Webhooks: s, Secrets: s, Contact: "mailto:ops@example.org", Roots: roots, Timeout: time.Minute,
		AllowPrivate: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Logger: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&cfg)
	}
	targets, err := target.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(targets.Close)
	return targets
}

// only is the one target of Ann's.
func only(t *testing.T, targets *target.Targets) notice.Target {
	t.Helper()
	list, err := targets.TargetsOf(t.Context(), ws, ann)
	if err != nil || len(list) != 1 {
		t.Fatalf("%d targets: %v", len(list), err)
	}
	return list[0]
}
