package stranger

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/ops/verify/stranger/answer"
	"github.com/canopychat/canopy/ops/verify/stranger/call"
	"github.com/canopychat/canopy/ops/verify/stranger/socket"
)

// write does what is stored and answered with a seq: over the op's socket, or over REST. A message that was sent more than once, because
// the first time was answered with what leaves it open, is noted as Again.
func (h *Hand) write(ctx context.Context, op *record.Op) answer.Answer {
	var a answer.Answer
	if op.Over == record.REST || op.Over == "" && op.Conn == "" {
		op.Over = record.REST
		a = h.writeREST(ctx, op)
	} else {
		op.Over = record.Socket
		a = h.writeSocket(ctx, op)
	}
	op.Again = op.Again || a.Again && op.F == record.Send
	return a
}

// writeSocket is write over a socket. Only a send has an id that makes one of two, and nothing is sent again when the socket has ended.
func (h *Hand) writeSocket(ctx context.Context, op *record.Op) answer.Answer {
	s := h.live(op.Conn)
	if s == nil {
		return answer.Lost(socket.ErrNone)
	}
	ctx, cancel := context.WithTimeout(ctx, socket.AnswerWait)
	defer cancel()
	p := answer.Patience{One: op.Phase != "", Again: func(a answer.Answer) bool { return op.F == record.Send && a.Failed() }}
	return answer.Persist(ctx, p, func(again bool) answer.Answer { return s.Ask(ctx, requestOf(op, again || op.Again)) })
}

// requestOf is the frame of an op.
func requestOf(op *record.Op, again bool) socket.Request {
	r := socket.Request{"channel_id": op.Channel}
	if op.F != record.Send {
		r["seq"] = op.Message
	}
	switch op.F {
	case record.Send:
		r["type"], r["client_msg_id"], r["body"] = "message.send", op.ID, op.Body
		if op.Thread > 0 {
			r["thread"] = op.Thread
		}
		if again {
			r["retry"] = true
		}
	case record.Edit:
		r["type"], r["body"] = "message.edit", op.Body
	case record.Delete:
		r["type"] = "message.delete"
	case record.React:
		r["type"], r["emoji"] = "reaction.add", op.Emoji
	case record.Unreact:
		r["type"], r["emoji"] = "reaction.remove", op.Emoji
	case record.Mark:
		r["type"] = "cursor.read"
	}
	return r
}

// stored is what REST answers to a write.
type stored struct {
	Seq       int64  `json:"seq"`
	Duplicate bool   `json:"duplicate"`
	Status    string `json:"status"` // of a send
}

// writeREST is write over REST.
func (h *Hand) writeREST(ctx context.Context, op *record.Op) answer.Answer {
	var got stored
	k := callOf(op)
	k.Out = &got
	a := h.rest(ctx, op, k)
	if a.Outcome != record.OK {
		return a
	}
	if got.Seq < 1 || op.F == record.Send && got.Status != "stored" {
		a.Outcome, a.Code = record.Unknown, "the answer does not say where it was stored"
		return a
	}
	a.Seq, a.Duplicate = got.Seq, got.Duplicate
	return a
}

// callOf is the call of an op.
func callOf(op *record.Op) call.Call {
	channel := "/channels/" + url.PathEscape(op.Channel)
	one := channel + "/messages/" + strconv.FormatInt(op.Message, 10)
	switch op.F {
	case record.Send:
		in := map[string]any{"body": op.Body, "client_msg_id": op.ID}
		if op.Thread > 0 {
			in["thread"] = op.Thread
		}
		return call.Call{Method: http.MethodPost, Path: channel + "/messages", In: in, Again: true}
	case record.Edit:
		return call.Call{Method: http.MethodPatch, Path: one, In: map[string]string{"body": op.Body}}
	case record.Delete:
		return call.Call{Method: http.MethodDelete, Path: one}
	case record.React:
		return call.Call{Method: http.MethodPut, Path: one + "/reactions/" + url.PathEscape(op.Emoji)}
	case record.Unreact:
		return call.Call{Method: http.MethodDelete, Path: one + "/reactions/" + url.PathEscape(op.Emoji)}
	default: // a mark, which moves forward only
		return call.Call{Method: http.MethodPost, Path: channel + "/read", In: map[string]int64{"seq": op.Message}, Again: true}
	}
}

// light sends what is stored nowhere.
func (h *Hand) light(ctx context.Context, op *record.Op) answer.Answer {
	op.Over = record.Socket
	s := h.live(op.Conn)
	if s == nil {
		return answer.Lost(socket.ErrNone)
	}
	if op.F == record.Status {
		return s.Ask(ctx, socket.Request{"type": "presence.set", "status": "online", "text": op.Body})
	}
	if err := s.Send(ctx, socket.Request{"type": "typing.start", "channel_id": op.Channel}); err != nil {
		return answer.Lost(err)
	}
	return answer.OK()
}
