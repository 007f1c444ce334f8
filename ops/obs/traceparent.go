package obs

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/rand/v2"
)

// ErrBadTraceParent says that a text is no traceparent.
var ErrBadTraceParent = errors.New("not a W3C traceparent")

// TraceParentHeader is the header's name wherever a trace travels.
const TraceParentHeader = "traceparent"

// traceParentLen is the length of version 00: 2 digits, 32, 16 and 2, and the dashes.
const traceParentLen = 55

// TraceParent is where in a trace something happens (W3C Trace Context, §3.2). The ids of one that was parsed are
// not zero.
type TraceParent struct {
	TraceID [16]byte
	SpanID  [8]byte
	Flags   byte // bit 0: the trace is recorded
}

// Sampled reports whether the trace is recorded.
func (t TraceParent) Sampled() bool { return t.Flags&1 != 0 }

// ParseTraceParent reads a traceparent. Of a version after 00 it reads what 00 knows, as the standard asks. The
// error is ErrBadTraceParent; the caller then begins a trace of its own.
func ParseTraceParent(text string) (TraceParent, error) {
	var t TraceParent
	if len(text) < traceParentLen || text[2] != '-' || text[35] != '-' || text[52] != '-' {
		return t, ErrBadTraceParent
	}
	var version, flags [1]byte
	ok := lowerHex(version[:], text[:2]) && lowerHex(t.TraceID[:], text[3:35]) && lowerHex(t.SpanID[:], text[36:52]) && lowerHex(flags[:], text[53:55])
	switch {
	case !ok, version[0] == 0xff,
		len(text) > traceParentLen && (version[0] == 0 || text[traceParentLen] != '-'),
		t.TraceID == [16]byte{}, t.SpanID == [8]byte{}:
		return TraceParent{}, ErrBadTraceParent
	}
	t.Flags = flags[0]
	return t, nil
}

// lowerHex decodes digits into all of dst. The standard does not know capital letters here.
func lowerHex(dst []byte, text string) bool {
	for i := range dst {
		high, low := digit(text[2*i]), digit(text[2*i+1])
		if high|low > 15 {
			return false
		}
		dst[i] = high<<4 | low
	}
	return true
}

// digit is the value of a digit, or 255.
func digit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 255
}

// AppendTraceParent appends t in version 00.
func AppendTraceParent(to []byte, t TraceParent) []byte {
	to = append(to, "00-"...)
	to = hex.AppendEncode(to, t.TraceID[:])
	to = append(to, '-')
	to = hex.AppendEncode(to, t.SpanID[:])
	to = append(to, '-')
	return hex.AppendEncode(to, []byte{t.Flags})
}

// String is t in version 00.
func (t TraceParent) String() string {
	var text [traceParentLen]byte
	return string(AppendTraceParent(text[:0], t))
}

// newTraceParent begins a trace that nobody records. Its ids connect lines of logs and are no secret, so
// they need no source of chance that costs a system call.
func newTraceParent() TraceParent {
	var t TraceParent
	binary.BigEndian.PutUint64(t.TraceID[:], rand.Uint64())
	binary.BigEndian.PutUint64(t.TraceID[8:], rand.Uint64()|1) // never all zero
	binary.BigEndian.PutUint64(t.SpanID[:], rand.Uint64()|1)
	return t
}
