package socket

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/coder/websocket"

	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/ops/verify/stranger/answer"
)

// Run reads until the socket ends, beside its heartbeat, and waits for that too.
func (s *Socket) Run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var beating sync.WaitGroup
	beating.Go(func() { s.beats(ctx) })
	err := s.reads(ctx)
	cancel()
	beating.Wait()
	_ = s.ws.CloseNow() // it has ended; this only gives back what it held
	s.over(err)
	close(s.ended)
}

// reads takes frames until there are no more.
func (s *Socket) reads(ctx context.Context) error {
	for {
		if err := s.gate(ctx); err != nil {
			return err
		}
		f, err := s.next(ctx)
		if gate := s.gate(ctx); gate != nil && err == nil {
			err = gate
		}
		if errors.Is(err, errFrame) {
			s.say(record.Told{T: record.Trouble, Code: "unreadable", Body: err.Error()})
			continue
		}
		if err != nil {
			return err
		}
		s.take(&f)
	}
}

// next reads one frame.
func (s *Socket) next(ctx context.Context) (frame, error) {
	kind, text, err := s.ws.Read(ctx)
	if err != nil {
		return frame{}, err
	}
	if kind != websocket.MessageText {
		return frame{}, fmt.Errorf("%w: it is binary", errFrame)
	}
	return parseFrame(text)
}

// say writes down what was told.
func (s *Socket) say(t record.Told) {
	t.Conn, t.Who, t.At = s.o.Conn, s.o.Who, s.o.At
	s.o.Tell(t)
}

// take notes a frame: where it stands, what it tells, and whom it answers.
func (s *Socket) take(f *frame) {
	if s.settles(f) {
		return
	}
	t, tells := f.told()
	if !tells {
		return // it answers who has given up
	}
	if t.T == record.Posted || t.T == record.Changed {
		if missing := s.proof.take(f); missing > 0 {
			s.say(record.Told{T: record.Gap, Channel: f.Channel, Seq: missing})
		}
		s.stand(0, f.Seq)
	}
	if t.T == record.Resync {
		s.proof.from(f.Head)
		s.stand(f.Epoch, f.Head)
	}
	s.say(t)
}

// stand notes where the telling stands; an epoch of 0 is the one that was.
func (s *Socket) stand(epoch, seq int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seq = seq
	if epoch > 0 {
		s.epoch = epoch
	}
}

// settles hands a frame to who waits for it, and reports whether that is all that it is for.
func (s *Socket) settles(f *frame) bool {
	var name Name
	switch {
	case f.Type == typeSendAck, f.Type == typeError && f.ClientMsgID != "":
		name = ByID(f.ClientMsgID)
	case f.Type == typeAck, f.Type == typePong, len(f.Ref) > 0:
		name = ByRef(string(f.Ref))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if name == "" {
		if f.Type == typeError {
			for _, w := range s.watch {
				offer(w, f.answer())
			}
		}
		return false
	}
	if list := s.waiting[name]; len(list) > 0 { // the first who asked
		offer(list[0], f.answer())
		s.waiting[name] = list[1:]
		s.count--
	}
	return true
}

// offer gives an answer to who waits; a second one counts for nothing.
func offer(to chan answer.Answer, a answer.Answer) {
	select {
	case to <- a:
	default: // there is one
	}
}

// over tells that the socket has ended, and ends whatever waits for an answer.
func (s *Socket) over(err error) {
	s.mu.Lock()
	why := s.why
	if why == "" {
		why = ending(err)
	}
	s.why, s.closed = why, max(0, int(websocket.CloseStatus(err)))
	s.mu.Unlock()
	s.say(record.Told{T: record.Offline, Code: why})
}

// ending is how a socket ended, in words: the close code and its reason, or what broke.
func ending(err error) string {
	var end websocket.CloseError
	if errors.As(err, &end) {
		return strings.TrimSpace(strconv.Itoa(int(end.Code)) + " " + end.Reason)
	}
	if errors.Is(err, context.Canceled) {
		return "closed by the client"
	}
	return err.Error()
}
