package deliver_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/deliver"
	"github.com/canopychat/canopy/services/deliver/notice"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/dlq"
)

func TestANoticeSaysWhatItIsAbout(t *testing.T) {
	w := newTown(t, "bob")
	w.channel("c1", chat.ChannelPublic, "bob")
	w.phones.answers("bob", takes)
	body := "@bob " + strings.Repeat("é", 300)
	seq := w.post("c1", body)
	w.routed(seq)
	w.start(deliver.NewWorker(w.workerConfig()).Run)
	s := w.becomes(chat.DeliveryDelivered, seq, "bob")
	if s.Reason != "push:bob" || len(s.Attempts) != 1 || s.Attempts[0].Error != "" {
		t.Errorf("the state is %+v", s)
	}
	took := w.phones.tookBy("bob")
	if len(took) != 1 {
		t.Fatalf("bob took %d notices", len(took))
	}
	n := took[0]
	if n.PostedAt.IsZero() {
		t.Error("it does not say when")
	}
	n.PostedAt = time.Time{}
	want := notice.Notice{
		ID: "w1.1.1.bob", WorkspaceID: ws, Workspace: "Town", ChannelID: "c1", Channel: "c1", Seq: seq, Epoch: 1, SenderID: "ann", Sender: "Ann",
		UserID: "bob", Why: chat.OwedMention, Body: "@bob " + strings.Repeat("é", notice.MaxBody-5), Attempt: 1,
	}
	if n != want {
		t.Errorf("the notice is %+v, want %+v", n, want)
	}
}

// Who cannot be reached at all is given up, with a reason that an operator finds; and reached once when the operator tries again.
func TestUndeliveredAndRedriven(t *testing.T) {
	w := newTown(t, "bob")
	w.channel("d1", chat.ChannelDM, "bob")
	w.phones.answers("bob", func(notice.Notice) error { return fault.New(fault.Internal, "no route to bob") })
	seq := w.post("d1", "hello")
	w.routed(seq)
	worker := deliver.NewWorker(w.workerConfig())
	w.start(worker.Run)
	s := w.becomes(chat.DeliveryDead, seq, "bob")
	if len(s.Attempts) != 3 || !strings.Contains(s.Reason, "undelivered after 3 attempts: push:bob: internal: no route to bob") {
		t.Errorf("the state is %+v", s)
	}
	var notes []bus.Parked
	w.eventually("it is noted that the job is parked", func() bool { notes = w.parked(); return len(notes) == 1 })
	if notes[0].Reason != s.Reason || w.jobsLeft() != 1 {
		t.Errorf("the note is %+v, %d jobs", notes[0], w.jobsLeft())
	}
	original, err := w.jobs.Last(w.Context(), streams.StreamDelivery, "delivery.w1.bob")
	w.must(err)
	letter := dlq.Letter{
		Stream: notes[0].Stream, Consumer: notes[0].Consumer, Seq: notes[0].Seq, Subject: original.Subject, Payload: original.Payload, Reason: notes[0].Reason,
	}
	missing, err := worker.Missing(w.Context(), []bus.Entry{letter.Entry()})
	if err != nil || len(missing) != 1 {
		t.Errorf("a letter is due for %d jobs, %v", len(missing), err)
	}

	w.phones.answers("bob", takes)
	if place, err := worker.Redrive(w.Context(), letter, true); err != nil || place != "it would be due again, in round 1" || w.jobsLeft() != 1 {
		t.Errorf("a dry run says %q, %v, and leaves %d jobs", place, err, w.jobsLeft())
	}
	for i := range 2 { // an operator who asks twice
		if place, err := worker.Redrive(w.Context(), letter, false); err != nil || place == "" {
			t.Errorf("redrive %d says %q, %v", i, place, err)
		}
	}
	s = w.becomes(chat.DeliveryDelivered, seq, "bob")
	if s.Round != 1 || len(s.Attempts) != 1 {
		t.Errorf("the state is %+v", s)
	}
	w.eventually("no job is left but the original, which services/deadletter takes away", func() bool { return w.jobsLeft() == 1 })
	if n := len(w.phones.tookBy("bob")); n != 1 {
		t.Errorf("bob was told %d times", n)
	}
	if place, err := worker.Redrive(w.Context(), letter, false); err != nil || place != "delivered meanwhile, by push:bob" {
		t.Errorf("a late redrive says %q, %v", place, err)
	}
	if missing, err := worker.Missing(w.Context(), []bus.Entry{letter.Entry()}); err != nil || len(missing) != 0 {
		t.Errorf("a letter is due for %d jobs, %v", len(missing), err)
	}
	if c := worker.Counts(); c.Attempts[deliver.AttemptKey{Target: "push", Outcome: "failed"}] != 3 || c.Attempts[deliver.AttemptKey{Target: "push", Outcome: "taken"}] != 1 ||
		c.Decisions["dead"] != 1 || c.Decisions["retry"] != 2 || c.Decisions["delivered"] != 1 {
		t.Errorf("counts are %+v", c)
	}
}

func TestGarbageIsParkedWithItsReason(t *testing.T) {
	w := newTown(t, "bob")
	for _, payload := range []string{"hello", `{"v":7}`} {
		w.must(w.cluster.HubConn.Publish("delivery.w1.bob", []byte(payload)))
	}
	w.must(w.cluster.HubConn.Flush())
	worker := deliver.NewWorker(w.workerConfig())
	w.start(worker.Run)
	var notes []bus.Parked
	w.eventually("both are parked", func() bool { notes = w.parked(); return len(notes) == 2 })
	for _, n := range notes {
		if !strings.Contains(n.Reason, "malformed job") {
			t.Errorf("the reason is %q", n.Reason)
		}
	}
	letter := dlq.Letter{Stream: streams.StreamDelivery, Consumer: streams.ConsumerPush, Subject: "delivery.w1.bob", Seq: 1, Payload: []byte("hello")}
	if _, err := worker.Redrive(w.Context(), letter, false); !fault.Is(err, fault.Invalid) {
		t.Errorf("to redrive it ends with %v", err)
	}
}

// A push service that is down for an hour costs the attempts that its breaker lets through, and no more.
func TestATargetIsDownForAnHour(t *testing.T) {
	w := newTown(t, "bob")
	w.channel("d1", chat.ChannelDM, "bob")
	began := w.clock.Now()
	asked := 0
	w.phones.answers("bob", func(notice.Notice) error {
		asked++
		if w.clock.Now().Sub(began) >= time.Hour {
			return nil
		}
		w.clock.Advance(10 * time.Minute)
		if asked == 1 {
			return fault.New(fault.Internal, "connection refused")
		}
		return errOpen
	})
	seq := w.post("d1", "hello")
	w.routed(seq)
	worker := deliver.NewWorker(w.workerConfig())
	w.start(worker.Run)
	s := w.becomes(chat.DeliveryDelivered, seq, "bob")
	if len(s.Attempts) != 2 || asked < 6 {
		t.Errorf("%d attempts, and the target was asked %d times: %+v", len(s.Attempts), asked, s)
	}
	if c := worker.Counts(); c.Decisions["skipped"] != uint64(asked-2) {
		t.Errorf("counts are %+v", c)
	}
	if len(w.parked()) != 0 {
		t.Error("the job was parked")
	}
}

func TestWhatIsNotTried(t *testing.T) {
	all := []chat.UserID{"bob", "carl", "dan", "eve", "fred", "gus"}
	w := newTown(t, all...)
	w.channel("c1", chat.ChannelPublic, all...)
	for _, u := range all {
		w.phones.answers(u, takes)
	}
	deleted := w.post("c1", "@eve")
	seq := w.post("c1", "@channel")
	w.routed(seq)
	// Meanwhile
	w.publish(event.Event{Kind: event.MessageDeleted, ChannelID: "c1", MessageSeq: deleted})
	_, err := w.directory.SetMembers(w.Context(), store.MemberChange{ChannelID: "c1", By: "ann", UserIDs: []chat.UserID{"bob"}, Leave: true})
	w.must(err)
	w.relay(seq + 2)
	w.must(w.directory.SetPreferences(w.Context(), ws, "carl", chat.Preferences{Muted: []chat.ChannelID{"c1"}}))
	w.must(w.directory.SetPreferences(w.Context(), ws, "dan", chat.Preferences{Quiet: &chat.Quiet{Until: w.clock.Now().Add(time.Hour)}}))
	w.confirms(seq, time.Now(), "fred")
	w.confirms(seq-1, time.Now(), "dan")
	_, err = w.messages.SetRead(w.Context(), store.ReadCursor{WorkspaceID: ws, ChannelID: "c1", UserID: "gus", Cursor: chat.Cursor{Epoch: 1, Seq: seq}, At: time.Now()})
	w.must(err)
	_, err = w.messages.SetRead(w.Context(), store.ReadCursor{WorkspaceID: ws, ChannelID: "c1", UserID: "dan", Cursor: chat.Cursor{Epoch: 1, Seq: seq - 1}, At: time.Now()})
	w.must(err)

	worker := deliver.NewWorker(w.workerConfig())
	w.start(worker.Run)
	for user, want := range map[chat.UserID]string{"bob": "they left the channel, or their account was closed", "carl": "they muted the channel"} {
		if s := w.becomes(chat.DeliveryExpired, seq, user); s.Reason != want {
			t.Errorf("for %s it says %q", user, s.Reason)
		}
	}
	if s := w.becomes(chat.DeliveryExpired, deleted, "eve"); s.Reason != "the message was deleted" {
		t.Errorf("for eve it says %q", s.Reason)
	}
	if s := w.becomes(chat.DeliveryDelivered, seq, "fred"); s.Reason != "device dfred" || len(s.Attempts) != 0 {
		t.Errorf("for fred it says %+v", s)
	}
	if s := w.becomes(chat.DeliveryDelivered, seq, "gus"); s.Reason != "they read the channel" || len(s.Attempts) != 0 {
		t.Errorf("for gus it says %+v", s)
	}
	w.becomes(chat.DeliveryDelivered, seq, "eve")
	w.eventually("dan's job waited", func() bool { return worker.Counts().Decisions["quiet"] > 0 })
	if s := w.state(seq, "dan"); s.Status != chat.DeliveryPending || len(s.Attempts) != 0 {
		t.Errorf("for dan it says %+v", s)
	}
	w.clock.Advance(2 * time.Hour)
	if s := w.becomes(chat.DeliveryDelivered, seq, "dan"); len(s.Attempts) != 1 {
		t.Errorf("for dan it says %+v", s)
	}
	for user, want := range map[chat.UserID]int{"bob": 0, "carl": 0, "fred": 0, "gus": 0, "eve": 1, "dan": 1} {
		if got := len(w.phones.tookBy(user)); got != want {
			t.Errorf("%s took %d notices, want %d", user, got, want)
		}
	}
}

// An @channel of 10,000 people is routed once to each; and when they all come back at once, nobody is tried.
func TestACrowd(t *testing.T) {
	const n = crowdSize
	people := make([]chat.UserID, n)
	for i := range people {
		people[i] = chat.UserID(fmt.Sprintf("u%05d", i))
	}
	w := newTown(t)
	w.channel("c1", chat.ChannelPublic)
	seq := w.post("c1", "@channel")
	cfg := w.routerConfig()
	source := consumers(cfg.Source)
	cfg.Recipients = &crowd{cfg.Recipients, people}
	router := deliver.NewRouter(cfg)
	stop := w.start(router.Run)
	w.past(source, seq)
	stop()
	if got := w.jobsLeft(); got != n {
		t.Fatalf("%d jobs", got)
	}
	if c := router.Counts(); c.Owed[chat.OwedChannel] != n {
		t.Errorf("counts are %+v", c)
	}
	w.confirms(seq, time.Now(), people...)
	var tried atomic.Int64
	for _, u := range people[:100] {
		w.phones.answers(u, func(notice.Notice) error { tried.Add(1); return nil })
	}
	worker := deliver.NewWorker(w.workerConfig())
	w.start(worker.Run)
	w.eventually("all jobs are gone", func() bool { return w.jobsLeft() == 0 && worker.Counts().Decisions["covered"] == n })
	if c := worker.Counts(); tried.Load() != 0 || len(c.Attempts) != 0 {
		t.Errorf("%d were tried: %+v", tried.Load(), c)
	}
	q := store.DeliveryQuery{MessageKey: store.MessageKey{WorkspaceID: ws, Seq: seq}, Limit: chat.MaxPageSize}
	for got := 0; ; {
		states, err := w.messages.DeliveriesOf(w.Context(), q)
		w.must(err)
		for _, s := range states {
			if q.After = s.UserID; s.Status != chat.DeliveryDelivered || len(s.Attempts) != 0 {
				t.Fatalf("the state is %+v", s)
			}
		}
		if got += len(states); len(states) < q.Limit {
			if got != n {
				t.Errorf("%d states", got)
			}
			break
		}
	}
}

// While a database is down batches are held: nothing is tried, lost or counted.
func TestAnOutageSpendsNothing(t *testing.T) {
	w := newTown(t, "bob")
	w.channel("d1", chat.ChannelDM, "bob")
	w.phones.answers("bob", takes)
	seq := w.post("d1", "hello")
	var down atomic.Bool
	down.Store(true)
	cfg := w.routerConfig()
	routes := &watched{Source: cfg.Source}
	cfg.Source, cfg.Cursors = routes, &flaky{Cursors: cfg.Cursors, down: &down}
	router := deliver.NewRouter(cfg)
	w.start(router.Run)
	w.eventually("the router holds the batch", func() bool { return router.Counts().Held > 2 })
	down.Store(false)
	w.becomes(chat.DeliveryPending, seq, "bob")

	down.Store(true)
	wcfg := w.workerConfig()
	jobs := &watched{Source: wcfg.Source}
	wcfg.Source, wcfg.Cursors = jobs, &flaky{Cursors: wcfg.Cursors, down: &down}
	worker := deliver.NewWorker(wcfg)
	w.start(worker.Run)
	w.eventually("the worker holds the batch", func() bool { return worker.Counts().Held > 2 })
	down.Store(false)
	w.becomes(chat.DeliveryDelivered, seq, "bob")
	if routes.most() != 1 || jobs.most() != 1 || len(w.phones.tookBy("bob")) != 1 {
		t.Errorf("deliveries %d and %d, bob took %d", routes.most(), jobs.most(), len(w.phones.tookBy("bob")))
	}
}
