// Package memory is what somebody of a workload knows of messages and channels, from what came of what they did: their own sends, what pages
// showed them, and which channels they believe to be in. All of it is bounded; the latest is kept.
package memory

import (
	"maps"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/schemas/fault"
)

// What is known at most.
const (
	maxSent    = 200 // own sends that were stored, the latest
	maxOld     = 50  // and the first
	maxOpen    = 32  // own sends without an answer
	maxSeen    = 60  // messages of a channel that pages showed
	maxReacted = 30
)

// Said is something that was sent.
type Said struct {
	ID, Channel, Body string
	Thread            int64
}

// Message is one that was seen.
type Message struct {
	Channel string
	Seq     int64
	Mine    bool
}

// Reaction is one's own.
type Reaction struct {
	Channel string
	Seq     int64
	Emoji   string
}

// Memory is one person's. It may be used from many goroutines.
type Memory struct {
	user  string // id
	space record.Workspace

	mu sync.Mutex
	// Guarded by mu.
	acked   int // sends
	in      map[string]bool
	sent    []Said
	old     []Said
	open    []Said
	seen    map[string][]Message // by channel
	reacted []Reaction
}

// New is the memory of somebody who knows nothing yet.
func New(user string, space record.Workspace) *Memory {
	return &Memory{user: user, space: space, in: map[string]bool{}, seen: map[string][]Message{}}
}

// Any is one of some; false when there is none.
func Any[T any](rnd *rand.Rand, all []T) (one T, ok bool) {
	if len(all) == 0 {
		return one, false
	}
	return all[rnd.IntN(len(all))], true
}

// Channels are those that the person believes to be in, sorted.
func (m *Memory) Channels() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(maps.Keys(m.in))
}

// Named are the channels of some types that the person believes to be in, or not to be in; of no type: all.
func (m *Memory) Named(in bool, types ...string) (all []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.space.Channels {
		if m.in[c.ID] == in && (len(types) == 0 || slices.Contains(types, c.Type)) {
			all = append(all, c.ID)
		}
	}
	return all
}

// Saw are the messages that are so.
func (m *Memory) Saw(is func(Message) bool) (all []Message) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, channel := range slices.Sorted(maps.Keys(m.seen)) {
		for _, one := range m.seen[channel] {
			if is(one) {
				all = append(all, one)
			}
		}
	}
	return all
}

// Earlier is a send of before: rather one that has no answer.
func (m *Memory) Earlier(rnd *rand.Rand) (Said, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.open) > 0 && rnd.IntN(3) > 0 {
		return Any(rnd, m.open)
	}
	return Any(rnd, m.sent)
}

// First is one of the first sends.
func (m *Memory) First(rnd *rand.Rand) (Said, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return Any(rnd, m.old)
}

// Reacted is a reaction of one's own, which may be gone again.
func (m *Memory) Reacted(rnd *rand.Rand) (Reaction, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return Any(rnd, m.reacted)
}

// ackedPerPage is after how many own sends one looks for the last.
const ackedPerPage = 4

// Learn takes what came of an op. It reports whether the sender of a message should now look for it.
func (m *Memory) Learn(o record.Op) (look bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch o.F {
	case record.Send:
		return m.learnSend(o)
	case record.Page:
		m.learnPage(o)
	case record.Join, record.Leave:
		if in := o.F == record.Join; o.Outcome == record.OK && in {
			m.in[o.Channel] = true
		} else if o.Outcome == record.OK || o.Outcome == record.Refused && !in {
			delete(m.in, o.Channel)
		}
	case record.Marks:
		if o.Outcome == record.OK {
			clear(m.in)
			for _, r := range o.Read {
				m.in[r.Channel] = true
			}
		}
	case record.React:
		if o.Outcome == record.OK {
			m.reacted = keep(m.reacted, Reaction{o.Channel, o.Message, o.Emoji}, maxReacted)
		}
	}
	return false
}

func (m *Memory) learnSend(o record.Op) (look bool) {
	one := Said{ID: o.ID, Channel: o.Channel, Body: o.Body, Thread: o.Thread}
	switch o.Outcome {
	case record.OK:
		m.in[o.Channel] = true
		if o.Again {
			return false
		}
		m.sent = keep(m.sent, one, maxSent)
		if len(m.old) < maxOld {
			m.old = append(m.old, one)
		}
		m.see(Message{o.Channel, o.Seq, true})
		m.acked++
		return m.acked%ackedPerPage == 0 && o.Phase == ""
	case record.Unknown:
		if !o.Again {
			m.open = keep(m.open, one, maxOpen)
		}
	case record.Refused:
		if closed(o) && o.Thread == 0 {
			delete(m.in, o.Channel)
		}
	}
	return false
}

func (m *Memory) learnPage(o record.Op) {
	switch {
	case o.Outcome == record.OK:
		for _, one := range slices.Backward(o.Messages) {
			if !one.Deleted {
				m.see(Message{o.Channel, one.Seq, one.Sender == m.user})
			}
		}
	case o.Outcome == record.Refused && closed(o):
		delete(m.in, o.Channel)
	}
}

// closed reports whether a refusal says that its channel is closed to who asked.
func closed(o record.Op) bool {
	return fault.Kind(o.Code) == fault.Forbidden || fault.Kind(o.Code) == fault.NotFound
}

// see notes that a message is there.
func (m *Memory) see(one Message) {
	known := slices.ContainsFunc(m.space.Channels, func(c record.Channel) bool { return c.ID == one.Channel })
	if known && !slices.Contains(m.seen[one.Channel], one) {
		m.seen[one.Channel] = keep(m.seen[one.Channel], one, maxSeen)
	}
}

// keep appends, and lets the oldest go.
func keep[T any](all []T, one T, most int) []T {
	if len(all) >= most {
		all = append(all[:0], all[len(all)-most+1:]...)
	}
	return append(all, one)
}
