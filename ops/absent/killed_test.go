package absent_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/services/deliver/notice"
	"github.com/canopychat/canopy/services/deliver/target/pushtest"
)

// kills of the role deliver.
const kills = 6

// The process that routes and delivers may die at any moment: what was owed is told all the same, and nothing is given up.
func deliverIsKilled(t *testing.T, s *site) {
	hooks := pushtest.StartHooks(t)
	s.webhook(hooks)
	hooks.Be(pushtest.Mood{Slow: 50 * time.Millisecond}) // so that many are on their way when it dies
	enough, stop := context.WithCancel(t.Context())
	defer stop()
	var posting sync.WaitGroup
	var posted []chat.Cursor // of posting while that runs
	posting.Go(func() {
		for n := 0; enough.Err() == nil; n++ {
			posted = append(posted, cursorOf(t, s.says(s.alice, fmt.Sprintf("@channel number %d", n)).ServerMsgID))
			_ = client.Wait(enough, 40*time.Millisecond) // the loop looks for the end
		}
	})
	deliver := s.Deliverers[0]
	for n := range kills {
		told := hooks.Asked()
		if n%2 == 0 { // in the middle of work; else at whatever it does in the beginning
			until(t, "something is told", func() (bool, string) { return hooks.Asked() > told, fmt.Sprint(told) })
		}
		err := client.Wait(t.Context(), time.Duration(rand.IntN(1500))*time.Millisecond)
		if err := errors.Join(err, deliver.Kill(), deliver.Start()); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	posting.Wait()
	if err := deliver.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	want := map[string]bool{}
	for _, at := range posted {
		for _, login := range offline {
			want[notice.IDOf(s.workspace, at, s.people[login].id)] = true
		}
	}
	until(t, "everybody is told of everything", func() (bool, string) {
		missing := len(want)
		for _, id := range hooks.Told() {
			if want[id] {
				missing--
			}
		}
		return missing == 0, fmt.Sprintf("%d of %d are missing", missing, len(want))
	})
	s.noJobs()
	for _, at := range posted {
		for _, r := range s.all(at.Seq) {
			if r.Status == chat.DeliveryPending || r.Status == chat.DeliveryDead || r.Status == chat.DeliveryExpired {
				t.Errorf("%d for %s: %+v", at.Seq, r.Login, r)
			}
		}
	}
	// The test beside this one posts, too, and did so before there was a webhook.
	dead := slices.DeleteFunc(s.letters(), func(l letter) bool { return strings.Contains(l.Reason, "nothing to reach them by") })
	if len(dead) > 0 {
		t.Errorf("dead letters: %+v", dead)
	}
	times := map[string]int{}
	for _, c := range hooks.Taken() {
		if want[c.ID] {
			times[c.ID]++
		}
	}
	again, most := 0, 0
	for _, n := range times {
		again, most = again+n-1, max(most, n)
	}
	t.Logf("%d kills; %d messages, %d notices, %d told again and known by their ids, one of them %d times; the last of it %v after the last start",
		kills, len(posted), len(want), again, most, time.Since(began).Round(time.Second))
	// A kill repeats what was told and not written down by then: all notices of the batches that it fell into.
	// How many those are is a matter of the machine, but a process that lives tells nothing twice.
	if most > kills+1 {
		t.Errorf("a notice was told %d times by %d processes", most, kills+1)
	}
}
