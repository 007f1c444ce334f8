package live_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/edge/client/live"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

func fixed(id chat.ClientMsgID) func() chat.ClientMsgID {
	return func() chat.ClientMsgID { return id }
}

func post(id string) string { return fmt.Sprintf(`{"type":"message.send","client_msg_id":%q}`, id) }

func next(t *testing.T, b *live.Outbox, at time.Time, want string) {
	t.Helper()
	got, _, err := b.Next(at)
	if err != nil || got != want {
		t.Errorf("writes %s, %v; want %s", got, err, want)
	}
}

// A frame goes out as it came, with a name for its answer when it had none, and with retry when it goes again.
func TestFramesOfTheOutbox(t *testing.T) {
	for _, tt := range []struct{ frame, first, again string }{
		{`{"type":"message.send","body":"hi"}`, `{"client_msg_id":"m1","type":"message.send","body":"hi"}`, `{"retry":true,"client_msg_id":"m1","type":"message.send","body":"hi"}`},
		{` { "type":"message.send", "client_msg_id":"x","new":1e2}`, `{ "type":"message.send", "client_msg_id":"x","new":1e2}`, `{"retry":true,"type":"message.send", "client_msg_id":"x","new":1e2}`},
		{`{"type":"message.send","client_msg_id":"x","retry":false}`, `{"type":"message.send","client_msg_id":"x","retry":false}`, `{"client_msg_id":"x","retry":true,"type":"message.send"}`},
		{`{"type":"message.edit","seq":4}`, `{"ref":"c1","type":"message.edit","seq":4}`, `{"ref":"c1","type":"message.edit","seq":4}`},
		{`{"type":"message.edit","ref":7}`, `{"type":"message.edit","ref":7}`, `{"type":"message.edit","ref":7}`},
		{`{}`, `{"ref":"c1"}`, `{"ref":"c1"}`},
	} {
		b := live.NewOutbox(1, 1)
		if _, err := b.Add(tt.frame, fixed("m1")); err != nil || !b.Full() {
			t.Fatalf("%s: %v", tt.frame, err)
		}
		next(t, b, noon, tt.first)
		next(t, b, noon, "")
		b.Lost()
		next(t, b, noon, tt.again)
	}
	for _, bad := range []string{``, `x`, `[]`, `null`, `"a"`, `{"type":"message.send"`, `{"type":5}`,
		`{"type":"message.send","client_msg_id":"a b"}`, `{"type":"ping","ref":{}}`, `{"type":"message.edit","ref":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}`} {
		if p, err := live.NewOutbox(1, 1).Add(bad, fixed("m1")); client.CodeOf(err) != fault.Invalid {
			t.Errorf("%s is taken: %v %v", bad, p, err)
		}
	}
}

func TestAnAnswerEndsASend(t *testing.T) {
	b := live.NewOutbox(10, 1)
	one, _ := b.Add(post("a"), nil)
	two, _ := b.Add(post("b"), nil)
	edit, _ := b.Add(`{"type":"message.edit","ref":"e"}`, nil)
	if _, err := b.Add(post("a"), nil); client.CodeOf(err) != fault.Conflict {
		t.Errorf("a name is taken twice: %v", err)
	}
	next(t, b, noon, post("a"))
	if one.State() != live.Sending || one.ID() != "a" || edit.ID() != "" {
		t.Errorf("%s %s", one.State(), one.ID())
	}
	want := live.Receipt{Seq: 7, ServerMsgID: "1.7", At: noon, Duplicate: true}
	if !b.Stored("a", want) || b.Stored("a", want) || b.Stored("z", want) {
		t.Error("an answer counts once, and for its own send")
	}
	got, err := one.Wait(t.Context())
	if diff := cmp.Diff(want, got); err != nil || diff != "" || one.State() != live.Stored {
		t.Errorf("%v %s", err, diff)
	}
	next(t, b, noon, post("b"))
	if !b.Refused("b", &client.Error{Code: fault.Forbidden}, noon) || two.State() != live.Failed {
		t.Error("a refusal is no end")
	}
	if _, err := two.Wait(t.Context()); client.CodeOf(err) != fault.Forbidden {
		t.Error(err)
	}
	next(t, b, noon, `{"type":"message.edit","ref":"e"}`)
	if !b.Acked(`"e"`, live.Receipt{Seq: 9}) || edit.State() != live.Stored {
		t.Error("an ack is no end")
	}
}

// A refusal that may pass keeps its place in the order, and everything behind it waits.
func TestARefusalThatPasses(t *testing.T) {
	b := live.NewOutbox(10, 1)
	p, _ := b.Add(post("a"), nil)
	_, _ = b.Add(post("b"), nil)
	next(t, b, noon, post("a"))
	if !b.Refused("a", &client.Error{Code: fault.Unavailable, RetryAfter: 2 * time.Second}, noon) || p.State() != live.Sending {
		t.Error("it gave up")
	}
	_, pause, err := b.Next(noon)
	if err != nil || pause < 2*time.Second || pause > 3*time.Second {
		t.Errorf("waits %v, %v", pause, err)
	}
	ping, _ := b.Add(`{"type":"ping","ref":1}`, nil)
	next(t, b, noon, `{"type":"ping","ref":1}`) // it is not held up
	if !b.Acked("1", live.Receipt{}) || ping.State() != live.Stored {
		t.Error("no pong")
	}
	again := `{"retry":true,"type":"message.send","client_msg_id":"a"}`
	next(t, b, noon.Add(pause-1), "")
	next(t, b, noon.Add(pause), again)
	b.Stored("a", live.Receipt{})
	next(t, b, noon.Add(pause), post("b"))
}

// However long an outage lasts, what waits goes out within seconds of its end; a server that asks for more gets more.
func TestThePauseAfterRefusalsIsBounded(t *testing.T) {
	b := live.NewOutbox(10, 1)
	_, _ = b.Add(post("a"), nil)
	now, longest := noon, time.Duration(0)
	for range 20 {
		if frame, _, err := b.Next(now); err != nil || frame == "" {
			t.Fatalf("writes %q, %v", frame, err)
		}
		b.Refused("a", &client.Error{Code: fault.Unavailable}, now)
		_, pause, err := b.Next(now)
		if err != nil || pause <= 0 {
			t.Fatalf("waits %v, %v", pause, err)
		}
		now, longest = now.Add(pause), max(longest, pause)
	}
	if longest != 5*time.Second {
		t.Errorf("waits up to %v", longest)
	}
	_, _, _ = b.Next(now)
	b.Refused("a", &client.Error{Code: fault.RateLimited, RetryAfter: time.Minute}, now)
	if _, pause, err := b.Next(now); err != nil || pause < time.Minute {
		t.Errorf("waits %v, %v", pause, err)
	}
}

// A log that takes each id once has what was sent, all of it, once and in order, whatever connections are lost,
// answers get lost, and sends are refused for the moment.
func TestTheOutboxKeepsTheOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := live.NewOutbox(1000, 1)
		now, sent := noon, 0
		var log, pendings []string
		var all []*live.Pending
		has := map[string]bool{}
		away := ""
		t.Repeat(map[string]func(*rapid.T){
			"send": func(t *rapid.T) {
				sent++
				id := fmt.Sprint("m", sent)
				p, err := b.Add(post(id), nil)
				if err != nil {
					t.Fatal(err)
				}
				all, pendings = append(all, p), append(pendings, id)
			},
			"write": func(t *rapid.T) {
				frame, pause, err := b.Next(now)
				if err != nil {
					t.Fatal(err)
				}
				now = now.Add(pause)
				if frame == "" {
					return
				}
				if away != "" {
					t.Fatalf("%s is written while %s is on its way", frame, away)
				}
				_, id, _ := strings.Cut(frame, `"client_msg_id":"`)
				away, _, _ = strings.Cut(id, `"`)
			},
			"store": func(t *rapid.T) {
				if away == "" {
					t.Skip()
				}
				if !has[away] {
					has[away], log = true, append(log, away)
				}
				if rapid.Bool().Draw(t, "answer is lost") {
					b.Lost()
				} else if !b.Stored(chat.ClientMsgID(away), live.Receipt{Seq: 1}) {
					t.Fatalf("%s was not in the outbox", away)
				}
				away = ""
			},
			"refuse": func(t *rapid.T) {
				if away == "" {
					t.Skip()
				}
				b.Refused(chat.ClientMsgID(away), &client.Error{Code: fault.RateLimited}, now)
				away = ""
			},
			"cut": func(*rapid.T) { b.Lost(); away = "" },
			"": func(t *rapid.T) {
				if len(log) > len(pendings) || !cmp.Equal(log, pendings[:len(log)]) && len(log) > 0 {
					t.Fatalf("the log has %v of %v", log, pendings)
				}
				for i, p := range all {
					if p.State() == live.Stored && !has[pendings[i]] {
						t.Fatalf("%s is said to be stored", pendings[i])
					}
				}
			},
		})
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	p, err := live.NewOutbox(1, 1).Add(post("a"), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Wait(ctx); !errors.Is(err, ctx.Err()) || p.State() != live.Sending {
		t.Error(err)
	}
}
