package chat_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/canopychat/canopy/schemas/chat"
)

// TestAStateNeverGivesWayToAnEarlierOne walks through every history that a delivery can have.
func TestAStateNeverGivesWayToAnEarlierOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := chat.Delivery{Status: chat.DeliveryPending}
		if d.Rank() <= 0 {
			t.Fatalf("what is there ranks %d, not above what is not", d.Rank())
		}
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			before := d
			switch d.Status {
			case chat.DeliveryPending:
				switch rapid.SampledFrom([]string{"attempt", "attempt", "attempt", "expired", "dead", "delivered"}).Draw(t, "step") {
				case "attempt":
					d.Attempts = append(d.Attempts[max(0, len(d.Attempts)-chat.MaxAttempts+1):len(d.Attempts):len(d.Attempts)], chat.Attempt{Target: "push:1"})
				case "expired":
					d.Status = chat.DeliveryExpired
				case "dead":
					d.Status = chat.DeliveryDead
				default:
					d.Status = chat.DeliveryDelivered
				}
			case chat.DeliveryExpired, chat.DeliveryDead:
				if rapid.Bool().Draw(t, "redriven") {
					d = chat.Delivery{Status: chat.DeliveryPending, Round: d.Round + 1}
				} else {
					d.Status = chat.DeliveryDelivered // they came back
				}
			case chat.DeliveryDelivered:
				d.Status = chat.DeliveryRead
			default:
				return
			}
			full := before.Status == chat.DeliveryPending && d.Status == chat.DeliveryPending && len(before.Attempts) == chat.MaxAttempts
			if d.Rank() < before.Rank() || d.Rank() == before.Rank() && !full {
				t.Fatalf("%s of round %d with %d attempts ranks %d; %s of round %d with %d ranks %d", before.Status, before.Round, len(before.Attempts), before.Rank(),
					d.Status, d.Round, len(d.Attempts), d.Rank())
			}
		}
	})
}

func TestRanks(t *testing.T) {
	tried := func(n int) []chat.Attempt { return make([]chat.Attempt, n) }
	for name, tt := range map[string]struct {
		d    chat.Delivery
		want int64
	}{
		"owed":              {chat.Delivery{Status: chat.DeliveryPending}, 1},
		"tried":             {chat.Delivery{Status: chat.DeliveryPending, Attempts: tried(3)}, 4},
		"expired":           {chat.Delivery{Status: chat.DeliveryExpired}, 1 << 20},
		"dead":              {chat.Delivery{Status: chat.DeliveryDead, Attempts: tried(chat.MaxAttempts)}, 1 << 20},
		"redriven":          {chat.Delivery{Status: chat.DeliveryPending, Round: 1}, 1<<21 + 1},
		"dead once more":    {chat.Delivery{Status: chat.DeliveryDead, Round: 1}, 1<<21 + 1<<20},
		"delivered":         {chat.Delivery{Status: chat.DeliveryDelivered}, 1 << 40},
		"read":              {chat.Delivery{Status: chat.DeliveryRead, Round: 7}, 1<<40 + 1},
		"of endless rounds": {chat.Delivery{Status: chat.DeliveryDead, Round: 1 << 40}, 1000<<21 + 1<<20},
	} {
		if got := tt.d.Rank(); got != tt.want {
			t.Errorf("%s ranks %d; want %d", name, got, tt.want)
		}
	}
}
