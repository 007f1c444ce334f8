//go:build linux

package rig

import (
	"encoding/binary"
	"fmt"
)

// Opcodes of RFC 6455.
const (
	opText  = 1
	opClose = 8
	opPing  = 9
	opPong  = 10
)

const (
	finBit   = 0x80
	maskBit  = 0x80
	length16 = 126 // the length follows in 2 bytes
	length64 = 127 // in 8; nobody here sends such frames
)

// nextFrame takes the first frame off data. n is how many bytes it has; 0: it is not all there. A masked payload
// is unmasked where it lies. The frame is the whole of it.
func nextFrame(data []byte) (op byte, payload []byte, n int) {
	if len(data) < 2 {
		return 0, nil, 0
	}
	size, at := int(data[1]&^maskBit), 2
	if size >= length16 {
		if size == length64 || len(data) < 4 {
			return 0, nil, 0
		}
		size, at = int(binary.BigEndian.Uint16(data[2:])), 4
	}
	masked := data[1]&maskBit != 0
	var mask []byte
	if masked {
		if len(data) < at+4 {
			return 0, nil, 0
		}
		mask = data[at : at+4]
		at += 4
	}
	if len(data) < at+size {
		return 0, nil, 0
	}
	payload = data[at : at+size]
	if masked {
		for i := range payload {
			payload[i] ^= mask[i%4]
		}
	}
	return data[0] & 0x0f, payload, at + size
}

// appendFrame appends a frame. One of a client is masked, with zeroes: nobody between here and the server reads it.
func appendFrame(dst []byte, op byte, payload []byte, client bool) []byte {
	var bit byte
	if client {
		bit = maskBit
	}
	dst = append(dst, finBit|op)
	if len(payload) < length16 {
		dst = append(dst, bit|byte(len(payload)))
	} else {
		dst = append(dst, bit|length16)
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(payload)))
	}
	if client {
		dst = append(dst, 0, 0, 0, 0)
	}
	return append(dst, payload...)
}

// stream is the bytes of one peer, in frames.
type stream struct {
	rest []byte // of a frame that has begun and not ended; nil while none has
}

// maxRest bounds what may wait for its end: nobody here sends larger frames.
const maxRest = 128 << 10

// take calls on for every frame that is complete with data.
func (s *stream) take(data []byte, on func(op byte, payload []byte) error) error {
	if s.rest != nil {
		data = append(s.rest, data...)
		s.rest = nil
	}
	for len(data) > 0 {
		op, payload, n := nextFrame(data)
		if n == 0 {
			break
		}
		if err := on(op, payload); err != nil {
			return err
		}
		data = data[n:]
	}
	if len(data) > maxRest {
		return fmt.Errorf("a frame of more than %d bytes", maxRest)
	}
	if len(data) > 0 {
		s.rest = append([]byte(nil), data...)
	}
	return nil
}
