package live_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/edge/client/clienttest"
	"github.com/canopychat/canopy/edge/client/live"
	"github.com/canopychat/canopy/edge/wsconn"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// line is a Conn of alice whose events are read as lines.
type line struct {
	t     *testing.T
	s     *clienttest.Server
	c     *client.Client
	conn  *live.Conn
	ended chan error
	stop  context.CancelFunc
}

func dial(t *testing.T, s *clienttest.Server, o live.Options) *line {
	t.Helper()
	c, err := client.Login(t.Context(), s.URL, "alice", clienttest.Password, "test")
	if err != nil {
		t.Fatal(err)
	}
	l := &line{t: t, s: s, c: c, conn: live.Connect(c, o), ended: make(chan error, 1)}
	ctx, stop := context.WithCancel(t.Context())
	l.stop = stop
	go func() { l.ended <- l.conn.Run(ctx) }()
	t.Cleanup(stop)
	return l
}

// expect reads events up to as many as are wanted. Offline is passed over: how often a socket is lost is not the point.
func (l *line) expect(want ...string) {
	l.t.Helper()
	var got []string
	for len(got) < len(want) {
		select {
		case e, open := <-l.conn.Events():
			if !open {
				l.t.Fatalf("ended after %q: %v", got, <-l.ended)
			}
			if text := say(e); text != "" {
				got = append(got, text)
			}
		case <-time.After(20 * time.Second):
			l.t.Fatalf("nothing comes after %q", got)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		l.t.Errorf("told:\n%s", diff)
	}
}

func say(e live.Event) string {
	switch e := e.(type) {
	case live.Online:
		return fmt.Sprintf("online %s %t", e.Cursor, e.Resumed)
	case live.Posted:
		return fmt.Sprintf("%s: %s%s", e.Message.SenderID, e.Message.Body, map[bool]string{true: " (filled)"}[e.Filled])
	case live.Changed:
		return fmt.Sprintf("%s %d %s%s", e.Kind, e.MessageSeq, e.Body, e.Emoji)
	case live.Gap:
		return fmt.Sprintf("gap %s %d-%d %t", e.ChannelID, e.After, e.Through, e.Filled)
	case live.Resync:
		return fmt.Sprintf("resync %s %s-%d", e.Reason, e.From, e.Head)
	case live.Typing:
		return fmt.Sprintf("typing %s %v", e.UserID, e.Expires)
	case live.Presence:
		return fmt.Sprintf("presence %s %s %s", e.UserID, e.Status, e.Text)
	case live.ReadMoved:
		return fmt.Sprintf("read %s %d", e.ChannelID, e.Seq)
	case live.ReadStale:
		return "stale"
	case live.Refused:
		return "refused " + e.Err.Error()
	case live.Frame:
		return string(e.Data)
	}
	return ""
}

func (l *line) send(body string) *live.Pending {
	l.t.Helper()
	p, err := l.conn.Send(l.t.Context(), client.Message{ChannelID: clienttest.General, Body: body})
	if err != nil {
		l.t.Fatal(err)
	}
	return p
}

func (l *line) stored(p *live.Pending, err error) live.Receipt {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(l.t.Context(), 20*time.Second)
	defer cancel()
	r, err := p.Wait(ctx)
	if err != nil {
		l.t.Fatal(err)
	}
	return r
}

func TestAConversation(t *testing.T) {
	s := clienttest.New(t)
	l := dial(t, s, live.Options{Workspace: clienttest.Workspace})
	l.expect("online 1.4 false")
	r := l.stored(l.send("hello"), nil)
	if r.Seq != 6 || r.ServerMsgID != "1.6" || r.Duplicate || r.At.IsZero() {
		t.Errorf("%+v", r)
	}
	s.Say(clienttest.Bob, clienttest.General, "hi")
	s.Say(clienttest.Bob, clienttest.Plans, "not for alice")
	l.expect("alice1: hello", "bob1: hi")
	ch := clienttest.General
	l.stored(l.conn.Edit(t.Context(), ch, 6, "hello!"))
	l.stored(l.conn.React(t.Context(), ch, 8, "👍"))
	l.stored(l.conn.Unreact(t.Context(), ch, 8, "👍"))
	l.stored(l.conn.Delete(t.Context(), ch, 6))
	l.stored(l.conn.Ping(t.Context()))
	l.stored(l.conn.SetPresence(t.Context(), chat.StatusAway, "lunch"))
	l.stored(l.conn.QueryPresence(t.Context(), clienttest.Bob))
	l.expect("message.edited 6 hello!", "reaction.added 8 👍", "reaction.removed 8 👍", "message.deleted 6 ", "presence alice1 away lunch", "presence bob1 offline ")
	s.Tell(`{"type":"typing","channel_id":"c1","user_id":"bob1","expires_s":6}`)
	s.Tell(`{"type":"nobody.knows","seq":1}`)
	s.Tell(`{"type":"error","code":"rate_limited","message":"slower","retry_after":1.5}`)
	l.expect("typing bob1 6s", "refused rate_limited: slower")
	if at := l.conn.Cursor(); at != (chat.Cursor{Epoch: 1, Seq: 18}) {
		t.Errorf("the cursor is %s", at)
	}
	l.stop()
	if err := <-l.ended; err != nil {
		t.Error(err)
	}
	if _, open := <-l.conn.Events(); open {
		t.Error("events go on")
	}
	if _, err := l.conn.Send(t.Context(), client.Message{}); !errors.Is(err, live.ErrClosed) {
		t.Errorf("sends after its end: %v", err)
	}
	if err := l.conn.Run(t.Context()); err == nil {
		t.Error("runs twice")
	}
}

// What was said while the socket was gone comes by the cursor; what was on its way is sent again, and stored once.
func TestAConnComesBack(t *testing.T) {
	s := clienttest.New(t)
	l := dial(t, s, live.Options{})
	l.expect("online 1.4 false")
	l.stored(l.conn.SetPresence(t.Context(), chat.StatusAway, ""))
	l.expect("presence alice1 away ")
	s.Mute(1)
	sends := []*live.Pending{l.send("one"), l.send("two"), l.send("three")}
	for i, p := range sends {
		if r := l.stored(p, nil); r.Duplicate != (i == 0) {
			t.Errorf("%d: %+v", i, r)
		}
	}
	l.expect("alice1: one", "online 1.6 true", "presence alice1 away ", "alice1: two", "alice1: three")
	s.Cut(fault.Moving.CloseCode())
	s.Say(clienttest.Bob, clienttest.General, "while away")
	l.expect("online 1.10 true", "bob1: while away")
	if got := s.Messages(clienttest.General); !slices.Equal(got, []string{"one", "two", "three", "while away"}) {
		t.Errorf("the log has %q", got)
	}
	again := 0
	for _, frame := range s.Seen() {
		if strings.Contains(frame, `"retry":true`) {
			again++
		}
	}
	if again != 1 {
		t.Errorf("%d sends said retry: %q", again, s.Seen())
	}
}

func TestWhatIsSentBeforeASocketIsOpenGoesOut(t *testing.T) {
	s := clienttest.New(t)
	c, err := client.Login(t.Context(), s.URL, "alice", clienttest.Password, "")
	if err != nil {
		t.Fatal(err)
	}
	conn := live.Connect(c, live.Options{Outbox: 1})
	first, err := conn.Send(t.Context(), client.Message{ChannelID: clienttest.General, Body: "early"})
	if err != nil || first.State() != live.Sending {
		t.Fatal(err)
	}
	if err := conn.Typing(clienttest.General); err != nil {
		t.Error(err)
	}
	full, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := conn.Send(full, client.Message{ChannelID: clienttest.General, Body: "too much"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the outbox has no end: %v", err)
	}
	l := &line{t: t, s: s, conn: conn, ended: make(chan error, 1)}
	ctx, stop := context.WithCancel(t.Context())
	go func() { l.ended <- conn.Run(ctx) }()
	l.stored(first, nil)
	stop()
	if err := <-l.ended; err != nil || !slices.Equal(s.Messages(clienttest.General), []string{"early"}) {
		t.Errorf("%v %q", err, s.Messages(clienttest.General))
	}
	for _, frame := range s.Seen() {
		if strings.Contains(frame, "typing") {
			t.Error("typing of long ago was sent")
		}
	}
}

// A lost frame shows in the prev of the next one, and is read from history before that is told.
func TestAGapIsFilled(t *testing.T) {
	s := clienttest.New(t)
	l := dial(t, s, live.Options{})
	l.expect("online 1.4 false")
	s.Say(clienttest.Bob, clienttest.General, "one")
	s.Lose(3)
	for _, body := range []string{"two", "three", "four"} {
		s.Say(clienttest.Bob, clienttest.General, body)
	}
	s.Say(clienttest.Bob, clienttest.General, "five")
	l.expect("bob1: one", "gap c1 6-12 true", "bob1: two (filled)", "bob1: three (filled)", "bob1: four (filled)", "bob1: five")

	bare := dial(t, s, live.Options{NoFill: true, Cursor: chat.Cursor{Epoch: 1, Seq: 14}})
	bare.expect("online 1.14 true")
	s.Lose(1)
	s.Say(clienttest.Bob, clienttest.General, "six")
	s.Say(clienttest.Bob, clienttest.General, "seven")
	bare.expect("gap c1 14-16 false", "bob1: seven")

	other := dial(t, s, live.Options{Cursor: chat.Cursor{Epoch: 9, Seq: 3}})
	other.expect("online 1.18 false", "resync epoch 9.3-18")
}

func TestRefusals(t *testing.T) {
	s := clienttest.New(t)
	l := dial(t, s, live.Options{})
	l.expect("online 1.4 false")
	s.Refuse(fault.New(fault.RateLimited, "slower").After(time.Millisecond), fault.New(fault.Unavailable, "the log").After(time.Millisecond))
	if r := l.stored(l.send("one"), nil); r.Duplicate {
		t.Errorf("%+v", r)
	}
	l.stored(l.send("two"), nil)
	s.Refuse(fault.New(fault.Forbidden, "not here"))
	_, err := l.send("three").Wait(t.Context())
	var refused *client.Error
	if !errors.As(err, &refused) || refused.Code != fault.Forbidden || refused.Message != "not here" || refused.Error() != "forbidden: not here" {
		t.Errorf("%v", err)
	}
	l.expect("alice1: one", "alice1: two")
}

func TestTokensAreRefreshed(t *testing.T) {
	s := clienttest.New(t)
	l := dial(t, s, live.Options{})
	l.expect("online 1.4 false")
	before := l.c.Session()
	s.Forget(time.Hour)
	s.Cut(fault.Unauthenticated.CloseCode())
	l.expect("online 1.4 true")
	after := l.c.Session()
	if before.Token == after.Token || before.RefreshToken == after.RefreshToken {
		t.Errorf("%+v, %+v", before, after)
	}
	// One refresh, however many ask.
	s.Forget(time.Hour)
	done := make(chan error)
	for range 8 {
		go func() { _, err := l.c.Me(context.Background()); done <- err }()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	refreshes := 0
	for _, asked := range s.Asked() {
		if asked == "POST /token/refresh" {
			refreshes++
		}
	}
	if refreshes != 2 {
		t.Errorf("%d refreshes", refreshes)
	}
}

func TestTheEndOfAConn(t *testing.T) {
	s := clienttest.New(t)
	l := dial(t, s, live.Options{})
	l.expect("online 1.4 false")
	if err := l.c.Logout(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Cut(fault.Unauthenticated.CloseCode())
	if err := <-l.ended; client.CodeOf(err) != fault.Unauthenticated && !closedWith(err, fault.Unauthenticated) {
		t.Errorf("ended with %v", err)
	}
	l = dial(t, s, live.Options{})
	l.expect("online 1.4 false")
	p := make(chan error, 1)
	s.Refuse(fault.New(fault.Unavailable, "x").After(time.Hour))
	send := l.send("never")
	go func() { _, err := send.Wait(context.Background()); p <- err }()
	s.Cut(fault.NotFound.CloseCode())
	if err := <-l.ended; !closedWith(err, fault.NotFound) {
		t.Errorf("ended with %v", err)
	}
	if err := <-p; !errors.Is(err, live.ErrClosed) {
		t.Errorf("the send ended with %v", err)
	}
	c, err := client.FromToken(s.URL, "nonsense")
	if err != nil {
		t.Fatal(err)
	}
	if err := live.Connect(c, live.Options{}).Run(t.Context()); client.CodeOf(err) != fault.Unauthenticated {
		t.Errorf("a bad token: %v", err)
	}
}

func closedWith(err error, k fault.Kind) bool {
	var closed *wsconn.CloseError
	return errors.As(err, &closed) && closed.Code == k.CloseCode()
}

// A reader that is slow loses nothing: the rest waits in the socket, and in the log.
func TestASlowReaderLosesNothing(t *testing.T) {
	s := clienttest.New(t)
	l := dial(t, s, live.Options{Buffer: 1})
	l.expect("online 1.4 false")
	var want []string
	for i := range 300 {
		s.Say(clienttest.Bob, clienttest.General, fmt.Sprint(i))
		want = append(want, fmt.Sprintf("bob1: %d", i))
		if i == 150 {
			s.Cut(fault.SlowReader.CloseCode())
		}
	}
	var got []string
	for e := range l.conn.Events() {
		if text := say(e); strings.HasPrefix(text, "bob1") {
			got = append(got, text)
		}
		if len(got) == len(want) {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestRawFrames(t *testing.T) {
	s := clienttest.New(t)
	l := dial(t, s, live.Options{Raw: true})
	l.expect(`{"type":"hello","session_id":"s1","user_id":"alice1","workspace_id":"w1","epoch":1,"head":4,"resumed":false,"heartbeat_s":30}`, "online 1.4 false")
	l.stored(l.conn.SendFrame(t.Context(), []byte(`{"type":"ping","ref":5}`)))
	l.expect(`{"type":"pong","ref":5}`)
	if p, err := l.conn.SendFrame(t.Context(), []byte(`{"type":"typing.start","channel_id":"c1"}`)); p != nil || err != nil {
		t.Errorf("%v %v", p, err)
	}
	s.Until("the typing arrives", func() bool { return slices.Contains(s.Seen(), `{"type":"typing.start","channel_id":"c1"}`) })
	s.Say(clienttest.Bob, clienttest.General, "hi")
	if e := <-l.conn.Events(); !strings.HasPrefix(say(e), `{"type":"message.deliver"`) {
		t.Errorf("%s", say(e))
	}
	l.expect("bob1: hi")
}

func TestEventsTellWhatTheFrameSays(t *testing.T) {
	s := clienttest.New(t)
	l := dial(t, s, live.Options{})
	l.expect("online 1.4 false")
	s.Store(event.Event{Kind: event.MemberJoined, ChannelID: clienttest.Plans, SenderID: clienttest.Bob, UserID: clienttest.Alice, Role: chat.RoleMember})
	want := live.Changed{
		Kind: event.MemberJoined, ChannelID: clienttest.Plans, Seq: 6, At: clienttest.Start.Add(2 * time.Second),
		SenderID: clienttest.Bob, UserID: clienttest.Alice, Role: chat.RoleMember,
	}
	if diff := cmp.Diff(live.Event(want), <-l.conn.Events()); diff != "" {
		t.Error(diff)
	}
}
