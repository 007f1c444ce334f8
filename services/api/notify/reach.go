package notify

import (
	"encoding/base64"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rest"
	"github.com/canopychat/canopy/services/api/entry"
	"github.com/canopychat/canopy/services/store"
)

func (n notify) preferences(c echo.Context, me entry.Asker) error {
	id, err := entry.Workspace(c)
	if err != nil {
		return err
	}
	p, err := n.cfg.Preferences.Preferences(c.Request().Context(), me.ID, id)
	if err != nil {
		return err
	}
	return entry.Answer(c, http.StatusOK, rest.PreferencesOf(p))
}

func (n notify) setPreferences(c echo.Context, me entry.Asker) error {
	id, err := entry.Workspace(c)
	if err != nil {
		return err
	}
	var in rest.Preferences
	if err := entry.Decode(c, &in); err != nil {
		return err
	}
	p := in.Chat()
	if err := p.Check(); err != nil {
		return fault.Wrap(fault.Invalid, err, "%v", err)
	}
	if err := n.cfg.Preferences.SetPreferences(c.Request().Context(), me.ID, id, p); err != nil {
		return err
	}
	return entry.Answer(c, http.StatusOK, rest.PreferencesOf(p))
}

// follow makes the handler that begins or ends the following of the thread of the path.
func (n notify) follow(follows bool) entry.Handler {
	return func(c echo.Context, me entry.Asker) error {
		id, err := entry.Channel(c)
		if err != nil {
			return err
		}
		root, err := entry.Seq(c)
		if err != nil {
			return err
		}
		return entry.Done(c, n.cfg.Preferences.Follow(c.Request().Context(), me.ID, id, root, follows))
	}
}

func (n notify) pushKey(c echo.Context, _ entry.Asker) error {
	return entry.Answer(c, http.StatusOK, rest.PushKey{Key: n.cfg.PushKey()})
}

func (n notify) listSubscriptions(c echo.Context, me entry.Asker) error {
	all, err := n.cfg.Subscriptions.Subscriptions(c.Request().Context(), me.ID)
	if err != nil {
		return err
	}
	list := rest.SubscriptionList{Subscriptions: make([]rest.Subscription, len(all))}
	for i, s := range all {
		list.Subscriptions[i] = subscriptionOf(s)
	}
	return entry.Answer(c, http.StatusOK, list)
}

func (n notify) subscribe(c echo.Context, me entry.Asker) error {
	var in rest.NewSubscription
	if err := entry.Decode(c, &in); err != nil {
		return err
	}
	s := store.Subscription{UserID: me.ID, Endpoint: in.Endpoint}
	var err error
	if s.P256dh, err = keyOf("keys.p256dh", in.Keys.P256dh); err != nil {
		return err
	}
	if s.Auth, err = keyOf("keys.auth", in.Keys.Auth); err != nil {
		return err
	}
	made, err := n.cfg.Subscriptions.Subscribe(c.Request().Context(), s)
	if err != nil {
		return err
	}
	return entry.Answer(c, http.StatusCreated, subscriptionOf(made))
}

func subscriptionOf(s store.Subscription) rest.Subscription {
	return rest.Subscription{ID: s.ID, Endpoint: s.Endpoint, CreatedAt: rest.Time(s.CreatedAt)}
}

func (n notify) unsubscribe(c echo.Context, me entry.Asker) error {
	id, err := entry.ID(c, "subscription")
	if err != nil {
		return err
	}
	return entry.Done(c, n.cfg.Subscriptions.Unsubscribe(c.Request().Context(), me.ID, id))
}

func (n notify) listWebhooks(c echo.Context, me entry.Asker) error {
	id, err := entry.Workspace(c)
	if err != nil {
		return err
	}
	all, err := n.cfg.Webhooks.Webhooks(c.Request().Context(), me.ID, id)
	if err != nil {
		return err
	}
	list := rest.WebhookList{Webhooks: make([]rest.Webhook, len(all))}
	for i, h := range all {
		list.Webhooks[i] = webhookOf(h)
	}
	return entry.Answer(c, http.StatusOK, list)
}

func (n notify) addWebhook(c echo.Context, me entry.Asker) error {
	id, err := entry.Workspace(c)
	if err != nil {
		return err
	}
	var in rest.NewWebhook
	if err := entry.Decode(c, &in); err != nil {
		return err
	}
	made, err := n.cfg.Webhooks.AddWebhook(c.Request().Context(), me.ID, id, in.URL)
	if err != nil {
		return err
	}
	out := webhookOf(made)
	out.Secret = made.SecretText()
	return entry.Answer(c, http.StatusCreated, out)
}

// webhookOf leaves the secret out: it is told once.
func webhookOf(h store.Webhook) rest.Webhook {
	return rest.Webhook{ID: h.ID, URL: h.URL, By: h.CreatedBy, CreatedAt: rest.Time(h.CreatedAt)}
}

func (n notify) removeWebhook(c echo.Context, me entry.Asker) error {
	ws, err := entry.Workspace(c)
	if err != nil {
		return err
	}
	id, err := entry.ID(c, "webhook")
	if err != nil {
		return err
	}
	return entry.Done(c, n.cfg.Webhooks.RemoveWebhook(c.Request().Context(), me.ID, ws, id))
}

// keyOf reads what a browser gives as base64url, which some libraries pad. Whether it is a key is not said here.
func keyOf(field, s string) ([]byte, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(strings.TrimRight(s, "="))
	if err != nil {
		return nil, fault.Wrap(fault.Invalid, err, "%s is base64url, as the browser gives it", field)
	}
	return b, nil
}
