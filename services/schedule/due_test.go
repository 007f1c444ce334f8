package schedule_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/job"
	"github.com/canopychat/canopy/services/schedule"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/dlq"
	"github.com/canopychat/canopy/streams/later"
)

// clean is when nothing of any job is left but what was decided.
func (y *yard) clean() bool { return y.count("due.>") == 0 && y.count("sched.*.*.*") == 0 }

func TestAMessageIsSentAtItsTime(t *testing.T) {
	y := newYard(t)
	s, other := y.process(nil), y.process(nil) // both work on what is due
	s.run()
	other.run()
	n := soon("good morning")
	n.Thread, n.ClientMsgID = 5, "01980000-0000-7000-8000-000000000002"
	j, err := s.Schedule(t.Context(), ann, n)
	if err != nil {
		t.Fatal(err)
	}
	y.eventually("it is sent", func() bool { return len(y.log.sent()) == 1 })
	if now := time.Now(); now.Before(j.At) {
		t.Errorf("it was sent %v before its time", j.At.Sub(now))
	}
	y.eventually("nothing is left", y.clean)
	got := y.log.sent()[0]
	want := event.Change{ChannelID: general, UserID: ann, ClientMsgID: n.ClientMsgID, Thread: 5, Body: "good morning"}
	if got.ChannelID != want.ChannelID || got.UserID != want.UserID || got.ClientMsgID != want.ClientMsgID || got.Thread != want.Thread || got.Body != want.Body {
		t.Errorf("it was sent as %+v", got)
	}
	if err := s.Cancel(t.Context(), ann, ws, j.ID); !fault.Is(err, fault.NotFound) {
		t.Errorf("cancelling what was sent: %v", err)
	}
	n.At = time.Now().Add(time.Hour)
	if _, err := s.Schedule(t.Context(), ann, n); !fault.Is(err, fault.Conflict) {
		t.Errorf("scheduling it again: %v", err)
	}
	if a, b := s.Counts(), other.Counts(); a.Sent+b.Sent != 1 || a.Parked+b.Parked+a.Retried+b.Retried+a.Dropped+b.Dropped != 0 {
		t.Errorf("counts: %+v, %+v", a, b)
	}
}

func TestAReminderComesToItsUserAlone(t *testing.T) {
	y := newYard(t)
	s := y.process(nil)
	s.run()
	about := store.NewScheduled{Kind: job.Reminder, WorkspaceID: ws, ChannelID: general, Seq: 42, Body: " call Bob\n", At: soon("").At}
	plain := store.NewScheduled{Kind: job.Reminder, WorkspaceID: ws, Body: "tea", At: soon("").At}
	for _, n := range []store.NewScheduled{about, plain} {
		j, err := s.Schedule(t.Context(), ann, n)
		if err != nil || j.ClientMsgID != chat.ClientMsgID("reminder-"+j.ID) {
			t.Fatalf("%+v: %v", j, err)
		}
	}
	y.eventually("both are sent", func() bool { return len(y.log.sent()) == 2 && y.clean() })
	bodies := map[string]bool{}
	for _, p := range y.log.sent() {
		bodies[p.Body] = true
		if p.ChannelID != annsOwn || p.UserID != ann {
			t.Errorf("it was sent to %s as %s", p.ChannelID, p.UserID)
		}
	}
	if !bodies["Reminder: tea"] || !bodies["Reminder: call Bob\nAbout message 3.42 in #general (channel c1)"] {
		t.Errorf("they say %v", bodies)
	}
	// What was sent is known, though the channel that it names has another name now.
	y.town.change(func() { y.town.name = "renamed" })
	for _, p := range y.log.sent() {
		if strings.Contains(p.Body, "Bob") {
			about.ClientMsgID = p.ClientMsgID
		}
	}
	id := strings.TrimPrefix(string(about.ClientMsgID), "reminder-")
	y.fire(job.Scheduled{ID: id, Kind: job.Reminder, WorkspaceID: ws, UserID: ann, ChannelID: general, Seq: 42, ClientMsgID: about.ClientMsgID, Body: about.Body, At: about.At})
	y.eventually("it is done", func() bool { return s.Counts().Repeated == 1 && y.clean() })
	if n := len(y.log.sent()); n != 2 {
		t.Errorf("%d messages", n)
	}
}

func TestItOutlivesEverybody(t *testing.T) {
	y := newYard(t)
	s := y.process(nil)
	stop := s.run()
	for i := range 20 {
		if _, err := s.Schedule(t.Context(), ann, soon(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	y.c.StopHub()
	time.Sleep(1500 * time.Millisecond) // their time comes while nobody is there
	y.c.StartHub()
	y.process(nil).run()
	y.eventually("all are sent", func() bool { return len(y.log.sent()) == 20 && y.clean() })
	seen := map[string]int{}
	for _, p := range y.log.sent() {
		seen[p.Body]++
	}
	if len(seen) != 20 {
		t.Errorf("sent: %v", seen)
	}
}

// A process dies when the log has the message and the consumer does not know it.
func TestKilledBetweenSendingAndSayingSo(t *testing.T) {
	y := newYard(t)
	y.quick()
	y.log.answers = make(chan struct{})
	victim := y.process(nil)
	stop := victim.run()
	j := job.Scheduled{ID: "j1", Kind: job.Later, WorkspaceID: ws, UserID: ann, ChannelID: general, ClientMsgID: "m1", Body: "once", At: time.Now()}
	y.fire(j)
	<-y.log.stored
	victim.conn.Close() // nothing that it says from now on is heard
	y.log.change(func() { close(y.log.answers); y.log.answers = nil })
	heir := y.process(nil)
	heir.run()
	y.eventually("it is done", y.clean)
	stop()
	if got := heir.Counts(); got.Sent != 1 || got.Repeated != 1 || len(y.log.sent()) != 1 {
		t.Errorf("counts: %+v, %d messages", got, len(y.log.sent()))
	}
}

func TestAnOutageSpendsNoAttempt(t *testing.T) {
	y := newYard(t)
	y.quick()
	s := y.process(nil)
	y.log.change(func() { y.log.down = true })
	s.run()
	y.fire(job.Scheduled{ID: "j1", Kind: job.Later, WorkspaceID: ws, UserID: ann, ChannelID: general, ClientMsgID: "m1", Body: "hello", At: time.Now()})
	y.eventually("it is held", func() bool { return s.Counts().Held >= 4 })
	y.town.change(func() { y.town.down = true })
	y.log.change(func() { y.log.down = false })
	held := s.Counts().Held
	y.eventually("it is held by the directory", func() bool { return s.Counts().Held >= held+2 })
	if n := y.count(">"); n != 2 {
		t.Errorf("%d messages lie there", n)
	}
	y.town.change(func() { y.town.down = false })
	y.eventually("it is sent", func() bool { return len(y.log.sent()) == 1 && y.clean() })
	consumer, err := y.c.HubJS.Consumer(y.c.Context(), streams.StreamSched, streams.ConsumerDue)
	if err != nil {
		t.Fatal(err)
	}
	if n := consumer.CachedInfo().Delivered.Consumer; n != 1 || s.Counts().Parked != 0 {
		t.Errorf("%d deliveries, counts %+v", n, s.Counts())
	}
}

// Who may not post any more gets a dead letter with the reason, which is sent when they may again and somebody retries it.
func TestWhoMayNotPostAnyMore(t *testing.T) {
	y := newYard(t)
	s := y.process(nil)
	s.run()
	for i, c := range []struct {
		reason     string
		kind       fault.Kind
		do, revert func()
	}{
		{"the account is closed", fault.Forbidden, func() { y.town.closed[ann] = true }, func() { y.town.closed[ann] = false }},
		{"there is no such workspace among yours", fault.NotFound, func() { y.town.left[ann] = true }, func() { y.town.left[ann] = false }},
		{"the channel is archived", fault.Forbidden, func() { y.town.archived[general] = true }, func() { y.town.archived[general] = false }},
		{"only members of the channel may post in it", fault.Forbidden, func() { y.town.in[general] = []chat.UserID{bob} }, func() { y.town.in[general] = []chat.UserID{ann, bob} }},
	} {
		y.town.change(c.do)
		j := job.Scheduled{
			ID: fmt.Sprintf("j%d", i), Kind: job.Later, WorkspaceID: ws, UserID: ann, ChannelID: general,
			ClientMsgID: chat.ClientMsgID(fmt.Sprintf("m%d", i)), Body: "hello", At: time.Now(),
		}
		y.fire(j)
		l := y.parked(uint64(i + 1))
		if l.Reason != c.reason {
			t.Errorf("it is parked because %q, want %q", l.Reason, c.reason)
		}
		if err := s.Cancel(t.Context(), ann, ws, j.ID); !fault.Is(err, fault.Conflict) {
			t.Errorf("cancelling it: %v", err)
		}
		for _, dry := range []bool{true, false} {
			if _, err := s.Redrive(t.Context(), l, dry); !fault.Is(err, c.kind) {
				t.Errorf("retrying it too early, dry %v: %v", dry, err)
			}
		}
		y.town.change(c.revert)
		if place, err := s.Redrive(t.Context(), l, true); err != nil || place != "would be sent to channel c1 as user ann" || len(y.log.sent()) != i {
			t.Errorf("dry, it is %q: %v", place, err)
		}
		for _, want := range []string{fmt.Sprintf("sent, at seq %d", i+1), fmt.Sprintf("it was sent already, at seq %d", i+1)} {
			if place, err := s.Redrive(t.Context(), l, false); err != nil || place != want {
				t.Errorf("it is %q, want %q: %v", place, want, err)
			}
		}
	}
	if !y.clean() {
		t.Error("something is left")
	}
}

func TestWhatIsNoJobIsParked(t *testing.T) {
	y := newYard(t)
	s := y.process(nil)
	s.run()
	good, err := job.Scheduled{ID: "j1", Kind: job.Later, WorkspaceID: ws, UserID: ann, ChannelID: general, ClientMsgID: "m1", Body: "hello", At: time.Now()}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct{ subject, payload, reason string }{
		{"due.w1.ann.j1", "not JSON", "malformed"},
		{"due.w1.ann.j1", `{"v":1}`, "malformed"},
		{"due.w1.ann.j2", string(good), "not that of its subject"},
		{"due.w1.bob.j1", string(good), "not that of its subject"},
		{"due.by.hand", string(good), "by hand"},
	} {
		if _, err := y.c.HubJS.Publish(y.c.Context(), c.subject, []byte(c.payload)); err != nil {
			t.Fatal(err)
		}
		l := y.parked(uint64(i + 1))
		if !strings.Contains(l.Reason, c.reason) {
			t.Errorf("%s is parked because %q", c.subject, l.Reason)
		}
		if _, err := s.Redrive(t.Context(), l, false); !fault.Is(err, fault.Invalid) {
			t.Errorf("retrying %s: %v", c.subject, err)
		}
	}
	if n := len(y.log.sent()); n != 0 || s.Counts().Parked != 5 {
		t.Errorf("%d were sent, counts %+v", n, s.Counts())
	}
	if _, err := s.Redrive(t.Context(), dlq.Letter{Gone: true}, false); !fault.Is(err, fault.NotFound) {
		t.Errorf("what is gone: %v", err)
	}
}

// What is past the consumer and still there was given up: what waits, and what was decided, is not.
func TestWhatWasGivenUpIsFound(t *testing.T) {
	y := newYard(t)
	s := y.process(nil)
	waits, err := s.Schedule(t.Context(), ann, message("in an hour"))
	if err != nil {
		t.Fatal(err)
	}
	not := message("not after all")
	not.ClientMsgID = "another"
	cancelled, err := s.Schedule(t.Context(), ann, not)
	if err == nil {
		err = s.Cancel(t.Context(), ann, ws, cancelled.ID)
	}
	if err != nil {
		t.Fatal(err)
	}
	y.fire(job.Scheduled{ID: "j1", Kind: job.Later, WorkspaceID: ws, UserID: ann, ChannelID: general, ClientMsgID: "m1", Body: "hello", At: time.Now()})
	if _, err := y.c.HubJS.Publish(y.c.Context(), "due.by.hand", nil); err != nil {
		t.Fatal(err)
	}
	missing := func() (subjects []string, all int) {
		entries, err := dlq.Open(s.conn).Entries(t.Context(), streams.StreamSched, 1, chat.MaxSeq)
		if err != nil {
			t.Fatal(err)
		}
		lack, err := s.Missing(t.Context(), entries)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range lack {
			subjects = append(subjects, e.Subject)
		}
		return subjects, len(entries)
	}
	if got, all := missing(); !slices.Equal(got, []string{"due.w1.ann.j1", "due.by.hand"}) || all != 4 {
		t.Errorf("of %d, %q are missing", all, got)
	}
	s.run()
	y.parked(1)
	y.eventually("it is sent", func() bool { return y.count("due.w1.>") == 0 && len(y.log.sent()) == 1 })
	if got, _ := missing(); slices.Contains(got, "due.w1.ann.j1") {
		t.Errorf("what was sent is missing: %q", got)
	}
	if y.count("sched.w1.ann."+waits.ID) != 1 {
		t.Error("what waits is gone")
	}
}

// The hub takes a schedule in hand, it is cancelled and purged, and then it becomes due all the same.
func TestWhatIsCancelledWhileItBecomesDueIsNotSent(t *testing.T) {
	y := newYard(t)
	s := y.process(nil)
	s.run()
	j, err := s.Schedule(t.Context(), ann, message("not after all"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Cancel(t.Context(), ann, ws, j.ID); err != nil {
		t.Fatal(err)
	}
	y.fire(j)
	y.eventually("it is dropped", func() bool { return s.Counts().Dropped == 1 && y.clean() })
	if n := len(y.log.sent()); n != 0 {
		t.Errorf("%d were sent", n)
	}
	l := dlq.Letter{Subject: "due.w1.ann." + j.ID}
	if l.Payload, err = j.Encode(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Redrive(t.Context(), l, false); !fault.Is(err, fault.Conflict) {
		t.Errorf("an operator retries it: %v", err)
	}
}

// Cancelling dies after it decided: the job is not sent, and can be cancelled again until it would be due.
func TestCancellingThatDiesHalfWay(t *testing.T) {
	y := newYard(t)
	down := fault.New(fault.Unavailable, "the hub does not answer")
	dying := y.process(func(c *schedule.Config) { c.Later = &noPurge{c.Later, down} })
	s := y.process(nil)
	j, err := s.Schedule(t.Context(), ann, message("not after all"))
	if err != nil {
		t.Fatal(err)
	}
	if err := dying.Cancel(t.Context(), ann, ws, j.ID); !fault.Is(err, fault.Unavailable) {
		t.Fatal(err)
	}
	if err := s.Cancel(t.Context(), ann, ws, j.ID); err != nil || !y.clean() {
		t.Errorf("again: %v", err)
	}
}

type noPurge struct {
	schedule.Later
	err error
}

func (p *noPurge) Cancel(context.Context, string, string) (bool, error) { return false, p.err }

// However cancelling and becoming due meet, exactly one of them happens.
func TestCancellingRacesWithBecomingDue(t *testing.T) {
	y := newYard(t)
	s, other := y.process(nil), y.process(nil)
	s.run()
	other.run()
	const jobs = 40
	var mu sync.Mutex
	gone := map[chat.ClientMsgID]bool{}
	var wg sync.WaitGroup
	for i := range jobs {
		j, err := s.Schedule(t.Context(), ann, soon(fmt.Sprint(i)))
		if err != nil {
			t.Error(err)
			break
		}
		wg.Go(func() {
			time.Sleep(time.Until(j.At) + time.Duration(i*37%jobs)*20*time.Millisecond - 300*time.Millisecond) // before, amid and after
			err := other.Cancel(t.Context(), ann, ws, j.ID)
			switch {
			case err == nil:
				mu.Lock()
				defer mu.Unlock()
				gone[j.ClientMsgID] = true
			case !fault.Is(err, fault.Conflict) && !fault.Is(err, fault.NotFound):
				t.Errorf("cancel: %v", err)
			}
		})
	}
	wg.Wait()
	y.eventually("all have ended", func() bool { return len(y.log.sent())+len(gone) >= jobs && y.clean() })
	sent := y.log.sent()
	for _, p := range sent {
		if gone[p.ClientMsgID] {
			t.Errorf("%s was cancelled and sent", p.Body)
		}
	}
	if len(sent)+len(gone) != jobs {
		t.Errorf("%d were sent, %d cancelled, of %d", len(sent), len(gone), jobs)
	}
	t.Logf("%d were sent, %d cancelled", len(sent), len(gone))
}

// It becomes due after cancelling saw that it waits.
func TestADecisionIsMadeOnce(t *testing.T) {
	y := newYard(t)
	s := y.process(nil)
	s.run()
	j, err := s.Schedule(t.Context(), ann, message("hello"))
	if err != nil {
		t.Fatal(err)
	}
	between := y.process(func(c *schedule.Config) {
		c.Later = &decides{Later: c.Later, before: func() { // it becomes due between the look at what waits and the decision
			y.fire(j)
			y.eventually("it is sent", func() bool { return len(y.log.sent()) == 1 })
		}}
	})
	if err := between.Cancel(t.Context(), ann, ws, j.ID); !fault.Is(err, fault.Conflict) {
		t.Errorf("cancelling what was sent meanwhile: %v", err)
	}
}

type decides struct {
	schedule.Later
	before func()
}

func (d *decides) Once(ctx context.Context, m later.Message) (later.Entry, error) {
	d.before()
	return d.Later.Once(ctx, m)
}

func TestAnErrorOfItsOwnIsTriedAgain(t *testing.T) {
	y := newYard(t)
	y.quick()
	s := y.process(nil)
	y.log.refuse = fault.New(fault.RateLimited, "too much at once")
	s.run()
	y.fire(job.Scheduled{ID: "j1", Kind: job.Later, WorkspaceID: ws, UserID: ann, ChannelID: general, ClientMsgID: "m1", Body: "hello", At: time.Now()})
	y.eventually("it is retried", func() bool { return s.Counts().Retried >= 1 })
	y.log.change(func() { y.log.refuse = nil })
	y.eventually("it is sent", func() bool { return len(y.log.sent()) == 1 && y.clean() })
}
