package presence

import (
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
// Invariants: an entry's state of the own seat is there just when its local makes one. Its shown is what was last handed
// out as the user's merged presence; offline, when nothing was. An entry that says nothing is not kept.
type Book struct {
	self   Seat
	grace  time.Duration
	lease  time.Duration
	people map[Person]*entry
	seats  map[Seat]*Seat           // one copy of each that was ever heard of
	locals map[chat.WorkspaceID]int // people here
	going  map[Person]time.Time     // people whose last device went, and when

	generation uint32             // of the watch of the region's bucket
	alive      map[Seat]leased    // those that count
	dead       map[Seat]time.Time // seats of the region that have keys and no lease, since when
	typed      map[typing]time.Time
}

// entry is what is known of a user. There is one for everybody who is online anywhere near, so it is small.
type entry struct {
	states []told // mostly one
	here   *local // with sockets at this gateway; or nil
	text   string // of shown
	shown  uint8  // index into statuses
	known  bool   // something was handed out
}

// local is a user with sockets at this gateway.
type local struct {
	devices  []device // mostly one
	text     string
	channels []chat.ChannelID
}

type device struct {
	id     chat.SessionID
	status uint8
}

// told is what one seat says of a user.
type told struct {
	at         *Seat
	generation uint32 // of the watch in which it was told
	status     uint8
	since      int64 // µs since 1970
	text       string
	channels   []chat.ChannelID
}

// statuses from the least to the most reachable.
var statuses = [...]chat.Status{chat.StatusOffline, chat.StatusAway, chat.StatusOnline}

func rank(s chat.Status) uint8 {
	for i, known := range statuses {
		if s == known {
			return uint8(i)
		}
	}
	return 0
}

const offline = 0 // in statuses

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
		people: make(map[Person]*entry), seats: make(map[Seat]*Seat), locals: make(map[chat.WorkspaceID]int), going: make(map[Person]time.Time),
		alive: map[Seat]leased{self: {}}, dead: make(map[Seat]time.Time), typed: make(map[typing]time.Time),
	}
}

// Connect notes a socket that opened: its device is online.
func (b *Book) Connect(who Someone, channels []chat.ChannelID, now time.Time) (e Effects) {
	p := who.person()
	of := b.people[p]
	if of == nil {
		of = &entry{}
		b.people[p] = of
	}
	if of.here == nil {
		of.here = &local{}
		if b.locals[p.WorkspaceID]++; b.locals[p.WorkspaceID] == 1 {
			e.Follow = append(e.Follow, p.WorkspaceID)
		}
	}
	if _, back := b.going[p]; back { // the device that went no longer counts
		of.here.devices = nil
		delete(b.going, p)
	}
	of.here.set(device{who.SessionID, rank(chat.StatusOnline)})
	of.here.channels = few(channels)
	b.own(p, of, now, &e)
	return e
}

func (l *local) find(id chat.SessionID) int {
	return slices.IndexFunc(l.devices, func(d device) bool { return d.id == id })
}

func (l *local) set(d device) {
	if i := l.find(d.id); i >= 0 {
		l.devices[i] = d
		return
	}
	l.devices = append(l.devices, d)
}

// device is the entry of somebody's user and the number of their device; -1: it is not known here.
func (b *Book) device(who Someone) (*entry, int) {
	of := b.people[who.person()]
	if of == nil || of.here == nil {
		return of, -1
	}
	return of, of.here.find(who.SessionID)
}

// Disconnect notes a socket that closed. The user is offline when no other opens within the grace.
func (b *Book) Disconnect(who Someone, now time.Time) (e Effects) {
	p := who.person()
	of, i := b.device(who)
	if i < 0 {
		return e
	}
	if len(of.here.devices) == 1 { // it goes on counting while the user may come back
		b.going[p] = now
		return e
	}
	of.here.devices = slices.Delete(of.here.devices, i, i+1)
	b.own(p, of, now, &e)
	return e
}

// Set gives a device a status, and its user a text.
func (b *Book) Set(who Someone, to chat.Presence, now time.Time) (e Effects) {
	of, i := b.device(who)
	if i < 0 {
		return e
	}
	of.here.devices[i].status, of.here.text = rank(to.Status), to.Text
	b.own(who.person(), of, now, &e)
	return e
}

// Channels notes that a user is in other small channels than before.
func (b *Book) Channels(who Someone, channels []chat.ChannelID, now time.Time) (e Effects) {
	if of := b.people[who.person()]; of != nil && of.here != nil {
		of.here.channels = few(channels)
		b.own(who.person(), of, now, &e)
	}
	return e
}

// few is a sorted copy of at most maxChannels of them.
func few(channels []chat.ChannelID) []chat.ChannelID {
	if len(channels) == 0 {
		return nil
	}
	sorted := slices.Clone(channels)
	slices.Sort(sorted)
	sorted = slices.Compact(sorted)
	return slices.Clip(sorted[:min(len(sorted), maxChannels)])
}

// own works out what this gateway says of one of its users.
func (b *Book) own(p Person, of *entry, now time.Time, e *Effects) {
	best := uint8(offline)
	for _, d := range of.here.devices {
		best = max(best, d.status)
	}
	before := of.at(b.self)
	if (before != nil) == (best != offline) &&
		(before == nil || (before.status == best && before.text == of.here.text && slices.Equal(before.channels, of.here.channels))) {
		return
	}
	if best == offline {
		of.drop(b.self)
	} else {
		of.put(told{at: b.seat(b.self), status: best, text: of.here.text, channels: of.here.channels, since: now.UnixMicro()})
	}
	e.Dirty = append(e.Dirty, p)
	b.show(p, of, of.here.channels, e)
}

// seat is the one copy of a seat.
func (b *Book) seat(s Seat) *Seat {
	if known := b.seats[s]; known != nil {
		return known
	}
	b.seats[s] = &s
	return &s
}

// at is what a seat says of the user; nil: nothing.
func (of *entry) at(s Seat) *told {
	for i := range of.states {
		if *of.states[i].at == s {
			return &of.states[i]
		}
	}
	return nil
}

func (of *entry) put(t told) {
	if before := of.at(*t.at); before != nil {
		*before = t
		return
	}
	of.states = append(of.states, t)
}

func (of *entry) drop(at Seat) {
	of.states = slices.DeleteFunc(of.states, func(t told) bool { return *t.at == at })
	if len(of.states) == 0 {
		of.states = nil
	}
}

// forget takes a user out of whom nothing is to be said.
func (b *Book) forget(p Person, of *entry) {
	if len(of.states) == 0 && of.here == nil && !of.known {
		delete(b.people, p)
	}
}

// show works out a user's merged presence, and says so when it changed. before are channels that were told of them.
func (b *Book) show(p Person, of *entry, before []chat.ChannelID, e *Effects) {
	defer b.forget(p, of)
	status, text := b.merge(of)
	if status == of.shown && text == of.text {
		return
	}
	of.shown, of.text, of.known = status, text, status != offline
	channels := b.channels(of)
	if len(channels) == 0 {
		channels = before
	}
	e.Changed = append(e.Changed, Change{Person: p, Presence: chat.Presence{Status: statuses[status], Text: text}, Channels: channels})
}

// merge is a user's presence over all gateways that live: the most reachable status, with the latest text that was set
// with it.
func (b *Book) merge(of *entry) (status uint8, text string) {
	var since int64
	for _, t := range of.states {
		_, counts := b.alive[*t.at]
		later := t.since > since || (t.since == since && t.text > text)
		if counts && (t.status > status || (t.status == status && later)) {
			status, text, since = t.status, t.text, t.since
		}
	}
	return status, text
}

// channels are those that the gateways that live tell of a user, sorted.
func (b *Book) channels(of *entry) []chat.ChannelID {
	var all []chat.ChannelID
	several := false
	for _, t := range of.states {
		if _, counts := b.alive[*t.at]; counts {
			several = several || len(all) > 0
			if all == nil {
				all = t.channels
			} else {
				all = append(slices.Clone(all), t.channels...)
			}
		}
	}
	if several {
		slices.Sort(all)
		all = slices.Compact(all)
	}
	return all
}

// Of is a user's merged presence as it was last handed out, and the channels that were told with it.
func (b *Book) Of(p Person) (chat.Presence, []chat.ChannelID) {
	of := b.people[p]
	if of == nil || of.shown == offline {
		return chat.Presence{Status: chat.StatusOffline}, nil
	}
	return chat.Presence{Status: statuses[of.shown], Text: of.text}, b.channels(of)
}

// Online is how many users are shown as online or away.
func (b *Book) Online() int {
	n := 0
	for _, of := range b.people {
		if of.shown != offline {
			n++
		}
	}
	return n
}

// State is what this gateway says of one of its users; false: nothing.
func (b *Book) State(p Person) (rpc.PresenceState, bool) {
	of := b.people[p]
	if of == nil {
		return rpc.PresenceState{}, false
	}
	t := of.at(b.self)
	if t == nil {
		return rpc.PresenceState{}, false
	}
	return rpc.PresenceState{Status: statuses[t.status], Text: t.text, Channels: t.channels, At: time.UnixMicro(t.since).UTC()}, true
}

// Here lists the users of a workspace of whom this gateway says something; of every workspace when it is empty.
func (b *Book) Here(ws chat.WorkspaceID) []Person { return b.at(b.self, ws) }

// at lists the users of a workspace, or of all, of whom a seat says something. It looks at everybody: it is for what is
// rare, a gateway that comes or goes.
func (b *Book) at(s Seat, ws chat.WorkspaceID) []Person {
	var all []Person
	for p, of := range b.people {
		if (ws == "" || p.WorkspaceID == ws) && of.at(s) != nil {
			all = append(all, p)
		}
	}
	return all
}

// MayType reports whether a typing of a user in a channel is to be passed on: at most once in chat.TypingEvery.
func (b *Book) MayType(p Person, channel chat.ChannelID, now time.Time) bool {
	k := typing{p, channel}
	if last, known := b.typed[k]; known && now.Sub(last) < chat.TypingEvery {
		return false
	}
	b.typed[k] = now
	return true
}
