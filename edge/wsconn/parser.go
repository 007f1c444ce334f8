package wsconn

import (
	"unicode/utf8"

	"github.com/gobwas/ws"

	"github.com/canopychat/canopy/schemas/fault"
)

// Limits of what a client may send.
const (
	MaxFrame   = 64 << 10 // bytes of one frame's payload
	MaxMessage = 64 << 10 // bytes of a message over all its fragments

	// MaxFragments is how many frames a message may come in, empty ones included: 64 bytes each for
	// the longest message. Empty fragments are legal and never reach MaxMessage, so without this
	// limit they would hold a message open without end.
	MaxFragments = 1024

	// MaxControl is the longest payload of a ping, pong or close, in bytes (RFC 6455 §5.5).
	MaxControl = ws.MaxControlFramePayloadSize
)

// EventKind is what a client sent.
type EventKind uint8

// The kinds of event. The zero kind is none.
const (
	Text  EventKind = 1 + iota // a whole message; Payload is valid UTF-8 of at most MaxMessage bytes
	Ping                       // Payload, at most MaxControl bytes, goes back in a pong
	Pong                       // Payload is what the client answers to, at most MaxControl bytes
	Close                      // the client closes, with Code and the reason in Payload; nothing follows
)

// Event is one thing that a client sent.
//
// Payload lies in the buffer given to Feed or in one that the parser drops: it is valid during the
// callback only. The receiver copies what outlives it.
type Event struct {
	Payload []byte
	Code    int // of Close: a code that may be sent back as it is; 0: the client gave none
	Kind    EventKind
}

// Parser turns the bytes of one client into events. The zero value is ready. It belongs to one
// goroutine at a time.
//
// It holds no memory while nothing is partial. While something is, it holds some 100 bytes and buffers
// of at most twice the bytes that have arrived, and never more than MaxMessage and a control frame.
type Parser struct {
	part     *partial // nil while nothing is partial
	finished uint32   // see Finished
	over     bool     // a close frame or an error came: what follows has no meaning
}

// partial is what a parser keeps of a frame or a message that has begun and not ended.
//
// Invariants: headLen > 0 only while a header is incomplete, and then inFrame is false; inFrame says
// that frame's payload is awaited, of which got < frame.Length bytes have come; message[:checked] is
// valid UTF-8 and the rest of message is the start of one character.
type partial struct {
	message []byte // unmasked payload of the data frames so far
	control []byte // unmasked payload of the control frame so far: it may stand between fragments

	frame     ws.Header
	got       int
	checked   int
	fragments int // data frames begun

	head    [ws.MaxHeaderSize]byte
	headLen uint8
	inFrame bool
	open    bool // a fragment has come and the last one has not
}

// Feed parses data, which follows what it was fed before, and calls emit for every event in it, in
// order. It may change data: payloads are unmasked where they lie. It keeps no reference to data.
// emit must not call Feed.
//
// An error is a *fault.Error, whose Kind names the close code: Protocol, TooLarge, NotText, or
// Unsupported for a binary message. An error of emit comes back as it is. After an error, and after
// a Close event, the conversation is over (RFC 6455 §5.5.1, §7.1.7): Feed drops what follows, so that
// a socket may be read on while the last answer goes out.
func (p *Parser) Feed(data []byte, emit func(Event) error) error {
	for len(data) > 0 && !p.over {
		n, event, err := p.next(data)
		if err != nil || event.Kind == Close {
			p.over, p.part = true, nil
		}
		if err == nil && event.Kind != 0 {
			err = emit(event)
		}
		if err != nil {
			p.over, p.part = true, nil
			return err
		}
		data = data[n:]
	}
	return nil
}

// Partial reports whether a frame or a message has begun and not ended. How long it may take is the
// caller's business.
func (p *Parser) Partial() bool { return p.part != nil }

// Finished counts, wrapping around, the messages that have ended and the control frames outside of
// messages. While Partial holds and Finished stands still, the same thing is partial: that is how a
// caller tells a client that dawdles from one whose reads happen to end inside one frame after another.
func (p *Parser) Finished() uint32 { return p.finished }

// next takes the next step in data, which is not empty: a header, a piece of payload, or a whole
// frame. It says how many bytes it used, and the event that they complete, if any.
func (p *Parser) next(data []byte) (int, Event, error) {
	if p.part != nil && p.part.inFrame {
		return p.payload(data)
	}
	h, n, err := p.header(data)
	if err != nil || n == 0 {
		return len(data), Event{}, err
	}
	size := int(h.Length)
	if len(data)-n >= size && (h.OpCode.IsControl() || h.Fin && !p.open()) {
		body := data[n : n+size : n+size] // capped: an append by the receiver must not reach the next frame
		ws.Cipher(body, h.Mask, 0)
		event, err := p.whole(h.OpCode, body)
		return n + size, event, err
	}
	p.begin(h)
	if size == 0 { // an empty fragment ends where it begins
		event, err := p.endFrame()
		return n, event, err
	}
	return n, Event{}, nil
}

// header completes a frame's header with the start of data and checks it. n is how many bytes of data
// it took; 0 means that data ended before the header did and was kept.
func (p *Parser) header(data []byte) (h ws.Header, n int, err error) {
	if p.part == nil || p.part.headLen == 0 {
		h, n, err = decodeHeader(data)
		if n == 0 {
			p.hold().headLen = uint8(copy(p.part.head[:], data))
			return h, 0, nil
		}
	} else {
		part := p.part
		had := int(part.headLen)
		end := had + copy(part.head[had:], data)
		h, n, err = decodeHeader(part.head[:end])
		if n == 0 {
			part.headLen = uint8(end)
			return h, 0, nil
		}
		part.headLen = 0
		n -= had
	}
	if err == nil {
		err = p.check(h)
	}
	return h, n, err
}

// check applies every rule that a header alone can break, before a byte of payload is kept.
func (p *Parser) check(h ws.Header) error {
	state := ws.StateServerSide
	var length int64
	var fragments int
	if p.open() {
		state = state.Set(ws.StateFragmented)
		length, fragments = int64(len(p.part.message)), p.part.fragments
	}
	if err := ws.CheckHeader(h, state); err != nil {
		return fault.New(fault.Protocol, "%v", err)
	}
	switch {
	case h.OpCode.IsControl():
		return nil
	case h.OpCode == ws.OpBinary:
		return fault.New(fault.Unsupported, "this server takes text messages only")
	case h.Length > MaxFrame:
		return fault.New(fault.TooLarge, "a frame may have %d bytes", MaxFrame)
	case h.Length > MaxMessage-length:
		return fault.New(fault.TooLarge, "a message may have %d bytes", MaxMessage)
	case fragments >= MaxFragments:
		return fault.New(fault.TooLarge, "a message may come in %d fragments", MaxFragments)
	}
	return nil
}

// whole is the event of a frame that needs nothing from before: a control frame or an unfragmented
// text, unmasked in body.
func (p *Parser) whole(op ws.OpCode, body []byte) (Event, error) {
	if !p.open() {
		p.settle()
	}
	if op.IsControl() {
		return controlEvent(op, body)
	}
	if !utf8.Valid(body) {
		return Event{}, errNotText()
	}
	return Event{Kind: Text, Payload: body}, nil
}

// begin notes that the payload of h is awaited.
func (p *Parser) begin(h ws.Header) {
	part := p.hold()
	part.frame, part.got, part.inFrame = h, 0, true
	if h.OpCode.IsControl() {
		part.control = part.control[:0]
	} else {
		part.fragments++
	}
}

// payload keeps what data has of the awaited payload, and checks text as far as it has come.
func (p *Parser) payload(data []byte) (int, Event, error) {
	part := p.part
	rest := int(part.frame.Length) - part.got
	n := min(rest, len(data))
	if part.frame.OpCode.IsControl() {
		part.control = appendUnmasked(part.control, data[:n], part.frame, part.got)
	} else {
		part.message = appendUnmasked(part.message, data[:n], part.frame, part.got)
		whole, ok := checkText(part.message[part.checked:])
		if !ok {
			return n, Event{}, errNotText()
		}
		part.checked += whole
	}
	part.got += n
	if n < rest {
		return n, Event{}, nil
	}
	event, err := p.endFrame()
	return n, event, err
}

// endFrame ends the frame whose payload is complete, and with its last fragment the message.
func (p *Parser) endFrame() (Event, error) {
	part := p.part
	part.inFrame = false
	if part.frame.OpCode.IsControl() {
		if !part.open {
			p.settle()
		}
		return controlEvent(part.frame.OpCode, part.control)
	}
	if !part.frame.Fin {
		part.open = true
		return Event{}, nil
	}
	p.settle()
	if part.checked < len(part.message) {
		return Event{}, errNotText()
	}
	return Event{Kind: Text, Payload: part.message}, nil
}

// open reports whether a message has begun and waits for its next fragment.
func (p *Parser) open() bool { return p.part != nil && p.part.open }

// hold makes room for what is partial.
func (p *Parser) hold() *partial {
	if p.part == nil {
		p.part = new(partial)
	}
	return p.part
}

// settle notes that nothing is partial any more.
func (p *Parser) settle() {
	p.part = nil
	p.finished++
}

// appendUnmasked appends data, which is masked and follows the first got bytes of h's payload. The
// buffer doubles with what arrives and never outgrows what may still come, which check has limited:
// the rest of the last frame, or of the longest message while more fragments follow. (Were it fitted
// to each fragment, a message of small ones would be copied once a fragment.)
func appendUnmasked(dst, data []byte, h ws.Header, got int) []byte {
	had := len(dst)
	if need := had + len(data); need > cap(dst) {
		most := MaxMessage
		if h.Fin {
			most = had - got + int(h.Length)
		}
		grown := make([]byte, had, min(2*need, most))
		copy(grown, dst)
		dst = grown
	}
	dst = append(dst, data...)
	ws.Cipher(dst[had:], h.Mask, got)
	return dst
}

// controlEvent is the event of a control frame with body as its unmasked payload.
func controlEvent(op ws.OpCode, body []byte) (Event, error) {
	switch op {
	case ws.OpPing:
		return Event{Kind: Ping, Payload: body}, nil
	case ws.OpPong:
		return Event{Kind: Pong, Payload: body}, nil
	}
	// check let no other control frame pass than a close.
	if len(body) == 0 {
		return Event{Kind: Close}, nil
	}
	if len(body) < closeCodeSize {
		return Event{}, fault.New(fault.Protocol, "a close frame has no payload or a code of two bytes in it")
	}
	code, _ := ws.ParseCloseFrameDataUnsafe(body)
	if !sendable(code) {
		return Event{}, fault.New(fault.Protocol, "close code %d may not be sent", code)
	}
	reason := body[closeCodeSize:]
	if !utf8.Valid(reason) {
		return Event{}, errNotText()
	}
	return Event{Kind: Close, Code: int(code), Payload: reason}, nil
}

func errNotText() error {
	return fault.New(fault.NotText, "text must be valid UTF-8")
}
