package target_test

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/deliver/target"
	"github.com/canopychat/canopy/services/deliver/target/pushtest"
	"github.com/canopychat/canopy/services/store"
)

// breaking is Ann's webhook with a breaker that opens after three failures, and a clock.
func breaking(t *testing.T) (*pushtest.Hooks, *target.Targets, *clock) {
	c := newClock()
	_, h, _, targets := hooked(t, func(cfg *target.Config) {
		cfg.Now, cfg.Breaker = c.now, target.BreakerConfig{After: 3, First: 10 * time.Second, Cap: time.Minute}
	})
	return h, targets, c
}

// trySend sends once and says whether the target was asked, and when it is worth trying again if it was not.
func trySend(t *testing.T, targets *target.Targets) (asked bool, wait time.Duration, err error) {
	t.Helper()
	err = only(t, targets).Send(t.Context(), example())
	if !target.Skipped(err) {
		return true, 0, err
	}
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != fault.Unavailable || f.RetryAfter <= 0 {
		t.Errorf("it was skipped: %v", err)
	}
	return false, f.RetryAfter, err
}

func TestATargetThatDoesNotAnswerIsLeftAlone(t *testing.T) {
	h, targets, c := breaking(t)
	h.Be(pushtest.Mood{Fail: fault.Unavailable})
	for range 3 {
		if asked, _, err := trySend(t, targets); !asked || err == nil {
			t.Fatalf("asked %v: %v", asked, err)
		}
	}
	for _, pause := range []time.Duration{10 * time.Second, 20 * time.Second, 40 * time.Second, time.Minute, time.Minute} {
		c.wait(pause - time.Second)
		if asked, wait, _ := trySend(t, targets); asked || wait != time.Second {
			t.Errorf("a second before the end of %v: asked %v, wait %v", pause, asked, wait)
		}
		c.wait(time.Second)
		if asked, _, _ := trySend(t, targets); !asked {
			t.Errorf("after %v it is not asked", pause)
		}
	}
	if n := h.Asked(); n != 8 {
		t.Errorf("asked %d times", n)
	}
	if open := targets.Counts().Open; open != 1 {
		t.Errorf("%d are open", open)
	}
	h.Be(pushtest.Mood{})
	c.wait(time.Minute)
	for range 2 { // it is closed after the first
		if asked, _, err := trySend(t, targets); !asked || err != nil {
			t.Errorf("back again: asked %v: %v", asked, err)
		}
	}
	if open := targets.Counts().Open; open != 0 {
		t.Errorf("%d are open", open)
	}
	h.Be(pushtest.Mood{Fail: fault.Unavailable})
	for range 3 {
		trySend(t, targets)
	}
	if _, wait, _ := trySend(t, targets); wait != 10*time.Second {
		t.Errorf("the next time it begins with %v", wait)
	}
}

// A failure with an answer in between is no outage, and neither is a no.
func TestOnlyFailuresInARowCount(t *testing.T) {
	h, targets, _ := breaking(t)
	for range 4 {
		for _, m := range []pushtest.Mood{{Down: true}, {Fail: fault.Internal}, {}} {
			h.Be(m)
			if asked, _, _ := trySend(t, targets); !asked {
				t.Fatalf("%+v was not asked", m)
			}
		}
	}
	for _, no := range []fault.Kind{fault.Invalid, fault.TooLarge, fault.RateLimited, fault.Forbidden} {
		h.Be(pushtest.Mood{Fail: no})
		for range 4 {
			if asked, _, _ := trySend(t, targets); !asked {
				t.Fatalf("%s was not asked", no)
			}
		}
	}
}

// When a probe is due, one asks and nobody waits for it.
func TestOneProbesAtATime(t *testing.T) {
	h, targets, c := breaking(t)
	h.Be(pushtest.Mood{Fail: fault.Unavailable})
	for range 3 {
		trySend(t, targets)
	}
	c.wait(10 * time.Second)
	h.Be(pushtest.Mood{Slow: 300 * time.Millisecond})
	before := h.Asked()
	var probe sync.WaitGroup
	probe.Go(func() {
		if asked, _, err := trySend(t, targets); !asked || err != nil {
			t.Errorf("the probe: asked %v: %v", asked, err)
		}
	})
	for end := time.Now().Add(30 * time.Second); h.Asked() == before; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("nobody probes")
		}
	}
	asked, wait, err := trySend(t, targets)
	if asked && err != nil || !asked && wait != 10*time.Second { // on a slow machine the probe is over
		t.Errorf("beside the probe: asked %v, wait %v: %v", asked, wait, err)
	}
	probe.Wait()
}

// Everybody who is behind the same origin shares its breaker, and nobody else.
func TestABreakerIsOfAnOrigin(t *testing.T) {
	s, p, _, targets := subscribed(t, func(c *target.Config) { c.Breaker = target.BreakerConfig{After: 1, First: time.Hour} })
	key, err := targets.VAPIDKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.subscriptions = append(s.subscriptions, p.Subscribe("bob", key))
	p.Be(pushtest.Mood{Down: true})
	trySend(t, targets)
	bobs, err := targets.TargetsOf(t.Context(), ws, "bob")
	if err != nil {
		t.Fatal(err)
	}
	if err := bobs[0].Send(t.Context(), example()); !target.Skipped(err) {
		t.Errorf("another browser at the same push service: %v", err)
	}
	s.webhooks = []store.Webhook{{ID: "h", WorkspaceID: ws, URL: "http://127.0.0.1:1/", Secret: make([]byte, 32)}}
	list, err := targets.TargetsOf(t.Context(), ws, ann)
	if err != nil {
		t.Fatal(err)
	}
	if err := list[1].Send(t.Context(), example()); err == nil || target.Skipped(err) {
		t.Errorf("a webhook elsewhere: %v", err)
	}
}

// However many addresses people make up, what is remembered of them has an end; the one that failed last is remembered.
func TestTheBreakersAreBounded(t *testing.T) {
	s := &shelf{}
	targets := s.make(t, nil, func(c *target.Config) {
		c.Breaker, c.AllowPrivate = target.BreakerConfig{After: 1, First: time.Hour}, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	fail := func(i int) error {
		s.webhooks = []store.Webhook{{ID: "h", WorkspaceID: ws, URL: fmt.Sprintf("http://127.%d.%d.1:1/", i/250, i%250), Secret: make([]byte, 32)}}
		return only(t, targets).Send(t.Context(), example())
	}
	const many = target.MaxOrigins + 200
	for i := range many {
		if err := fail(i); err == nil || target.Skipped(err) {
			t.Fatalf("%d: %v", i, err)
		}
	}
	if open := targets.Counts().Open; open != target.MaxOrigins {
		t.Errorf("%d are open", open)
	}
	if err := fail(many - 1); !target.Skipped(err) {
		t.Errorf("the last one: %v", err)
	}
	if err := fail(0); target.Skipped(err) {
		t.Errorf("the first one: %v", err)
	}
}
