package ledger

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
)

// Stream is the source of events that is the log.
const Stream = "stream"

// Ledger is the logs of all workspaces of a record. It does not change after Of.
type Ledger struct {
	spaces map[string]*space
	names  []string // of the spaces: those of the run in its order, then others as they were met
	people map[string]record.Person
	logins map[string]string // by user id
	home   map[string]string // workspace, by login
	times  map[string]times
	cut    bool // the run was broken off: what comes after a log's last event is not known
}

// space is one workspace's log.
type space struct {
	events   []record.Event    // rising seq, each once
	ended    int64             // the last seq of streams that were lost; 0: none was
	types    map[string]string // of channels, by id
	channels []string          // in the order in which they were met
	messages map[int64]*Message
	order    []int64 // seqs of messages, rising
	tenures  map[place][]Tenure
	first    map[place]event.Kind // the first member event of somebody in a place: it says what was before
	whole    map[string]bool      // channels whose beginning is in the log
	met      map[string]bool      // channels
}

// place is somebody in a channel; an empty channel is the workspace.
type place struct{ user, channel string }

// Tenure is a time in a channel, in seqs of the log, both inside. From 0: since before the log. To 0: for good.
type Tenure struct{ From, To int64 }

// Holds reports whether a seq lies in it.
func (t Tenure) Holds(seq int64) bool { return seq >= t.From && (t.To == 0 || seq <= t.To) }

// Of reads a record. Its cost is that of sorting what is not sorted.
func Of(r *record.Record) *Ledger {
	l := &Ledger{
		spaces: map[string]*space{}, people: map[string]record.Person{}, logins: map[string]string{}, home: map[string]string{},
		times: map[string]times{}, cut: r.End == nil,
	}
	for _, w := range r.Run.Workspaces {
		s := l.space(w.ID)
		for _, c := range w.Channels {
			s.meet(c.ID)
			s.types[c.ID] = c.Type
		}
		for _, p := range w.People {
			l.people[p.Login], l.logins[p.ID], l.home[p.Login] = p, p.Login, w.ID
		}
	}
	looks := map[string]map[int][]record.Event{}
	for _, e := range r.Events {
		if e.Source == Stream {
			l.space(e.Space)
			if looks[e.Space] == nil {
				looks[e.Space] = map[int][]record.Event{}
			}
			looks[e.Space][e.Look] = append(looks[e.Space][e.Look], e)
		}
	}
	for id, of := range looks {
		l.spaces[id].join(of)
	}
	l.fillHoles(r)
	l.noteTimes(r)
	for _, s := range l.spaces {
		s.sort()
		s.read()
	}
	return l
}

func (l *Ledger) space(id string) *space {
	s := l.spaces[id]
	if s == nil {
		s = &space{
			types: map[string]string{}, messages: map[int64]*Message{}, tenures: map[place][]Tenure{},
			first: map[place]event.Kind{}, whole: map[string]bool{}, met: map[string]bool{},
		}
		l.spaces[id] = s
		l.names = append(l.names, id)
	}
	return s
}

func (s *space) meet(channel string) {
	if channel != "" && !s.met[channel] {
		s.met[channel] = true
		s.channels = append(s.channels, channel)
	}
}

// sort puts the events into the order of the log. Of two at one seq the first that was written stays.
func (s *space) sort() {
	slices.SortStableFunc(s.events, func(a, b record.Event) int { return cmp.Compare(a.Seq, b.Seq) })
	s.events = slices.CompactFunc(s.events, func(a, b record.Event) bool { return a.Seq == b.Seq })
}

// read goes through the log once.
func (s *space) read() {
	for _, e := range s.events {
		s.meet(e.Channel)
		switch kind := event.Kind(e.Kind); kind {
		case event.ChannelCreated:
			s.whole[e.Channel] = true
		case event.MemberJoined, event.MemberLeft:
			s.member(kind, e)
		default:
			s.message(kind, e)
		}
	}
	for _, m := range s.messages {
		m.settle()
	}
}

// member notes who came and went.
func (s *space) member(kind event.Kind, e record.Event) {
	at := place{e.User, e.Channel}
	if _, seen := s.first[at]; !seen {
		s.first[at] = kind
	}
	if kind == event.MemberJoined {
		if ts := s.tenures[at]; len(ts) == 0 || ts[len(ts)-1].To != 0 {
			s.tenures[at] = append(ts, Tenure{From: e.Seq})
		}
		return
	}
	s.end(at, e.Seq)
	if e.Channel == "" { // who goes out of the workspace goes out of everything in it
		for _, c := range s.channels {
			if ts := s.tenures[place{e.User, c}]; len(ts) > 0 {
				s.end(place{e.User, c}, e.Seq)
			}
		}
	}
}

func (s *space) end(at place, seq int64) {
	ts := s.tenures[at]
	switch n := len(ts); {
	case n == 0 && !s.whole[at.channel]: // they were in it when the log began
		s.tenures[at] = []Tenure{{To: seq}}
	case n > 0 && ts[n-1].To == 0:
		ts[n-1].To = seq
	}
}

// Spaces are the ids of the workspaces, those of the run first.
func (l *Ledger) Spaces() []string { return l.names }

// Told reports whether the record has a log of the workspace at all. Without one nothing can be checked.
func (l *Ledger) Told(space string) bool { return len(l.Events(space)) > 0 }

// Events are the log of a workspace, in rising seq. The caller does not change them.
func (l *Ledger) Events(space string) []record.Event {
	if s := l.spaces[space]; s != nil {
		return s.events
	}
	return nil
}

// At is the event of a seq.
func (l *Ledger) At(space string, seq int64) (record.Event, bool) {
	events := l.Events(space)
	i, found := find(events, seq)
	if !found {
		return record.Event{}, false
	}
	return events[i], true
}

// Between is the events after a seq, up to and with another one. The caller does not change them.
func (l *Ledger) Between(space string, from, to int64) []record.Event {
	events := l.Events(space)
	i, found := find(events, from)
	if found {
		i++
	}
	j, found := find(events, to)
	if found {
		j++
	}
	return events[i:max(i, j)]
}

func find(events []record.Event, seq int64) (int, bool) {
	return slices.BinarySearchFunc(events, seq, func(e record.Event, seq int64) int { return cmp.Compare(e.Seq, seq) })
}

// Last is the seq of a workspace's last event; 0: there is none.
func (l *Ledger) Last(space string) int64 {
	if events := l.Events(space); len(events) > 0 {
		return events[len(events)-1].Seq
	}
	return 0
}

// Epoch is that of a workspace's last event; 0: there is none.
func (l *Ledger) Epoch(space string) int64 {
	if events := l.Events(space); len(events) > 0 {
		return events[len(events)-1].Epoch
	}
	return 0
}

// UserID is the id of somebody of the run; empty: there is nobody of that login.
func (l *Ledger) UserID(login string) string { return l.people[login].ID }

// Login is whose user id it is, of those in the run; empty: somebody else's.
func (l *Ledger) Login(userID string) string { return l.logins[userID] }

// Home is the workspace of somebody of the run.
func (l *Ledger) Home(login string) string { return l.home[login] }

// Channels are a workspace's channels: those of the run first, then others as the log has them.
func (l *Ledger) Channels(space string) []string {
	if s := l.spaces[space]; s != nil {
		return s.channels
	}
	return nil
}

// Type is public, private, dm or group_dm; empty: the record does not say.
func (l *Ledger) Type(space, channel string) string {
	if s := l.spaces[space]; s != nil {
		return s.types[channel]
	}
	return ""
}

// Position is a cursor's two numbers; ok is false for a text that is none.
func Position(cursor string) (epoch, seq int64, ok bool) {
	before, after, found := strings.Cut(cursor, ".")
	epoch, err1 := strconv.ParseInt(before, 10, 64)
	seq, err2 := strconv.ParseInt(after, 10, 64)
	return epoch, seq, found && err1 == nil && err2 == nil
}

// Outcome is what an op leaves known. While capacity is measured, unavailable is an honest answer, and so a refusal; but the log may have
// taken the send all the same, when the answer came too late.
func Outcome(op *record.Op) record.Outcome {
	if op.Phase != "" && op.Outcome == record.Refused && fault.Kind(op.Code) == fault.Unavailable {
		return record.Unknown
	}
	return op.Outcome
}
