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

// following is the workspaces whose ephemeral messages come here. It belongs to one goroutine.
type following struct {
	service *Service
	stops   map[chat.WorkspaceID][]func() error
}

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

// start follows a workspace, and then asks who is online in other regions: in this order nothing falls between.
func (f *following) start(ws chat.WorkspaceID) error {
	f.stop(ws)
	s := f.service
	stop, err := s.cfg.Carrier.FollowWorkspace(ws, func(m eph.Message) { s.hear(ws, m) })
	if err != nil {
		return err
	}
	f.stops[ws] = append(f.stops[ws], stop)
	s.missed(ws) // sessions were there before the subscription
	question, err := streams.EphAskSubject(ws, s.self.Region)
	if err != nil {
		return err
	}
	stop, err = s.cfg.Carrier.Ask(question, func(m eph.Message) { s.answered(ws, m) })
	if err != nil {
		return err
	}
	f.stops[ws] = append(f.stops[ws], stop)
	return nil
}

func (f *following) stop(ws chat.WorkspaceID) {
	for _, stop := range f.stops[ws] {
		if err := stop(); err != nil {
			f.service.cfg.Log.Debug("unfollow a workspace", "err", err)
		}
	}
	delete(f.stops, ws)
}

func (f *following) stopAll() {
	for ws := range f.stops {
		f.stop(ws)
	}
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
			s.hearOther(ws, t)
		}
	}
}

// hearOther takes what a gateway of another region says. Of those of this region the bucket tells.
func (s *Service) hearOther(ws chat.WorkspaceID, t rpc.PresenceTold) {
	if t.Region == s.self.Region || chat.CheckStatusText(t.State.Text) != nil || !chat.IsID(t.Region) || !chat.IsID(t.Gateway) || !chat.IsID(string(t.UserID)) {
		return
	}
	seat := Seat{t.Region, t.Gateway}
	s.do(func(now time.Time) Effects {
		e := s.book.Speaks(seat, now)
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
		s.hearOther(ws, t)
	}
}
