// Package sample makes records up, for the tests of checks: a sound one with everything in it (Sound), and what it takes to tell
// another (Tale). It knows no rules: who is told of what is said by whoever tells the tale.
package sample

import (
	"slices"
	"strings"
	"time"

	"github.com/canopychat/canopy/ops/verify/record"
)

// Sources are where a tale's events are found: the log, and two replicas of it.
var Sources = []string{"stream", "hub-1", "hub-2"}

// Tale is a record that is being made up. Its clock goes on by a millisecond with each line.
type Tale struct {
	Record *record.Record

	now   time.Duration
	n     int64
	epoch int64            // of events that say none
	state map[int64]*entry // messages as they are, by seq: a tale uses a seq once, also over several workspaces
}

// entry is a message and where it is.
type entry struct {
	space, channel string
	message        record.Message
}

// Begin begins a tale of what was run.
func Begin(run record.Run) *Tale {
	return &Tale{Record: &record.Record{Run: run}, epoch: 1, state: map[int64]*entry{}}
}

// Tick lets the clock go on, and says what it shows.
func (t *Tale) Tick() time.Duration {
	t.now += time.Millisecond
	return t.now
}

// Op does something that stores nothing. An empty Outcome is ok, an empty Workspace that of the person, an empty Device their first.
func (t *Tale) Op(op record.Op) { t.Do(op, record.Event{}) }

// Do does something that stores an event, which is told on conns before the op has ended. An event without a Seq is none.
// Space, Channel, Sender, ID, Body, Thread, Message and Emoji of the event are those of the op when they are empty.
func (t *Tale) Do(op record.Op, e record.Event, conns ...string) {
	t.n++
	op.N, op.Start = t.n, t.Tick()
	if op.Outcome == "" {
		op.Outcome = record.OK
	}
	space, id := t.person(op.Who)
	for _, field := range [][2]*string{
		{&op.Workspace, &space}, {&e.Space, &op.Workspace}, {&e.Channel, &op.Channel}, {&e.Sender, &id}, {&e.ID, &op.ID},
		{&e.Body, &op.Body}, {&e.Emoji, &op.Emoji},
	} {
		if *field[0] == "" {
			*field[0] = *field[1]
		}
	}
	if op.Device == "" {
		op.Device = op.Who + "/1"
	}
	if e.Thread == 0 {
		e.Thread = op.Thread
	}
	if e.Message == 0 {
		e.Message = op.Message
	}
	if e.Seq != 0 {
		t.Event(e, conns...)
		if op.Seq == 0 && op.Outcome == record.OK {
			op.Seq = e.Seq
		}
	}
	op.End = t.Tick()
	t.Record.Ops = append(t.Record.Ops, op)
}

// Event is stored in all Sources, and told on conns.
func (t *Tale) Event(e record.Event, conns ...string) {
	if e.Epoch == 0 {
		e.Epoch = t.epoch
	}
	for _, source := range Sources {
		e.Source = source
		t.Record.Events = append(t.Record.Events, e)
	}
	t.apply(e)
	for _, conn := range conns {
		t.Told(conn, Telling(e))
	}
}

// Telling is an event as a socket tells it.
func Telling(e record.Event) record.Told {
	told := record.Told{
		T: record.Changed, Kind: e.Kind, Channel: e.Channel, Seq: e.Seq, Prev: -1, Sender: e.Sender, ID: e.ID, Body: e.Body,
		Thread: e.Thread, Message: e.Message, Emoji: e.Emoji, User: e.User,
	}
	if e.Kind == "message.posted" {
		told.T, told.Kind = record.Posted, ""
	}
	return told
}

// Told comes over a conn.
func (t *Tale) Told(conn string, told record.Told) {
	who, _, _ := strings.Cut(conn, "/")
	told.Conn, told.Who, told.Time = conn, who, t.Tick()
	t.Record.Told = append(t.Record.Told, told)
}

// apply does what an event does to a message.
func (t *Tale) apply(e record.Event) {
	m := t.state[e.Message]
	if e.Kind == "message.posted" {
		m := record.Message{Seq: e.Seq, Sender: e.Sender, ID: e.ID, Body: e.Body, Thread: e.Thread}
		t.state[e.Seq] = &entry{e.Space, e.Channel, m}
	}
	if m == nil {
		return
	}
	reaction := e.Emoji + " " + e.Sender
	switch e.Kind {
	case "message.edited":
		m.message.Body, m.message.Edited = e.Body, true
	case "message.deleted":
		m.message = record.Message{Seq: m.message.Seq, Sender: m.message.Sender, ID: m.message.ID, Thread: m.message.Thread, Deleted: true}
	case "reaction.added":
		m.message.Reactions = append(m.message.Reactions, reaction)
		slices.Sort(m.message.Reactions)
	case "reaction.removed":
		m.message.Reactions = slices.DeleteFunc(m.message.Reactions, func(r string) bool { return r == reaction })
	}
}

// Erase takes the bytes of an event out of all sources.
func (t *Tale) Erase(space string, seq int64) {
	for i, e := range t.Record.Events {
		if e.Space == space && e.Seq == seq {
			t.Record.Events[i] = record.Event{Source: e.Source, Space: space, Epoch: e.Epoch, Seq: seq, Erased: true}
		}
	}
}

// Messages is a workspace's messages in a channel as they are now, newest first.
func (t *Tale) Messages(space, channel string) []record.Message {
	var all []record.Message
	for _, m := range t.state {
		if m.space == space && m.channel == channel {
			all = append(all, m.message)
		}
	}
	slices.SortFunc(all, func(a, b record.Message) int { return int(b.Seq - a.Seq) })
	return all
}

// Keep writes down what a view has of channels, oldest first.
func (t *Tale) Keep(view record.Kept, channels ...string) {
	for _, channel := range channels {
		for _, m := range slices.Backward(t.Messages(view.Space, channel)) {
			view.Channel, view.Message = channel, m
			t.Record.Kept = append(t.Record.Kept, view)
		}
	}
}

func (t *Tale) person(login string) (space, id string) {
	for _, w := range t.Record.Run.Workspaces {
		for _, p := range w.People {
			if p.Login == login {
				return w.ID, p.ID
			}
		}
	}
	return "", ""
}
