package absent_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/canopychat/canopy/ops/app"
	"github.com/canopychat/canopy/schemas/chat"
	schema "github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/services/deliver/target/pushtest"
	"github.com/canopychat/canopy/services/store"
)

// A push service that is down costs those who asked it first an attempt each, and whoever asks whether it is back. Nobody is given up, and
// when it is back everybody is pushed once.
//
// An hour of it is two pauses of its breaker here: 10 s and the beginning of one of 20 s, which grow to five
// minutes. Pauses between attempts are at most a second here, so without the breaker all attempts of everybody would be spent
// after five seconds.
func down(t *testing.T, run app.Running) {
	w, service := found(t, run), pushtest.StartPush(t)
	people := w.more(12)
	var subs []store.Subscription
	var names []string
	for _, p := range people {
		sub, _ := w.browser(service, p)
		subs, names = append(subs, sub), append(names, "@"+p.login)
	}
	service.Be(pushtest.Mood{Down: true})
	ack := w.says(w.alice, strings.Join(names, " ")+" are you there?")
	until(t, "the breaker is open, and everybody waits for it", func() (bool, string) {
		waiting := w.waits()
		return len(waiting) == len(people) && service.Asked() >= 5 && allAfter(waiting, time.Now().Add(5*time.Second)), fmt.Sprintf("%d asked, waiting until %v", service.Asked(), waiting)
	})
	opened := time.Now()
	asked := service.Asked()
	if asked > 2*len(people) {
		t.Errorf("the service was asked %d times until it was left alone", asked)
	}
	until(t, "somebody asks whether it is back", func() (bool, string) { return service.Asked() > asked, fmt.Sprint(asked) })
	probes := service.Asked() - asked
	attempts := 0
	for _, r := range w.all(ack.Seq) {
		if r.Why == chat.OwedMention {
			attempts += r.Attempts
			if r.Status != chat.DeliveryPending || r.Error == "" && r.Attempts > 0 {
				t.Errorf("while the service is down: %+v", r)
			}
		}
	}
	if probes > 2 || attempts < asked-probes || attempts > service.Asked() {
		t.Errorf("the ledger says %d attempts; the service was asked %d times, then %d times more", attempts, asked, probes)
	}
	service.Be(pushtest.Mood{})
	failed := service.Asked()
	for _, p := range people {
		if r := w.becomes(ack.Seq, p, chat.DeliveryDelivered); r.Attempts > 4 {
			t.Errorf("%s: %+v", p.login, r)
		}
	}
	w.noJobs()
	for i, sub := range subs {
		if taken := service.Taken(sub); len(taken) != 1 || read(t, taken[0]).Seq != ack.Seq {
			t.Errorf("%s was pushed %d: %+v", people[i].login, len(taken), taken)
		}
	}
	if again := service.Asked() - failed; again != len(people) {
		t.Errorf("when it was back the service was asked %d times for %d people", again, len(people))
	}
	if dead := w.own(); len(dead) > 0 {
		t.Errorf("dead letters: %+v", dead)
	}
	t.Logf("%d people, %d attempts failed in %v, %d of them asked whether it is back", len(people), failed, time.Since(opened).Round(time.Second), probes)
}

func allAfter(times []time.Time, at time.Time) bool {
	return !slices.ContainsFunc(times, at.After)
}

// all is what the ledger says of everybody.
func (w *town) all(seq chat.Seq) []schema.Recipient {
	w.t.Helper()
	return w.delivery(seq, "").Recipients
}
