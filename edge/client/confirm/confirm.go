// Package confirm knows what the program behind a queue of events has taken of it, so that a client confirms that and no more.
// It is pure.
package confirm

import "github.com/canopychat/canopy/schemas/chat"

// Taken knows what the program has taken of what it was told. It is pure: events are numbered as they are told, and what
// does not wait in the queue any more was taken.
type Taken struct {
	told  uint64 // events
	marks []told // those that had a seq, and are not confirmed, in order; at most those that came since the last Upto, and those in the queue
	done  chat.Seq
}

// told is an event that had a seq.
type told struct {
	number uint64
	seq    chat.Seq
}

// Tell counts an event that was told.
func (f *Taken) Tell() { f.told++ }

// Waiting is how many events are not confirmed.
func (f *Taken) Waiting() int { return len(f.marks) }

// Begin says that a socket is open: when it went on at a cursor, everything up to that counts as confirmed.
func (f *Taken) Begin(resumed bool, at chat.Seq) {
	f.done = at
	if !resumed {
		f.marks = nil // what was told before is of no meaning to it
	}
}

// Note says that the event told last had a seq. first: nothing waited to be confirmed before.
func (f *Taken) Note(seq chat.Seq) (first bool) {
	first = len(f.marks) == 0
	f.marks = append(f.marks, told{f.told, seq})
	return first
}

// Upto is the seq of the last event that was taken when so many wait in the queue; 0: nothing new.
func (f *Taken) Upto(waiting int) chat.Seq {
	n := 0
	for n < len(f.marks) && f.marks[n].number+uint64(waiting) <= f.told {
		n++
	}
	if n == 0 {
		return 0
	}
	seq := f.marks[n-1].seq
	f.marks = f.marks[n:]
	if seq <= f.done {
		return 0
	}
	f.done = seq
	return seq
}
