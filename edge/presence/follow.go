package presence

import (
	"encoding/json"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/eph"
)

// answerBatch is how many users one answer to a question holds: some tens of kilobytes.
const answerBatch = 50

// answersTake is how long after a question answers to it may still come.
const answersTake = 30 * time.Second

// following is the workspaces whose ephemeral messages come here. It belongs to one goroutine.
type following struct {
	service *Service
	stops   map[chat.WorkspaceID]*ends
}

// ends end what was begun for a workspace; nil: it was not begun.
type ends struct{ following, question func() error }

// change follows and leaves workspaces. What it returns puts those back that failed.
func (f *following) change(wanted map[chat.WorkspaceID]bool) []func() {
	var failed []func()
	for ws, follow := range wanted {
		if !follow {
			f.stop(ws)
			continue
		}
		if err := f.start(ws); err != nil {
			f.stop(ws)
			f.service.cfg.Log.Debug("a workspace could not be followed", "err", err)
			failed = append(failed, func() {
				if _, newer := f.service.follow[ws]; !newer {
					f.service.follow[ws] = true
				}
			})
		}
	}
	return failed
}

// start follows a workspace, and then asks who is online in other regions: in this order nothing falls between. One that is followed
// already stays so, and is only asked about again: what came while nobody followed would be lost.
func (f *following) start(ws chat.WorkspaceID) error {
	s, of := f.service, f.stops[ws]
	if of == nil {
		stop, err := s.cfg.Carrier.FollowWorkspace(ws, func(m eph.Message) { s.hear(ws, m) })
		if err != nil {
			return err
		}
		of = &ends{following: stop}
		f.stops[ws] = of
	}
	s.missed(ws) // sessions were there before the subscription, or before the link that brings it
	subject, err := streams.EphAskSubject(ws, s.self.Region)
	if err != nil {
		return err
	}
	f.end(of.question)
	s.asks(ws)
	of.question, err = s.cfg.Carrier.Ask(subject, func(m eph.Message) { s.answered(ws, m) })
	return err
}

func (f *following) stop(ws chat.WorkspaceID) {
	if of := f.stops[ws]; of != nil {
		f.end(of.question)
		f.end(of.following)
		delete(f.stops, ws)
	}
	f.service.asksNoMore(ws)
}

func (f *following) end(stop func() error) {
	if stop == nil {
		return
	}
	if err := stop(); err != nil {
		f.service.cfg.Log.Debug("unfollow a workspace", "err", err)
	}
}

func (f *following) stopAll() {
	for ws := range f.stops {
		f.stop(ws)
	}
}

// question is what became known of a workspace since it was asked about.
type question struct {
	until time.Time // answers come no later
	gone  map[presenceOf]struct{}
}

// presenceOf is somebody at a gateway.
type presenceOf struct {
	user chat.UserID
	at   Seat
}

// asks notes that a question goes out.
func (s *Service) asks(ws chat.WorkspaceID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked[ws] = &question{until: time.Now().Add(answersTake), gone: make(map[presenceOf]struct{})}
}

func (s *Service) asksNoMore(ws chat.WorkspaceID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.asked, ws)
}

// outdated reports whether an answer was overtaken: since the question it was told that they have gone. Answers and what is told come by
// different subscriptions, in any order. Under mu.
func (s *Service) outdated(ws chat.WorkspaceID, t rpc.PresenceTold, answer bool, now time.Time) bool {
	q, of := s.asked[ws], presenceOf{t.UserID, Seat{t.Region, t.Gateway}}
	if q == nil {
		return false
	}
	if now.After(q.until) {
		delete(s.asked, ws)
		return false
	}
	_, gone := q.gone[of]
	switch {
	case answer:
		return gone
	case t.State.Status == chat.StatusOffline:
		q.gone[of] = struct{}{}
	default:
		delete(q.gone, of)
	}
	return false
}

// missed says that read marks of a workspace may not have come here.
func (s *Service) missed(ws chat.WorkspaceID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.to != nil {
		s.to.DeliverStale(ws)
	}
}

// hearRead takes what the service that keeps read marks says.
func (s *Service) hearRead(ws chat.WorkspaceID, user chat.UserID, data []byte) {
	var n rpc.ReadNotice
	if json.Unmarshal(data, &n) != nil || !chat.IsID(string(n.ChannelID)) || n.Seq == 0 || n.Seq > chat.MaxSeq {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.to != nil {
		s.to.DeliverRead(ws, user, n)
	}
}

// hear takes an ephemeral message of a workspace. What is not of the documented form was put there by hand.
func (s *Service) hear(ws chat.WorkspaceID, m eph.Message) {
	if m.Lost {
		s.missed(ws)
	}
	if _, region, err := streams.ParseEphAsk(m.Subject); err == nil {
		if region != s.self.Region {
			s.answer(ws, m.Reply)
		}
		return
	}
	about, err := streams.ParseEph(m.Subject)
	switch {
	case err != nil:
	case about.Reader != "":
		s.hearRead(ws, about.Reader, m.Data)
	case about.ChannelID != "":
		var t rpc.TypingTold
		if json.Unmarshal(m.Data, &t) != nil || t.Gateway == s.self.Gateway || !chat.IsID(string(t.UserID)) {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.to != nil {
			s.to.DeliverTyping(ws, about.ChannelID, t.UserID)
		}
	default:
		var t rpc.PresenceTold
		if json.Unmarshal(m.Data, &t) == nil && t.UserID == about.UserID {
			s.hearOther(ws, t, false)
		}
	}
}

// hearOther takes what a gateway of another region says, by itself or as an answer. Of those of this region the bucket tells.
func (s *Service) hearOther(ws chat.WorkspaceID, t rpc.PresenceTold, answer bool) {
	if t.Region == s.self.Region || chat.CheckStatusText(t.State.Text) != nil || !chat.IsID(t.Region) || !chat.IsID(t.Gateway) || !chat.IsID(string(t.UserID)) {
		return
	}
	seat := Seat{t.Region, t.Gateway}
	s.do(func(now time.Time) Effects {
		e := s.book.Speaks(seat, now)
		if s.outdated(ws, t, answer, now) {
			return e
		}
		e.add(s.book.Hear(Person{ws, t.UserID}, seat, &t.State, now))
		return e
	})
}

// answer tells another region's gateway who is online here.
func (s *Service) answer(ws chat.WorkspaceID, to string) {
	s.mu.Lock()
	var all []rpc.PresenceTold
	for _, p := range s.book.Here(ws) {
		if state, there := s.book.State(p); there {
			all = append(all, s.told(p, state))
		}
	}
	s.mu.Unlock()
	for len(all) > 0 {
		n := min(answerBatch, len(all))
		if data, err := json.Marshal(all[:n]); err == nil {
			s.publish(to, data)
		}
		all = all[n:]
	}
}

// answered takes an answer of another region's gateway.
func (s *Service) answered(ws chat.WorkspaceID, m eph.Message) {
	var all []rpc.PresenceTold
	if json.Unmarshal(m.Data, &all) != nil {
		return
	}
	for _, t := range all {
		s.hearOther(ws, t, true)
	}
}
