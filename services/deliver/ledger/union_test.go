package ledger_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/services/deliver/ledger"
	"github.com/canopychat/canopy/services/store"
)

var (
	stored  = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	message = chat.Cursor{Epoch: 1, Seq: 17}
)

func at(minutes int) time.Time { return stored.Add(time.Duration(minutes) * time.Minute) }

func state(status chat.DeliveryStatus, round int, attempts ...chat.Attempt) *chat.Delivery {
	return &chat.Delivery{Status: status, Why: chat.OwedMention, Round: round, Attempts: attempts, Reason: "because", RoutedAt: at(1), At: at(9), Next: at(12)}
}

// story is the steps in one text.
func story(r rpc.Recipient) string {
	lines := make([]string, len(r.Story))
	for i, s := range r.Story {
		lines[i] = "-"
		if !s.At.IsZero() {
			lines[i] = fmt.Sprint(int(s.At.Sub(stored).Minutes()))
		}
		lines[i] = strings.TrimSpace(lines[i] + " " + s.What + " " + s.Text)
	}
	return strings.Join(lines, "\n")
}

// The answer is the furthest of what the cursors and the state say, with all of it as the story.
func TestWhatBecameOfAMessageForSomebody(t *testing.T) {
	failed, took := chat.Attempt{At: at(2), Target: "push:a", Error: "push:a: 500"}, chat.Attempt{At: at(9), Target: "push:b"}
	device := &store.DeviceCursor{DeviceID: "phone", Cursor: chat.Cursor{Epoch: 1, Seq: 20}, At: at(5)}
	read := store.ReadCursor{Cursor: chat.Cursor{Epoch: 1, Seq: 17}, At: at(7)}
	for name, c := range map[string]struct {
		facts ledger.Facts
		want  rpc.Recipient
		story string
	}{
		"not routed yet": {want: rpc.Recipient{Status: chat.DeliveryPending}, story: "0 stored"},
		"the sender": {
			facts: ledger.Facts{Sender: "bob", WhyNot: "not owed: they sent it"},
			want:  rpc.Recipient{Status: chat.DeliveryDelivered, At: stored}, story: "0 stored\n- routed not owed: they sent it",
		},
		"not owed": {
			facts: ledger.Facts{Routed: true, WhyNot: "not owed: it does not name them"},
			want:  rpc.Recipient{Status: chat.DeliveryPending}, story: "0 stored\n- routed not owed: it does not name them",
		},
		"muted": {
			facts: ledger.Facts{Routed: true, Owed: chat.OwedChannel, Muted: true},
			want:  rpc.Recipient{Status: chat.DeliveryPending}, story: "0 stored\n- routed not owed: they mute the channel",
		},
		"owed, and they had it": {
			facts: ledger.Facts{Routed: true, Owed: chat.OwedDirect, Device: device, Name: "Bob's phone"},
			want:  rpc.Recipient{Status: chat.DeliveryDelivered, Why: chat.OwedDirect, At: at(5), Device: "Bob's phone", DeviceID: "phone"},
			story: "0 stored\n- routed owed to them (direct), and they had it already\n5 delivered at the latest then: confirmed by Bob's phone",
		},
		"read": {
			facts: ledger.Facts{Routed: true, Owed: chat.OwedDirect, Device: device, Read: read},
			want:  rpc.Recipient{Status: chat.DeliveryRead, Why: chat.OwedDirect, At: at(7), Device: "phone", DeviceID: "phone"},
			story: "0 stored\n- routed owed to them (direct), and they had it already\n5 delivered at the latest then: confirmed by phone\n7 read at the latest then",
		},
		"read less": {
			facts: ledger.Facts{Read: store.ReadCursor{Cursor: chat.Cursor{Epoch: 1, Seq: 16}, At: at(7)}},
			want:  rpc.Recipient{Status: chat.DeliveryPending}, story: "0 stored",
		},
		"pending": {
			facts: ledger.Facts{State: state(chat.DeliveryPending, 0, failed)},
			want:  rpc.Recipient{Status: chat.DeliveryPending, Why: chat.OwedMention, Next: at(12), Attempts: 1, Error: "push:a: 500"},
			story: "0 stored\n1 routed owed to them: mention\n2 attempt push:a: 500",
		},
		"pending, and it waits for longer": {
			facts: ledger.Facts{State: state(chat.DeliveryPending, 0), Next: at(99)},
			want:  rpc.Recipient{Status: chat.DeliveryPending, Why: chat.OwedMention, Next: at(99)}, story: "0 stored\n1 routed owed to them: mention",
		},
		"delivered by push": {
			facts: ledger.Facts{State: state(chat.DeliveryDelivered, 0, failed, took)},
			want:  rpc.Recipient{Status: chat.DeliveryDelivered, Why: chat.OwedMention, At: at(9), Attempts: 2, Error: "push:a: 500"},
			story: "0 stored\n1 routed owed to them: mention\n2 attempt push:a: 500\n9 attempt push:b took it\n9 delivered by because",
		},
		"expired": {
			facts: ledger.Facts{State: state(chat.DeliveryExpired, 0)},
			want:  rpc.Recipient{Status: chat.DeliveryExpired, Why: chat.OwedMention, At: at(9), Reason: "because"},
			story: "0 stored\n1 routed owed to them: mention\n9 expired because",
		},
		"dead": {
			facts: ledger.Facts{State: state(chat.DeliveryDead, 0, failed)},
			want:  rpc.Recipient{Status: chat.DeliveryDead, Why: chat.OwedMention, At: at(9), Reason: "because", Attempts: 1, Error: "push:a: 500"},
			story: "0 stored\n1 routed owed to them: mention\n2 attempt push:a: 500\n9 dead because",
		},
		"dead, and they came back": {
			facts: ledger.Facts{State: state(chat.DeliveryDead, 0, failed), Device: &store.DeviceCursor{DeviceID: "phone", Cursor: message, At: at(60)}},
			want:  rpc.Recipient{Status: chat.DeliveryDelivered, Why: chat.OwedMention, At: at(60), Attempts: 1, Error: "push:a: 500", Device: "phone", DeviceID: "phone"},
			story: "0 stored\n1 routed owed to them: mention\n2 attempt push:a: 500\n9 dead because\n60 delivered at the latest then: confirmed by phone",
		},
		"redriven": {
			facts: ledger.Facts{State: state(chat.DeliveryPending, 2)},
			want:  rpc.Recipient{Status: chat.DeliveryPending, Why: chat.OwedMention, Next: at(12), Rounds: 2},
			story: "0 stored\n- routed owed to them: mention\n1 redriven taken out of the dead letters, round 2",
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := c.facts
			f.Message, f.Stored, f.User = message, stored, chat.User{ID: "bob", Login: "bob"}
			got := ledger.Tell(f)
			if s := story(got); s != c.story {
				t.Errorf("the story is\n%s\nwant\n%s", s, c.story)
			}
			got.Story, c.want.UserID, c.want.Login = nil, "bob", "bob"
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
