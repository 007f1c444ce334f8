package due_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/job"
	"github.com/canopychat/canopy/services/deliver/due"
	"github.com/canopychat/canopy/services/store"
)

var (
	now    = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	policy = due.Policy{}.WithDefaults()
)

func aJob(tried, round int) job.Delivery {
	j := job.Delivery{
		V: 1, WorkspaceID: "w1", UserID: "bob", Epoch: 1, ChannelID: "c1", Seq: 7, Why: chat.OwedMention, Round: round, Tried: tried,
		PostedAt: now.Add(-time.Hour), RoutedAt: now.Add(-time.Hour),
	}
	for range tried {
		j.Attempts = append(j.Attempts, chat.Attempt{At: now, Target: "push:a", Error: "no"})
	}
	return j
}

func state(s chat.DeliveryStatus, attempts, round int) *chat.Delivery {
	d := due.StateOf(aJob(attempts, round), now)
	d.Status, d.Reason = s, "as it was"
	return &d
}

func TestWhatIsDecidedWithoutLookingAtTheMessage(t *testing.T) {
	device := &store.DeviceCursor{UserID: "bob", DeviceID: "phone", Cursor: chat.Cursor{Epoch: 1, Seq: 7}, At: now.Add(-time.Minute)}
	old := aJob(0, 0)
	old.PostedAt = now.Add(-policy.MaxAge - 1)
	again := aJob(0, 1)
	again.PostedAt = old.PostedAt
	for name, c := range map[string]struct {
		job   job.Delivery
		known due.Known
		want  due.Verdict
		kind  due.Kind
		ended chat.DeliveryStatus
	}{
		"a new job":                             {job: aJob(0, 0), want: due.Look},
		"its state is as far":                   {job: aJob(2, 0), known: due.Known{State: state(chat.DeliveryPending, 2, 0)}, want: due.Look},
		"its state is behind":                   {job: aJob(2, 0), known: due.Known{State: state(chat.DeliveryPending, 1, 0)}, want: due.Look},
		"its state is ahead":                    {job: aJob(0, 0), known: due.Known{State: state(chat.DeliveryPending, 1, 0)}, want: due.Drop, kind: due.KindCopy},
		"its state is of a later round":         {job: aJob(9, 0), known: due.Known{State: state(chat.DeliveryPending, 0, 1)}, want: due.Drop, kind: due.KindCopy},
		"its state is dead in the round before": {job: aJob(0, 1), known: due.Known{State: state(chat.DeliveryDead, 10, 0)}, want: due.Look},
		"it is expired in the round before":     {job: aJob(0, 1), known: due.Known{State: state(chat.DeliveryExpired, 0, 0)}, want: due.Look},
		"it is expired":                         {job: aJob(0, 0), known: due.Known{State: state(chat.DeliveryExpired, 0, 0)}, want: due.Drop, kind: due.KindCopy},
		"it is delivered":                       {job: aJob(0, 3), known: due.Known{State: state(chat.DeliveryDelivered, 1, 0)}, want: due.Drop, kind: due.KindCopy},
		"it is dead, and this was the last job": {job: aJob(9, 0), known: due.Known{State: state(chat.DeliveryDead, 10, 0)}, want: due.Dead, kind: due.KindDead, ended: chat.DeliveryDead},
		"it is dead, and this is a copy":        {job: aJob(0, 0), known: due.Known{State: state(chat.DeliveryDead, 10, 0)}, want: due.Drop, kind: due.KindCopy},
		"a device has it":                       {job: aJob(3, 0), known: due.Known{Device: device}, want: due.End, kind: due.KindCovered, ended: chat.DeliveryDelivered},
		"they read the channel":                 {job: aJob(3, 0), known: due.Known{Read: true, ReadAt: now}, want: due.End, kind: due.KindCovered, ended: chat.DeliveryDelivered},
		"it is too old":                         {job: old, want: due.End, kind: due.KindExpired, ended: chat.DeliveryExpired},
		"it is too old, and a device has it":    {job: old, known: due.Known{Device: device}, want: due.End, kind: due.KindCovered, ended: chat.DeliveryDelivered},
		"it is old, and was redriven just now":  {job: again, want: due.Look},
	} {
		t.Run(name, func(t *testing.T) {
			got := policy.First(c.job, c.known, now)
			if got.Verdict != c.want || got.Kind != c.kind || got.State.Status != c.ended {
				t.Errorf("decided %d %q %q, want %d %q %q", got.Verdict, got.Kind, got.State.Status, c.want, c.kind, c.ended)
			}
			if c.ended != "" && got.State.Reason == "" {
				t.Error("it does not say why")
			}
		})
	}
}

func TestWhatTheMessageAndTheRecipientDecide(t *testing.T) {
	until := now.Add(3 * time.Hour)
	whole := due.Seen{Stored: true, Member: true}
	for name, c := range map[string]struct {
		change func(*due.Seen)
		want   due.Verdict
		kind   due.Kind
		reason string
		at     time.Time
	}{
		"nothing is against it": {change: func(*due.Seen) {}, want: due.Try},
		"not stored yet":        {change: func(s *due.Seen) { s.Stored = false }, want: due.Wait, kind: due.KindUnknown, at: now.Add(22500 * time.Millisecond)},
		"deleted":               {change: func(s *due.Seen) { s.Deleted = true }, want: due.End, kind: due.KindExpired, reason: "deleted"},
		"they left":             {change: func(s *due.Seen) { s.Member = false }, want: due.End, kind: due.KindExpired, reason: "left the channel"},
		"muted":                 {change: func(s *due.Seen) { s.Preferences.Muted = []chat.ChannelID{"c1"} }, want: due.End, kind: due.KindExpired, reason: "muted"},
		"another is muted":      {change: func(s *due.Seen) { s.Preferences.Muted = []chat.ChannelID{"c2"} }, want: due.Try},
		"quiet":                 {change: func(s *due.Seen) { s.Preferences.Quiet = &chat.Quiet{Until: until} }, want: due.Wait, kind: due.KindQuiet, at: until},
		"quiet until just now":  {change: func(s *due.Seen) { s.Preferences.Quiet = &chat.Quiet{Until: now} }, want: due.Try},
		"quiet, and deleted":    {change: func(s *due.Seen) { s.Deleted, s.Preferences.Quiet = true, &chat.Quiet{Until: until} }, want: due.End, kind: due.KindExpired, reason: "deleted"},
	} {
		t.Run(name, func(t *testing.T) {
			seen := whole
			c.change(&seen)
			got := policy.Second(aJob(2, 0), seen, now, 0.5)
			if got.Verdict != c.want || got.Kind != c.kind || !got.At.Equal(c.at) || !strings.Contains(got.State.Reason, c.reason) {
				t.Errorf("decided %+v", got)
			}
			if got.Verdict == due.Wait && (got.Job.Tried != 2 || len(got.State.Attempts) != 2) {
				t.Errorf("waiting spent an attempt: %+v", got.Job)
			}
		})
	}
}

func TestWhatAnAttemptDecides(t *testing.T) {
	failed := func(target string) due.Tried { return due.Tried{Target: target, Error: target + ": no"} }
	skipped := func(after time.Duration) due.Tried {
		return due.Tried{Target: "push:s", Skipped: true, Error: "open", RetryAfter: after}
	}
	took := due.Tried{Target: "push:ok"}
	slow := failed("push:slow")
	slow.RetryAfter = time.Hour
	for name, c := range map[string]struct {
		tried  int
		says   []due.Tried
		want   due.Verdict
		kind   due.Kind
		pause  time.Duration
		reason string
		error  string
	}{
		"a target took it":              {says: []due.Tried{failed("push:a"), took, skipped(1)}, want: due.End, kind: due.KindDelivered, reason: "push:ok"},
		"it failed":                     {says: []due.Tried{failed("push:a")}, want: due.Wait, kind: due.KindRetry, pause: 15 * time.Second, error: "push:a: no"},
		"it failed again":               {tried: 2, says: []due.Tried{failed("push:a")}, want: due.Wait, kind: due.KindRetry, pause: 4 * time.Minute, error: "push:a: no"},
		"the target says when":          {says: []due.Tried{slow}, want: due.Wait, kind: due.KindRetry, pause: time.Hour, error: "push:slow: no"},
		"all failed":                    {says: []due.Tried{failed("push:a"), failed("webhook:b")}, want: due.Wait, kind: due.KindRetry, pause: 15 * time.Second, error: "2 targets failed: push:a: no; webhook:b: no"},
		"there is none":                 {want: due.Wait, kind: due.KindRetry, pause: 15 * time.Second, error: "there is nothing to reach them by: no push subscription, no webhook"},
		"none was asked":                {tried: 3, says: []due.Tried{skipped(time.Minute), skipped(2 * time.Minute)}, want: due.Wait, kind: due.KindSkipped, pause: 90 * time.Second},
		"none was asked, none says why": {says: []due.Tried{{Skipped: true}}, want: due.Wait, kind: due.KindSkipped, pause: 22500 * time.Millisecond},
		"one was asked":                 {says: []due.Tried{skipped(time.Minute), failed("push:a")}, want: due.Wait, kind: due.KindRetry, pause: 15 * time.Second, error: "push:a: no"},
		"it was the last attempt":       {tried: 9, says: []due.Tried{failed("push:a")}, want: due.Dead, kind: due.KindDead, reason: "undelivered after 10 attempts: push:a: no", error: "push:a: no"},
		"it was not, nobody was asked":  {tried: 9, says: []due.Tried{skipped(time.Minute)}, want: due.Wait, kind: due.KindSkipped, pause: 90 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			j := aJob(c.tried, 0)
			got := policy.After(j, c.says, now, 0.5)
			if got.Verdict != c.want || got.Kind != c.kind || got.State.Reason != c.reason {
				t.Fatalf("decided %+v", got)
			}
			if got.Verdict == due.Wait && (got.At.Sub(now) != c.pause || !got.State.Next.Equal(got.At)) {
				t.Errorf("it waits for %v, want %v", got.At.Sub(now), c.pause)
			}
			spent := 1
			if c.kind == due.KindSkipped {
				spent = 0
			}
			if len(got.State.Attempts) != c.tried+spent || (got.Verdict == due.Wait && got.Job.Tried != c.tried+spent) {
				t.Errorf("%d attempts, and the job says %d", len(got.State.Attempts), got.Job.Tried)
			}
			if c.error != "" {
				if last := got.State.Attempts[len(got.State.Attempts)-1]; last.Error != c.error || !last.At.Equal(now) {
					t.Errorf("the last attempt is %+v", last)
				}
			}
			if diff := cmp.Diff(aJob(c.tried, 0), j); diff != "" {
				t.Errorf("the job that was given has changed:\n%s", diff)
			}
		})
	}
}

// Whatever happens to a job, its state never gets a lower rank, or what is written later would be lost.
func TestEveryStepRaisesTheRank(t *testing.T) {
	j := aJob(0, 0)
	for rank := due.StateOf(j, now).Rank(); ; {
		d := policy.After(j, []due.Tried{{Target: "push:a", Error: "no"}}, now, 0)
		if d.State.Rank() <= rank {
			t.Fatalf("after %d attempts the rank is %d, after %d before", d.Job.Tried, d.State.Rank(), rank)
		}
		if rank = d.State.Rank(); d.Verdict == due.Dead {
			break
		}
		j = d.Job
	}
	if again := due.StateOf(aJob(0, 1), now); again.Rank() <= state(chat.DeliveryDead, 10, 0).Rank() {
		t.Error("a new round is not above the dead one")
	}
}

func TestThePausesGrowUpToABound(t *testing.T) {
	want := []time.Duration{30 * time.Second, 2 * time.Minute, 8 * time.Minute, 32 * time.Minute, 128 * time.Minute, 6 * time.Hour, 6 * time.Hour}
	for i, w := range want {
		if got := policy.Pause(i+1, 1); got != w {
			t.Errorf("after attempt %d the longest pause is %v, want %v", i+1, got, w)
		}
		if got := policy.Pause(i+1, 0); got != 0 {
			t.Errorf("after attempt %d the shortest pause is %v", i+1, got)
		}
	}
	if got := policy.Pause(1000, 1); got != policy.MaxRetry {
		t.Errorf("after attempt 1000 the longest pause is %v", got)
	}
}

func TestALongErrorIsCut(t *testing.T) {
	d := policy.After(aJob(0, 0), []due.Tried{{Target: "push:a", Error: errors.New(strings.Repeat("é", 1000)).Error()}}, now, 0)
	if n := len(d.State.Attempts[0].Error); n > 250 {
		t.Errorf("%d bytes are kept", n)
	}
}
