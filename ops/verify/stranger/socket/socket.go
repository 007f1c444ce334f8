package socket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/ops/verify/stranger/answer"
)

// Limits of a socket.
const (
	maxFrame   = 4 << 20 // of a gateway; ours are limited by it
	maxWaiting = 4096    // answers that are waited for; above it an op is not begun
	writeWait  = 20 * time.Second
	AnswerWait = 60 * time.Second // for what answers a frame, with all tries
)

// What keeps a frame from being sent, or answered.
var (
	ErrEnded   = errors.New("the socket has ended")
	ErrNone    = errors.New("no such socket is open")
	errWaiting = errors.New("too much is waited for on this socket")
)

// Opening is how a socket is asked for.
type Opening struct {
	URL   string     // ws://…/socket
	Query url.Values // workspace and cursor

	Conn, At, Who string // of what is told
	Tell          func(record.Told)

	HTTP          *http.Client
	Beat, Silence time.Duration // between pings, and for which a pong may be missing
}

// Hello is what a socket says first.
type Hello struct {
	Cursor  string // the telling begins after it
	Resumed bool   // the telling begins where it was asked to

	epoch int64
}

// After is the cursor after a seq of the log that the socket tells of.
func (h Hello) After(seq int64) string { return string(cursorOf(h.epoch, seq)) }

// Socket is one WebSocket, and what it told. It may be used from many goroutines.
type Socket struct {
	// immutable after Open
	o     Opening
	ws    *websocket.Conn
	hello Hello
	ended chan struct{} // closed by Run when the last was told

	// of the reader
	proof *proof

	mu sync.Mutex
	// guarded by mu
	epoch   int64
	seq     int64 // of what was told last
	why     string
	closed  int                           // the close code that came; 0: none
	waiting map[Name][]chan answer.Answer // for an answer
	count   int                           // in waiting
	watch   []chan answer.Answer          // for an error that answers nothing
	stalled chan struct{}                 // closed when reading goes on; nil: it is not stopped
	stalls  int
	refs    int64
}

// Open opens a socket with a token, and reads its hello. After an answer that is not ok there is none. Run must follow, also to end it.
func Open(ctx context.Context, o Opening, token string) (*Socket, answer.Answer) {
	ws, a := dial(ctx, o, token)
	if a.Outcome != record.OK {
		return nil, a
	}
	s := &Socket{o: o, ws: ws, ended: make(chan struct{}), waiting: make(map[Name][]chan answer.Answer)}
	if a := s.greet(ctx); a.Outcome != record.OK {
		return nil, a
	}
	return s, a
}

// dial opens a WebSocket. The token goes in a header or in a subprotocol, by the name of the conn: both are documented.
func dial(ctx context.Context, o Opening, token string) (*websocket.Conn, answer.Answer) {
	options := websocket.DialOptions{HTTPClient: o.HTTP}
	if len(o.Conn)%2 == 0 {
		options.HTTPHeader = http.Header{"Authorization": {"Bearer " + token}}
	} else {
		options.Subprotocols = []string{"canopy.bearer." + token}
	}
	ws, resp, err := websocket.Dial(ctx, o.URL+"?"+o.Query.Encode(), &options)
	if err != nil {
		return nil, declined(resp, err)
	}
	ws.SetReadLimit(maxFrame)
	return ws, answer.OK()
}

// declined is the answer to a socket that was not opened.
func declined(resp *http.Response, err error) answer.Answer {
	if resp == nil || resp.StatusCode == http.StatusSwitchingProtocols {
		return answer.Lost(err)
	}
	var text []byte
	if resp.Body != nil {
		var failed error
		if text, failed = io.ReadAll(resp.Body); failed != nil {
			return answer.Lost(errors.Join(err, failed))
		}
	}
	if a := answer.Of(resp, text, nil); a.Outcome != record.OK {
		return a
	}
	return answer.Lost(err)
}

// greet reads the first frame, which says where the telling begins. A gateway may send an error instead, and close.
func (s *Socket) greet(ctx context.Context) answer.Answer {
	f, err := s.next(ctx)
	if err != nil {
		return unsaid(err, s.ws.CloseNow())
	}
	if f.Type == typeError {
		a := f.answer()
		if err := s.ws.CloseNow(); err != nil && a.Outcome == record.Unknown {
			a.Code += ": " + err.Error()
		}
		return a
	}
	if f.Type != typeHello {
		return answer.Lost(errors.Join(fmt.Errorf("%w: %s comes before hello", errFrame, f.Type), s.ws.CloseNow()))
	}
	from := f.Head
	if asked, seq := cursor(s.o.Query.Get("cursor")).parts(); f.Resumed && asked > 0 {
		from = seq
	}
	s.epoch, s.seq = f.Epoch, from
	s.proof = newProof(f.User)
	s.proof.from(from)
	s.hello = Hello{Cursor: s.Cursor(), Resumed: f.Resumed, epoch: f.Epoch}
	t, _ := f.told()
	t.Cursor = s.hello.Cursor
	s.say(t)
	return answer.OK()
}

// unsaid is the answer of a socket that ended before its hello: a close code that asks the client not to come back is a refusal.
func unsaid(err, closing error) answer.Answer {
	var end websocket.CloseError
	if errors.As(err, &end) {
		a := answer.Answer{Outcome: record.Unknown, Code: ending(err)}
		if end.Code/100 >= 45 || end.Code == websocket.StatusPolicyViolation {
			a.Outcome = record.Refused
		}
		return a
	}
	return answer.Lost(errors.Join(err, closing))
}

// Hello is what the socket said first.
func (s *Socket) Hello() Hello { return s.hello }

// Conn is the name that the socket was given.
func (s *Socket) Conn() string { return s.o.Conn }

// Cursor is what another socket goes on with, also when this one has ended: the place of what was told last.
func (s *Socket) Cursor() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(cursorOf(s.epoch, s.seq))
}

// Ended is closed when the socket has ended and all of it was told.
func (s *Socket) Ended() <-chan struct{} { return s.ended }

// IsOpen reports whether the socket has not ended.
func (s *Socket) IsOpen() bool {
	select {
	case <-s.ended:
		return false
	default:
		return true
	}
}

// Close ends the socket from this side. Run tells the end of it.
func (s *Socket) Close() {
	s.noteWhy("closed by the client")
	_ = s.ws.Close(websocket.StatusNormalClosure, "") // the other side may have gone, or be silent: it has ended all the same
}

// Why is why the socket has ended.
func (s *Socket) Why() error { return s.whyEnded(ErrEnded) }

// whyEnded is why the socket has ended; err when that is not known.
func (s *Socket) whyEnded(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.why != "" {
		return fmt.Errorf("%w: %s", ErrEnded, s.why)
	}
	return err
}

// noteWhy notes why the socket ends; the first reason counts.
func (s *Socket) noteWhy(why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.why == "" {
		s.why = why
	}
}
