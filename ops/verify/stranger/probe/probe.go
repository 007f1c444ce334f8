// Package probe tries what a server must not let in: ids that name nothing, and would name much if anybody put them into a subject, a path
// or a key; ids of another workspace; frames that are none. An attempt is ok when it was let in, and refused when the server said so or
// closed the socket.
//
// What is tried stands in tables: each place for an id (places) with each id that is hostile, and frames that are wrong by their form.
package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/ops/verify/stranger/answer"
	"github.com/canopychat/canopy/ops/verify/stranger/call"
	"github.com/canopychat/canopy/ops/verify/stranger/socket"
)

// Means are what an attempt is made with.
type Means struct {
	Calls *call.Client
	Space string                           // id of the workspace of ops that name none
	Conn  func(name string) *socket.Socket // nil: no such socket is open

	// Knock opens a socket at a gateway, and closes it again.
	Knock func(ctx context.Context, at string, query url.Values) answer.Answer
}

// attempt tries one thing.
type attempt func(ctx context.Context, m Means, op *record.Op) answer.Answer

// Names are all attempts, in the order in which they are declared. Those that end in "of another workspace" need the op's target, an id of
// a workspace or of a channel there; those that begin with "frame" the op's conn; those of a channel's pages the op's channel.
var Names, attempts = list()

// list makes all attempts: each place for an id with each id, and what is wrong by itself.
func list() (names []string, all map[string]attempt) {
	all = make(map[string]attempt)
	add := func(name string, try attempt) {
		names = append(names, name)
		all[name] = try
	}
	for _, place := range places {
		for _, bad := range hostile {
			add(place.name+" "+bad.what, func(ctx context.Context, m Means, op *record.Op) answer.Answer {
				return place.try(ctx, m, op, bad.id)
			})
		}
		if place.plain {
			continue
		}
		add(place.name+" of another workspace", func(ctx context.Context, m Means, op *record.Op) answer.Answer {
			if op.Target == "" {
				return answer.Lost(errors.New("the op names no target"))
			}
			return place.try(ctx, m, op, op.Target)
		})
	}
	for _, bad := range badFrames {
		add("frame "+bad.what, func(ctx context.Context, m Means, op *record.Op) answer.Answer { return throw(ctx, m, op, bad.bytes()) })
	}
	return names, all
}

// Try tries what the op's body says. Without op.Over the body is one of Names; else it stands for itself: a request («GET
// /channels/x/messages», with a body after it, if there is one), a frame, or the query of a socket.
func Try(ctx context.Context, m Means, op *record.Op) answer.Answer {
	try := attempts[op.Body]
	switch {
	case op.Over == record.REST:
		try = literalCall
	case op.Over == record.Socket:
		try = literalFrame
	case op.Over != "":
		try = literalQuery
	case try == nil:
		return answer.Lost(fmt.Errorf("there is no probe %q", op.Body))
	}
	a := try(ctx, m, op)
	if op.Phase != "" {
		return a.Measured()
	}
	return a
}

func literalCall(ctx context.Context, m Means, op *record.Op) answer.Answer {
	words := append(strings.SplitN(op.Body, " ", 3), "", "")
	k := call.Call{Method: words[0], Path: words[1], Again: words[0] == http.MethodGet, Reads: words[0] == http.MethodGet}
	if words[2] != "" {
		k.In, k.Raw = words[2], true
	}
	return m.Calls.Do(ctx, k)
}

func literalFrame(ctx context.Context, m Means, op *record.Op) answer.Answer {
	var named struct {
		Ref json.RawMessage `json:"ref"`
		ID  string          `json:"client_msg_id"`
	}
	// What cannot be read names nothing, and is answered with an error that names nothing, or with a close.
	_ = json.Unmarshal([]byte(op.Body), &named)
	b := socket.Bytes{Parts: [][]byte{[]byte(op.Body)}}
	if len(named.Ref) > 0 {
		b.Names = append(b.Names, socket.ByRef(string(named.Ref)))
	}
	if named.ID != "" {
		b.Names = append(b.Names, socket.ByID(named.ID))
	}
	return throw(ctx, m, op, b)
}

func literalQuery(ctx context.Context, m Means, op *record.Op) answer.Answer {
	query, err := url.ParseQuery(op.Body)
	if err != nil {
		return answer.Lost(err)
	}
	return m.Knock(ctx, op.At, query)
}

// ask sends a frame that should be refused over the op's socket.
func ask(ctx context.Context, m Means, op *record.Op, r socket.Request) answer.Answer {
	return over(ctx, m, op, func(ctx context.Context, s *socket.Socket) answer.Answer { return s.Provoke(ctx, r) })
}

// throw sends bytes over the op's socket.
func throw(ctx context.Context, m Means, op *record.Op, b socket.Bytes) answer.Answer {
	return over(ctx, m, op, func(ctx context.Context, s *socket.Socket) answer.Answer { return s.Throw(ctx, b) })
}

// over does something on the op's socket.
func over(ctx context.Context, m Means, op *record.Op, do func(context.Context, *socket.Socket) answer.Answer) answer.Answer {
	s := m.Conn(op.Conn)
	if s == nil {
		return answer.Lost(socket.ErrNone)
	}
	op.Over = record.Socket
	ctx, cancel := context.WithTimeout(ctx, call.Wait)
	defer cancel()
	return do(ctx, s)
}
