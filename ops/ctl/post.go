package ctl

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/google/uuid"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/publish"
)

const (
	seedWindow  = 2048 // events on their way at once
	recentRoots = 16   // messages of a channel that a reply may answer
	// Of a hundred.
	shareGeneral  = 25 // messages that go to general
	shareReplies  = 15
	shareEdits    = 3
	shareReacted  = 12
	maxReactions  = 3
	seedIDPrefix  = "seed-"
	seedRunLength = 4 // bytes of chance in an id
)

// seedID names the message with number n, from 0. Each run has ids of its own: a message that the log has forgotten
// is posted once more, and one client_msg_id must never stand for two messages.
func seedID(n int, run string) chat.ClientMsgID {
	return chat.ClientMsgID(seedIDPrefix + strconv.Itoa(n) + "-" + run)
}

// parseSeedID is the inverse of seedID.
func parseSeedID(id chat.ClientMsgID) (n int, ok bool) {
	rest, ok := strings.CutPrefix(string(id), seedIDPrefix)
	digits, run, _ := strings.Cut(rest, "-")
	n, err := strconv.Atoi(digits)
	return n, ok && err == nil && n >= 0 && len(run) == 2*seedRunLength
}

// findPosted reads the workspace's log for messages of earlier runs.
func (s *seeding) findPosted(ctx context.Context) (have []bool, err error) {
	filter, err := streams.ChatWorkspaceFilter(s.shard, s.o.Workspace)
	if err != nil {
		return nil, err
	}
	log, q := bus.NewLog(s.conn), bus.ReadQuery{Shard: s.shard, Filter: filter}
	total, err := log.Count(ctx, q)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("read the workspace's log: %w", err)
	}
	s.p.Begin("events that are there", int(total))
	defer s.p.End()
	have = make([]bool, s.o.Messages)
	for {
		batch, err := log.Read(ctx, q)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			return nil, fmt.Errorf("read the workspace's log: %w", err)
		}
		for _, e := range batch.Entries {
			q.From = e.Seq + 1
			s.noteFound(e, have)
		}
		s.p.Add(len(batch.Entries))
		if batch.Pending == 0 || len(batch.Entries) == 0 {
			return have, nil
		}
	}
}

func (s *seeding) noteFound(e bus.Entry, have []bool) {
	_, unique, err := streams.ParseSenderMsgID(e.MsgID)
	if err != nil {
		return // the Directory's, or put there by hand
	}
	if n, ok := parseSeedID(chat.ClientMsgID(unique)); ok && n < len(have) && !have[n] {
		have[n] = true
		s.report.Found++
	}
}

// outcome is what became of a seedEvent.
type outcome struct {
	what seedEvent
	ack  bus.Ack
	err  error
}

// seedEvent is an event with what follows from its being stored.
type seedEvent struct {
	event.Event
	number  int // of a post
	channel int // place in cast.channels
}

// poster hands events to a publisher, a window of them at a time. It belongs to one goroutine.
type poster struct {
	*seeding
	pub      *publish.Publisher
	run      string
	outcomes chan outcome // has room for the whole window, so a publisher never waits for us
	flying   int          // handed over, no outcome yet
	next     int          // the number of the next message
	have     []bool       // by number
	then     []seedEvent  // edits and reactions to stored messages, before any new one; at most maxReactions for each event of a window
	roots    [][]chat.Seq // of each channel, the last stored ones that are not replies
	failed   error        // the first failure
}

// post stores the messages that are not there.
func (s *seeding) post(ctx context.Context, have []bool) error {
	var run [seedRunLength]byte
	if _, err := rand.Read(run[:]); err != nil {
		return err
	}
	p := &poster{
		seeding: s, pub: publish.New(s.conn, publish.Config{}), run: hex.EncodeToString(run[:]),
		outcomes: make(chan outcome, seedWindow), have: have, roots: make([][]chat.Seq, len(s.cast.channels)),
	}
	s.p.Begin("messages", s.o.Messages-s.report.Found)
	defer s.p.End()
	// The publisher outlives ctx: what is on its way when ctx ends still gets its outcome.
	publishing, stop := context.WithCancel(context.WithoutCancel(ctx))
	var publisher sync.WaitGroup
	var ended error
	publisher.Go(func() { ended = p.pub.Run(publishing) })
	err := p.all(ctx)
	stop()
	publisher.Wait()
	if err == nil {
		err = ended
	}
	return err
}

// all runs until everything is stored, something failed, or ctx ended; then nothing is on its way any more.
func (p *poster) all(ctx context.Context) error {
	for {
		for p.flying < seedWindow && p.failed == nil && ctx.Err() == nil {
			what, ok, err := p.take()
			if err != nil {
				p.failed = err
			}
			if !ok {
				break
			}
			p.send(what)
		}
		if p.flying == 0 {
			if p.failed != nil {
				return p.failed
			}
			return ctx.Err()
		}
		p.note(<-p.outcomes) // the publisher's budget bounds the wait
	}
}

// take is the next event to store.
func (p *poster) take() (seedEvent, bool, error) {
	if last := len(p.then) - 1; last >= 0 {
		e := p.then[last]
		p.then = p.then[:last]
		return e, true, nil
	}
	for p.next < len(p.have) && p.have[p.next] {
		p.next++
	}
	if p.next >= len(p.have) {
		return seedEvent{}, false, nil
	}
	p.next++
	return p.message(p.next - 1), true, nil
}

// message makes the message with number n. Its channel, sender and most of its text are the same in every run.
func (p *poster) message(n int) seedEvent {
	r := randomOf(forMessages, n)
	channel := 0
	if last := len(p.cast.channels) - 1; last > 0 && r.IntN(100) >= shareGeneral {
		channel = 1 + min(r.IntN(last), r.IntN(last)) // the first ones are the busy ones
	}
	members := p.cast.members[channel]
	e := seedEvent{number: n, channel: channel, Event: event.Event{
		Kind: event.MessagePosted, Epoch: p.epoch, ChannelID: p.channelIDs[channel],
		SenderID: p.userIDs[members[r.IntN(len(members))]], ClientMsgID: seedID(n, p.run),
	}}
	if roots := p.roots[channel]; len(roots) > 0 && r.IntN(100) < shareReplies {
		e.Thread = roots[r.IntN(len(roots))]
	}
	e.Body = sentence(r, e.Thread != 0)
	return e
}

func (p *poster) send(what seedEvent) {
	p.flying++
	m, err := p.encode(what)
	if err != nil {
		p.outcomes <- outcome{what: what, err: err}
		return
	}
	p.pub.Publish(m, func(ack bus.Ack, err error) { p.outcomes <- outcome{what, ack, err} })
}

func (p *poster) encode(what seedEvent) (bus.Message, error) {
	payload, err := event.Encode(what.Event)
	if err != nil {
		return bus.Message{}, err
	}
	m := bus.Message{Place: streams.Place{Shard: p.shard, WorkspaceID: p.o.Workspace, ChannelID: what.ChannelID}, Payload: payload}
	if what.Kind == event.MessagePosted {
		m.MsgID, err = streams.PostMsgID(what.SenderID, what.ClientMsgID)
		return m, err
	}
	unique, err := uuid.NewV7()
	if err != nil {
		return bus.Message{}, err
	}
	m.MsgID, err = streams.ChangeMsgID(what.SenderID, unique.String())
	return m, err
}

// note counts an outcome and thinks of what people do to the message.
func (p *poster) note(o outcome) {
	p.flying--
	if o.err != nil {
		if p.failed == nil {
			p.failed = fmt.Errorf("store an event: %w", o.err)
		}
		return
	}
	switch o.what.Kind {
	case event.MessageEdited:
		p.report.Edits++
	case event.ReactionAdded:
		p.report.Reactions++
	default:
		p.report.Messages++
		p.p.Add(1)
		if o.what.Thread != 0 {
			p.report.Replies++
		} else {
			p.noteRoot(o.what.channel, o.ack.Seq)
		}
		p.followUp(o.what, o.ack.Seq)
	}
}

func (p *poster) noteRoot(channel int, seq chat.Seq) {
	roots := append(p.roots[channel], seq)
	p.roots[channel] = roots[max(0, len(roots)-recentRoots):]
}

// followUp queues an edit or reactions to some of the messages.
func (p *poster) followUp(what seedEvent, seq chat.Seq) {
	r := randomOf(forFollowUps, what.number)
	change := seedEvent{channel: what.channel, Event: event.Event{
		Epoch: p.epoch, ChannelID: what.ChannelID, SenderID: what.SenderID, MessageSeq: seq,
	}}
	switch chance := r.IntN(100); {
	case chance < shareEdits:
		change.Kind, change.Body = event.MessageEdited, what.Body+" "+fill(r, "(I meant #.)")
		p.then = append(p.then, change)
	case chance < shareEdits+shareReacted:
		members := p.cast.members[what.channel]
		first := r.IntN(len(members))
		for n := range min(1+r.IntN(maxReactions), len(members)) { // of different people, so no reaction is a repetition
			change.Kind, change.Emoji = event.ReactionAdded, emojis[r.IntN(len(emojis))]
			change.SenderID = p.userIDs[members[(first+n)%len(members)]]
			p.then = append(p.then, change)
		}
	}
}
