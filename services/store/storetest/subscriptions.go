package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

func subscriptions(t *testing.T, f *fixture) {
	a, b := f.subscribe(f.owner, "a", 1), f.subscribe(f.owner, "b", 0)
	c := f.subscribe(f.member, "c", 2)
	f.subscribed(f.owner, b, a)
	f.subscribed(f.member, c)
	f.subscribed(f.guest)
	f.told()

	isKind(t, "another one's", f.d.RemoveSubscription(f.ctx, f.member, a.ID), fault.NotFound)
	ok(t, f.d.RemoveSubscription(f.ctx, f.owner, a.ID))
	isKind(t, "once more", f.d.RemoveSubscription(f.ctx, f.owner, a.ID), fault.NotFound)
	f.subscribed(f.owner, b)
	isKind(t, "of nobody", f.d.AddSubscription(f.ctx, newSubscription(newID[chat.UserID](), "d", 0)), fault.NotFound)
	taken := newSubscription(f.member, "e", 0)
	taken.ID = b.ID
	isKind(t, "an id that is taken", f.d.AddSubscription(f.ctx, taken), fault.Conflict)
	f.subscribed(f.owner, b)
	f.subscribed(f.member, c)
}

// newSubscription is one with an endpoint of this name, made some minutes after the fixture.
func newSubscription(user chat.UserID, name string, minute int) store.Subscription {
	return store.Subscription{ID: newID[string](), UserID: user, Endpoint: "https://push.example/" + name,
		P256dh: []byte("\x04\x00\xff " + name), Auth: []byte("auth\x00\xff" + name), CreatedAt: atMicro.Add(time.Duration(minute) * time.Minute)}
}

func (f *fixture) subscribe(user chat.UserID, name string, minute int) store.Subscription {
	f.t.Helper()
	s := newSubscription(user, name, minute)
	ok(f.t, f.d.AddSubscription(f.ctx, s))
	return s
}

// subscribed expects the subscriptions of somebody.
func (f *fixture) subscribed(user chat.UserID, want ...store.Subscription) {
	f.t.Helper()
	got, err := f.d.SubscriptionsOf(f.ctx, user)
	ok(f.t, err)
	same(f.t, "subscriptions", want, got)
}

func subscriptionsMove(t *testing.T, f *fixture) {
	f.subscribe(f.owner, "browser", 0)
	other := f.subscribe(f.owner, "other", 1)
	again := f.subscribe(f.owner, "browser", 2) // the browser subscribed again, with new keys
	f.subscribed(f.owner, other, again)
	theirs := f.subscribe(f.member, "browser", 3) // somebody else signed in on it
	f.subscribed(f.owner, other)
	f.subscribed(f.member, theirs)
	ok(t, f.d.AddSubscription(f.ctx, theirs)) // again, because the answer was lost
	f.subscribed(f.member, theirs)
}

func manySubscriptions(t *testing.T, f *fixture) {
	var all []store.Subscription
	for i := range chat.MaxSubscriptions + 2 {
		all = append(all, f.subscribe(f.owner, fmt.Sprint(i), i))
	}
	f.subscribed(f.owner, all[2:]...)
	late := f.subscribe(f.owner, "of a clock that is behind", -1)
	f.subscribed(f.owner, append([]store.Subscription{late}, all[3:]...)...)
}

func newWebhook(f *fixture, name string, minute int) store.Webhook {
	return store.Webhook{ID: newID[string](), WorkspaceID: f.ws.ID, URL: "https://hooks.example/" + name, Secret: []byte("\x00\xff" + name),
		CreatedBy: f.owner, CreatedAt: atMicro.Add(time.Duration(minute) * time.Minute)}
}

// hooked expects the webhooks of the workspace.
func (f *fixture) hooked(want ...store.Webhook) {
	f.t.Helper()
	got, err := f.d.WebhooksOf(f.ctx, f.ws.ID)
	ok(f.t, err)
	same(f.t, "webhooks", want, got)
}

func webhooks(t *testing.T, f *fixture) {
	a, b := newWebhook(f, "a", 1), newWebhook(f, "b", 0)
	ok(t, f.d.AddWebhook(f.ctx, a))
	ok(t, f.d.AddWebhook(f.ctx, b))
	f.hooked(b, a)
	twin := newWebhook(f, "a", 2) // the same URL may be there twice, with another secret
	ok(t, f.d.AddWebhook(f.ctx, twin))
	f.hooked(b, a, twin)
	f.told()

	lost, unknown, taken := newWebhook(f, "c", 0), newWebhook(f, "c", 0), newWebhook(f, "c", 0)
	lost.WorkspaceID, unknown.CreatedBy, taken.ID = newID[chat.WorkspaceID](), newID[chat.UserID](), a.ID
	isKind(t, "an unknown workspace", f.d.AddWebhook(f.ctx, lost), fault.NotFound)
	isKind(t, "an unknown user", f.d.AddWebhook(f.ctx, unknown), fault.NotFound)
	isKind(t, "an id that is taken", f.d.AddWebhook(f.ctx, taken), fault.Conflict)
	isKind(t, "of another workspace", f.d.RemoveWebhook(f.ctx, newID[chat.WorkspaceID](), a.ID), fault.NotFound)
	ok(t, f.d.RemoveWebhook(f.ctx, f.ws.ID, a.ID))
	isKind(t, "once more", f.d.RemoveWebhook(f.ctx, f.ws.ID, a.ID), fault.NotFound)
	f.hooked(b, twin)
}

func keepSecret(t *testing.T, f *fixture) {
	for _, say := range []struct{ name, value, want string }{
		{"vapid", "\x00first\xff", "\x00first\xff"}, {"vapid", "second", "\x00first\xff"}, {"other", "second", "second"}, {"vapid", "\x00first\xff", "\x00first\xff"},
	} {
		got, err := f.d.KeepSecret(f.ctx, say.name, []byte(say.value))
		ok(t, err)
		same(t, say.name, say.want, string(got))
	}
}

// raceToSubscribe has people add subscriptions, and take over those of each other, at once.
func raceToSubscribe(t *testing.T, f *fixture) {
	people := []chat.UserID{f.owner, f.member, f.guest, f.none}
	for _, user := range people {
		for i := range chat.MaxSubscriptions - 1 {
			f.subscribe(user, fmt.Sprintf("%s-%d", user, i), i)
		}
	}
	errs := together(many, func(n int) error {
		for i := range 6 {
			owner := people[(n+i)%len(people)]
			name := fmt.Sprintf("%s-%d", people[(n+i+n/4+1)%len(people)], i%3)
			if i%2 == 0 {
				name = fmt.Sprintf("new-%d-%d", n/2, i)
			}
			if err := f.d.AddSubscription(f.ctx, newSubscription(owner, name, 100+i)); err != nil {
				return err
			}
		}
		return nil
	})
	ok(t, errors.Join(errs...))
	at := map[string]chat.UserID{}
	for _, user := range people {
		all, err := f.d.SubscriptionsOf(f.ctx, user)
		ok(t, err)
		if len(all) > chat.MaxSubscriptions {
			t.Errorf("somebody has %d subscriptions", len(all))
		}
		for _, s := range all {
			if other, twice := at[s.Endpoint]; twice {
				t.Errorf("%s is %s's and %s's", s.Endpoint, other, user)
			}
			at[s.Endpoint] = user
		}
	}
}

func raceToAddWebhooks(t *testing.T, f *fixture) {
	for i := range chat.MaxWebhooks - 2 {
		ok(t, f.d.AddWebhook(f.ctx, newWebhook(f, fmt.Sprint(i), i)))
	}
	made := 0
	for _, err := range together(many, func(i int) error { return f.d.AddWebhook(f.ctx, newWebhook(f, fmt.Sprint("new ", i), 20)) }) {
		if err == nil {
			made++
		} else {
			isKind(t, "one too many", err, fault.Forbidden)
		}
	}
	same(t, "webhooks that were made", 2, made)
	all, err := f.d.WebhooksOf(f.ctx, f.ws.ID)
	ok(t, err)
	same(t, "webhooks", chat.MaxWebhooks, len(all))
	ok(t, f.d.RemoveWebhook(f.ctx, f.ws.ID, all[0].ID))
	ok(t, f.d.AddWebhook(f.ctx, newWebhook(f, "in its place", 30)))
}

func raceToKeep(t *testing.T, f *fixture) {
	for round := range 5 {
		kept := make([]string, many)
		errs := together(many, func(i int) error {
			got, err := f.d.KeepSecret(f.ctx, fmt.Sprint("secret ", round), fmt.Append(nil, "of ", i))
			kept[i] = string(got)
			return err
		})
		ok(t, errors.Join(errs...))
		for _, got := range kept {
			same(t, "what all have", kept[0], got)
		}
		if kept[0] == "" {
			t.Error("nobody has any")
		}
	}
}
