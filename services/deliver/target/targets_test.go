package target_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/deliver/notice"
	"github.com/canopychat/canopy/services/deliver/target"
	"github.com/canopychat/canopy/services/deliver/target/dial"
	"github.com/canopychat/canopy/services/deliver/target/pushtest"
	"github.com/canopychat/canopy/services/deliver/target/webhook"
	"github.com/canopychat/canopy/services/deliver/target/webpush"
	"github.com/canopychat/canopy/services/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// subscribed is Ann with one browser.
func subscribed(t *testing.T, change func(*target.Config)) (*shelf, *pushtest.Push, store.Subscription, *target.Targets) {
	t.Helper()
	s, p := &shelf{}, pushtest.StartPush(t)
	targets := s.make(t, p.Roots(), change)
	key, err := targets.VAPIDKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sub := p.Subscribe(ann, key)
	s.subscriptions = append(s.subscriptions, sub)
	return s, p, sub, targets
}

// hooked is Ann's workspace with one webhook.
func hooked(t *testing.T, change func(*target.Config)) (*shelf, *pushtest.Hooks, store.Webhook, *target.Targets) {
	t.Helper()
	s, h := &shelf{}, pushtest.StartHooks(t)
	hook := h.Webhook(ws)
	s.webhooks = append(s.webhooks, hook)
	return s, h, hook, s.make(t, h.Roots(), change)
}

func TestABrowserReadsWhatItIsSent(t *testing.T) {
	_, p, sub, targets := subscribed(t, nil)
	n := example()
	one := only(t, targets)
	if one.ID() != "push:"+sub.ID {
		t.Errorf("it is called %s", one.ID())
	}
	if err := one.Send(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	taken := p.Taken(sub)
	if len(taken) != 1 {
		t.Fatalf("%d messages", len(taken))
	}
	const want = `{"type":"message","workspace_id":"w1","workspace":"Canopy","channel_id":"c1","channel":"general","seq":17,"server_msg_id":"1.17",` +
		`"sender_id":"bob","sender":"Bob <b>","user_id":"ann","why":"mention","body":"@ann did you see \"it\"?","posted_at":"2026-11-22T08:00:00Z"}`
	if got := string(taken[0].Payload); got != want {
		t.Errorf("it reads\n%s, want\n%s", got, want)
	}
	if taken[0].Urgency != "high" || taken[0].TTL != webpush.DefaultTTL || taken[0].Topic == "" {
		t.Errorf("headers: %+v", taken[0])
	}
	if got := targets.Counts(); !cmp.Equal(got.Sent, map[target.Sending]uint64{{Way: "push", Outcome: target.OutcomeTaken}: 1}) || got.Open != 0 {
		t.Errorf("counts: %+v", got)
	}
}

// A device that was off shows a message once, however often it was sent; and another message beside it.
func TestARepetitionReplacesTheEarlierOne(t *testing.T) {
	_, p, sub, targets := subscribed(t, nil)
	one, first, second := only(t, targets), example(), example()
	second.ID, second.Why = notice.IDOf(ws, chat.Cursor{Epoch: 1, Seq: 18}, ann), chat.OwedKeyword
	for attempt, n := range []notice.Notice{first, second, first} {
		n.Attempt = attempt + 1
		if err := one.Send(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	if shown := p.Shown(sub); len(p.Taken(sub)) != 3 || len(shown) != 2 || shown[0].Urgency != "normal" || shown[1].Urgency != "high" {
		t.Errorf("%d taken, shown: %+v", len(p.Taken(sub)), shown)
	}
}

// Processes that start at once, and again later, are known to push services by one key.
func TestThereIsOneKey(t *testing.T) {
	s := &shelf{}
	keys := make([]string, 16)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			var err error
			if keys[i], err = s.make(t, nil, nil).VAPIDKey(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(slices.Compact(keys)) != 1 || len(keys[0]) != 87 {
		t.Errorf("keys: %q", slices.Compact(keys))
	}
}

func TestWithoutTheKeyNothingIsTried(t *testing.T) {
	s, p, _, _ := subscribed(t, nil)
	targets := s.make(t, p.Roots(), nil) // another process, which has not read it yet
	s.down = true
	if _, err := targets.VAPIDKey(t.Context()); !fault.Is(err, fault.Unavailable) {
		t.Errorf("the key: %v", err)
	}
	if err := only(t, targets).Send(t.Context(), example()); !fault.Is(err, fault.Unavailable) || !target.Skipped(err) || p.Asked() != 0 {
		t.Errorf("sending: %v, asked %d times", err, p.Asked())
	}
	s.down = false
	if err := only(t, targets).Send(t.Context(), example()); err != nil {
		t.Error(err)
	}
}

func TestTheLongestNoticeFits(t *testing.T) {
	_, p, sub, targets := subscribed(t, nil)
	for _, char := range []string{"a", "é", "😀", "\"", "\x01", "\u2028"} {
		n := example()
		n.Body, n.Sender, n.Channel, n.Workspace = strings.Repeat(char, notice.MaxBody), strings.Repeat(char, 80), strings.Repeat(char, 80), strings.Repeat(char, 80)
		n.ID += char
		if err := only(t, targets).Send(t.Context(), n); err != nil {
			t.Errorf("%q: %v", char, err)
		}
		taken := p.Taken(sub)
		payload := taken[len(taken)-1].Payload
		var got webpush.Payload
		if err := json.Unmarshal(payload, &got); err != nil || len(payload) > webpush.MaxPayload || !utf8.Valid(payload) || !strings.HasPrefix(n.Body, got.Body) || got.Body == "" {
			t.Errorf("%q: %d bytes with a body of %d: %v", char, len(payload), len(got.Body), err)
		}
	}
	n := example()
	n.Sender = strings.Repeat("x", 100_000)
	if err := only(t, targets).Send(t.Context(), n); err != nil {
		t.Errorf("a name without end: %v", err)
	}
}

func TestASubscriptionThatEndedIsForgotten(t *testing.T) {
	for name, end := range map[string]func(*pushtest.Push, store.Subscription){
		"410": (*pushtest.Push).End,
		"404": func(p *pushtest.Push, _ store.Subscription) { p.Be(pushtest.Mood{Fail: fault.NotFound}) },
	} {
		t.Run(name, func(t *testing.T) {
			s, p, sub, targets := subscribed(t, nil)
			end(p, sub)
			one := only(t, targets)
			for range 2 { // the second time it is forgotten already, by another process perhaps
				if err := one.Send(t.Context(), example()); !fault.Is(err, fault.NotFound) || target.Skipped(err) {
					t.Errorf("sending: %v", err)
				}
			}
			if len(s.subscriptions) != 0 {
				t.Error("it is still there")
			}
			if n := targets.Counts().Sent[target.Sending{Way: "push", Outcome: target.OutcomeGone}]; n != 2 {
				t.Errorf("%d are counted", n)
			}
		})
	}
}

func TestASubscriptionThatIsNoneFails(t *testing.T) {
	s, p, sub, targets := subscribed(t, nil)
	for name, spoil := range map[string]func(*store.Subscription){
		"no key":          func(s *store.Subscription) { s.P256dh = nil },
		"not on curve":    func(s *store.Subscription) { s.P256dh = append([]byte{4}, bytes.Repeat([]byte{1}, 64)...) },
		"a short secret":  func(s *store.Subscription) { s.Auth = s.Auth[:8] },
		"a bad address":   func(s *store.Subscription) { s.Endpoint = "ftp://example.org/" },
		"a private place": func(s *store.Subscription) { s.Endpoint = "https://10.0.0.1/secret-path" },
	} {
		bad := sub
		spoil(&bad)
		s.subscriptions = []store.Subscription{bad}
		err := only(t, targets).Send(t.Context(), example())
		if err == nil || target.Skipped(err) || fault.Is(err, fault.NotFound) || fault.Is(err, fault.Unavailable) || fault.Is(err, fault.Internal) || strings.Contains(err.Error(), "secret-path") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if p.Asked() != 0 || len(s.subscriptions) != 1 {
		t.Errorf("asked %d times, %d subscriptions are left", p.Asked(), len(s.subscriptions))
	}
}

func TestAReceiverVerifiesWhatItIsSent(t *testing.T) {
	_, h, hook, targets := hooked(t, nil)
	one, n := only(t, targets), example()
	if one.ID() != "webhook:"+hook.ID {
		t.Errorf("it is called %s", one.ID())
	}
	for n.Attempt = 1; n.Attempt <= 2; n.Attempt++ {
		if err := one.Send(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	taken := h.Taken()
	if len(taken) != 2 || !slices.Equal(h.Told(), []string{n.ID}) {
		t.Fatalf("%d taken, told %v", len(taken), h.Told())
	}
	var got webhook.Payload
	if err := json.Unmarshal(taken[1].Body, &got); err != nil {
		t.Fatal(err)
	}
	want := webhook.Payload{
		Type: "message", ID: n.ID, WorkspaceID: ws, Workspace: "Canopy", ChannelID: "c1", Channel: "general", Seq: 17, ServerMsgID: "1.17",
		SenderID: "bob", Sender: "Bob <b>", UserID: ann, Why: chat.OwedMention, Body: n.Body, PostedAt: n.PostedAt, Attempt: 2,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if h := taken[0].Header; h.Get("Content-Type") != "application/json" || h.Get("Traceparent") != n.TraceParent || h.Get("Cookie") != "" {
		t.Errorf("headers: %v", h)
	}
}

func TestAWebhookStaysWhateverItAnswers(t *testing.T) {
	s, h, _, targets := hooked(t, nil)
	for _, status := range []int{404, 410} {
		h.Be(pushtest.Mood{Status: status})
		err := only(t, targets).Send(t.Context(), example())
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "the webhook is not there") || !strings.Contains(err.Error(), fmt.Sprint(status)) {
			t.Errorf("%d: %v", status, err)
		}
	}
	if len(s.webhooks) != 1 {
		t.Error("it is gone")
	}
}

func TestWhatAnAnswerMeansToTheWorker(t *testing.T) {
	_, p, sub, targets := subscribed(t, nil)
	secret := sub.Endpoint[strings.LastIndexByte(sub.Endpoint, '/')+1:]
	for _, c := range []struct {
		mood pushtest.Mood
		kind fault.Kind
	}{
		{pushtest.Mood{Fail: fault.TooLarge}, fault.TooLarge},
		{pushtest.Mood{Fail: fault.RateLimited, RetryAfter: 90 * time.Second}, fault.RateLimited},
		{pushtest.Mood{Fail: fault.Unavailable, RetryAfter: 30 * time.Second}, fault.Unavailable},
		{pushtest.Mood{Fail: fault.Internal}, fault.Unavailable},
		{pushtest.Mood{Fail: fault.Forbidden}, fault.Forbidden},
		{pushtest.Mood{Fail: fault.Invalid, Says: "no such " + sub.Endpoint + " or " + secret + strings.Repeat(" and so on", 1000)}, fault.Invalid},
		{pushtest.Mood{Redirect: "http://169.254.169.254/latest/meta-data/"}, fault.Invalid},
		{pushtest.Mood{Redirect: p.URL() + "/push/other"}, fault.Invalid},
		{pushtest.Mood{Down: true}, fault.Unavailable},
		{pushtest.Mood{}, ""},
	} {
		p.Be(c.mood)
		err := only(t, targets).Send(t.Context(), example())
		if fault.KindOf(err) != c.kind || target.Skipped(err) {
			t.Errorf("%+v: %v", c.mood, err)
		}
		if err == nil {
			continue
		}
		var f *fault.Error
		if !errors.As(err, &f) || f.RetryAfter != c.mood.RetryAfter || f.Message == "" {
			t.Errorf("%+v: %+v", c.mood, f)
		}
		if text := err.Error(); strings.Contains(text, secret) || utf8.RuneCountInString(text) > 320 || !strings.Contains(text, p.URL()) {
			t.Errorf("%+v is told as %q", c.mood, text)
		}
	}
}

// Who went away says nothing about a target; who waited too long for it does.
func TestASlowTargetCountsAndACallerWhoLeftDoesNot(t *testing.T) {
	_, h, _, targets := hooked(t, func(c *target.Config) {
		c.Timeout, c.Breaker = 50*time.Millisecond, target.BreakerConfig{After: 2, First: time.Hour}
	})
	h.Be(pushtest.Mood{Slow: time.Hour})
	left, leave := context.WithCancel(t.Context())
	leave()
	for range 5 {
		if err := only(t, targets).Send(left, example()); err == nil || target.Skipped(err) {
			t.Fatalf("a caller who left: %v", err)
		}
	}
	for range 2 {
		if err := only(t, targets).Send(t.Context(), example()); !fault.Is(err, fault.Unavailable) || target.Skipped(err) {
			t.Fatalf("a slow target: %v", err)
		}
	}
	if err := only(t, targets).Send(t.Context(), example()); !target.Skipped(err) {
		t.Errorf("after two that were too slow: %v", err)
	}
}

func TestWhatWeDoNotSendOpensNoBreaker(t *testing.T) {
	s := &shelf{webhooks: []store.Webhook{{ID: "h", WorkspaceID: ws, URL: "http://10.0.0.1/hook", Secret: make([]byte, 32)}}}
	targets := s.make(t, nil, func(c *target.Config) { c.Breaker.After = 1 })
	for range 3 {
		if err := only(t, targets).Send(t.Context(), example()); !fault.Is(err, fault.Forbidden) || !errors.Is(err, dial.ErrRefused) || target.Skipped(err) {
			t.Errorf("a private place: %v", err)
		}
	}
}

func TestEverybodysTargets(t *testing.T) {
	s, p, _, targets := subscribed(t, nil)
	key, _ := targets.VAPIDKey(t.Context())
	s.subscriptions = append(s.subscriptions, p.Subscribe("bob", key), p.Subscribe(ann, key))
	s.webhooks = []store.Webhook{{ID: "mine", WorkspaceID: ws}, {ID: "other", WorkspaceID: "w2"}}
	list, err := targets.TargetsOf(t.Context(), ws, ann)
	var ids []string
	for _, l := range list {
		ids = append(ids, l.ID())
	}
	if want := []string{"push:" + s.subscriptions[0].ID, "push:" + s.subscriptions[2].ID, "webhook:mine"}; err != nil || !slices.Equal(ids, want) {
		t.Errorf("%v: %v", ids, err)
	}
	if _, err := target.New(target.Config{}); err == nil {
		t.Error("Targets without stores")
	}
}
