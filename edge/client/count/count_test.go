package count_test

import (
	"context"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/edge/client/clienttest"
	"github.com/canopychat/canopy/edge/client/count"
	"github.com/canopychat/canopy/edge/client/live"
	"github.com/canopychat/canopy/edge/client/unread"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// line is a Conn of alice that is counted.
type line struct {
	t       *testing.T
	s       *clienttest.Server
	conn    *live.Conn
	counter *count.Counter
}

// counts waits until a channel is counted so.
func (l *line) counts(what string, ch chat.ChannelID, want unread.Count) {
	l.t.Helper()
	want.Sure = true
	l.s.Until(what, func() bool {
		select {
		case <-l.conn.Events():
		default:
		}
		return l.counter.Unread()[ch] == want
	})
}

func TestADeviceCountsWhatIsUnread(t *testing.T) {
	s := clienttest.New(t)
	old := s.Say(clienttest.Bob, clienttest.General, "before, @alice")
	c, err := client.Login(t.Context(), s.URL, "alice", clienttest.Password, "test")
	if err != nil {
		t.Fatal(err)
	}
	counter := count.New(c)
	conn := live.Connect(c, live.Options{Watch: counter.Tell})
	if len(counter.Unread()) != 0 {
		t.Error("it counts before it has asked")
	}
	counter.Hurry()
	l := &line{t: t, s: s, conn: conn, counter: counter}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	for _, run := range []func(context.Context) error{conn.Run, counter.Run} {
		running.Go(func() {
			if err := run(ctx); err != nil {
				t.Error(err)
			}
		})
	}

	l.counts("what was there is counted", clienttest.General, unread.Count{Unread: 1, Mentions: 1})
	if _, in := counter.Unread()[clienttest.Plans]; in {
		t.Error("it counts where alice is not")
	}
	<-counter.Counted()
	second := s.Say(clienttest.Bob, clienttest.General, "hello")
	s.Say(clienttest.Alice, clienttest.General, "my own")
	l.counts("what comes is counted", clienttest.General, unread.Count{Unread: 2, Mentions: 1})
	s.Store(event.Event{Kind: event.MessageEdited, ChannelID: clienttest.General, SenderID: clienttest.Bob, MessageSeq: second, Body: "@channel"})
	l.counts("an edit names them", clienttest.General, unread.Count{Unread: 2, Mentions: 2})
	s.Store(event.Event{Kind: event.MessageDeleted, ChannelID: clienttest.General, SenderID: clienttest.Bob, MessageSeq: old})
	l.counts("what is deleted does not count", clienttest.General, unread.Count{Unread: 1, Mentions: 1})
	s.MarkRead(clienttest.Alice, clienttest.General, second, false)
	l.counts("it is read on another device", clienttest.General, unread.Count{Read: second})

	third := s.Say(clienttest.Bob, clienttest.General, "three")
	l.counts("one more", clienttest.General, unread.Count{Unread: 1, Read: second})
	s.MarkRead(clienttest.Alice, clienttest.General, third, true)
	s.Tell(`{"type":"cursor.stale"}`)
	l.counts("a mark that was lost is asked for", clienttest.General, unread.Count{Read: third})

	fourth := s.Say(clienttest.Bob, clienttest.General, "four")
	l.counts("one more", clienttest.General, unread.Count{Unread: 1, Read: third})
	s.MarkRead(clienttest.Alice, clienttest.General, fourth, true)
	s.Cut(fault.CloseGoingAway)
	l.counts("a mark that moved while it was away", clienttest.General, unread.Count{Read: fourth})

	s.Lose(1)
	s.Say(clienttest.Bob, clienttest.General, "lost")
	s.Say(clienttest.Bob, clienttest.General, "shows the gap")
	l.counts("what was lost is counted", clienttest.General, unread.Count{Unread: 2, Read: fourth})

	dm := s.Store(event.Event{Kind: event.MemberJoined, ChannelID: clienttest.Plans, SenderID: clienttest.Bob, UserID: clienttest.Alice, Role: chat.RoleMember})
	s.Say(clienttest.Bob, clienttest.Plans, "welcome")
	l.counts("where they came", clienttest.Plans, unread.Count{Unread: 1, Read: dm})
	s.Store(event.Event{Kind: event.MemberLeft, ChannelID: clienttest.Plans, SenderID: clienttest.Alice, UserID: clienttest.Alice})
	l.counts("where they left", clienttest.General, unread.Count{Unread: 2, Read: fourth})
	s.Until("they are not there any more", func() bool { _, in := counter.Unread()[clienttest.Plans]; return !in })
}
