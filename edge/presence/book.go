package presence

import (
	"maps"
	"slices"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rpc"
)

// Someone is one session of a user.
type Someone struct {
	WorkspaceID chat.WorkspaceID
	UserID      chat.UserID
	SessionID   chat.SessionID
}

// Person is a user in a workspace.
type Person struct {
	WorkspaceID chat.WorkspaceID
	UserID      chat.UserID
}

func (s Someone) person() Person { return Person{s.WorkspaceID, s.UserID} }

// Seat is a gateway of a region.
type Seat struct{ Region, Gateway string }

// maxChannels is how many of a user's channels are told with their state: who shares only others with them, asks.
const maxChannels = 64

// Book is who is online where, as one gateway knows it. It is pure: the time is given, and what is to be done comes back
// as Effects.
//
// Invariants: states[p][seat] is what the seat last said; the own seat's is there just when here[p] makes one. shown[p]
// is what was last handed out as p's merged presence; there is none for who is offline.
type Book struct {
	self   Seat
	grace  time.Duration
	lease  time.Duration
	here   map[Person]*local
	states map[Person]map[Seat]told
	people map[Seat]map[Person]struct{} // the other way round
	shown  map[Person]chat.Presence
	locals map[chat.WorkspaceID]int // people here
	going  map[Person]time.Time     // people whose last device went, and when

	generation uint32             // of the watch of the region's bucket
	alive      map[Seat]leased    // those that count
	dead       map[Seat]time.Time // seats of the region that have keys and no lease, since when
	typed      map[typing]time.Time
}

// local is a user with sockets at this gateway.
type local struct {
	devices  map[chat.SessionID]chat.Status
	text     string
	channels []chat.ChannelID
	at       time.Time // of the last change
}

// told is a state and in which generation of the watch it was told.
type told struct {
	rpc.PresenceState
	generation uint32
}

// leased is a lease: of the region until the bucket says that it ended, of another one until a time.
type leased struct {
	generation uint32
	until      time.Time // zero: the bucket says when
	heard      uint8     // of another region: how many leases, up to heardLong
}

type typing struct {
	person  Person
	channel chat.ChannelID
}

// Effects is what has to be done about a change, in this order.
type Effects struct {
	Changed  []Change           // to be delivered to those who may know
	Dirty    []Person           // whose state at this gateway is to be stored and told
	Follow   []chat.WorkspaceID // to be followed, or followed anew: with the question who is online elsewhere
	Unfollow []chat.WorkspaceID // that have nobody here any more
}

// Change is a user's presence over all gateways, and the channels of which the members are told.
type Change struct {
	Person
	Presence chat.Presence
	Channels []chat.ChannelID
}

// NewBook is a book of the gateway self, in which nobody is online. A user whose last device went is offline after grace; a
// gateway of another region that does not renew its lease for lease is gone.
func NewBook(self Seat, grace, lease time.Duration) *Book {
	return &Book{
		self: self, grace: grace, lease: lease,
		here: make(map[Person]*local), states: make(map[Person]map[Seat]told), people: make(map[Seat]map[Person]struct{}),
		shown: make(map[Person]chat.Presence), locals: make(map[chat.WorkspaceID]int), going: make(map[Person]time.Time),
		alive: map[Seat]leased{self: {}}, dead: make(map[Seat]time.Time), typed: make(map[typing]time.Time),
	}
}

// Connect notes a socket that opened: its device is online.
func (b *Book) Connect(who Someone, channels []chat.ChannelID, now time.Time) (e Effects) {
	p := who.person()
	l := b.here[p]
	if l == nil {
		l = &local{devices: make(map[chat.SessionID]chat.Status)}
		b.here[p] = l
		if b.locals[p.WorkspaceID]++; b.locals[p.WorkspaceID] == 1 {
			e.Follow = append(e.Follow, p.WorkspaceID)
		}
	}
	if _, back := b.going[p]; back { // the device that went no longer counts
		clear(l.devices)
		delete(b.going, p)
	}
	l.devices[who.SessionID] = chat.StatusOnline
	l.channels = few(channels)
	b.own(p, now, &e)
	return e
}

// Disconnect notes a socket that closed. The user is offline when no other opens within the grace.
func (b *Book) Disconnect(who Someone, now time.Time) (e Effects) {
	p := who.person()
	l := b.here[p]
	if l == nil {
		return e
	}
	if _, known := l.devices[who.SessionID]; !known {
		return e
	}
	if len(l.devices) == 1 { // it goes on counting while the user may come back
		b.going[p] = now
		return e
	}
	delete(l.devices, who.SessionID)
	b.own(p, now, &e)
	return e
}

// Set gives a device a status, and its user a text.
func (b *Book) Set(who Someone, to chat.Presence, now time.Time) (e Effects) {
	p := who.person()
	l := b.here[p]
	if l == nil {
		return e
	}
	if _, known := l.devices[who.SessionID]; !known {
		return e
	}
	l.devices[who.SessionID], l.text = to.Status, to.Text
	b.own(p, now, &e)
	return e
}

// Channels notes that a user is in other small channels than before.
func (b *Book) Channels(who Someone, channels []chat.ChannelID, now time.Time) (e Effects) {
	p := who.person()
	if l := b.here[p]; l != nil {
		l.channels = few(channels)
		b.own(p, now, &e)
	}
	return e
}

// few is a sorted copy of at most maxChannels of them.
func few(channels []chat.ChannelID) []chat.ChannelID {
	sorted := slices.Compact(slices.Sorted(slices.Values(channels)))
	return slices.Clip(sorted[:min(len(sorted), maxChannels)])
}

// own works out what this gateway says of one of its users.
func (b *Book) own(p Person, now time.Time, e *Effects) {
	l := b.here[p]
	best := chat.StatusOffline
	for _, s := range l.devices {
		best = better(best, s)
	}
	before, had := b.states[p][b.self]
	state := rpc.PresenceState{Status: best, Text: l.text, Channels: l.channels, At: before.At}
	if had == (best != chat.StatusOffline) && (!had || same(before.PresenceState, state)) {
		return
	}
	state.At = now
	if best == chat.StatusOffline {
		b.drop(p, b.self)
	} else {
		b.put(p, b.self, told{PresenceState: state})
	}
	e.Dirty = append(e.Dirty, p)
	b.show(p, l.channels, e)
}

func same(a, b rpc.PresenceState) bool {
	return a.Status == b.Status && a.Text == b.Text && slices.Equal(a.Channels, b.Channels)
}

func (b *Book) put(p Person, at Seat, t told) {
	if b.states[p] == nil {
		b.states[p] = make(map[Seat]told)
	}
	if b.people[at] == nil {
		b.people[at] = make(map[Person]struct{})
	}
	b.states[p][at], b.people[at][p] = t, struct{}{}
}

func (b *Book) drop(p Person, at Seat) {
	if delete(b.states[p], at); len(b.states[p]) == 0 {
		delete(b.states, p)
	}
	if delete(b.people[at], p); len(b.people[at]) == 0 {
		delete(b.people, at)
		delete(b.dead, at)
	}
}

// show works out a user's merged presence, and says so when it changed. before are channels that were told of them.
func (b *Book) show(p Person, before []chat.ChannelID, e *Effects) {
	merged, channels := b.merge(p)
	if last, known := b.shown[p]; merged == last || (!known && merged.Status == chat.StatusOffline) {
		return
	}
	if merged.Status == chat.StatusOffline {
		delete(b.shown, p)
	} else {
		b.shown[p] = merged
	}
	if len(channels) == 0 {
		channels = before
	}
	e.Changed = append(e.Changed, Change{Person: p, Presence: merged, Channels: channels})
}

// merge is a user's presence over all gateways that live: the most reachable status, with the latest text that was set
// with it.
func (b *Book) merge(p Person) (chat.Presence, []chat.ChannelID) {
	merged := chat.Presence{Status: chat.StatusOffline}
	var channels []chat.ChannelID
	var at time.Time
	for seat, t := range b.states[p] {
		if _, counts := b.alive[seat]; !counts {
			continue
		}
		channels = append(channels, t.Channels...)
		switch {
		case merged.Status != t.Status && better(merged.Status, t.Status) == t.Status:
		case merged.Status == t.Status && (t.At.After(at) || (t.At.Equal(at) && t.Text > merged.Text)):
		default:
			continue
		}
		merged, at = chat.Presence{Status: t.Status, Text: t.Text}, t.At
	}
	slices.Sort(channels)
	return merged, slices.Compact(channels)
}

// better is the more reachable one.
func better(a, b chat.Status) chat.Status {
	switch chat.StatusOnline {
	case a, b:
		return chat.StatusOnline
	}
	switch chat.StatusAway {
	case a, b:
		return chat.StatusAway
	}
	return chat.StatusOffline
}

// Of is a user's merged presence as it was last handed out, and the channels that were told with it.
func (b *Book) Of(p Person) (chat.Presence, []chat.ChannelID) {
	presence, known := b.shown[p]
	if !known {
		return chat.Presence{Status: chat.StatusOffline}, nil
	}
	_, channels := b.merge(p)
	return presence, channels
}

// State is what this gateway says of one of its users; false: nothing.
func (b *Book) State(p Person) (rpc.PresenceState, bool) {
	t, ok := b.states[p][b.self]
	return t.PresenceState, ok
}

// Here lists the users of a workspace of whom this gateway says something.
func (b *Book) Here(ws chat.WorkspaceID) []Person {
	var all []Person
	for p := range b.people[b.self] {
		if p.WorkspaceID == ws {
			all = append(all, p)
		}
	}
	return all
}

// All lists the users of whom this gateway says something.
func (b *Book) All() []Person { return slices.Collect(maps.Keys(b.people[b.self])) }

// MayType reports whether a typing of a user in a channel is to be passed on: at most once in chat.TypingEvery.
func (b *Book) MayType(p Person, channel chat.ChannelID, now time.Time) bool {
	k := typing{p, channel}
	if last, known := b.typed[k]; known && now.Sub(last) < chat.TypingEvery {
		return false
	}
	b.typed[k] = now
	return true
}
