package presence

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rpc"
)

// Hear takes what another gateway says of a user; offline, or a nil state, that it has them no longer. What somebody
// wrote about this gateway's own users is put right: they are dirty.
func (b *Book) Hear(p Person, at Seat, state *rpc.PresenceState, now time.Time) (e Effects) {
	of := b.people[p]
	gone := state == nil || rank(state.Status) == offline
	if at == b.self {
		mine, had := b.State(p)
		if gone == had || (had && !same(mine, *state)) {
			e.Dirty = append(e.Dirty, p)
		}
		return e
	}
	var before []chat.ChannelID
	if of != nil {
		if t := of.at(at); t != nil {
			before = t.channels
		} else if gone {
			return e
		}
	}
	switch {
	case of == nil && gone:
		return e
	case gone:
		of.drop(at)
	default:
		if of == nil {
			of = &entry{}
			b.people[p] = of
		}
		of.put(told{
			at: b.seat(at), generation: b.generation, status: rank(state.Status), text: state.Text,
			channels: few(state.Channels), since: state.At.UnixMicro(),
		})
		b.suspect(at, now)
	}
	b.show(p, of, before, &e)
	return e
}

func same(a, b rpc.PresenceState) bool {
	return a.Status == b.Status && a.Text == b.Text && slices.Equal(a.Channels, b.Channels)
}

// suspect notes when a gateway of the region was first seen to have keys and no lease.
func (b *Book) suspect(at Seat, now time.Time) {
	_, counted := b.alive[at]
	if _, noted := b.dead[at]; !counted && !noted && at.Region == b.self.Region {
		b.dead[at] = now
	}
}

// Lease notes that a gateway lives: one of the region until the bucket says that its lease ended, one of another region
// until it has not renewed it for long. What one of another region said before it was heard is asked for: at its first
// lease, and, because a question to it may be lost while a link is young, at the second and the fourth.
func (b *Book) Lease(at Seat, now time.Time) Effects {
	e := b.Speaks(at, now)
	if at.Region == b.self.Region {
		return e
	}
	l := b.alive[at]
	if l.heard < heardLong {
		l.heard++
		b.alive[at] = l
		if l.heard == 1 || l.heard == 2 || l.heard == heardLong {
			e.Follow = slices.Sorted(maps.Keys(b.locals))
		}
	}
	return e
}

// heardLong is after how many leases a gateway of another region is believed to have been asked.
const heardLong = 4

// Speaks notes a sign of life of a gateway.
func (b *Book) Speaks(at Seat, now time.Time) (e Effects) {
	if at == b.self {
		return e
	}
	l, counted := b.alive[at]
	l.generation = b.generation
	if at.Region != b.self.Region {
		l.until = now.Add(b.lease)
	}
	b.alive[at] = l
	delete(b.dead, at)
	if !counted {
		b.showAll(at, &e)
	}
	return e
}

// Lapse notes that a gateway's lease ended: nobody is online there.
func (b *Book) Lapse(at Seat, now time.Time) (e Effects) {
	if _, counted := b.alive[at]; !counted || at == b.self {
		return e
	}
	delete(b.alive, at)
	if at.Region == b.self.Region {
		if b.showAll(at, &e) > 0 {
			b.suspect(at, now)
		}
		return e
	}
	for _, p := range b.at(at, "") { // nobody sweeps for another region; it tells them again when it is back
		of := b.people[p]
		before := of.at(at).channels
		of.drop(at)
		b.show(p, of, before, &e)
	}
	return e
}

// showAll works out everybody at a seat, and says how many they are.
func (b *Book) showAll(at Seat, e *Effects) int {
	people := b.at(at, "")
	for _, p := range people {
		of := b.people[p]
		b.show(p, of, of.at(at).channels, e)
	}
	return len(people)
}

// Start begins a new look at the region's bucket: what is not heard again before Complete is not there.
func (b *Book) Start() { b.generation++ }

// Complete ends it. What this gateway says of its users and was not heard is dirty: the bucket was lost.
func (b *Book) Complete(heard map[Person]struct{}, now time.Time) (e Effects) {
	for seat, l := range b.alive {
		if seat != b.self && seat.Region == b.self.Region && l.generation != b.generation {
			e.add(b.Lapse(seat, now))
		}
	}
	type old struct {
		p  Person
		at Seat
	}
	var gone []old
	for p, of := range b.people {
		for _, t := range of.states {
			switch {
			case *t.at == b.self:
				if _, ok := heard[p]; !ok {
					e.Dirty = append(e.Dirty, p)
				}
			case t.at.Region == b.self.Region && t.generation != b.generation:
				gone = append(gone, old{p, *t.at})
			}
		}
	}
	for _, o := range gone {
		e.add(b.Hear(o.p, o.at, nil, now))
	}
	return e
}

// Tick lets time pass: users who went and did not come back, gateways of other regions that fell silent, typing that
// nobody remembers.
func (b *Book) Tick(now time.Time) (e Effects) {
	for p, since := range b.going {
		if now.Sub(since) < b.grace {
			continue
		}
		delete(b.going, p)
		of := b.people[p]
		of.here.devices = nil
		b.own(p, of, now, &e)
		of.here = nil
		b.forget(p, of)
		if b.locals[p.WorkspaceID]--; b.locals[p.WorkspaceID] == 0 {
			delete(b.locals, p.WorkspaceID)
			e.Unfollow = append(e.Unfollow, p.WorkspaceID)
		}
	}
	for seat, l := range b.alive {
		if !l.until.IsZero() && !now.Before(l.until) {
			e.add(b.Lapse(seat, now))
		}
	}
	for k, at := range b.typed {
		if now.Sub(at) >= chat.TypingEvery {
			delete(b.typed, k)
		}
	}
	return e
}

// Sweep lists what gateways of the region left in the bucket that have had no lease for a whole one, at most limit: if this
// gateway is the first of those that live. Another one does it when this one dies meanwhile.
func (b *Book) Sweep(now time.Time, limit int) map[Seat][]Person {
	for seat := range b.alive {
		if seat.Region == b.self.Region && seat.Gateway < b.self.Gateway {
			return nil
		}
	}
	var left map[Seat][]Person
	for seat, since := range b.dead {
		if now.Sub(since) < b.lease {
			continue
		}
		for _, p := range b.at(seat, "") {
			if limit--; limit < 0 {
				return left
			}
			if left == nil {
				left = make(map[Seat][]Person)
			}
			left[seat] = append(left[seat], p)
		}
	}
	for seat := range b.dead { // those of whom nothing is left
		if len(left[seat]) == 0 && now.Sub(b.dead[seat]) >= b.lease {
			delete(b.dead, seat)
		}
	}
	for _, people := range left {
		slices.SortFunc(people, func(a, b Person) int {
			return cmp.Or(cmp.Compare(a.WorkspaceID, b.WorkspaceID), cmp.Compare(a.UserID, b.UserID))
		})
	}
	return left
}

func (e *Effects) add(more Effects) {
	e.Changed = append(e.Changed, more.Changed...)
	e.Dirty = append(e.Dirty, more.Dirty...)
	e.Follow = append(e.Follow, more.Follow...)
	e.Unfollow = append(e.Unfollow, more.Unfollow...)
}
