package streamstest_test

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/streamstest"
)

const (
	ws = chat.WorkspaceID("w1")
	ch = chat.ChannelID("c1")
)

// listen subscribes on the leaf to everything of the workspace, as a gateway does.
func listen(t *testing.T, c *streamstest.Cluster) *nats.Subscription {
	t.Helper()
	filter, err := streams.FanWorkspaceFilter(0, ws)
	if err != nil {
		t.Fatal(err)
	}
	sub, err := c.LeafConn.SubscribeSync(filter)
	if err != nil {
		t.Fatal(err)
	}
	c.WaitLinked() // the subscription is known at the hub
	return sub
}

// talk publishes through the leaf and checks the ack, and the event that comes back to the leaf.
func talk(t *testing.T, c *streamstest.Cluster, sub *nats.Subscription, seq, last uint64) {
	t.Helper()
	subject, err := streams.ChatSubject(0, ws, ch)
	if err != nil {
		t.Fatal(err)
	}
	msgID, err := streams.OutboxMsgID(int64(seq))
	if err != nil {
		t.Fatal(err)
	}
	body := "event " + strconv.FormatUint(seq, 10)
	ack, err := c.LeafJS.Publish(c.Context(), subject, []byte(body), jetstream.WithMsgID(msgID))
	if err != nil {
		t.Fatal(err)
	}
	if ack.Domain != streams.HubDomain || ack.Stream != streams.ChatStream(0) || ack.Sequence != seq || ack.Duplicate {
		t.Fatalf("ack = %+v, want seq %d of CHAT_0 in domain hub", ack, seq)
	}
	m, err := sub.NextMsg(streamstest.Wait)
	if err != nil {
		t.Fatal(err)
	}
	place, err := streams.ParseFan(m.Subject)
	if want := (streams.Place{Shard: 0, WorkspaceID: ws, ChannelID: ch}); err != nil || place != want {
		t.Errorf("republished on %q: %+v, %v", m.Subject, place, err)
	}
	for header, want := range map[string]string{
		streams.HeaderStream:       streams.ChatStream(0),
		streams.HeaderSubject:      subject,
		streams.HeaderSequence:     strconv.FormatUint(seq, 10),
		streams.HeaderLastSequence: strconv.FormatUint(last, 10),
		streams.HeaderMsgID:        msgID,
	} {
		if got := m.Header.Get(header); got != want {
			t.Errorf("%s = %q, want %q", header, got, want)
		}
	}
	if _, err := time.Parse(time.RFC3339Nano, m.Header.Get(streams.HeaderTimeStamp)); err != nil {
		t.Error(err)
	}
	if string(m.Data) != body {
		t.Errorf("body = %q", m.Data)
	}
}

func TestAnEventGoesThroughTheLeafToTheHubAndBack(t *testing.T) {
	c := streamstest.Start(t)
	sub := listen(t, c)
	talk(t, c, sub, 1, 0)
	talk(t, c, sub, 2, 1)

	c.Link.Cut()
	c.WaitUnlinked()
	subject, err := streams.ChatSubject(0, ws, ch)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.LeafJS.Publish(c.Context(), subject, nil, jetstream.WithRetryAttempts(0)); !errors.Is(err, jetstream.ErrNoStreamResponse) {
		t.Errorf("a publish without a link: %v, want ErrNoStreamResponse", err)
	}
	c.Link.Restore()
	c.WaitLinked()
	talk(t, c, sub, 3, 2)
}

func TestAHalfOpenLinkIsNoticedAndComesBack(t *testing.T) {
	c := streamstest.StartWith(t, streamstest.Options{PingInterval: 300 * time.Millisecond})
	sub := listen(t, c)
	talk(t, c, sub, 1, 0)
	c.Link.HalfOpen()
	ctx, cancel := context.WithTimeout(c.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.LeafConn.RequestWithContext(ctx, streams.HubInfoSubject(), nil); err == nil {
		t.Error("the hub answered over a half-open link")
	}
	c.WaitUnlinked()
	c.Link.Restore()
	c.WaitLinked()
	talk(t, c, sub, 2, 1)
}

func TestAHubThatRestartsHasEverything(t *testing.T) {
	c := streamstest.Start(t)
	sub := listen(t, c)
	talk(t, c, sub, 1, 0)
	c.RestartHub()
	talk(t, c, sub, 2, 1)
}

func TestForget(t *testing.T) {
	c := streamstest.Start(t)
	sub := listen(t, c)
	for seq := uint64(1); seq <= 5; seq++ {
		talk(t, c, sub, seq, seq-1)
	}
	c.Forget(streams.ChatStream(0), 3)
	s, err := c.LeafJS.Stream(c.Context(), streams.ChatStream(0))
	if err != nil {
		t.Fatal(err)
	}
	if state := s.CachedInfo().State; state.FirstSeq != 4 || state.LastSeq != 5 {
		t.Errorf("the stream holds %d to %d, want 4 to 5", state.FirstSeq, state.LastSeq)
	}
}

func TestTheRawSubjectsOfTheHubAreAnsweredThroughTheLeaf(t *testing.T) {
	c := streamstest.Start(t)
	sub := listen(t, c)
	talk(t, c, sub, 1, 0)
	direct, err := streams.DirectGetSubject(streams.ChatStream(0))
	if err != nil {
		t.Fatal(err)
	}
	one, err := c.LeafConn.Request(direct, []byte(`{"seq":1}`), streamstest.Wait)
	if err != nil {
		t.Fatal(err)
	}
	if string(one.Data) != "event 1" || one.Header.Get(streams.HeaderSequence) != "1" {
		t.Errorf("direct get: %q %v", one.Data, one.Header)
	}
	batch, err := c.LeafConn.Request(direct, []byte(`{"seq":1,"next_by_subj":"chat.0.w1.>","batch":1}`), streamstest.Wait)
	if err != nil {
		t.Fatal(err)
	}
	if got := batch.Header.Get(streams.HeaderNumPending); got != "0" {
		t.Errorf("in a batch, %s = %q, want 0", streams.HeaderNumPending, got)
	}
	leader, err := streams.LeaderGetSubject(streams.ChatStream(0))
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		Message struct {
			Seq  uint64 `json:"seq"`
			Data []byte `json:"data"`
		} `json:"message"`
	}
	m, err := c.LeafConn.Request(leader, []byte(`{"seq":1}`), streamstest.Wait)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil || string(answer.Message.Data) != "event 1" {
		t.Errorf("leader get: %s, %v", m.Data, err)
	}
}

func TestAParkedEventLeavesItsReasonInAdvisories(t *testing.T) {
	c := streamstest.Start(t)
	talk(t, c, listen(t, c), 1, 0)
	persist, err := c.LeafJS.Consumer(c.Context(), streams.ChatStream(0), streams.ConsumerPersist)
	if err != nil {
		t.Fatal(err)
	}
	m, err := persist.Next(jetstream.FetchMaxWait(streamstest.Wait))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.TermWithReason("not an event"); err != nil {
		t.Fatal(err)
	}
	advisories, err := c.HubJS.Stream(c.Context(), streams.StreamAdvisories)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := advisories.OrderedConsumer(c.Context(), jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	note, err := reader.Next(jetstream.FetchMaxWait(streamstest.Wait))
	if err != nil {
		t.Fatal(err)
	}
	what, stream, consumer, err := streams.ParseAdvisory(note.Subject())
	if err != nil || what != streams.Parked || stream != streams.ChatStream(0) || consumer != streams.ConsumerPersist {
		t.Errorf("advisory on %q: %v %v %v, %v", note.Subject(), what, stream, consumer, err)
	}
	var text struct {
		Reason string `json:"reason"`
		Seq    uint64 `json:"stream_seq"`
		Domain string `json:"domain"`
	}
	if err := json.Unmarshal(note.Data(), &text); err != nil || text.Reason != "not an event" || text.Seq != 1 || text.Domain != streams.HubDomain {
		t.Errorf("advisory %s, %v", note.Data(), err)
	}
}

func TestAnEmptiedHubHasNothing(t *testing.T) {
	c := streamstest.Start(t)
	talk(t, c, listen(t, c), 1, 0)
	c.EmptyHub()
	if _, err := c.HubJS.Stream(c.Context(), streams.ChatStream(0)); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("%v, want ErrStreamNotFound", err)
	}
	c.Provision()
	talk(t, c, listen(t, c), 1, 0)
}

func TestALostRepublishShowsInTheNextOne(t *testing.T) {
	c := streamstest.Start(t)
	sub := listen(t, c)
	talk(t, c, sub, 1, 0)
	c.LoseRepublished(streams.ChatStream(0), func() {
		if _, err := c.LeafJS.Publish(c.Context(), "chat.0.w1.c1", []byte("lost")); err != nil {
			t.Fatal(err)
		}
	})
	talk(t, c, sub, 3, 2)
	if p, err := c.Wanted.Plan(c.Context(), c.HubJS); err != nil || len(p) != 0 {
		t.Errorf("the stream is not as it was: %v, %v", p, err)
	}
}

func TestALeaderAdvisoryReachesTheLeaf(t *testing.T) {
	c := streamstest.Start(t)
	sub, err := c.LeafConn.SubscribeSync(streams.LeaderElectedFilter())
	if err != nil {
		t.Fatal(err)
	}
	c.WaitLinked()
	c.AnnounceLeader(streams.ChatStream(1))
	m, err := sub.NextMsg(streamstest.Wait)
	if err != nil {
		t.Fatal(err)
	}
	if stream, err := streams.ParseLeaderElected(m.Subject); err != nil || stream != streams.ChatStream(1) {
		t.Errorf("%q: %v, %v", m.Subject, stream, err)
	}
}
