// Package gate is the token buckets of a process: how often an address may come, a user may ask or send, and a channel may
// be sent to. It owns no rate (ops/config does) and no clock but the machine's; edge/limit counts. Its refusals are
// fault.RateLimited, with when it is worth trying again.
package gate

import (
	"context"
	"net/netip"
	"time"

	"github.com/canopychat/canopy/edge/limit"
	"github.com/canopychat/canopy/edge/session"
	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
)

// maxKeys is how many addresses, users and channels each are counted apart; what comes on top shares a bucket.
const maxKeys = 1 << 17

// Gate is the buckets of one surface: of REST, or of sockets. It may be used from many goroutines.
type Gate struct {
	addresses *limit.Limits[netip.Prefix]
	users     *limit.Limits[chat.UserID]
	channels  *limit.Limits[chat.ChannelID]
}

// Rates are those of a Gate, as config.ParseRate reads them; an empty one is no limit.
type Rates struct{ Address, User, Channel string }

// New makes a Gate. The error is a *config.Problem, about a rate.
func New(r Rates) (*Gate, error) {
	var rates [3]limit.Rate
	for i, text := range []string{r.Address, r.User, r.Channel} {
		rate, err := config.ParseRate(text)
		if err != nil {
			return nil, config.Problemf("%q: %w", text, err)
		}
		rates[i] = limit.Rate{PerSecond: rate.PerSecond, Burst: int(rate.Burst)}
	}
	now := time.Now()
	return &Gate{
		addresses: limit.New[netip.Prefix](limit.Config{Rate: rates[0], Max: maxKeys}, now),
		users:     limit.New[chat.UserID](limit.Config{Rate: rates[1], Max: maxKeys}, now),
		channels:  limit.New[chat.ChannelID](limit.Config{Rate: rates[2], Max: maxKeys}, now),
	}, nil
}

// Address counts one request, or one socket, of an address. An IPv6 address counts with its /64, which one household has.
func (g *Gate) Address(from netip.Addr) error {
	from, bits := from.Unmap(), 32
	if from.Is6() {
		bits = 64
	}
	network, err := from.Prefix(bits)
	if err != nil {
		return nil // there is no address to count
	}
	return allowed(g.addresses.Allow(network, 1, time.Now()))
}

// User counts one request, or one send, of a user.
func (g *Gate) User(id chat.UserID) error { return allowed(g.users.Allow(id, 1, time.Now())) }

// Channel counts one send to a channel.
func (g *Gate) Channel(id chat.ChannelID) error { return allowed(g.channels.Allow(id, 1, time.Now())) }

// Submitter holds changes to the rates of their user and channel before it hands them on: for those that do not come
// over a socket, whose gateway counts itself.
type Submitter struct {
	Gate *Gate
	Next event.Submitter
}

// Submit is event.Submitter.
func (s Submitter) Submit(ctx context.Context, c event.Change) (event.Receipt, error) {
	if err := s.Gate.User(c.UserID); err != nil {
		return event.Receipt{}, err
	}
	if err := s.Gate.Channel(c.ChannelID); err != nil {
		return event.Receipt{}, err
	}
	return s.Next.Submit(ctx, c)
}

// Pace is a rate as a gateway holds each socket to it. The error is a *config.Problem.
func Pace(text string) (session.Pace, error) {
	r, err := config.ParseRate(text)
	if err != nil {
		return session.Pace{}, config.Problemf("%q: %w", text, err)
	}
	if r == (config.Rate{}) {
		return session.Pace{PerSecond: -1}, nil
	}
	return session.Pace{PerSecond: r.PerSecond, Burst: float64(r.Burst)}, nil
}

func allowed(ok bool, retryAfter time.Duration) error {
	if ok {
		return nil
	}
	return fault.New(fault.RateLimited, "too much at once").After(retryAfter)
}
