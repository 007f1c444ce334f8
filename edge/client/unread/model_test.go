package unread_test

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/canopychat/canopy/edge/client/unread"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/rest"
)

// model is a workspace as a server has it, with devices that see it through sockets that break.
type model struct {
	log     []unread.Event
	members map[string]chat.Seq // by channel and user: the joining that lasts
	reads   map[string]chat.Seq
	devices []*device
}

// device is a device of a user: what it was told, and what is on its way.
type device struct {
	user    chat.UserID
	tracker *unread.Tracker
	online  bool
	cursor  int      // of the log: what is before it was told
	skipped int      // or was before a resync
	notices []notice // read marks on their way, in any order
	unsaid  bool     // one was lost, and the gateway knows
	asked   unread.Question
	asking  bool
	answer  []rest.ReadState // nil: not made yet
	seen    map[chat.ChannelID]chat.Seq
}

type notice struct {
	channel chat.ChannelID
	seq     chat.Seq
}

var (
	people   = []chat.UserID{"alice", "bob"} // few of everything: what happens must meet
	channels = []chat.ChannelID{"c1", "dm"}
	bodies   = []string{"hello", "hello @alice", "@bob and @carol", "`@alice`"}
)

func typeOf(ch chat.ChannelID) chat.ChannelType {
	if ch == "dm" {
		return chat.ChannelDM
	}
	return chat.ChannelPublic
}

func key(ch chat.ChannelID, user chat.UserID) string { return string(ch) + " " + string(user) }

// seq of the event at an index: others' workspaces lie between.
func seqAt(i int) chat.Seq { return chat.Seq(2*i + 2) }

func (m *model) head() chat.Seq {
	if len(m.log) == 0 {
		return 0
	}
	return seqAt(len(m.log) - 1)
}

func (m *model) store(e unread.Event) {
	e.Seq = seqAt(len(m.log))
	m.log = append(m.log, e)
}

// in reports whether a user was a member at an index of the log.
func (m *model) inAt(user chat.UserID, ch chat.ChannelID, i int) bool {
	in := false
	for _, e := range m.log[:i] {
		if e.ChannelID == ch && e.UserID == user {
			in = e.Kind == event.MemberJoined
		}
	}
	return in
}

// truth is what the server counts, by the rule alone, of the log up to an index.
func (m *model) truth(user chat.UserID, upTo int) map[chat.ChannelID]rest.ReadState {
	all := map[chat.ChannelID]rest.ReadState{}
	for _, ch := range channels {
		joined, in := m.members[key(ch, user)]
		if !in {
			continue
		}
		s := rest.ReadState{ChannelID: ch, Seq: m.reads[key(ch, user)], JoinedSeq: joined}
		for i, e := range m.log[:upTo] {
			if e.ChannelID != ch || e.Kind != event.MessagePosted || e.SenderID == user || e.Seq <= max(s.Seq, joined) {
				continue
			}
			body, deleted := e.Body, false
			for _, later := range m.log[i+1 : upTo] {
				if later.MessageSeq == e.Seq {
					deleted = deleted || later.Kind == event.MessageDeleted
					body = later.Body
				}
			}
			if !deleted {
				mention := typeOf(ch).Direct() || chat.MentionsOf(body).Names(string(user))
				s.Messages = append(s.Messages, rest.UnreadMessage{Seq: e.Seq, Mention: mention})
			}
		}
		slices.Reverse(s.Messages)
		s.Through = m.head()
		if upTo < len(m.log) {
			s.Through = seqAt(upTo) - 1
		}
		if n := len(s.Messages); n > chat.MaxUnread {
			s.Messages, s.More = s.Messages[:chat.MaxUnread], true
		}
		s.Unread = len(s.Messages)
		for _, u := range s.Messages {
			if u.Mention {
				s.Mentions++
			}
		}
		all[ch] = s
	}
	return all
}

// step lets a device hear the next event of the log, if it is for it.
func (m *model) step(d *device) bool {
	if d.cursor >= len(m.log) {
		return false
	}
	e := m.log[d.cursor]
	d.cursor++
	if e.UserID == d.user || m.inAt(d.user, e.ChannelID, d.cursor-1) {
		d.tracker.Tell(e)
	}
	return true
}

func (m *model) mark(user chat.UserID, ch chat.ChannelID, seq chat.Seq) {
	k := key(ch, user)
	m.reads[k] = max(m.reads[k], seq)
	for _, d := range m.devices {
		switch {
		case d.user != user:
		case d.online:
			d.notices = append(d.notices, notice{ch, m.reads[k]})
		}
	}
}

func (d *device) cut() {
	d.online, d.notices, d.unsaid = false, nil, false
}

// resume begins another socket: read marks may have moved meanwhile.
func (m *model) resume(d *device, lost bool) {
	d.online = true
	if lost { // the log was not resumed: what lies between is not told
		d.cursor = len(m.log)
		d.skipped = d.cursor
	}
	d.tracker.Stale()
}

func (d *device) ask() {
	if d.online && d.tracker.Due() {
		d.asked, d.asking, d.answer = d.tracker.Begin(), true, nil
	}
}

// reply makes the server's answer, as of now or of a little earlier.
func (m *model) reply(d *device, behind int) {
	d.answer = []rest.ReadState{}
	truth := m.truth(d.user, max(d.skipped, len(m.log)-behind))
	for _, ch := range slices.Sorted(maps.Keys(truth)) {
		d.answer = append(d.answer, truth[ch])
	}
}

func (d *device) take() {
	if d.asking && d.answer != nil {
		d.asking = false
		d.tracker.Answer(d.asked, d.answer)
	}
}

// check is what holds at any time.
func (d *device) check(t *rapid.T) {
	for ch, c := range d.tracker.All() {
		if c.Unread < 0 || c.Mentions < 0 || c.Mentions > c.Unread || c.Unread > chat.MaxUnread {
			t.Fatalf("%s of %s: %+v", ch, d.user, c)
		}
		if c.Read < d.seen[ch] {
			t.Fatalf("%s of %s was read up to %d, and now up to %d", ch, d.user, d.seen[ch], c.Read)
		}
		d.seen[ch] = c.Read
	}
}

// quiet lets everything arrive.
func (m *model) quiet(t *rapid.T) {
	for _, d := range m.devices {
		if !d.online {
			m.resume(d, false)
		}
		for m.step(d) {
		}
		for _, n := range d.notices {
			d.tracker.Read(n.channel, n.seq)
		}
		if d.unsaid {
			d.tracker.Stale()
		}
		d.notices, d.unsaid = nil, false
		for range 5 {
			if d.asking && d.answer == nil {
				m.reply(d, 0)
			}
			d.take()
			d.ask()
		}
		if d.tracker.Due() || d.asking {
			t.Fatalf("a device of %s is never done asking", d.user)
		}
		d.check(t)
	}
}

func (m *model) compare(t *rapid.T) {
	for i, d := range m.devices {
		truth, got := m.truth(d.user, len(m.log)), d.tracker.All()
		if len(truth) != len(got) {
			t.Fatalf("device %d of %s has %v, and is in %v", i, d.user, got, truth)
		}
		for ch, s := range truth {
			want := unread.Count{Unread: s.Unread, Mentions: s.Mentions, More: s.More, Read: max(s.Seq, s.JoinedSeq), Sure: true}
			if got[ch] != want {
				t.Fatalf("device %d of %s in %s: %+v, want %+v", i, d.user, ch, got[ch], want)
			}
		}
	}
}

// Whatever happens, and whatever is lost of it: when all is quiet, all devices of a user count what the server counts.
func TestDevicesAgreeWithTheServer(t *testing.T) { rapid.Check(t, devicesAgree) }

func devicesAgree(t *rapid.T) {
	m := &model{members: map[string]chat.Seq{}, reads: map[string]chat.Seq{}}
	for _, user := range people {
		for range 2 {
			d := &device{user: user, tracker: unread.New(user, string(user)), seen: map[chat.ChannelID]chat.Seq{}, online: true}
			for _, ch := range channels {
				d.tracker.SetType(ch, typeOf(ch))
			}
			m.devices = append(m.devices, d)
		}
	}
	person := func(t *rapid.T) chat.UserID { return rapid.SampledFrom(people).Draw(t, "user") }
	place := func(t *rapid.T) chat.ChannelID { return rapid.SampledFrom(channels).Draw(t, "channel") }
	some := func(t *rapid.T) *device { return rapid.SampledFrom(m.devices).Draw(t, "device") }
	message := func(t *rapid.T) (unread.Event, bool) {
		var posts []unread.Event
		for _, e := range m.log {
			if e.Kind == event.MessagePosted {
				posts = append(posts, e)
			}
		}
		if len(posts) == 0 {
			return unread.Event{}, false
		}
		return rapid.SampledFrom(posts).Draw(t, "message"), true
	}
	change := func(kind event.Kind) func(*rapid.T) {
		return func(t *rapid.T) {
			if p, ok := message(t); ok {
				e := unread.Event{Kind: kind, ChannelID: p.ChannelID, MessageSeq: p.Seq}
				if kind == event.MessageEdited {
					e.Body = rapid.SampledFrom(bodies).Draw(t, "body")
				}
				m.store(e)
			}
		}
	}
	t.Repeat(map[string]func(*rapid.T){
		"join": func(t *rapid.T) {
			user, ch := person(t), place(t)
			if _, in := m.members[key(ch, user)]; !in {
				m.store(unread.Event{Kind: event.MemberJoined, ChannelID: ch, UserID: user})
				m.members[key(ch, user)] = m.head()
			}
		},
		"leave": func(t *rapid.T) {
			user, ch := person(t), place(t)
			if _, in := m.members[key(ch, user)]; in && rapid.IntRange(0, 2).Draw(t, "really") == 0 {
				delete(m.members, key(ch, user))
				m.store(unread.Event{Kind: event.MemberLeft, ChannelID: ch, UserID: user})
			}
		},
		"post": func(t *rapid.T) {
			user, ch := person(t), place(t)
			if _, in := m.members[key(ch, user)]; in {
				m.store(unread.Event{Kind: event.MessagePosted, ChannelID: ch, SenderID: user, Body: rapid.SampledFrom(bodies).Draw(t, "body")})
			}
		},
		"edit":   change(event.MessageEdited),
		"delete": change(event.MessageDeleted),
		"read": func(t *rapid.T) {
			if p, ok := message(t); ok {
				m.mark(person(t), p.ChannelID, p.Seq)
			}
		},
		"hear": func(t *rapid.T) {
			if d := some(t); d.online {
				for range rapid.IntRange(1, 5).Draw(t, "events") {
					m.step(d)
				}
			}
		},
		"notice": func(t *rapid.T) {
			if d := some(t); len(d.notices) > 0 {
				i := rapid.IntRange(0, len(d.notices)-1).Draw(t, "which")
				d.tracker.Read(d.notices[i].channel, d.notices[i].seq)
				d.notices = slices.Delete(d.notices, i, i+1)
			}
		},
		"lose a notice": func(t *rapid.T) {
			if d := some(t); len(d.notices) > 0 {
				d.notices, d.unsaid = d.notices[1:], true
			}
		},
		"stale": func(t *rapid.T) {
			if d := some(t); d.unsaid {
				d.unsaid = false
				d.tracker.Stale()
			}
		},
		"cut": func(t *rapid.T) { some(t).cut() },
		"come back": func(t *rapid.T) {
			if d := some(t); !d.online {
				m.resume(d, rapid.Bool().Draw(t, "resync"))
			}
		},
		"ask": func(t *rapid.T) { some(t).ask() },
		"reply": func(t *rapid.T) {
			if d := some(t); d.asking && d.answer == nil {
				m.reply(d, rapid.SampledFrom([]int{0, 0, 1, 4}).Draw(t, "behind"))
			}
		},
		"answer": func(t *rapid.T) { some(t).take() },
		"come and go while somebody asks": func(t *rapid.T) {
			d := some(t)
			if !d.online {
				m.resume(d, false)
			}
			d.tracker.Stale()
			d.ask()
			ch := place(t)
			parts := rapid.Permutation([]int{0, 0, 1, 2, 2, 3}).Draw(t, "parts")
			for _, part := range parts {
				_, in := m.members[key(ch, d.user)]
				switch {
				case part == 0 && in:
					delete(m.members, key(ch, d.user))
					m.store(unread.Event{Kind: event.MemberLeft, ChannelID: ch, UserID: d.user})
				case part == 0:
					m.store(unread.Event{Kind: event.MemberJoined, ChannelID: ch, UserID: d.user})
					m.members[key(ch, d.user)] = m.head()
				case part == 1 && d.asking && d.answer == nil:
					m.reply(d, rapid.SampledFrom([]int{0, 1, 3}).Draw(t, "behind"))
				case part == 2:
					m.store(unread.Event{Kind: event.MessagePosted, ChannelID: ch, SenderID: "somebody", Body: "hello"})
				case part == 3:
					for range rapid.IntRange(0, 4).Draw(t, "events") {
						m.step(d)
					}
				}
			}
		},
		"talk while somebody asks": func(t *rapid.T) {
			d := some(t)
			if !d.online {
				m.resume(d, false)
			}
			for range rapid.IntRange(0, 3).Draw(t, "heard") {
				m.step(d)
			}
			if d.asking {
				d.take()
			}
			d.tracker.Stale()
			d.ask()
			ch := place(t)
			for _, part := range rapid.Permutation([]int{0, 0, 1, 2, 3, 3, 4}).Draw(t, "parts") {
				p, ok := message(t)
				switch {
				case part == 0:
					m.store(unread.Event{Kind: event.MessagePosted, ChannelID: ch, SenderID: "somebody", Body: "hello"})
				case part == 1 && ok:
					m.store(unread.Event{Kind: event.MessageDeleted, ChannelID: p.ChannelID, MessageSeq: p.Seq})
				case part == 2 && d.asking && d.answer == nil:
					m.reply(d, rapid.SampledFrom([]int{0, 0, 1, 3}).Draw(t, "behind"))
				case part == 3:
					for range rapid.IntRange(1, 3).Draw(t, "events") {
						m.step(d)
					}
				case part == 4 && d.answer != nil:
					d.take()
				}
			}
		},
		"fail": func(t *rapid.T) {
			if d := some(t); d.asking {
				d.asking = false
				d.tracker.Failed(d.asked)
			}
		},
		"miss": func(t *rapid.T) { // a gap, in one channel
			if d := some(t); d.online && d.cursor < len(m.log) {
				lost := m.log[d.cursor]
				d.cursor++
				d.tracker.Missed(lost.ChannelID, lost.Seq)
			}
		},
		"all is quiet": func(t *rapid.T) {
			if rapid.IntRange(0, 4).Draw(t, "really") == 0 {
				m.quiet(t)
				m.compare(t)
			}
		},
		"": func(t *rapid.T) {
			for _, d := range m.devices {
				d.check(t)
			}
		},
	})
	m.quiet(t)
	m.compare(t)
}
