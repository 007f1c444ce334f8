package chat_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/edge/client/clienttest"
	"github.com/canopychat/canopy/ops/chat"
	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/schemas/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// terminal is where somebody types and looks.
type terminal struct {
	t     *testing.T
	s     *clienttest.Server
	in    *io.PipeWriter
	ended chan error

	mu  sync.Mutex
	out bytes.Buffer
}

func (w *terminal) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.Write(b)
}

func (w *terminal) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.out.String()
}

func sit(t *testing.T, s *clienttest.Server, change func(*chat.Options)) *terminal {
	t.Helper()
	c, err := client.Login(t.Context(), s.URL, "alice", clienttest.Password, "terminal")
	if err != nil {
		t.Fatal(err)
	}
	in, typed := io.Pipe()
	w := &terminal{t: t, s: s, in: typed, ended: make(chan error, 1)}
	o := chat.Options{Client: c, Channel: "general", In: in, Out: w, Linger: 20 * time.Second, Zone: time.UTC}
	if change != nil {
		change(&o)
	}
	go func() { w.ended <- chat.Run(t.Context(), o) }()
	t.Cleanup(func() { _ = typed.Close() })
	return w
}

func (w *terminal) types(lines ...string) {
	w.t.Helper()
	for _, line := range lines {
		if _, err := io.WriteString(w.in, line+"\n"); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *terminal) sees(text string) {
	w.t.Helper()
	defer func() {
		if w.t.Failed() {
			w.t.Logf("on the screen:\n%s", w.text())
		}
	}()
	w.s.Until("the screen shows "+text, func() bool { return strings.Contains(w.text(), text) })
}

func (w *terminal) leaves() error {
	w.t.Helper()
	if err := w.in.Close(); err != nil {
		w.t.Fatal(err)
	}
	return <-w.ended
}

func TestAConversationInLines(t *testing.T) {
	s := clienttest.New(t)
	s.Say(clienttest.Bob, clienttest.General, "before you came")
	w := sit(t, s, nil)
	w.sees("-- #general in Demo; you are alice\n#6 12:00 bob: before you came\n")
	w.types("hello")
	w.sees("sending … hello\n#8 12:00 alice: hello\n")
	s.Say(clienttest.Bob, clienttest.General, "hi \x1b[31malice")
	w.sees(`#10 12:00 bob: hi \x1b[31malice`)
	w.types("/thread 10 yes?", "/react 10 :wave:", "/edit 8 hello!", "/delete 12")
	w.sees("#12 12:00 alice: (to #10) yes?\n")
	w.sees("* alice reacted to #10 with :wave:\n* alice edited #8: hello!\n* alice deleted #12\n")
	w.types("/unreact 10 :wave:")
	w.sees("* alice took :wave: back from #10\n") // before history is asked, which may be faster
	w.types("/history 2", "/thread 10")
	w.sees("#10 12:00 bob: hi \\x1b[31malice\n#12 12:00 alice: (to #10) (deleted)\n")
	w.types("/who")
	w.sees("  alice                online\n  bob                  offline\n")
	w.types("/away lunch", "/online")
	w.sees("* you are away: lunch\n* you are online\n")
	w.types("/topic all of it")
	w.sees("* alice: the topic of #general is: all of it\n")
	w.types("/topic")
	w.sees("-- the topic of #general: all of it\n")
	w.types("/channels")
	w.sees("> #general             all of it\n  #plans")
	w.types("/join #plans", "/leave", "/create #new", "/dm @bob", "/invite")
	w.sees("-- #plans in Demo; you are alice\n")
	w.sees("-- you left #plans; /join opens another channel\n")
	w.sees("-- #new in Demo; you are alice\n")
	w.sees("-- direct messages in Demo; you are alice\n")
	w.sees("-- lets 1 in as member, until 2026-03-11 12:00, who types:\n   canopy join http://127.0.0.1:")
	w.sees("/invites/code1\n")
	s.Tell(`{"type":"error","code":"moving","message":"connect again"}`)
	s.Cut(fault.Moving.CloseCode())
	s.Say(clienttest.Bob, clienttest.General, "while away")
	w.sees("-- the connection is gone")
	w.sees("-- connected again; nothing was missed\n#general #")
	w.sees("bob: while away\n")
	w.types("/help")
	w.sees("  /who                list who is in this channel")
	w.types("/quit")
	if err := <-w.ended; err != nil {
		t.Error(err)
	}
}

// The end of a pipe waits for the answers to what was in it.
func TestAPipeIsSentToItsEnd(t *testing.T) {
	s := clienttest.New(t)
	s.Mute(1)
	s.Refuse(fault.New(fault.RateLimited, "slower").After(time.Millisecond))
	w := sit(t, s, nil)
	var want []string
	for i := range 400 { // more than the outbox has room for
		w.types(fmt.Sprint("line ", i))
		want = append(want, fmt.Sprint("line ", i))
	}
	if err := w.leaves(); err != nil {
		t.Error(err)
	}
	if got := s.Messages(clienttest.General); !slices.Equal(got, want) {
		t.Errorf("%d of 400 are stored: %q", len(got), got)
	}
}

func TestRefusalsCount(t *testing.T) {
	s := clienttest.New(t)
	w := sit(t, s, nil)
	w.sees("-- #general")
	s.Refuse(fault.New(fault.Forbidden, "not here"))
	w.types("one", "/nonsense", "/join #nowhere", "/dm @nobody")
	w.sees("! refused (forbidden: not here): one\n")
	w.sees("! there is no command /nonsense; /help lists them\n")
	w.sees("! not_found: there is no channel #nowhere among those that you see\n")
	w.sees("! not_found: there is nobody called nobody here\n")
	if err := w.leaves(); err == nil || err.Error() != "4 of what was asked was refused" {
		t.Error(err)
	}
	w = sit(t, s, func(o *chat.Options) { o.Linger = 0 })
	w.sees("-- #general")
	s.Refuse(fault.New(fault.Unavailable, "the log").After(time.Hour))
	w.types("two")
	w.sees("sending … two")
	if err := w.leaves(); err == nil || !strings.Contains(err.Error(), "1 of what was sent had no answer") {
		t.Error(err)
	}
}

func TestMistakes(t *testing.T) {
	s := clienttest.New(t)
	for want, change := range map[string]func(*chat.Options){
		`--workspace: there is no workspace "elsewhere" among yours`: func(o *chat.Options) { o.Workspace = "elsewhere" },
		"--channel: not_found: there is no channel #nowhere":         func(o *chat.Options) { o.Channel = "#nowhere" },
	} {
		w := sit(t, s, change)
		var problem *config.Problem
		if err := <-w.ended; !errors.As(err, &problem) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	for _, ok := range []string{"demo", "w1"} {
		w := sit(t, s, func(o *chat.Options) { o.Workspace, o.Channel = ok, "c1" })
		w.sees("-- #general in Demo")
		if err := w.leaves(); err != nil {
			t.Error(err)
		}
	}
}

func TestTheServerSaysToStayAway(t *testing.T) {
	s := clienttest.New(t)
	w := sit(t, s, nil)
	w.sees("-- #general")
	s.Cut(fault.NotFound.CloseCode())
	if err := <-w.ended; err == nil {
		t.Error("that is no success")
	}
}

func TestCtrlC(t *testing.T) {
	s := clienttest.New(t)
	c, err := client.Login(t.Context(), s.URL, "alice", clienttest.Password, "")
	if err != nil {
		t.Fatal(err)
	}
	in, typed := io.Pipe()
	defer typed.Close()
	ctx, cancel := context.WithCancel(t.Context())
	w := &terminal{t: t, s: s, ended: make(chan error, 1)}
	go func() { w.ended <- chat.Run(ctx, chat.Options{Client: c, Channel: "general", In: in, Out: w}) }()
	w.sees("-- #general")
	cancel()
	if err := <-w.ended; err != nil {
		t.Error(err)
	}
}

func TestFramesInAndOut(t *testing.T) {
	s := clienttest.New(t)
	w := sit(t, s, func(o *chat.Options) { o.JSON = true })
	w.sees(`{"type":"state","state":"ready","user_id":"alice1","workspace_id":"w1","channel_id":"c1"}`)
	w.types(`{"type":"message.send","channel_id":"c1","body":"hello"}`, ``, `{"type":"ping","ref":7}`)
	w.sees(`"status":"stored"`)
	w.sees(`{"type":"pong","ref":7}`)
	w.sees(`"body":"hello"`)
	s.Lose(1)
	s.Say(clienttest.Bob, clienttest.General, "lost")
	s.Say(clienttest.Bob, clienttest.General, "found")
	w.sees(`{"type":"state","state":"gap","channel_id":"c1","after":6,"through":8,"filled":true}`)
	w.sees(`{"type":"state","state":"filled","channel_id":"c1","message":{"seq":8,`)
	s.Cut(fault.Moving.CloseCode())
	w.sees(`"state":"offline"`)
	w.sees(`{"type":"state","state":"online","workspace_id":"`[:32])
	w.types(`{"type":"message.edit","channel_id":"c1","seq":6,"body":"hello!","ref":"e"}`)
	w.sees(`{"type":"ack","ref":"e","seq":12}`)
	if err := w.leaves(); err != nil {
		t.Error(err)
	}
	for line := range strings.Lines(w.text()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON: %s", line)
		}
	}

	w = sit(t, s, func(o *chat.Options) { o.JSON = true })
	w.types(`nonsense`, `{"type":"message.burn"}`)
	if err := w.leaves(); err == nil || err.Error() != "2 of what was asked was refused" {
		t.Error(err)
	}
}

// unread is how many messages alice has not read in general.
func unread(t *testing.T, s *clienttest.Server) int {
	t.Helper()
	c, err := client.Login(t.Context(), s.URL, "alice", clienttest.Password, "another device")
	if err != nil {
		t.Fatal(err)
	}
	me, err := c.Me(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	states, err := c.ReadStates(t.Context(), me.Workspaces[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, state := range states {
		if state.ChannelID == clienttest.General {
			return state.Unread
		}
	}
	t.Fatal("alice is not in general")
	return 0
}

func TestWhatIsShownIsRead(t *testing.T) {
	s := clienttest.New(t)
	s.Say(clienttest.Bob, clienttest.General, "before you came")
	s.Say(clienttest.Bob, clienttest.General, "@alice too")
	w := sit(t, s, func(o *chat.Options) { o.Terminal = true })
	w.sees("-- unread in #general: 2, 1 for you\n-- #general in Demo; you are alice\n")
	s.Until("it is read", func() bool { return unread(t, s) == 0 })
	s.Say(clienttest.Bob, clienttest.General, "and now")
	w.sees("bob: and now\n")
	s.Until("it is read, too", func() bool { return unread(t, s) == 0 })
	w.types("/unread")
	w.sees("-- nothing is unread\n")
	if err := w.leaves(); err != nil {
		t.Error(err)
	}
}

// A script shows what is said to nobody, so it is read only when it says so.
func TestAPipeReadsWhatItSays(t *testing.T) {
	s := clienttest.New(t)
	s.Say(clienttest.Bob, clienttest.General, "before you came")
	w := sit(t, s, nil)
	w.sees("-- unread in #general: 1\n")
	w.types("/unread")
	w.sees("bob: before you came\n-- unread in #general: 1\n")
	w.types("/read", "/unread")
	w.sees("-- #general is read\n-- nothing is unread\n")
	if n := unread(t, s); n != 0 {
		t.Errorf("%d are unread", n)
	}
	if err := w.leaves(); err != nil {
		t.Error(err)
	}
}
