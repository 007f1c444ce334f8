package wsconn

import (
	"encoding/binary"
	"math"

	"github.com/gobwas/ws"

	"github.com/canopychat/canopy/schemas/fault"
)

// The bits of the first two bytes of a header, and the two lengths that mean "the length follows"
// (RFC 6455 §5.2).
const (
	finBit    = 0x80
	maskBit   = 0x80
	opBits    = 0x0f
	rsvBits   = 0x70
	rsvShift  = 4
	lenBits   = 0x7f
	lenFollow = 126 // two bytes of length follow
	lenLong   = 127 // eight bytes of length follow
)

// decodeHeader reads the frame header at the start of b and says how many bytes it takes; 0 means
// that b does not hold all of it yet. It refuses a length that was not written in the shortest form
// or has its top bit set (§5.2); every other rule is check's.
func decodeHeader(b []byte) (h ws.Header, n int, err error) {
	if len(b) < ws.MinHeaderSize {
		return h, 0, nil
	}
	short := b[1] & lenBits
	n = ws.MinHeaderSize
	switch short {
	case lenFollow:
		n += 2
	case lenLong:
		n += 8
	}
	mask := n
	h.Masked = b[1]&maskBit != 0
	if h.Masked {
		n += len(h.Mask)
	}
	if len(b) < n {
		return h, 0, nil
	}
	h.Fin = b[0]&finBit != 0
	h.Rsv = (b[0] & rsvBits) >> rsvShift
	h.OpCode = ws.OpCode(b[0] & opBits)
	if h.Masked {
		copy(h.Mask[:], b[mask:n])
	}
	h.Length, err = decodeLength(short, b)
	return h, n, err
}

// decodeLength is the payload length of the header at the start of b, which is complete and whose
// seven-bit length is short.
func decodeLength(short byte, b []byte) (int64, error) {
	switch short {
	case lenFollow:
		length := int64(binary.BigEndian.Uint16(b[2:]))
		if length < lenFollow {
			return 0, errLengthForm()
		}
		return length, nil
	case lenLong:
		length := binary.BigEndian.Uint64(b[2:])
		if length > math.MaxInt64 {
			return 0, fault.New(fault.Protocol, "%v", ws.ErrHeaderLengthMSB)
		}
		if length <= math.MaxUint16 {
			return 0, errLengthForm()
		}
		return int64(length), nil
	default:
		return int64(short), nil
	}
}

func errLengthForm() error {
	return fault.New(fault.Protocol, "a frame's length must be written in the shortest form")
}

// appendHeader appends the header of a whole, unmasked frame with n bytes of payload.
func appendHeader(dst []byte, op ws.OpCode, n int) []byte {
	first := finBit | byte(op)
	switch {
	case n < lenFollow:
		return append(dst, first, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, first, lenFollow), uint16(n))
	default:
		return binary.BigEndian.AppendUint64(append(dst, first, lenLong), uint64(n))
	}
}
