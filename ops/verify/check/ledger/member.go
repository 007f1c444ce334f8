package ledger

import (
	"cmp"
	"slices"

	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
)

// Tenures are somebody's times in a channel, in order; an empty channel asks for the workspace. The caller does not change them.
func (l *Ledger) Tenures(space, user, channel string) []Tenure {
	if s := l.spaces[space]; s != nil {
		return s.tenures[place{user, channel}]
	}
	return nil
}

// Member reports whether somebody was in a channel at a seq. known is false when the log does not say: it begins later, or was cut off.
func (l *Ledger) Member(space, user, channel string, seq int64) (in, known bool) {
	s := l.spaces[space]
	if s == nil || l.cut && seq > l.Last(space) {
		return false, false
	}
	at := place{user, channel}
	first, moved := s.first[at]
	if !moved {
		if ts := s.tenures[at]; len(ts) > 0 { // they went with the workspace
			return ts[0].Holds(seq), true
		}
		return false, s.whole[channel]
	}
	ts := s.tenures[at]
	i, _ := slices.BinarySearchFunc(ts, seq, func(t Tenure, seq int64) int { return cmp.Compare(t.From, seq+1) })
	if i > 0 {
		return ts[i-1].Holds(seq), true
	}
	return false, first == event.MemberJoined || s.whole[channel]
}

// within reports whether somebody was in the workspace at a seq. Who is in the run is, unless the log says otherwise.
func (l *Ledger) within(space, user string, seq int64) (in, known bool) {
	in, known = l.Member(space, user, "", seq)
	if !known {
		return l.home[l.logins[user]] == space, l.logins[user] != ""
	}
	return in, true
}

// Visible reports whether somebody's socket is told of an event. known is false when the log does not say.
func (l *Ledger) Visible(space, user string, e record.Event) (sees, known bool) {
	if in, sure := l.within(space, user, e.Seq); !in {
		return false, sure
	}
	if e.Channel == "" {
		return true, true
	}
	switch kind := event.Kind(e.Kind); kind {
	case event.MemberJoined:
		if e.User == user {
			return true, true
		}
	case event.ChannelCreated, event.ChannelUpdated, event.ChannelArchived:
		switch chat.ChannelType(l.Type(space, e.Channel)) {
		case chat.ChannelPublic:
			return true, true
		case "":
			in, _ := l.Member(space, user, e.Channel, e.Seq)
			return in, in
		}
	}
	return l.Member(space, user, e.Channel, e.Seq)
}

// Reads reports whether somebody may read a channel's history at a seq: all of it. known is false when the log does not say.
func (l *Ledger) Reads(space, user, channel string, seq int64) (may, known bool) {
	if in, sure := l.within(space, user, seq); !in || channel == "" {
		return false, sure
	}
	in, known := l.Member(space, user, channel, seq)
	if in && known {
		// At the seq of one's leaving one sees the event of it, and is out.
		for _, t := range l.Tenures(space, user, channel) {
			in = in && t.To != seq
		}
	}
	switch chat.ChannelType(l.Type(space, channel)) {
	case chat.ChannelPublic:
		return true, true
	case "":
		return in, in
	}
	return in, known
}
