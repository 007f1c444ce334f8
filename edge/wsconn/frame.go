package wsconn

import (
	"encoding/binary"
	"math"
	"sync"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// closeCodeSize is how many bytes of a close frame's payload are its code.
const closeCodeSize = 2

// MaxReason is the longest reason of a close frame, in bytes.
const MaxReason = MaxControl - closeCodeSize

// Close codes that the IANA registry has taken up since RFC 6455, first and last (service restart,
// try again later, bad gateway). gobwas/ws holds them for undefined.
const (
	firstLaterCode ws.StatusCode = 1012
	lastLaterCode  ws.StatusCode = 1014
)

// AppendText appends a text frame with payload, which is valid UTF-8, to dst.
func AppendText(dst, payload []byte) []byte {
	return append(appendHeader(dst, ws.OpText, len(payload)), payload...)
}

// AppendPing appends a ping with the first MaxControl bytes of payload to dst.
func AppendPing(dst, payload []byte) []byte { return appendControl(dst, ws.OpPing, payload) }

// AppendPong appends a pong with the first MaxControl bytes of payload, which are those of the ping
// that it answers, to dst.
func AppendPong(dst, payload []byte) []byte { return appendControl(dst, ws.OpPong, payload) }

// AppendClose appends a close frame to dst. code comes from schemas/fault or from a Close event;
// with 0, and with a code that may not be sent (RFC 6455 §7.4), the frame has neither code nor reason.
// reason is cut to MaxReason bytes at the start of a character, and before its first byte that is not
// UTF-8, because a client must refuse a reason that is not text.
func AppendClose(dst []byte, code int, reason string) []byte {
	if code < 0 || code > math.MaxUint16 || !sendable(ws.StatusCode(code)) {
		return appendHeader(dst, ws.OpClose, 0)
	}
	reason = cut(reason)
	dst = appendHeader(dst, ws.OpClose, closeCodeSize+len(reason))
	dst = binary.BigEndian.AppendUint16(dst, uint16(code))
	return append(dst, reason...)
}

// Frame is a text frame in one allocation of exactly its size, for a frame that lives long and goes to
// many. build appends the payload to dst and returns it, as append does; dst is shared scratch space,
// so build keeps no part of it, and returns what is valid UTF-8. Safe for concurrent use.
func Frame(build func(dst []byte) []byte) []byte {
	buf := scratch.Get().(*[]byte)
	payload := build((*buf)[:0])
	frame := make([]byte, 0, headerSize(len(payload))+len(payload))
	frame = AppendText(frame, payload)
	if cap(payload) <= maxScratch {
		*buf = payload
		scratch.Put(buf)
	}
	return frame
}

// maxScratch is the largest buffer that is kept for the next Frame, in bytes. A frame made of a
// stored event (64 KiB) fits, after append's rounding up; a rare larger one is left to the collector.
const maxScratch = 128 << 10

// scratch holds the buffers in which Frame lets a payload be built, as pointers so that putting one
// back does not allocate.
var scratch = sync.Pool{New: func() any { return new([]byte) }}

// headerSize is how many bytes the header of an unmasked frame with n bytes of payload takes.
func headerSize(n int) int { return ws.HeaderSize(ws.Header{Length: int64(n)}) }

func appendControl(dst []byte, op ws.OpCode, payload []byte) []byte {
	payload = payload[:min(len(payload), MaxControl)]
	return append(appendHeader(dst, op, len(payload)), payload...)
}

// sendable reports whether code may stand in a close frame: defined by RFC 6455 §7.4.1 and not
// reserved, registered later, or in the ranges of libraries (3000) and applications (4000–4999).
func sendable(code ws.StatusCode) bool {
	if code >= firstLaterCode && code <= lastLaterCode {
		return true
	}
	return code <= ws.StatusRangePrivate.Max && ws.CheckCloseFrameData(code, "") == nil
}

// cut is the longest start of reason that a close frame can carry.
func cut(reason string) string {
	end := 0
	for end < len(reason) {
		r, size := utf8.DecodeRuneInString(reason[end:])
		if r == utf8.RuneError && size == 1 || end+size > MaxReason {
			break
		}
		end += size
	}
	return reason[:end]
}
