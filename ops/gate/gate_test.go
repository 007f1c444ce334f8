package gate_test

import (
	"context"
	"net/netip"
	"testing"

	"github.com/canopychat/canopy/ops/gate"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
)

type counted int

// Submit is event.Submitter.
func (c *counted) Submit(context.Context, event.Change) (event.Receipt, error) {
	*c++
	return event.Receipt{Seq: 7}, nil
}

func TestWhatIsSubmittedIsCounted(t *testing.T) {
	g, err := gate.New(gate.Rates{User: "1/h burst 2", Channel: "1/h burst 3"})
	if err != nil {
		t.Fatal(err)
	}
	var next counted
	s := gate.Submitter{Gate: g, Next: &next}
	for i, c := range []struct {
		user    chat.UserID
		refused bool
	}{{"u1", false}, {"u1", false}, {"u1", true}, {"u2", false}, {"u2", true}} { // the last one by its channel
		r, err := s.Submit(t.Context(), event.Change{UserID: c.user, ChannelID: "c1"})
		if fault.Is(err, fault.RateLimited) != c.refused || (err == nil) != (r.Seq == 7) {
			t.Errorf("number %d: %+v, %v", i, r, err)
		}
	}
	if next != 3 {
		t.Errorf("%d came through", next)
	}
}

func TestGate(t *testing.T) {
	g, err := gate.New(gate.Rates{Address: "1/h burst 2", User: "1/h", Channel: "off"})
	if err != nil {
		t.Fatal(err)
	}
	limited := func(what string, err error, want bool) {
		t.Helper()
		if fault.Is(err, fault.RateLimited) != want || (err != nil) != want {
			t.Errorf("%s: %v", what, err)
		}
	}
	v4, mapped := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("::ffff:192.0.2.1")
	limited("an address", g.Address(v4), false)
	limited("the same, written as IPv6", g.Address(mapped), false)
	limited("a third time", g.Address(v4), true)
	limited("its neighbour", g.Address(netip.MustParseAddr("192.0.2.2")), false)
	limited("a household", g.Address(netip.MustParseAddr("2001:db8::1")), false)
	limited("of the same /64", g.Address(netip.MustParseAddr("2001:db8::2")), false)
	limited("and once more", g.Address(netip.MustParseAddr("2001:db8::3%eth0")), true)
	limited("another household", g.Address(netip.MustParseAddr("2001:db8:0:1::1")), false)
	limited("no address", g.Address(netip.Addr{}), false)
	limited("a user", g.User("u1"), false)
	limited("again", g.User("u1"), true)
	limited("another user", g.User("u2"), false)
	for range 1000 {
		limited("a channel without a limit", g.Channel("c1"), false)
	}
	if err := g.User("u1"); fault.Public(err).RetryAfter <= 0 {
		t.Errorf("it does not say when: %v", err)
	}
	if _, err := gate.New(gate.Rates{User: "often"}); err == nil {
		t.Error("often is a rate")
	}
}
