package publish_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/provision"
	"github.com/canopychat/canopy/streams/publish"
	"github.com/canopychat/canopy/streams/streamstest"
)

const stream = "CHAT_1"

func message(n int) bus.Message {
	return bus.Message{
		Place:   streams.Place{Shard: 1, WorkspaceID: "w1", ChannelID: chat.ChannelID(fmt.Sprintf("c%d", n%20))},
		MsgID:   fmt.Sprintf("u1.m%d", n),
		Payload: fmt.Appendf(nil, `{"n":%d}`, n),
	}
}

func dial(t *testing.T, url string) *bus.Conn {
	t.Helper()
	conn, err := bus.Dial(bus.DialConfig{URL: url, Role: "test", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// start runs a publisher; stop ends it and waits.
func start(t *testing.T, conn *bus.Conn, cfg publish.Config) (p *publish.Publisher, stop func()) {
	t.Helper()
	p = publish.New(conn, cfg)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return p, stop
}

// outcomes counts what done is told.
type outcomes struct {
	mu    sync.Mutex
	calls map[int]int
	acks  map[int]bus.Ack
	errs  map[int]error
	some  chan struct{}
}

func newOutcomes() *outcomes {
	return &outcomes{calls: map[int]int{}, acks: map[int]bus.Ack{}, errs: map[int]error{}, some: make(chan struct{}, 1)}
}

func (o *outcomes) done(n int) func(bus.Ack, error) {
	return func(ack bus.Ack, err error) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.calls[n]++
		if err != nil {
			o.errs[n] = err
		} else {
			o.acks[n] = ack
		}
		select {
		case o.some <- struct{}{}:
		default:
		}
	}
}

func (o *outcomes) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.calls)
}

// await waits for the outcomes of n publishes.
func (o *outcomes) await(t *testing.T, n int) {
	t.Helper()
	timeout := time.After(2 * streamstest.Wait)
	for o.count() < n {
		select {
		case <-o.some:
		case <-timeout:
			t.Fatalf("%d of %d publishes have an outcome", o.count(), n)
		}
	}
}

// wantStored checks that done was called once for each of n publishes, with an Ack, and that the stream holds each once.
func (o *outcomes) wantStored(t *testing.T, c *streamstest.Cluster, n int) {
	t.Helper()
	o.await(t, n)
	o.mu.Lock()
	defer o.mu.Unlock()
	seqs := map[chat.Seq]int{}
	for i := range n {
		if o.calls[i] != 1 {
			t.Errorf("done of %d was called %d times", i, o.calls[i])
		}
		if err := o.errs[i]; err != nil {
			t.Fatalf("publish %d: %v", i, err)
		}
		ack := o.acks[i]
		if ack.Stream != stream || ack.Domain != streams.HubDomain {
			t.Fatalf("ack %+v", ack)
		}
		if other, taken := seqs[ack.Seq]; taken {
			t.Errorf("publishes %d and %d have the same seq %d", i, other, ack.Seq)
		}
		seqs[ack.Seq] = i
	}
	if got := stored(t, c); got != n {
		t.Errorf("the stream holds %d events of %d", got, n)
	}
}

func stored(t *testing.T, c *streamstest.Cluster) int {
	t.Helper()
	s, err := c.HubJS.Stream(c.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	return int(s.CachedInfo().State.Msgs)
}

func TestThousandsInFlight(t *testing.T) {
	c := streamstest.Start(t)
	p, _ := start(t, dial(t, c.LeafURL()), publish.Config{})
	got := newOutcomes()
	for n := range 5000 {
		p.Publish(message(n), got.done(n))
	}
	got.wantStored(t, c, 5000)
	if p.InFlight() != 0 {
		t.Errorf("%d are still in flight", p.InFlight())
	}
}

func TestARepetitionAnswersTheFirstSeq(t *testing.T) {
	c := streamstest.Start(t)
	p, _ := start(t, dial(t, c.LeafURL()), publish.Config{})
	first, err := p.PublishSync(c.Context(), message(1))
	if err != nil || first.Duplicate {
		t.Fatalf("%+v, %v", first, err)
	}
	again, err := p.PublishSync(c.Context(), message(1))
	if err != nil || !again.Duplicate || again.Seq != first.Seq {
		t.Errorf("got %+v, %v; want a duplicate at %d", again, err, first.Seq)
	}
}

func TestTheHeadersArrive(t *testing.T) {
	c := streamstest.Start(t)
	p, _ := start(t, dial(t, c.LeafURL()), publish.Config{})
	m := message(1)
	m.TraceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	ack, err := p.PublishSync(c.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.HubJS.Stream(c.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := s.GetMsg(c.Context(), uint64(ack.Seq))
	if err != nil {
		t.Fatal(err)
	}
	if raw.Subject != "chat.1.w1.c1" || string(raw.Data) != `{"n":1}` ||
		raw.Header.Get("Nats-Msg-Id") != "u1.m1" || raw.Header.Get("traceparent") != m.TraceParent {
		t.Errorf("stored %+v", raw)
	}
}

// Whatever breaks in between, every event is stored once and has one outcome.
func TestNothingIsLostOrDoubledWhen(t *testing.T) {
	for name, fault := range map[string]func(*testing.T, *streamstest.Cluster, *bus.Conn){
		"the link is cut": func(_ *testing.T, c *streamstest.Cluster, _ *bus.Conn) {
			c.Link.Cut()
			c.WaitUnlinked()
			time.Sleep(300 * time.Millisecond)
			c.Link.Restore()
		},
		"the link is half-open": func(_ *testing.T, c *streamstest.Cluster, _ *bus.Conn) {
			c.Link.HalfOpen()
			time.Sleep(1500 * time.Millisecond)
			c.Link.Restore()
		},
		"the hub restarts": func(_ *testing.T, c *streamstest.Cluster, _ *bus.Conn) { c.RestartHub() },
		"the connection is made again": func(t *testing.T, _ *streamstest.Cluster, conn *bus.Conn) {
			if err := conn.NATS().ForceReconnect(); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := streamstest.Start(t)
			conn := dial(t, c.LeafURL())
			p, _ := start(t, conn, publish.Config{Attempt: 500 * time.Millisecond})
			got := newOutcomes()
			const events = 3000
			broken := make(chan struct{})
			var breaker sync.WaitGroup
			breaker.Go(func() {
				<-broken
				fault(t, c, conn)
			})
			for n := range events {
				if n == events/3 {
					close(broken)
				}
				p.Publish(message(n), got.done(n))
				if n%100 == 0 {
					time.Sleep(5 * time.Millisecond)
				}
			}
			breaker.Wait()
			got.wantStored(t, c, events)
		})
	}
}

func TestAnEventThatNobodyTakesIsCertainlyNotStored(t *testing.T) {
	c := streamstest.StartWith(t, streamstest.Options{Empty: true})
	p, _ := start(t, dial(t, c.LeafURL()), publish.Config{Budget: 300 * time.Millisecond})
	_, err := p.PublishSync(c.Context(), message(1))
	if !fault.Is(err, fault.Unavailable) || !errors.Is(err, nats.ErrNoResponders) || errors.Is(err, bus.ErrUnknown) {
		t.Errorf("error is %v", err)
	}
}

func TestNobodyListensOnTheAddress(t *testing.T) {
	p, _ := start(t, dial(t, "nats://canopy:secret@127.0.0.1:1"), publish.Config{Budget: 200 * time.Millisecond})
	_, err := p.PublishSync(t.Context(), message(1))
	if !fault.Is(err, fault.Unavailable) || errors.Is(err, bus.ErrUnknown) {
		t.Errorf("error is %v", err)
	}
}

func TestAnAnswerThatNeverComesIsUnknown(t *testing.T) {
	c := streamstest.StartWith(t, streamstest.Options{Empty: true})
	if _, err := c.HubConn.Subscribe("chat.>", func(*nats.Msg) {}); err != nil { // somebody looks, nobody stores
		t.Fatal(err)
	}
	p, _ := start(t, dial(t, c.HubURL()), publish.Config{Budget: 300 * time.Millisecond, Attempt: 100 * time.Millisecond})
	if err := c.HubConn.Flush(); err != nil {
		t.Fatal(err)
	}
	_, err := p.PublishSync(c.Context(), message(1))
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != fault.Unavailable || f.RetryAfter == 0 || !errors.Is(err, bus.ErrUnknown) {
		t.Errorf("error is %v", err)
	}
}

func TestTooLarge(t *testing.T) {
	c := streamstest.Start(t)
	p, _ := start(t, dial(t, c.LeafURL()), publish.Config{})
	for _, size := range []int{chat.MaxStoredEvent, 4 << 20} { // more than the stream takes; more than the server takes
		m := message(size)
		m.Payload = make([]byte, size)
		if _, err := p.PublishSync(c.Context(), m); !fault.Is(err, fault.TooLarge) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

func TestAFullLogRefuses(t *testing.T) {
	c := streamstest.StartWith(t, streamstest.Options{Provision: provision.Options{MaxBytes: 256 << 10}})
	p, _ := start(t, dial(t, c.LeafURL()), publish.Config{})
	for n := range 100 {
		m := message(n)
		m.Payload = make([]byte, 32<<10)
		_, err := p.PublishSync(c.Context(), m)
		if err == nil {
			continue
		}
		if !fault.Is(err, fault.Unavailable) || errors.Is(err, bus.ErrUnknown) || stored(t, c) != n {
			t.Errorf("after %d events of %d: %v", n, stored(t, c), err)
		}
		return
	}
	t.Error("the stream took more than it may hold")
}

func TestABadPlaceIsInvalid(t *testing.T) {
	p := publish.New(dial(t, "nats://127.0.0.1:1"), publish.Config{})
	for _, place := range []streams.Place{{Shard: 99, WorkspaceID: "w", ChannelID: "c"}, {WorkspaceID: "w.*", ChannelID: "c"}, {WorkspaceID: "w", ChannelID: ">"}} {
		m := message(1)
		m.Place = place
		if _, err := p.PublishSync(t.Context(), m); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", place, err)
		}
	}
}

func TestPastTheLimitAnEventIsRefusedAtOnce(t *testing.T) {
	p := publish.New(dial(t, "nats://127.0.0.1:1"), publish.Config{MaxInFlight: 2}) // nobody runs it
	got := newOutcomes()
	for n := range 3 {
		p.Publish(message(n), got.done(n))
	}
	if got.count() != 1 || !fault.Is(got.errs[2], fault.Unavailable) || errors.Is(got.errs[2], bus.ErrUnknown) {
		t.Errorf("outcomes: %v", got.errs)
	}
}

func TestTheEndOfRunCompletesWhatIsInFlight(t *testing.T) {
	c := streamstest.Start(t)
	conn := dial(t, c.LeafURL())
	p, stop := start(t, conn, publish.Config{})
	if _, err := p.PublishSync(c.Context(), message(999)); err != nil {
		t.Fatal(err)
	}
	c.Link.HalfOpen()
	got := newOutcomes()
	for n := range 100 {
		p.Publish(message(n), got.done(n))
	}
	time.Sleep(50 * time.Millisecond)
	stop()
	if got.count() != 100 {
		t.Fatalf("%d of 100 have an outcome", got.count())
	}
	for n := range 100 {
		if got.calls[n] != 1 || !fault.Is(got.errs[n], fault.Unavailable) || !errors.Is(got.errs[n], bus.ErrUnknown) {
			t.Errorf("outcome of %d, called %d times: %v", n, got.calls[n], got.errs[n])
		}
	}
	if _, err := p.PublishSync(t.Context(), message(1000)); !fault.Is(err, fault.Unavailable) || errors.Is(err, bus.ErrUnknown) {
		t.Errorf("after the end: %v", err)
	}
	c.Link.Restore()
}

func TestPublishSyncGivesUpWithItsContext(t *testing.T) {
	p := publish.New(dial(t, "nats://127.0.0.1:1"), publish.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.PublishSync(ctx, message(1)); !errors.Is(err, bus.ErrUnknown) || !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
}

// A stream of the leaf that captures our subjects answers, too. Its answer is no proof.
func TestAnAckOfAnotherDomainDoesNotCount(t *testing.T) {
	c := streamstest.Start(t)
	leaf, err := jetstream.New(c.LeafConn)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := leaf.CreateStream(c.Context(), jetstream.StreamConfig{Name: "CHAT_1", Subjects: []string{"chat.1.>"}}); err != nil {
		t.Fatal(err)
	}
	p, _ := start(t, dial(t, c.LeafURL()), publish.Config{})
	for n := range 50 {
		if ack, err := p.PublishSync(c.Context(), message(n)); err != nil || ack.Domain != streams.HubDomain {
			t.Fatalf("%+v, %v", ack, err)
		}
	}
}

// Each answer of a server is understood: the script is what it says to the first attempts.
func TestAnswers(t *testing.T) {
	const ok = `{"stream":"CHAT_1","domain":"hub","seq":7}`
	refusal := func(code, errCode int, text string) string {
		return fmt.Sprintf(`{"stream":"CHAT_1","error":{"code":%d,"err_code":%d,"description":%q}}`, code, errCode, text)
	}
	for name, tc := range map[string]struct {
		script  []string
		kind    fault.Kind // empty: stored at 7
		unknown bool
	}{
		"duplicate in process":         {script: []string{refusal(409, 10158, "in process"), ok}},
		"too many requests":            {script: []string{refusal(429, 10167, "too many"), refusal(429, 10999, "more"), ok}},
		"no suitable peers":            {script: []string{refusal(400, 10005, "no suitable peers for placement"), ok}},
		"not the leader":               {script: []string{refusal(500, 10009, "not leader"), refusal(503, 10008, "not available"), ok}},
		"the first answer is lost":     {script: []string{"", ok}},
		"nonsense before the answer":   {script: []string{"}{", ok}},
		"another stream":               {script: []string{`{"stream":"OTHER","domain":"hub","seq":3}`, ok}},
		"another domain":               {script: []string{`{"stream":"CHAT_1","domain":"eu1","seq":3}`, ok}},
		"another stream refuses":       {script: []string{`{"stream":"OTHER","error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"}}`, ok}},
		"no seq":                       {script: []string{`{"stream":"CHAT_1","domain":"hub"}`, ok}},
		"too large":                    {script: []string{refusal(400, 10054, "message size exceeds maximum allowed")}, kind: fault.TooLarge},
		"too large for a file":         {script: []string{refusal(503, 10077, "message too large")}, kind: fault.TooLarge},
		"header too large":             {script: []string{refusal(400, 10097, "header")}, kind: fault.TooLarge},
		"full":                         {script: []string{refusal(503, 10077, "maximum bytes exceeded")}, kind: fault.Unavailable},
		"no resources":                 {script: []string{refusal(503, 10023, "insufficient resources")}, kind: fault.Unavailable},
		"sealed":                       {script: []string{refusal(400, 10109, "sealed")}, kind: fault.Internal},
		"full after a lost answer":     {script: []string{"", refusal(503, 10077, "maximum bytes exceeded")}, kind: fault.Unavailable, unknown: true},
		"sealed after a lost answer":   {script: []string{"", refusal(400, 10109, "sealed")}, kind: fault.Unavailable, unknown: true},
		"large after a lost answer":    {script: []string{"", refusal(400, 10054, "size")}, kind: fault.TooLarge},
		"nothing but lost answers":     {script: []string{}, kind: fault.Unavailable, unknown: true},
		"in process until the end":     {script: []string{"", "*" + refusal(409, 10158, "in process")}, kind: fault.Unavailable, unknown: true},
		"too many requests to the end": {script: []string{"*" + refusal(429, 10167, "too many")}, kind: fault.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			script := tc.script
			var mu sync.Mutex
			var ids []string
			server := scripted(t, func(m *nats.Msg) string {
				mu.Lock()
				defer mu.Unlock()
				ids = append(ids, m.Header.Get("Nats-Msg-Id"))
				if len(script) == 0 {
					return ""
				}
				answer := script[0]
				if answer != "" && answer[0] == '*' {
					return answer[1:]
				}
				script = script[1:]
				return answer
			})
			p, _ := start(t, dial(t, server), publish.Config{Budget: time.Second, Attempt: 150 * time.Millisecond})
			ack, err := p.PublishSync(t.Context(), message(1))
			if tc.kind == "" && (err != nil || ack != bus.Ack{Stream: "CHAT_1", Domain: "hub", Seq: 7}) {
				t.Errorf("got %+v, %v", ack, err)
			}
			if tc.kind != "" && (!fault.Is(err, tc.kind) || errors.Is(err, bus.ErrUnknown) != tc.unknown) {
				t.Errorf("got %v; want %s, unknown %v", err, tc.kind, tc.unknown)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, id := range ids {
				if id != "u1.m1" {
					t.Errorf("an attempt had the id %q", id)
				}
			}
		})
	}
}

// scripted answers publishes on a server of its own that has no streams.
func scripted(t *testing.T, answer func(*nats.Msg) string) (url string) {
	t.Helper()
	c := streamstest.StartWith(t, streamstest.Options{Empty: true})
	if _, err := c.HubConn.Subscribe("chat.>", func(m *nats.Msg) {
		if text := answer(m); text != "" {
			if err := m.Respond([]byte(text)); err != nil {
				t.Error(err)
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err := c.HubConn.Flush(); err != nil {
		t.Fatal(err)
	}
	return c.HubURL()
}

// The answer to an early attempt may come when a later one is under way, and both may be answered.
func TestALateAckCompletes(t *testing.T) {
	var mu sync.Mutex
	var asked []*nats.Msg
	server := scripted(t, func(m *nats.Msg) string {
		mu.Lock()
		defer mu.Unlock()
		if asked = append(asked, m); len(asked) == 3 {
			for range 2 {
				if err := asked[0].Respond([]byte(`{"stream":"CHAT_1","domain":"hub","seq":5}`)); err != nil {
					t.Error(err)
				}
			}
		}
		return ""
	})
	p, stop := start(t, dial(t, server), publish.Config{Attempt: 50 * time.Millisecond})
	got := newOutcomes()
	p.Publish(message(0), got.done(0))
	got.await(t, 1)
	stop()
	if got.calls[0] != 1 || got.acks[0].Seq != 5 {
		t.Errorf("called %d times, %+v", got.calls[0], got.acks[0])
	}
}

func TestNothingRunsOn(t *testing.T) {
	c := streamstest.Start(t)
	before := goleak.IgnoreCurrent()
	conn := dial(t, c.LeafURL())
	p, stop := start(t, conn, publish.Config{})
	if _, err := p.PublishSync(c.Context(), message(1)); err != nil {
		t.Fatal(err)
	}
	stop()
	conn.Close()
	goleak.VerifyNone(t, before)
}
