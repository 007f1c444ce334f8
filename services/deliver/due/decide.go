// Package due decides what becomes of a delivery job that is due: a pure function of the job, what is known of its message and
// its recipient, and what the attempt to reach them gave. The worker of services/deliver asks, tries and writes down.
package due

import (
	"fmt"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/job"
	"github.com/canopychat/canopy/services/store"
)

// Verdict is what becomes of a job.
type Verdict uint8

// The verdicts.
const (
	Look Verdict = iota // nothing decides it yet: look at its message and recipient
	Try                 // try to reach the recipient
	Drop                // it is a copy: another job of the same message and recipient is ahead of it, or it has ended
	End                 // it ended, in State
	Wait                // it waits until At, as Job
	Dead                // given up, in State: it becomes a dead letter
)

// Decision is a Verdict with what it says. Reason is for people, and for counting by kind see Kind.
type Decision struct {
	Verdict Verdict
	Kind    Kind
	State   chat.Delivery // with End, Wait and Dead: what is written down
	Job     job.Delivery  // with Wait: what waits
	At      time.Time     // with Wait: until then
}

// Kind says why, as a label of metrics.
type Kind string

// The kinds of decisions.
const (
	KindCovered   Kind = "covered"   // End: a cursor of theirs has come to the message
	KindExpired   Kind = "expired"   // End: it came to nothing by itself
	KindDelivered Kind = "delivered" // End: a target took it
	KindQuiet     Kind = "quiet"     // Wait: they are not to be disturbed
	KindUnknown   Kind = "unknown"   // Wait: what the message says now is not known: the store is far behind
	KindSkipped   Kind = "skipped"   // Wait: no target was tried, because their breakers are open
	KindRetry     Kind = "retry"     // Wait: the attempt failed
	KindDead      Kind = "dead"      // Dead
	KindCopy      Kind = "copy"      // Drop
)

// Known is what can be read for many jobs at once, before anything is tried.
type Known struct {
	State  *chat.Delivery      // of the message for the recipient; nil: none
	Device *store.DeviceCursor // of the recipient, that told that it has the message; nil: none has
	Read   bool                // they read the channel up to the message
	ReadAt time.Time
}

// StateOf is the state of a job that is pending.
func StateOf(j job.Delivery, now time.Time) chat.Delivery {
	return chat.Delivery{
		WorkspaceID: j.WorkspaceID, ChannelID: j.ChannelID, Seq: j.Seq, UserID: j.UserID, Status: chat.DeliveryPending,
		Why: j.Why, Round: j.Round, Attempts: j.Attempts, RoutedAt: j.RoutedAt, At: now,
	}
}

// First looks at what is known without looking at the message.
//
// A state that is further than the job says that this job is a copy: the router wrote it again because it died before it
// wrote the state, or the worker died after it wrote what comes next. Whoever moves a job on stores the next job first, then
// the state: so a state that is ahead proves that the next job was stored.
func (p Policy) First(j job.Delivery, k Known, now time.Time) Decision {
	if s := k.State; s != nil {
		switch {
		case s.Status == chat.DeliveryDelivered || s.Status == chat.DeliveryRead || s.Round > j.Round:
			return Decision{Verdict: Drop, Kind: KindCopy}
		case s.Round == j.Round && s.Status == chat.DeliveryExpired:
			return Decision{Verdict: Drop, Kind: KindCopy}
		case s.Round == j.Round && s.Status == chat.DeliveryDead && j.Tried+1 >= len(s.Attempts):
			return Decision{Verdict: Dead, Kind: KindDead, State: *s} // it is the very job: its letter may not have been noted
		case s.Round == j.Round && len(s.Attempts) > j.Tried:
			return Decision{Verdict: Drop, Kind: KindCopy}
		}
	}
	state := StateOf(j, now)
	if d := k.Device; d != nil {
		state.Status, state.Reason, state.At = chat.DeliveryDelivered, "device "+string(d.DeviceID), d.At
		return Decision{Verdict: End, Kind: KindCovered, State: state}
	}
	if k.Read {
		state.Status, state.Reason, state.At = chat.DeliveryDelivered, "they read the channel", k.ReadAt
		return Decision{Verdict: End, Kind: KindCovered, State: state}
	}
	if since := p.since(j); now.Sub(since) > p.MaxAge {
		return expired(state, fmt.Sprintf("it was not delivered within %s", hours(p.MaxAge)))
	}
	return Decision{Verdict: Look}
}

// since is from when on the age of a job counts.
func (p Policy) since(j job.Delivery) time.Time {
	if j.Round > 0 {
		return j.RoutedAt // when it was taken out of the dead letters
	}
	return j.PostedAt
}

// Seen is what is known of a job's message and recipient.
type Seen struct {
	Stored      bool // the message is known, as it is now
	Deleted     bool // the message
	Member      bool // the recipient is in the channel now, with an account that is open
	Preferences chat.Preferences
}

// Second looks at the message and the recipient. chance is from [0, 1).
func (p Policy) Second(j job.Delivery, s Seen, now time.Time, chance float64) Decision {
	state := StateOf(j, now)
	switch {
	case !s.Stored:
		return waiting(j, now.Add(putOff+time.Duration(chance*float64(putOff))), KindUnknown, now)
	case s.Deleted:
		return expired(state, "the message was deleted")
	case !s.Member:
		return expired(state, "they left the channel, or their account was closed")
	case s.Preferences.Mutes(j.ChannelID):
		return expired(state, "they muted the channel")
	}
	if until := s.Preferences.QuietUntil(now); until.After(now) {
		return waiting(j, until, KindQuiet, now)
	}
	return Decision{Verdict: Try}
}

func expired(state chat.Delivery, reason string) Decision {
	state.Status, state.Reason = chat.DeliveryExpired, reason
	return Decision{Verdict: End, Kind: KindExpired, State: state}
}

// waiting is a job that waits and spends no attempt.
func waiting(j job.Delivery, at time.Time, kind Kind, now time.Time) Decision {
	state := StateOf(j, now)
	state.Next = at
	return Decision{Verdict: Wait, Kind: kind, State: state, Job: j, At: at}
}

func hours(d time.Duration) string {
	if days := d / (24 * time.Hour); days > 1 && d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%d days", days)
	}
	return d.String()
}
