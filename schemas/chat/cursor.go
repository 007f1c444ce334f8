package chat

import (
	"errors"
	"strconv"
	"strings"
)

// Seq is a position in a workspace's log: the sequence that JetStream stored an event under.
// It is the message's id, its order, the client's cursor and the version of its stored row.
// 0 is before the first event. It stays below 1<<48 so that a Version holds it.
type Seq uint64

// MaxSeq is the largest Seq that a Version can hold.
const MaxSeq Seq = 1<<48 - 1

// Epoch counts the streams that a workspace's log has lived in. It starts at 1 and grows by
// one when the workspace moves to another shard, or its log begins anew because the hub was lost; seqs rise over all of them. A Cursor
// of another epoch cannot be resumed.
type Epoch uint16

// MaxEpoch is the largest Epoch that a Version can hold. Nothing of a larger one is stored (schemas/event).
const MaxEpoch Epoch = 1<<14 - 1

// Version orders everything that was ever stored of a workspace, over all its epochs: the
// write timestamp of a row is the Version of the event that caused it (DESIGN §5).
type Version int64

// VersionOf is epoch<<48 | seq. It stays below 1<<62, which is kept for deletes.
func VersionOf(e Epoch, s Seq) Version { return Version(uint64(e&MaxEpoch)<<48 | uint64(s&MaxSeq)) }

// Seq is the part of v that came from the log.
func (v Version) Seq() Seq { return Seq(uint64(v)) & MaxSeq }

// A Cursor says that everything up to Seq, of the log's Epoch, has been seen.
// Its text is "<epoch>.<seq>", which is also how a message is named to clients (server_msg_id).
type Cursor struct {
	Epoch Epoch
	Seq   Seq
}

// ErrBadCursor says that a text is not a cursor.
var ErrBadCursor = errors.New(`a cursor is "<epoch>.<seq>", two decimal numbers`)

// ParseCursor reads the text form. The error is ErrBadCursor.
func ParseCursor(s string) (Cursor, error) {
	epoch, seq, ok := strings.Cut(s, ".")
	e, err1 := parseDecimal(epoch, 14)
	n, err2 := parseDecimal(seq, 48)
	if !ok || err1 != nil || err2 != nil || e == 0 {
		return Cursor{}, ErrBadCursor
	}
	return Cursor{Epoch(e), Seq(n)}, nil
}

// String is the text form, "<epoch>.<seq>".
func (c Cursor) String() string {
	return strconv.FormatUint(uint64(c.Epoch), 10) + "." + strconv.FormatUint(uint64(c.Seq), 10)
}

// parseDecimal takes digits without a sign or leading zeros, so that a number has one spelling.
func parseDecimal(s string, bits int) (uint64, error) {
	if s == "" || (len(s) > 1 && s[0] == '0') || s[0] == '+' {
		return 0, ErrBadCursor
	}
	return strconv.ParseUint(s, 10, bits)
}
