package session_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/canopychat/canopy/edge/fanout"
	"github.com/canopychat/canopy/edge/session"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
)

const user = chat.UserID("alice")

// world is a log, and what a plain model says of one user in it.
type world struct {
	log     []*fanout.Entry
	tenures []chat.Tenure // all that there ever were
	visible map[chat.Seq]bool
	in      map[chat.Seq]map[chat.ChannelID]bool // after the event with this seq
}

// draw makes a log of posts and member events. Seqs have holes: the stream holds other workspaces.
func draw(t *rapid.T) *world {
	w := &world{visible: map[chat.Seq]bool{}, in: map[chat.Seq]map[chat.ChannelID]bool{0: {}}}
	now := map[chat.ChannelID]bool{}
	var seq chat.Seq
	for range rapid.IntRange(0, 60).Draw(t, "length") {
		seq += chat.Seq(rapid.IntRange(1, 3).Draw(t, "step"))
		ch := chat.ChannelID(fmt.Sprint("c", rapid.IntRange(0, 3).Draw(t, "channel")))
		who := rapid.SampledFrom([]chat.UserID{user, user, "bob"}).Draw(t, "who")
		kind := rapid.SampledFrom([]event.Kind{
			event.MessagePosted, event.MessagePosted, event.MessageEdited, event.MemberJoined, event.MemberLeft, "poll.opened",
		}).Draw(t, "kind")
		e := &fanout.Entry{Seq: seq, ChannelID: ch, Event: event.Event{V: 1, Kind: kind, ChannelID: ch, UserID: who, Role: chat.RoleMember}}
		// The Directory tells each change once.
		mine := who == user && (kind == event.MemberJoined || kind == event.MemberLeft)
		if mine && (kind == event.MemberJoined) == now[ch] {
			continue
		}
		w.visible[seq] = now[ch] || mine
		if mine {
			w.change(ch, seq, kind == event.MemberJoined)
			now[ch] = kind == event.MemberJoined
		}
		w.log = append(w.log, e)
		after := map[chat.ChannelID]bool{}
		for ch, in := range now {
			after[ch] = in
		}
		w.in[seq] = after
	}
	return w
}

func (w *world) change(ch chat.ChannelID, seq chat.Seq, joins bool) {
	if joins {
		w.tenures = append(w.tenures, chat.Tenure{ChannelID: ch, JoinedSeq: seq})
		return
	}
	for i := range w.tenures {
		if t := &w.tenures[i]; t.ChannelID == ch && t.LeftSeq == 0 {
			t.LeftSeq = seq
		}
	}
}

// From wherever a session starts, with the tenures that the Directory knows when the log has ended, it sees just
// what the user was a member for.
func TestASessionSeesWhatItsUserWasAMemberFor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := draw(t)
		for _, start := range append([]*fanout.Entry{{}}, w.log...) {
			w.walk(t, start.Seq)
		}
	})
}

func (w *world) walk(t *rapid.T, start chat.Seq) {
	channels := session.NewChannels()
	var tenures []session.Tenure
	for _, tenure := range w.tenures {
		if tenure.LeftSeq == 0 || tenure.LeftSeq >= start { // as the Directory is asked: since the start
			tenures = append(tenures, session.Tenure{Channel: channels.Number(tenure.ChannelID), Tenure: tenure})
		}
	}
	s := session.Start(user, chat.RoleMember, start, tenures)
	at := start
	for _, e := range append([]*fanout.Entry{nil}, w.log...) {
		if e != nil && e.Seq <= start {
			continue
		}
		if e != nil {
			at = e.Seq
			n := channels.Number(e.ChannelID)
			before := s.In(n)
			plain, sees := session.Plain(e), s.Sees(e, n)
			show, effect := s.Read(e, n)
			if show != w.visible[e.Seq] {
				t.Fatalf("from %d, %d %s: shown is %t", start, e.Seq, e.Event.Kind, show)
			}
			if plain && (show != sees || effect != session.Nothing) {
				t.Fatalf("%d is plain, and not as Sees says", e.Seq)
			}
			if (effect == session.Joins) != (!before && s.In(n)) || (effect == session.Leaves) != (before && !s.In(n)) {
				t.Fatalf("from %d, %d: effect %d, in it %t, then %t", start, e.Seq, effect, before, s.In(n))
			}
		}
		if s.Cursor() != at {
			t.Fatalf("the cursor is %d at %d", s.Cursor(), at)
		}
		for ch, in := range w.in[at] {
			if s.In(channels.Number(ch)) != in {
				t.Fatalf("from %d at %d: in %s is %t", start, at, ch, !in)
			}
		}
		for i, n := range s.Channels() {
			if !w.in[at][channels.At(n).ID] || i > 0 && s.Channels()[i-1] >= n {
				t.Fatalf("from %d at %d: channels %v", start, at, s.Channels())
			}
		}
	}
}

// Moving over what is nothing to a session, as a loop does with plain entries that it does not see, changes
// nothing of what it sees.
func TestMovingIsReadingWhatIsNotSeen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := draw(t)
		channels := session.NewChannels()
		s := session.Start(user, chat.RoleMember, 0, nil)
		for _, e := range w.log {
			n := channels.Number(e.ChannelID)
			if session.Plain(e) && !s.Sees(e, n) && rapid.Bool().Draw(t, "move") {
				s.Move(e.Seq)
				if w.visible[e.Seq] {
					t.Fatalf("moved over %d, which is visible", e.Seq)
				}
				continue
			}
			if show, _ := s.Read(e, n); show != w.visible[e.Seq] {
				t.Fatalf("%d: shown is %t", e.Seq, show)
			}
		}
	})
}
