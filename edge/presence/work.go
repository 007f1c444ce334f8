package presence

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/eph"
	"github.com/canopychat/canopy/streams/kv"
)

// watch brings what is in the region's bucket into the book.
func (s *Service) watch(ctx context.Context) {
	err := s.cfg.Bucket.Watch(ctx, nil, func(e kv.Entry) {
		s.do(func(now time.Time) Effects { return s.entry(e, now) })
	})
	if err != nil && ctx.Err() == nil {
		s.cfg.Log.Error("presence of the region is not watched any more", "err", err)
	}
}

// entry takes one entry of the watch.
func (s *Service) entry(e kv.Entry, now time.Time) Effects {
	switch e.Op {
	case kv.Start:
		s.book.Start()
		s.heard = make(map[Person]struct{})
		return Effects{}
	case kv.Complete:
		e := s.book.Complete(s.heard, now)
		s.heard = nil // until the next start, nobody asks
		return e
	}
	if region, gateway, err := streams.ParseLeaseKey(e.Key); err == nil {
		if e.Op == kv.Put {
			return s.book.Lease(Seat{region, gateway}, now)
		}
		return s.book.Lapse(Seat{region, gateway}, now)
	}
	at, err := streams.ParsePresenceKey(e.Key)
	if err != nil {
		return Effects{} // somebody put it there by hand
	}
	p, seat := Person{at.WorkspaceID, at.UserID}, Seat{at.Region, at.Gateway} // parts of the key: Hear keeps them
	if e.Op != kv.Put {
		return s.book.Hear(p, seat, nil, now)
	}
	if seat == s.self && s.heard != nil {
		s.heard[Person{chat.WorkspaceID(strings.Clone(string(p.WorkspaceID))), chat.UserID(strings.Clone(string(p.UserID)))}] = struct{}{}
	}
	var state rpc.PresenceState
	if json.Unmarshal(e.Value, &state) != nil || chat.CheckStatusText(state.Text) != nil {
		return s.book.Hear(p, seat, nil, now) // nor that
	}
	return s.book.Hear(p, seat, &state, now)
}

// keepLease renews the lease, lets time pass in the book, and sweeps.
func (s *Service) keepLease(ctx context.Context) {
	key, err := streams.LeaseKey(s.self.Region, s.self.Gateway)
	if err != nil {
		s.cfg.Log.Error("this gateway has no lease", "err", err)
		return
	}
	stop, err := s.cfg.Carrier.FollowLeases(s.otherLease)
	if err != nil {
		s.cfg.Log.Warn("leases of other regions are not heard", "err", err)
	} else {
		defer func() { _ = stop() }() // it ends with the connection anyway
	}
	renew := time.NewTicker(s.cfg.Lease / leaseParts)
	defer renew.Stop()
	tick := time.NewTicker(min(time.Second, s.cfg.Lease/leaseParts))
	defer tick.Stop()
	s.renew(ctx, key)
	for {
		select {
		case <-ctx.Done():
			return
		case <-renew.C:
			s.renew(ctx, key)
			s.remember()
			s.sweep(ctx)
		case <-tick.C:
			s.do(s.book.Tick)
		}
	}
}

func (s *Service) renew(ctx context.Context, key string) {
	if _, err := s.cfg.Bucket.PutTTL(ctx, key, nil, s.cfg.Lease); err != nil && ctx.Err() == nil {
		s.cfg.Log.Warn("could not renew the lease of presence", "err", err)
	}
	if subject, err := streams.EphLeaseSubject(s.self.Region, s.self.Gateway); err == nil {
		s.publish(subject, nil)
	}
}

// otherLease takes a lease of a gateway of another region.
func (s *Service) otherLease(m eph.Message) {
	region, gateway, err := streams.ParseEphLease(m.Subject)
	if err != nil || region == s.self.Region {
		return
	}
	s.do(func(now time.Time) Effects { return s.book.Lease(Seat{region, gateway}, now) })
}

// sweep takes a part of what dead gateways left out of the bucket.
func (s *Service) sweep(ctx context.Context) {
	s.mu.Lock()
	left := s.book.Sweep(time.Now(), sweepAtOnce)
	s.mu.Unlock()
	swept := 0
	for seat, people := range left {
		for _, p := range people {
			key, err := streams.PresenceKey(streams.Seat{Region: seat.Region, WorkspaceID: p.WorkspaceID, UserID: p.UserID, Gateway: seat.Gateway})
			if err == nil {
				err = s.cfg.Bucket.Delete(ctx, key)
			}
			if err != nil {
				s.cfg.Log.Warn("could not sweep what a dead gateway left", "err", err)
				return // the next time
			}
			swept++
		}
	}
	if swept > 0 {
		s.cfg.Log.Info("swept what dead gateways left", "keys", swept)
	}
}

// write brings what is dirty into the bucket and to other regions, and follows workspaces. What fails stays dirty.
func (s *Service) write(ctx context.Context, followed *following) {
	again := time.NewTimer(time.Hour)
	defer again.Stop()
	for failures := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-again.C:
		}
		people, remembered, follow := s.take()
		failed := followed.change(follow)
		s.tellAgain(remembered) // by who tells of changes: what is older never comes after what is newer
		failed = append(failed, s.storeAll(ctx, people)...)
		if len(failed) == 0 {
			failures = 0
			continue
		}
		s.do(func(time.Time) Effects {
			for _, back := range failed {
				back()
			}
			return Effects{}
		})
		again.Reset(bus.Backoff(retryPause, retryPauseCap, failures))
		failures++
	}
}

// take is what is to be done, and forgets it.
func (s *Service) take() (people, again []Person, follow map[chat.WorkspaceID]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	people, again, follow = slices.Collect(maps.Keys(s.dirty)), slices.Collect(maps.Keys(s.again)), s.follow
	clear(s.dirty)
	clear(s.again)
	s.follow = make(map[chat.WorkspaceID]bool)
	return people, again, follow
}

// remember lets the time pass after which other regions are told of a change once more. They may not have heard of it: what is told while a link
// is cut is lost, and when it is cut for less than a lease nobody asks.
func (s *Service) remember() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p, left := range s.lately {
		if left > 1 {
			s.lately[p] = left - 1
			continue
		}
		delete(s.lately, p)
		s.again[p] = struct{}{}
	}
	if len(s.again) > 0 {
		s.rouse()
	}
}

// tellAgain tells other regions of people as they are now.
func (s *Service) tellAgain(people []Person) {
	for _, p := range people {
		state, there := s.state(p)
		if !there {
			state = rpc.PresenceState{Status: chat.StatusOffline, At: time.Now()}
		}
		s.tell(p, state)
	}
}

// storeAll stores the states of people, some at once. What it returns puts those back that failed.
func (s *Service) storeAll(ctx context.Context, people []Person) []func() {
	var mu sync.Mutex
	var failed []func()
	var work sync.WaitGroup
	next := make(chan Person)
	for range min(writers, len(people)) {
		work.Go(func() {
			for p := range next {
				if err := s.store(ctx, p); err != nil {
					s.cfg.Log.Debug("a presence could not be stored", "err", err)
					mu.Lock()
					failed = append(failed, func() { s.dirty[p] = struct{}{} })
					mu.Unlock()
				}
			}
		})
	}
	for _, p := range people {
		next <- p
	}
	close(next)
	work.Wait()
	return failed
}

// store writes what this gateway says of a user, as it is now, and tells other regions.
func (s *Service) store(ctx context.Context, p Person) error {
	key, err := streams.PresenceKey(streams.Seat{Region: s.self.Region, WorkspaceID: p.WorkspaceID, UserID: p.UserID, Gateway: s.self.Gateway})
	if err != nil {
		return nil // an id of ours always makes a key
	}
	state, there := s.state(p)
	if !there {
		state.Status = chat.StatusOffline
		err = s.cfg.Bucket.Delete(ctx, key)
	} else {
		var value []byte
		if value, err = json.Marshal(state); err == nil {
			_, err = s.cfg.Bucket.Put(ctx, key, value)
		}
	}
	if err != nil {
		return err
	}
	if now, is := s.state(p); is != there || (is && !same(now, state)) {
		return nil // it is dirty again, and told then
	}
	s.tell(p, state)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lately[p] = againAfter
	return nil
}

func (s *Service) told(p Person, state rpc.PresenceState) rpc.PresenceTold {
	return rpc.PresenceTold{Region: s.self.Region, Gateway: s.self.Gateway, UserID: p.UserID, State: state}
}

func (s *Service) tell(p Person, state rpc.PresenceState) {
	subject, err := streams.EphPresenceSubject(p.WorkspaceID, p.UserID)
	if err != nil {
		return // an id of ours always makes a subject
	}
	if data, err := json.Marshal(s.told(p, state)); err == nil {
		s.publish(subject, data)
	}
}

func (s *Service) tellTyping(who Someone, channel chat.ChannelID) {
	subject, err := streams.EphTypingSubject(who.WorkspaceID, channel)
	if err != nil {
		return // nor that
	}
	if data, err := json.Marshal(rpc.TypingTold{Gateway: s.self.Gateway, UserID: who.UserID}); err == nil {
		s.publish(subject, data)
	}
}

// publish may lose what it is given: the next change or question makes up for it.
func (s *Service) publish(subject string, data []byte) {
	if err := s.cfg.Carrier.Publish(subject, data); err != nil {
		s.lost.Add(1)
	}
}

// leave takes this gateway out of the bucket, so that nobody has to wait for its lease to end.
func (s *Service) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, leaveBudget)
	defer cancel()
	s.mu.Lock()
	people := s.book.Here("")
	s.mu.Unlock()
	key, err := streams.LeaseKey(s.self.Region, s.self.Gateway)
	if err == nil {
		err = s.cfg.Bucket.Delete(ctx, key)
	}
	for _, p := range people {
		if err != nil || ctx.Err() != nil {
			s.cfg.Log.Debug("presence was left behind; another gateway sweeps it", "err", err)
			return
		}
		key, keyErr := streams.PresenceKey(streams.Seat{Region: s.self.Region, WorkspaceID: p.WorkspaceID, UserID: p.UserID, Gateway: s.self.Gateway})
		if keyErr == nil {
			err = s.cfg.Bucket.Delete(ctx, key)
		}
		s.tell(p, rpc.PresenceState{Status: chat.StatusOffline, At: time.Now()})
	}
}
