package deliver_test

import (
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/dlq"
)

// Of each message somebody is owed it for a reason, or nobody is woken.
func TestWhoIsOwedAMessage(t *testing.T) {
	w := newTown(t, "bob", "carl", "dan", "eve", "fred")
	w.channel("c1", chat.ChannelPublic, "bob", "carl", "dan", "eve")
	w.channel("d1", chat.ChannelDM, "bob")
	w.channel("g1", chat.ChannelGroupDM, "bob", "carl")
	w.channel("own", chat.ChannelDM)
	w.must(w.directory.SetPreferences(w.Context(), ws, "carl", chat.Preferences{Keywords: []string{"fire"}}))
	w.must(w.directory.SetPreferences(w.Context(), ws, "dan", chat.Preferences{Muted: []chat.ChannelID{"c1"}}))
	w.confirms(1, time.Now().Add(-5*time.Minute), "carl")
	w.confirms(1, time.Now().Add(-15*time.Minute), "bob")

	owed := map[chat.Seq]map[chat.UserID]chat.Owed{}
	expect := func(seq chat.Seq, to map[chat.UserID]chat.Owed) chat.Seq {
		owed[seq] = to
		return seq
	}
	expect(w.post("c1", "hello"), nil)
	expect(w.post("c1", "a @bob, and `@eve`, @fred who is not in it, and @dan who mutes"), map[chat.UserID]chat.Owed{"bob": chat.OwedMention})
	expect(w.post("c1", "there is a Fire"), map[chat.UserID]chat.Owed{"carl": chat.OwedKeyword})
	expect(w.post("c1", "@channel fire, @bob"), map[chat.UserID]chat.Owed{"bob": chat.OwedMention, "carl": chat.OwedChannel, "eve": chat.OwedChannel})
	expect(w.post("c1", "@here"), map[chat.UserID]chat.Owed{"carl": chat.OwedHere})
	expect(w.post("d1", "hello"), map[chat.UserID]chat.Owed{"bob": chat.OwedDirect})
	expect(w.post("d1", "hello @bob"), map[chat.UserID]chat.Owed{"bob": chat.OwedDirect})
	expect(w.post("g1", "hello"), map[chat.UserID]chat.Owed{"bob": chat.OwedDirect, "carl": chat.OwedDirect})
	expect(w.post("own", "call"), map[chat.UserID]chat.Owed{"ann": chat.OwedDirect})
	root := expect(w.publish(event.Event{Kind: event.MessagePosted, ChannelID: "c1", SenderID: "eve", ClientMsgID: "r", Body: "who knows?"}), nil)
	w.must(w.directory.SetFollow(w.Context(), store.Follow{ChannelID: "c1", Root: root, UserID: "bob", Follows: true, At: time.Now()}))
	expect(w.publish(event.Event{Kind: event.MessagePosted, ChannelID: "c1", ClientMsgID: "r2", Thread: root, Body: "I do"}),
		map[chat.UserID]chat.Owed{"eve": chat.OwedThread, "bob": chat.OwedThread})
	last := expect(w.publish(event.Event{Kind: event.MessageEdited, ChannelID: "c1", MessageSeq: root, SenderID: "eve", Body: "@channel?"}), nil)

	w.routed(last)
	for seq, want := range owed {
		states, err := w.messages.DeliveriesOf(w.Context(), store.DeliveryQuery{MessageKey: store.MessageKey{WorkspaceID: ws, Seq: seq}, Limit: 100})
		w.must(err)
		got := map[chat.UserID]chat.Owed{}
		for _, s := range states {
			if got[s.UserID] = s.Why; s.Status != chat.DeliveryPending || s.ChannelID == "" || s.RoutedAt.IsZero() {
				t.Errorf("the state is %+v", s)
			}
		}
		if len(got) != len(want) {
			t.Errorf("message %d is owed to %v, want %v", seq, got, want)
		}
		for u, why := range want {
			if got[u] != why {
				t.Errorf("message %d is owed to %s for %q, want %q", seq, u, got[u], why)
			}
		}
	}
	if left := w.jobsLeft(); left != 13 {
		t.Errorf("%d jobs", left)
	}
}

func TestWhoConfirmedIsNotOwedAnything(t *testing.T) {
	w := newTown(t, "bob", "carl", "dan")
	w.channel("c1", chat.ChannelPublic, "bob", "carl", "dan")
	seq := w.post("c1", "@channel")
	w.confirms(seq, time.Now(), "bob")
	w.confirms(seq-1, time.Now(), "dan")
	_, err := w.messages.SetRead(w.Context(), store.ReadCursor{WorkspaceID: ws, ChannelID: "c1", UserID: "carl", Cursor: chat.Cursor{Epoch: 1, Seq: seq}, At: time.Now()})
	w.must(err)
	r := w.routed(seq)
	if w.state(seq, "bob") != nil || w.state(seq, "carl") != nil || w.status(seq, "dan") != chat.DeliveryPending {
		t.Errorf("bob %+v, carl %+v, dan %+v", w.state(seq, "bob"), w.state(seq, "carl"), w.state(seq, "dan"))
	}
	if c := r.Counts(); c.Covered != 2 || c.Owed[chat.OwedChannel] != 1 || c.Messages != 1 {
		t.Errorf("counts are %+v", c)
	}
}

// Who came later, or left before, is not owed what they may not see.
func TestMembersAtTheTimeOfTheMessage(t *testing.T) {
	w := newTown(t, "bob", "carl")
	w.channel("c1", chat.ChannelPublic, "bob")
	first := w.post("c1", "@channel")
	_, err := w.directory.SetMembers(w.Context(), store.MemberChange{ChannelID: "c1", By: "ann", UserIDs: []chat.UserID{"carl"}})
	w.must(err)
	_, err = w.directory.SetMembers(w.Context(), store.MemberChange{ChannelID: "c1", By: "ann", UserIDs: []chat.UserID{"bob"}, Leave: true})
	w.must(err)
	// Their seqs are on their way to the log: until they are known nothing is decided.
	cfg := w.routerConfig()
	source := &watched{Source: cfg.Source}
	members := &asked{Recipients: cfg.Recipients, unsettled: make(chan struct{}, 1000)}
	cfg.Source, cfg.Recipients = source, members
	r := newRouter(cfg)
	stop := w.start(r.Run)
	defer stop()
	for range 12 { // it has given up once, and was asked again
		<-members.unsettled
	}
	if w.jobsLeft() != 0 {
		t.Error("somebody is owed the message before it is known who was there")
	}
	w.relay(first + 1)
	w.post("c1", "that is the seq of both")
	second := w.post("c1", "@channel again")
	w.becomes(chat.DeliveryPending, second, "carl")
	if w.state(first, "carl") != nil || w.state(second, "bob") != nil || w.status(first, "bob") != chat.DeliveryPending {
		t.Errorf("carl %+v, bob %+v, %+v", w.state(first, "carl"), w.state(second, "bob"), w.state(first, "bob"))
	}
	if n := source.most(); n != 1 {
		t.Errorf("waiting spent deliveries: %d", n)
	}
	if r.Counts().Held == 0 {
		t.Error("the batch was not held")
	}
}

// Who is gone since a direct message came leaves nobody alone in it: it is not owed to who sent it. A note to oneself is.
func TestADirectMessageWhoseOtherMemberIsGone(t *testing.T) {
	w := newTown(t, "bob", "carl")
	w.channel("d1", chat.ChannelDM, "bob")
	w.channel("d2", chat.ChannelDM, "carl")
	w.channel("d3", chat.ChannelDM)
	closed, left, note := w.post("d1", "are you there?"), w.post("d2", "and you?"), w.post("d3", "ask them again")
	_, err := w.directory.SetDeactivated(w.Context(), store.Deactivation{UserID: "bob", By: "ann", Deactivated: true, At: time.Now()})
	w.must(err)
	_, err = w.directory.RemoveMember(w.Context(), ws, "ann", "carl")
	w.must(err)
	w.relay(note)
	w.routed(note)
	for _, seq := range []chat.Seq{closed, left} {
		if s := w.state(seq, "ann"); s != nil {
			t.Errorf("message %d is owed to its sender: %+v", seq, s)
		}
	}
	if w.status(note, "ann") != chat.DeliveryPending || w.jobsLeft() != 1 {
		t.Errorf("the note: %+v, %d jobs", w.state(note, "ann"), w.jobsLeft())
	}
}

// What is no event is parked by the consumer persist. This one has nothing to say about it.
func TestGarbageIsPassedOver(t *testing.T) {
	w := newTown(t, "bob")
	w.channel("d1", chat.ChannelDM, "bob")
	for _, payload := range []string{"hello", `{"v":9,"kind":"message.posted","epoch":1,"channel_id":"d1","sender_id":"ann"}`,
		`{"v":1,"kind":"message.posted","epoch":1,"channel_id":"c2","sender_id":"ann","client_msg_id":"m","body":"elsewhere"}`} {
		w.must(w.cluster.HubConn.Publish("chat.0.w1.d1", []byte(payload)))
	}
	w.must(w.cluster.HubConn.Flush())
	seq := w.post("d1", "hello")
	r := w.routed(seq)
	if c := r.Counts(); c.Retried != 0 || c.Held != 0 || c.Messages != 1 || w.jobsLeft() != 1 {
		t.Errorf("counts are %+v, %d jobs", c, w.jobsLeft())
	}
}

// A plain message in a big channel must cost nothing.
func TestAPlainMessageAsksNothing(t *testing.T) {
	w := newTown(t, "bob")
	w.channel("c1", chat.ChannelPublic, "bob")
	w.post("c1", "first")
	cfg := w.routerConfig()
	source := cfg.Source
	count := &asked{Recipients: cfg.Recipients, wishes: cfg.Wishes, cursors: cfg.Cursors}
	cfg.Recipients, cfg.Wishes, cfg.Cursors = count, count, count
	var last chat.Seq
	for range 50 {
		last = w.post("c1", "hello")
	}
	defer w.start(newRouter(cfg).Run)()
	w.past(consumers(source), last)
	if n := count.times(); n > 2 { // what kind of channel it is, and who watches words
		t.Errorf("51 messages asked %d times", n)
	}
}

// An event that cannot be routed keeps nobody else waiting, and comes again.
func TestAnEventThatFailsComesAgain(t *testing.T) {
	w := newTown(t, "bob", "carl")
	w.quick()
	w.channel("d1", chat.ChannelDM, "bob")
	w.channel("d2", chat.ChannelDM, "carl")
	bad, good := w.post("d1", "hello"), w.post("d2", "hello")
	cfg := w.routerConfig()
	cfg.Recipients = &refusing{Recipients: cfg.Recipients, channel: "d1", times: 2}
	source := consumers(cfg.Source)
	r := newRouter(cfg)
	w.start(r.Run)
	w.becomes(chat.DeliveryPending, good, "carl")
	w.becomes(chat.DeliveryPending, bad, "bob")
	w.past(source, good)
	if c := r.Counts(); c.Retried != 2 || c.Messages < 2 || c.Owed[chat.OwedDirect] != 2 || w.jobsLeft() != 2 { // on a slow machine what is held comes again, too
		t.Errorf("counts are %+v, %d jobs", c, w.jobsLeft())
	}
}

// An operator may have an event routed again that was given up.
func TestRouteAgain(t *testing.T) {
	w := newTown(t, "bob", "carl")
	w.channel("c1", chat.ChannelPublic, "bob", "carl")
	w.must(w.directory.SetPreferences(w.Context(), ws, "carl", chat.Preferences{Keywords: []string{"fire"}}))
	seq, plain := w.post("c1", "hello @bob, fire"), w.post("c1", "hello, fire")
	r := newRouter(w.routerConfig())
	letters := map[chat.Seq]dlq.Letter{}
	var entries []bus.Entry
	for _, s := range []chat.Seq{seq, plain} {
		e, err := bus.NewLog(w.conn).Get(w.Context(), 0, s)
		w.must(err)
		letters[s] = dlq.Letter{Stream: "CHAT_0", Consumer: "deliver", Subject: "chat.0.w1.c1", Seq: s, StoredAt: e.At, Payload: e.Payload}
		entries = append(entries, e)
	}
	if missing, err := r.Missing(w.Context(), entries); err != nil || len(missing) != 1 || missing[0].Seq != seq {
		t.Errorf("missing are %+v, %v", missing, err)
	}
	for _, c := range []struct {
		dry  bool
		want string
		jobs int
	}{{true, "it would be routed again, and owed to 2 more", 0}, {false, "routed again: owed to 2 more", 2}, {false, "routed again: owed to 0 more", 2}} {
		if place, err := r.Redrive(w.Context(), letters[seq], c.dry); err != nil || place != c.want || w.jobsLeft() != c.jobs {
			t.Errorf("it says %q, %v, with %d jobs; want %q", place, err, w.jobsLeft(), c.want)
		}
	}
	if missing, err := r.Missing(w.Context(), entries); err != nil || len(missing) != 0 {
		t.Errorf("missing are %+v, %v", missing, err)
	}
	garbage := letters[seq]
	garbage.Payload = []byte("hello")
	if _, err := r.Redrive(w.Context(), garbage, false); !fault.Is(err, fault.Invalid) {
		t.Errorf("garbage ends with %v", err)
	}
}

// Who is in a dm does not change once both are in it, so it is asked once. Somebody who came in after the first messages is not
// forgotten.
func TestThePeopleOfADMAreAskedOnce(t *testing.T) {
	w := newTown(t, "bob")
	c := chat.Channel{ID: "d1", WorkspaceID: ws, Type: chat.ChannelDM, CreatorID: "ann", CreatedAt: time.Now()}
	w.must(w.directory.CreateChannel(w.Context(), c, []chat.UserID{"ann", "bob"}))
	w.relay(2)
	first := w.post("d1", "before the log has them")
	var last chat.Seq
	for range 20 {
		last = w.post("d1", "hello")
	}
	w.confirms(last-1, time.Now(), "bob")
	cfg := w.routerConfig()
	source := cfg.Source
	count := &asked{Recipients: cfg.Recipients, wishes: cfg.Wishes, cursors: cfg.Cursors}
	cfg.Recipients, cfg.Wishes, cfg.Cursors = count, count, count
	w.start(newRouter(cfg).Run)
	w.past(consumers(source), last)
	if w.state(first, "bob") != nil || w.status(last, "bob") != chat.DeliveryPending || w.jobsLeft() != 1 {
		t.Errorf("%+v, %+v, %d jobs", w.state(first, "bob"), w.state(last, "bob"), w.jobsLeft())
	}
	// Once what kind of channel it is, twice who is in it, of each of the 20 the devices, and of the last all else.
	if n := count.times(); n > 1+2+20+2+4 { // and of two batches, should it be two, some twice
		t.Errorf("21 messages asked %d times", n)
	}
}

// What is remembered of a dm says nothing of messages before it.
func TestAnOldMessageOfADMIsAskedAnew(t *testing.T) {
	w := newTown(t, "bob")
	c := chat.Channel{ID: "d1", WorkspaceID: ws, Type: chat.ChannelDM, CreatorID: "ann", CreatedAt: time.Now()}
	w.must(w.directory.CreateChannel(w.Context(), c, []chat.UserID{"ann", "bob"}))
	w.relay(2)
	first, second := w.post("d1", "before the log has them"), w.post("d1", "hello")
	r := newRouter(w.routerConfig())
	for _, one := range []struct {
		seq  chat.Seq
		want string
	}{{second, "routed again: owed to 1 more"}, {first, "routed again: owed to 0 more"}} {
		e, err := bus.NewLog(w.conn).Get(w.Context(), 0, one.seq)
		w.must(err)
		letter := dlq.Letter{Stream: "CHAT_0", Consumer: "deliver", Subject: "chat.0.w1.d1", Seq: one.seq, StoredAt: e.At, Payload: e.Payload}
		if place, err := r.Redrive(w.Context(), letter, false); err != nil || place != one.want {
			t.Errorf("message %d: it says %q, %v; want %q", one.seq, place, err, one.want)
		}
	}
}
