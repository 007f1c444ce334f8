package person

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/canopychat/canopy/ops/verify/record"
)

// Times of what people do early.
const (
	dealtWithin = 20 * time.Second
	banBy       = 30 * time.Second // the latest; in a run that ends earlier, half of it
	dealtShare  = 0.6              // of all that there is time for
)

// tenPeople are those whom act.dealt is for.
const tenPeople = 10

// ownKicks are how many times an owner takes somebody out of a channel for certain.
const ownKicks = 3

// Card is an act that its person does for certain, as soon after a time as it makes sense.
type Card struct {
	due time.Duration // since people began to act
	do  func(*Person) []op
}

// Deal gives people cards, by their logins, so that also a short run has something of everything: each act for so many of ten people, and
// not all of them for some before the others have any. Where there are too many people for the rate, acts are dealt to fewer, but each to
// one. Who is absent, or may be banned, gets none. It hangs on the seed alone, and on how long there is until ctx ends.
func (w *World) Deal(ctx context.Context) map[string][]Card {
	within, half := dealtWithin, banBy
	if end, limited := ctx.Deadline(); limited {
		within, half = min(within, time.Until(end)*3/4), min(half, time.Until(end)/2)
	}
	within = max(within, time.Second)
	rnd := rand.New(rand.NewPCG(w.Seed, uint64(len(w.People))))
	due := func() time.Duration { return time.Duration(rnd.Int64N(int64(within))) }
	hands := map[string][]Card{}
	var players []string
	for _, p := range w.People {
		if !p.Absent && !p.Doomed {
			players = append(players, p.Login)
		}
		if p.Owner {
			hands[p.Login] = append(hands[p.Login], Card{half, (*Person).bans})
			for range ownKicks {
				hands[p.Login] = append(hands[p.Login], Card{due(), (*Person).kicks})
			}
		}
	}
	rnd.Shuffle(len(players), func(i, j int) { players[i], players[j] = players[j], players[i] })
	for i, do := range w.deck(rnd, len(players), within) {
		to := players[i%len(players)]
		hands[to] = append(hands[to], Card{due(), do})
	}
	for _, hand := range hands {
		slices.SortStableFunc(hand, func(a, b Card) int { return cmp.Compare(a.due, b.due) })
	}
	return hands
}

// deck is the acts to be dealt to so many players, one kind after the other.
func (w *World) deck(rnd *rand.Rand, players int, within time.Duration) (deck []func(*Person) []op) {
	kinds, sum := acts(), 0
	for _, a := range kinds {
		sum += a.dealt
	}
	all := float64(sum*players) / tenPeople
	room := min(1, dealtShare*w.Rate*within.Seconds()/max(all, 1))
	rnd.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	for _, a := range kinds {
		for n := math.Ceil(float64(a.dealt*players) / tenPeople * room); n >= 1; n-- {
			deck = append(deck, a.do)
		}
	}
	return deck
}

// plays is what the first card says that is due and makes sense; nil: there is none.
func (p *Person) plays(since time.Duration) []op {
	for i, c := range p.hand {
		if c.due > since {
			return nil
		}
		if ops := c.do(p); len(ops) > 0 {
			p.hand = slices.Delete(p.hand, i, i+1)
			return ops
		}
	}
	return nil
}

// follows says something where the person has just taken somebody out, who must not hear it.
func (p *Person) follows() []op {
	p.mu.Lock()
	channel := p.cleared
	p.cleared = ""
	p.mu.Unlock()
	if channel == "" {
		return nil
	}
	o, ok := p.somehow(record.Send)
	if !ok {
		return nil
	}
	return one(p.send(o, channel), true)
}
