package socket

import (
	"context"
	"errors"
	"slices"

	"github.com/coder/websocket"

	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/ops/verify/stranger/answer"
)

// Bytes is a message as it goes out, whatever it is.
type Bytes struct {
	Binary bool
	Parts  [][]byte // fragments
	Names  []Name   // by which it could be answered
}

// Provoke sends a frame that should be refused. Its name may not come back, so any error counts, and so does a close code.
func (s *Socket) Provoke(ctx context.Context, r Request) answer.Answer {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	trouble := s.listen()
	defer s.listenNot(trouble)
	got := make(chan answer.Answer, 1)
	go func() { got <- s.Ask(ctx, r) }()
	select {
	case a := <-got:
		return s.closedIs(a)
	case a := <-trouble:
		stop()
		<-got
		return a
	}
}

// Throw sends bytes, and waits for what the server says to them: an error, with a name or without, a close, or an answer.
func (s *Socket) Throw(ctx context.Context, b Bytes) answer.Answer {
	trouble := s.listen()
	defer s.listenNot(trouble)
	got := make(chan answer.Answer, 1)
	for _, name := range b.Names {
		if err := s.wait(name, got); err != nil {
			return answer.Lost(err)
		}
		defer s.waitNot(name, got)
	}
	failed := s.fragments(ctx, b)
	select {
	case a := <-got:
		return a
	case a := <-trouble:
		return a
	case <-s.ended:
		return s.closedIs(answer.Lost(s.whyEnded(errors.Join(ErrEnded, failed))))
	case <-ctx.Done():
		return answer.Lost(errors.Join(ctx.Err(), failed))
	}
}

// fragments writes a message, in several frames when it has several parts.
func (s *Socket) fragments(ctx context.Context, b Bytes) error {
	kind := websocket.MessageText
	if b.Binary {
		kind = websocket.MessageBinary
	}
	if len(b.Parts) == 1 {
		return s.write(ctx, kind, b.Parts[0])
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeWait)
	defer cancel()
	w, err := s.ws.Writer(ctx, kind)
	if err != nil {
		return err
	}
	for _, part := range b.Parts {
		if _, err := w.Write(part); err != nil {
			return errors.Join(err, w.Close())
		}
	}
	return w.Close()
}

// closedIs makes a refusal of an end of the socket that has a close code.
func (s *Socket) closedIs(a answer.Answer) answer.Answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.Outcome == record.Unknown && s.closed > 0 {
		return answer.Answer{Outcome: record.Refused, Code: s.why}
	}
	return a
}

// listen makes a place for an error that names nothing.
func (s *Socket) listen() chan answer.Answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := make(chan answer.Answer, 1)
	s.watch = append(s.watch, w)
	return w
}

func (s *Socket) listenNot(w chan answer.Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watch = slices.DeleteFunc(s.watch, func(one chan answer.Answer) bool { return one == w })
}
