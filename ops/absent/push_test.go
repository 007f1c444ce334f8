package absent_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/ops/app"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rest"
	"github.com/canopychat/canopy/services/deliver/target/pushtest"
	"github.com/canopychat/canopy/services/store"
)

// browser subscribes a new browser of somebody, as their web page does.
func (w *town) browser(service *pushtest.Push, p *person) (store.Subscription, rest.Subscription) {
	w.t.Helper()
	var key rest.PushKey
	w.must(p, http.MethodGet, "/push/key", nil, &key)
	sub := service.Subscribe(p.id, key.Key)
	encode := base64.RawURLEncoding.EncodeToString
	var made rest.Subscription
	w.must(p, http.MethodPost, "/me/subscriptions", rest.NewSubscription{
		Endpoint: sub.Endpoint, Keys: rest.SubscriptionKeys{P256dh: encode(sub.P256dh), Auth: encode(sub.Auth)},
	}, &made)
	return sub, made
}

// more has people come by an invite; nobody else knows them.
func (w *town) more(n int) []*person {
	w.t.Helper()
	invite, err := w.alice.CreateInvite(w.t.Context(), w.workspace, rest.NewInvite{MaxUses: n})
	if err != nil {
		w.t.Fatal(err)
	}
	var people []*person
	for i := range n {
		login := fmt.Sprintf("%s%d", strings.ToLower(string(client.NewMsgID())[24:]), i)
		c, err := client.AcceptInvite(w.t.Context(), w.url, invite.Code, rest.AcceptInvite{Login: login, Password: "the password of " + login})
		if err != nil {
			w.t.Fatal(err)
		}
		if _, err := c.Join(w.t.Context(), w.channel); err != nil {
			w.t.Fatal(err)
		}
		people = append(people, &person{c, c.Account().User.ID, login})
	}
	return people
}

// pushes are what a browser showed: message bodies.
type pushes struct {
	Body      string         `json:"body"`
	ChannelID chat.ChannelID `json:"channel_id"`
	Seq       chat.Seq       `json:"seq"`
	UserID    chat.UserID    `json:"user_id"`
	Why       chat.Owed      `json:"why"`
}

func read(t *testing.T, m pushtest.Message) pushes {
	t.Helper()
	var p pushes
	if err := json.Unmarshal(m.Payload, &p); err != nil {
		t.Fatalf("%v in %q", err, m.Payload)
	}
	return p
}

// A browser that is subscribed is pushed what it can decrypt.
func pushed(t *testing.T, run app.Running) {
	w, service := found(t, run), pushtest.StartPush(t)
	bob := w.more(1)[0]
	sub, _ := w.browser(service, bob)
	ack := w.says(w.alice, "@"+bob.login+" look out of the window")
	got := w.becomes(ack.Seq, bob, chat.DeliveryDelivered)
	if last := got.Story[len(got.Story)-1]; !strings.HasPrefix(last.Text, "by push:") || whats(got) != "stored routed attempt delivered" {
		t.Errorf("the ledger says %s: %+v", whats(got), got)
	}
	w.noJobs()
	taken := service.Taken(sub)
	want := pushes{"@" + bob.login + " look out of the window", w.channel, ack.Seq, bob.id, chat.OwedMention}
	if len(taken) != 1 || read(t, taken[0]) != want {
		t.Errorf("the browser was pushed %d: %+v", len(taken), taken)
	}
}

// A subscription that ended is forgotten, and does not keep another browser from being pushed.
func gone(t *testing.T, run app.Running) {
	w, service := found(t, run), pushtest.StartPush(t)
	bob := w.more(1)[0]
	old, _ := w.browser(service, bob)
	service.End(old)
	first := w.says(w.alice, "@"+bob.login+" one")
	w.becomes(first.Seq, bob, chat.DeliveryDead)
	var list rest.SubscriptionList
	w.must(bob, http.MethodGet, "/me/subscriptions", nil, &list)
	if len(list.Subscriptions) > 0 || service.Asked() != 1 {
		t.Errorf("after 410 there are %+v, and the service was asked %d times", list.Subscriptions, service.Asked())
	}
	kept, made := w.browser(service, bob)
	second := w.says(w.alice, "@"+bob.login+" two")
	w.becomes(second.Seq, bob, chat.DeliveryDelivered)
	w.must(bob, http.MethodGet, "/me/subscriptions", nil, &list)
	if len(list.Subscriptions) != 1 || list.Subscriptions[0].ID != made.ID || len(service.Taken(kept)) != 1 || len(service.Taken(old)) > 0 {
		t.Errorf("subscriptions %+v; the browsers were pushed %d and %d", list.Subscriptions, len(service.Taken(old)), len(service.Taken(kept)))
	}
}
