package bus

import (
	"errors"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/streams"
)

// Entry is an event as a log holds it, or a message of another stream of ours.
type Entry struct {
	Place       streams.Place // zero if Foreign, and in a stream that is not a CHAT
	Foreign     bool          // it lies in a CHAT on a subject that none of ours is: put there by hand. Nobody is shown it, but it has its seq and is counted
	Subject     string        // if Foreign, and in a stream that is not a CHAT
	Seq         chat.Seq
	At          time.Time // when it was stored
	Payload     []byte    // the receiver's own
	MsgID       string    // by which the log knows a repetition; empty: put there by hand
	TraceParent string    // W3C Trace Context; may be empty
}

var (
	errNotAnEvent = errors.New("the headers are not those of a stored event")
	errStream     = errors.New("it is from another stream")
)

// parseEntry reads the headers that the server sets on a stored event.
func parseEntry(m *nats.Msg, stream string) (Entry, error) {
	if header(m, streams.HeaderStream) != stream {
		return Entry{}, errStream
	}
	seq, err := seqOf(m, streams.HeaderSequence)
	if err != nil || seq == 0 {
		return Entry{}, errNotAnEvent
	}
	at, err := time.Parse(time.RFC3339Nano, header(m, streams.HeaderTimeStamp))
	if err != nil {
		return Entry{}, errNotAnEvent
	}
	e := Entry{Seq: seq, At: at.UTC(), Payload: m.Data}
	e.setSubject(header(m, streams.HeaderSubject), stream)
	e.setPublished(m)
	return e, nil
}

// isLog reports whether places lie in a stream.
func isLog(stream string) bool {
	_, err := streams.ParseChatStream(stream)
	return err == nil
}

// setSubject fills in the place. A subject of another shard's cannot be in this stream.
func (e *Entry) setSubject(subject, stream string) {
	if !isLog(stream) {
		e.Subject = subject
		return
	}
	place, err := streams.ParseChat(subject)
	if err != nil || streams.ChatStream(place.Shard) != stream {
		e.Foreign, e.Subject = true, subject
		return
	}
	e.Place = place
}

// subject is the one that the event was published on.
func (e *Entry) subject() (string, error) {
	if e.Foreign {
		return e.Subject, nil
	}
	return streams.ChatSubject(e.Place.Shard, e.Place.WorkspaceID, e.Place.ChannelID)
}

// setPublished fills in what the publisher said.
func (e *Entry) setPublished(m *nats.Msg) {
	e.MsgID, e.TraceParent = header(m, streams.HeaderMsgID), header(m, streams.HeaderTrace)
}

// header is the last value of a header. The server adds its own after those that were published, so
// a publisher cannot forge them.
func header(m *nats.Msg, key string) string {
	if values := m.Header[key]; len(values) > 0 {
		return values[len(values)-1]
	}
	return ""
}

// numberOf reads a header that is a count.
func numberOf(m *nats.Msg, key string) (uint64, error) {
	return strconv.ParseUint(header(m, key), 10, 64)
}

// seqOf reads a header that is a position.
func seqOf(m *nats.Msg, key string) (chat.Seq, error) {
	n, err := numberOf(m, key)
	if err != nil || chat.Seq(n) > chat.MaxSeq {
		return 0, errNotAnEvent
	}
	return chat.Seq(n), nil
}
