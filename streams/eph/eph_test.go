package eph_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/eph"
	"github.com/canopychat/canopy/streams/streamstest"
)

func dial(t *testing.T, c *streamstest.Cluster, url string) (*eph.Carrier, *bus.Conn) {
	t.Helper()
	conn, err := bus.Dial(bus.DialConfig{URL: url, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	if err := conn.Ready(c.Context()); err != nil {
		t.Fatal(err)
	}
	return eph.New(conn), conn
}

func subject(t *testing.T) func(string, error) string {
	return func(s string, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

// What is published at the hub reaches who follows the workspace at the leaf, and nobody else's.
func TestAWorkspaceIsFollowedOverTheLink(t *testing.T) {
	c := streamstest.StartWith(t, streamstest.Options{Empty: true})
	far, _ := dial(t, c, c.HubURL())
	near, _ := dial(t, c, c.LeafURL())
	of := subject(t)
	got := make(chan eph.Message, 100)
	stop, err := near.FollowWorkspace("w1", func(m eph.Message) { got <- m })
	if err != nil {
		t.Fatal(err)
	}
	mine, other := of(streams.EphTypingSubject("w1", "c1")), of(streams.EphTypingSubject("w2", "c1"))
	deadline := time.After(streamstest.Wait)
	for received := false; !received; {
		if err := far.Publish(other, []byte("not yours")); err != nil {
			t.Fatal(err)
		}
		if err := far.Publish(mine, []byte("hi")); err != nil {
			t.Fatal(err)
		}
		select {
		case m := <-got:
			received = true
			if m.Subject != mine || string(m.Data) != "hi" || m.Reply != "" {
				t.Errorf("%+v", m)
			}
		case <-time.After(20 * time.Millisecond): // interest takes a moment to reach the hub
		case <-deadline:
			t.Fatal("nothing comes")
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// A question is answered by everybody who follows, until who asked has enough.
func TestAQuestionHasManyAnswers(t *testing.T) {
	c := streamstest.StartWith(t, streamstest.Options{Empty: true})
	asker, _ := dial(t, c, c.LeafURL())
	question := subject(t)(streams.EphAskSubject("w1", "here"))
	for range 3 {
		one, _ := dial(t, c, c.LeafURL())
		stop, err := one.FollowWorkspace("w1", func(m eph.Message) {
			if err := one.Publish(m.Reply, []byte("me")); err != nil {
				t.Error(err)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = stop() })
	}
	got := make(chan eph.Message, 100)
	answers := 0
	for attempt := 0; answers < 3; attempt++ {
		if attempt == 100 {
			t.Fatalf("%d of 3 answer", answers)
		}
		stop, err := asker.Ask(question, func(m eph.Message) { got <- m })
		if err != nil {
			t.Fatal(err)
		}
		within := time.After(200 * time.Millisecond)
		for waiting := true; waiting && answers < 3; {
			select {
			case m := <-got:
				if string(m.Data) != "me" {
					t.Errorf("%+v", m)
				}
				answers++
			case <-within: // a question that was asked before the others were known
				waiting = false
			}
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	}
}

func TestWithoutAConnectionItIsUnavailableAtOnce(t *testing.T) {
	c := streamstest.StartWith(t, streamstest.Options{Empty: true})
	one, conn := dial(t, c, c.LeafURL())
	conn.Close()
	if err := one.Publish(subject(t)(streams.EphTypingSubject("w1", "c1")), nil); !fault.Is(err, fault.Unavailable) {
		t.Errorf("%v", err)
	}
	if _, err := one.FollowLeases(func(eph.Message) {}); !fault.Is(err, fault.Unavailable) {
		t.Errorf("%v", err)
	}
	if _, err := one.FollowWorkspace(">", func(eph.Message) {}); err == nil {
		t.Error("everybody's workspaces can be followed")
	}
}
