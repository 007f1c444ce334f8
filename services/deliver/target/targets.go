// Package target knows how people are told of a message that they did not see: by Web Push to the browsers that they
// subscribed, and by the webhooks of their workspace.
//
// It promises that no address which users gave us leads into our own network (target/dial), that a target which does not answer is
// left alone for a growing while, with everybody who is behind the same origin, and that a subscription which ended is
// forgotten. An error says what happened in words for operators, without the secret part of an address. It decides neither who is
// told nor when they are tried again: that is services/deliver.
package target

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/deliver/notice"
	"github.com/canopychat/canopy/services/deliver/target/dial"
	"github.com/canopychat/canopy/services/deliver/target/webhook"
	"github.com/canopychat/canopy/services/deliver/target/webpush"
	"github.com/canopychat/canopy/services/store"
)

// Config is what Targets are made of. The three stores are needed.
type Config struct {
	Subscriptions store.Subscriptions
	Webhooks      store.Webhooks
	Secrets       store.Secrets
	Contact       string           // whom push services write to about us: mailto:name@host, or an https URL
	AllowPrivate  []netip.Prefix   // networks besides the public Internet that targets may lie in
	Roots         *x509.CertPool   // who certifies targets; nil: the system's
	Timeout       time.Duration    // of one request; 0: dial.DefaultTimeout
	TTL           time.Duration    // that push services keep a message; 0: webpush.DefaultTTL
	Breaker       BreakerConfig    // of each origin
	Logger        *slog.Logger     // nil: slog.Default
	Now           func() time.Time // nil: time.Now
}

// Targets finds the ways to reach people. It may be used by many goroutines at once.
type Targets struct {
	// immutable after New
	subscriptions store.Subscriptions
	webhooks      store.Webhooks
	keys          *webpush.Keys
	client        *dial.Client
	push          *webpush.Sender
	hook          *webhook.Sender
	log           *slog.Logger
	// each with its own lock
	origins *origins
	tally   tally
}

var _ notice.Targets = (*Targets)(nil)

// New makes Targets. It starts and reads nothing.
func New(cfg Config) (*Targets, error) {
	if cfg.Subscriptions == nil || cfg.Webhooks == nil || cfg.Secrets == nil {
		return nil, errors.New("targets need the stores of subscriptions, webhooks and secrets")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	client := dial.New(dial.Config{AllowPrivate: cfg.AllowPrivate, Timeout: cfg.Timeout, Roots: cfg.Roots})
	keys := webpush.NewKeys(cfg.Secrets)
	return &Targets{
		subscriptions: cfg.Subscriptions, webhooks: cfg.Webhooks, keys: keys, client: client,
		push:    webpush.NewSender(webpush.Config{Keys: keys, Client: client, Contact: cfg.Contact, TTL: cfg.TTL}),
		hook:    webhook.NewSender(client, cfg.Now),
		log:     cfg.Logger,
		origins: newOrigins(cfg.Breaker, cfg.Now),
	}, nil
}

// VAPIDKey is the public key that browsers subscribe with, in base64url. It is made at the first question and the same ever
// after, for all processes of the deployment (webpush.Keys). The error is that of the store.
func (t *Targets) VAPIDKey(ctx context.Context) (string, error) { return t.keys.Public(ctx) }

// Close ends connections that nobody uses. What is being sent goes on.
func (t *Targets) Close() { t.client.Close() }

// TargetsOf implements notice.Targets: the user's subscriptions, oldest first, and then the workspace's webhooks.
func (t *Targets) TargetsOf(ctx context.Context, ws chat.WorkspaceID, user chat.UserID) ([]notice.Target, error) {
	subscriptions, err := t.subscriptions.SubscriptionsOf(ctx, user)
	if err != nil {
		return nil, fmt.Errorf("subscriptions of a user: %w", err)
	}
	hooks, err := t.webhooks.WebhooksOf(ctx, ws)
	if err != nil {
		return nil, fmt.Errorf("webhooks of a workspace: %w", err)
	}
	list := make([]notice.Target, 0, len(subscriptions)+len(hooks))
	for _, s := range subscriptions {
		list = append(list, browser{t, s})
	}
	for _, h := range hooks {
		list = append(list, receiver{t, h})
	}
	return list, nil
}

// errSkipped is in the error of a Send that asked nobody.
var errSkipped = errors.New("the target is left alone")

// Skipped reports whether err is of a Send that did not ask its target, because that does not answer at present: it cost no
// attempt. When it is worth trying again is the error's RetryAfter.
func Skipped(err error) bool { return errors.Is(err, errSkipped) }

// browser is a push subscription.
type browser struct {
	targets *Targets
	sub     store.Subscription
}

// ID implements notice.Target.
func (b browser) ID() string { return "push:" + b.sub.ID }

// Send implements notice.Target. A subscription that has ended is forgotten.
func (b browser) Send(ctx context.Context, n notice.Notice) error {
	t := b.targets
	if _, err := t.keys.Public(ctx); err != nil { // it is our store that does not answer, not the push service
		return fault.Wrap(fault.Unavailable, errors.Join(errSkipped, err), "the key that push services know us by cannot be read")
	}
	err := t.ask(ctx, b.sub.Endpoint, func(ctx context.Context) error { return t.push.Send(ctx, b.sub, n) })
	t.tally.note(pushes, err)
	if !fault.Is(err, fault.NotFound) {
		return err
	}
	if forgot := t.subscriptions.RemoveSubscription(ctx, b.sub.UserID, b.sub.ID); forgot != nil && !fault.Is(forgot, fault.NotFound) {
		t.log.Warn("a push subscription that ended is not forgotten; it is found out again", "subscription", b.sub.ID, "err", forgot)
	}
	return err
}

// receiver is a webhook.
type receiver struct {
	targets *Targets
	hook    store.Webhook
}

// ID implements notice.Target.
func (r receiver) ID() string { return "webhook:" + r.hook.ID }

// Send implements notice.Target. A webhook stays until somebody takes it away, whatever it answers: that it says to be gone
// is a failed attempt, not the end of what people set up.
func (r receiver) Send(ctx context.Context, n notice.Notice) error {
	t := r.targets
	err := t.ask(ctx, r.hook.URL, func(ctx context.Context) error { return t.hook.Send(ctx, r.hook, n) })
	if f := (*fault.Error)(nil); errors.As(err, &f) && f.Kind == fault.NotFound {
		err = fault.New(fault.Invalid, "the webhook is not there: %s", f.Message)
	}
	t.tally.note(hooks, err)
	return err
}

// ask asks an address, unless its origin does not answer at present.
func (t *Targets) ask(ctx context.Context, address string, send func(context.Context) error) error {
	u, err := dial.Parse(address)
	if err != nil {
		return err
	}
	origin := dial.Origin(u)
	wait, ok := t.origins.allow(origin)
	if !ok {
		return fault.Wrap(fault.Unavailable, errSkipped, "%s did not answer the last times", origin).After(wait)
	}
	err = send(ctx)
	t.origins.done(origin, verdictOf(ctx, err))
	return err
}

// verdictOf is what the end of an asking says about the origin.
func verdictOf(ctx context.Context, err error) verdict {
	var f *fault.Error
	switch {
	case err == nil:
		return answered
	case errors.Is(ctx.Err(), context.Canceled), errors.Is(err, dial.ErrRefused), !errors.As(err, &f):
		return unknown
	case f.Kind == fault.Unavailable:
		return silent
	}
	return answered
}
