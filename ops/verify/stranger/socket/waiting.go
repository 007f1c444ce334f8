package socket

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"

	"github.com/coder/websocket"

	"github.com/canopychat/canopy/ops/verify/stranger/answer"
)

// Request is a frame to send.
type Request map[string]any

// Name is what the answer to a frame names.
type Name string

// ByID names a frame by its client_msg_id.
func ByID(id string) Name { return Name("id " + id) }

// ByRef names a frame by its ref, as JSON.
func ByRef(ref string) Name { return Name("ref " + ref) }

// Ask sends a frame and waits for its answer. A frame without a client_msg_id gets a ref.
func (s *Socket) Ask(ctx context.Context, r Request) answer.Answer {
	ctx, cancel := context.WithTimeout(ctx, AnswerWait)
	defer cancel()
	var name Name
	if id, ok := r["client_msg_id"].(string); ok {
		name = ByID(id)
	} else {
		ref := s.newRef()
		r["ref"], name = ref, ByRef(strconv.Quote(ref))
	}
	got := make(chan answer.Answer, 1)
	if err := s.wait(name, got); err != nil {
		return answer.Lost(err)
	}
	defer s.waitNot(name, got)
	if err := s.Send(ctx, r); err != nil {
		return answer.Lost(err)
	}
	return s.answered(ctx, got)
}

// answered waits for an answer.
func (s *Socket) answered(ctx context.Context, got <-chan answer.Answer) answer.Answer {
	select {
	case a := <-got:
		return a
	case <-s.ended:
	case <-ctx.Done():
		return answer.Lost(ctx.Err())
	}
	select {
	case a := <-got: // it came before the end
		return a
	default:
		return answer.Lost(s.Why())
	}
}

func (s *Socket) newRef() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refs++
	return "s" + strconv.FormatInt(s.refs, 10)
}

// wait makes got, which has room for one, the place of an answer.
func (s *Socket) wait(name Name, got chan answer.Answer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count >= maxWaiting {
		return errWaiting
	}
	s.waiting[name] = append(s.waiting[name], got)
	s.count++
	return nil
}

func (s *Socket) waitNot(name Name, got chan answer.Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.waiting[name]
	if i := slices.Index(list, got); i >= 0 {
		s.count--
		s.waiting[name] = slices.Delete(list, i, i+1)
	}
	if len(s.waiting[name]) == 0 {
		delete(s.waiting, name)
	}
}

// Send writes a frame, and waits for no answer.
func (s *Socket) Send(ctx context.Context, r Request) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := s.write(ctx, websocket.MessageText, text); err != nil {
		return s.whyEnded(err)
	}
	return nil
}

func (s *Socket) write(ctx context.Context, kind websocket.MessageType, text []byte) error {
	// A write that is broken off ends the socket: that one op is given up is no reason for it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeWait)
	defer cancel()
	return s.ws.Write(ctx, kind, text)
}
