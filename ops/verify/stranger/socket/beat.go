package socket

import (
	"context"
	"errors"
	"time"

	"github.com/canopychat/canopy/ops/verify/stranger/answer"
)

// beats pings, and ends the socket when no pong comes: that is how a half-open link is noticed. While the reading is stopped no pong
// can be seen, so none counts as missing then.
func (s *Socket) beats(ctx context.Context) {
	for due := time.NewTimer(s.o.Beat); ; due.Reset(s.o.Beat) {
		select {
		case <-due.C:
		case <-ctx.Done():
			due.Stop()
			return
		}
		before, quiet := s.stallState()
		if quiet {
			continue
		}
		wait, cancel := context.WithTimeout(ctx, s.o.Silence)
		err := s.ws.Ping(wait)
		cancel()
		if err == nil || ctx.Err() != nil {
			continue
		}
		if after, quiet := s.stallState(); quiet || after != before {
			continue
		}
		s.noteWhy("no pong: " + err.Error())
		_ = s.ws.CloseNow() // the reader tells that it has ended
		return
	}
}

// Stall stops the reading for a time (0: without end), or until ctx ends.
func (s *Socket) Stall(ctx context.Context, d time.Duration) answer.Answer {
	if d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	on := make(chan struct{})
	s.mu.Lock()
	if s.stalled != nil {
		s.mu.Unlock()
		return answer.Lost(errors.New("its reading is stopped already"))
	}
	s.stalled = on
	s.stalls++
	s.mu.Unlock()
	<-ctx.Done()
	s.mu.Lock()
	s.stalled = nil
	s.mu.Unlock()
	close(on)
	return answer.OK()
}

// gate waits while the reading is stopped.
func (s *Socket) gate(ctx context.Context) error {
	s.mu.Lock()
	on := s.stalled
	s.mu.Unlock()
	if on == nil {
		return nil
	}
	select {
	case <-on:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stallState is how often the reading was stopped, and whether it is now.
func (s *Socket) stallState() (int, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stalls, s.stalled != nil
}
