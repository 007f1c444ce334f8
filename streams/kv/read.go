package kv

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
)

// Limits of one answer to many keys (nats-server stream.go); with fewer subjects than that, one answer holds them.
const (
	maxLast   = 1024
	lastBytes = 4 << 20
)

// errMany says that more keys match than one answer may hold.
var errMany = errors.New("more keys match than one answer holds")

// An Op says what an Entry tells.
type Op uint8

// The ops. Reading yields Put only.
const (
	Put      Op = iota // the key has this value
	Delete             // the key ended: somebody deleted it, or its time was over
	Start              // of a Watch: everything that is there follows; what is not told before Complete is there no longer
	Complete           // of a Watch: that was everything; what follows are changes
)

// An Entry is a key and its value, or what happened to it.
type Entry struct {
	Op       Op
	Key      string    // empty for Start and Complete
	Value    []byte    // the receiver's own
	Revision Revision  // rises with each write of the bucket
	At       time.Time // when it was stored, by the server's clock
}

// lastRequest is the body of a get of one key from the leader, or of a Direct Get of many.
type lastRequest struct {
	Seq       Revision `json:"seq,omitempty"`
	LastFor   string   `json:"last_by_subj,omitempty"`
	MultiLast []string `json:"multi_last,omitempty"`
	MaxBytes  int      `json:"max_bytes,omitempty"`
}

// Get is the value of a key, as the bucket's leader has it. The error is NotFound when there is none.
func (b *Bucket) Get(ctx context.Context, key string) (Entry, error) {
	e, err := b.last(ctx, key)
	if err == nil && e.Op != Put {
		err = fault.New(fault.NotFound, "There is no such key")
	}
	if err != nil {
		return Entry{}, err
	}
	return e, nil
}

// last is what was last written of a key, its end included.
func (b *Bucket) last(ctx context.Context, key string) (Entry, error) {
	subject, err := streams.BucketKeySubject(b.name, key)
	if err == nil {
		_, err = streams.ParseBucketKey(b.name, subject) // a filter is not a key
	}
	if err != nil {
		return Entry{}, fault.Wrap(fault.Invalid, err, "This is not a key")
	}
	var answer struct {
		Message struct {
			Seq    Revision  `json:"seq"`
			Header []byte    `json:"hdrs"`
			Data   []byte    `json:"data"`
			Time   time.Time `json:"time"`
		} `json:"message"`
	}
	if err := b.conn.RequestAPI(ctx, b.leaderGet, lastRequest{LastFor: subject}, &answer); err != nil {
		return Entry{}, err
	}
	e := Entry{Key: key, Value: answer.Message.Data, Revision: answer.Message.Seq, At: answer.Message.Time.UTC()}
	if len(answer.Message.Header) > 0 {
		h, err := nats.DecodeHeadersMsg(answer.Message.Header)
		if err != nil {
			return Entry{}, fmt.Errorf("headers of %s: %w", subject, err)
		}
		e.Op = opOf(h)
	}
	return e, nil
}

// GetMany are the values of those of the keys that are there, as far as the replica that answers knows: it may lag. Whoever
// must not miss a key asks Get, or keeps a Watch.
func (b *Bucket) GetMany(ctx context.Context, keys []string) (map[string]Entry, error) {
	found := make(map[string]Entry, len(keys))
	for part := range slices.Chunk(keys, maxLast) {
		entries, err := b.lastOf(ctx, part)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			found[e.Key] = e
		}
	}
	return found, nil
}

// List are the entries whose keys match one of the filters, rising by revision; without a filter, all of them; of any
// replica, as with GetMany. More
// than 1,024 cost a consumer for a moment: whoever needs them often keeps a Watch instead.
func (b *Bucket) List(ctx context.Context, filters ...string) ([]Entry, error) {
	if len(filters) == 0 {
		filters = []string{everything}
	}
	entries, err := b.lastOf(ctx, filters)
	if errors.Is(err, errMany) {
		return b.snapshot(ctx, filters)
	}
	return entries, err
}

// lastOf asks for the last entry of each key, in as many answers as it takes.
func (b *Bucket) lastOf(ctx context.Context, filters []string) ([]Entry, error) {
	if len(filters) == 0 {
		return nil, nil
	}
	subjects, err := b.subjects(filters)
	if err != nil {
		return nil, err
	}
	var all []Entry
	req := lastRequest{Seq: 1, MultiLast: subjects, MaxBytes: lastBytes}
	for {
		a, err := b.directLast(ctx, req)
		if err != nil {
			return nil, err
		}
		for _, e := range a.entries {
			if e.Op == Put && e.Key != "" {
				all = append(all, e)
			}
		}
		if a.pending == 0 || a.seq == 0 {
			return all, nil
		}
		req.Seq = a.seq + 1
	}
}

// directLast is one answer of any replica. Its messages come to an inbox of its own.
func (b *Bucket) directLast(ctx context.Context, req lastRequest) (lastAnswer, error) {
	body, err := json.Marshal(req)
	if err != nil {
		return lastAnswer{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	nc := b.conn.NATS()
	inbox, got := nc.NewInbox(), make(chan *nats.Msg, maxLast+1)
	sub, err := nc.ChanSubscribe(inbox, got)
	if err != nil {
		return lastAnswer{}, bus.Unavailable(err)
	}
	defer b.unsubscribe(sub)
	if err := nc.PublishRequest(b.directGet, inbox, body); err != nil {
		return lastAnswer{}, bus.Unavailable(err)
	}
	a := lastAnswer{of: b}
	for {
		select {
		case m := <-got:
			whole, err := a.add(m)
			if whole || err != nil {
				return a, err
			}
		case <-ctx.Done():
			return a, bus.Unavailable(fmt.Errorf("%s: %w", b.directGet, context.Cause(ctx)))
		}
	}
}

// lastAnswer is an answer to a Direct Get of many keys, as far as it has come.
type lastAnswer struct {
	of      *Bucket
	entries []Entry
	seq     Revision // of the last message
	pending uint64   // more that match, after it
}

// Statuses of a message that is not an entry (nats-server stream.go).
const (
	statusEnd     = "204"
	statusNothing = "404"
	statusTooMany = "413"
)

// add takes the next message of the answer and reports whether it was the last. Each says which one came before it:
// an answer that lost a message on its way is not taken for a whole one.
func (a *lastAnswer) add(m *nats.Msg) (whole bool, err error) {
	if len(m.Header[streams.HeaderStream]) == 0 {
		switch status := bus.Status(m); status {
		case statusEnd:
			pending, err := numberOf(m, streams.HeaderNumPending)
			if err != nil || !a.follows(m) {
				return false, bus.Unavailable(errHole)
			}
			a.pending = pending
			return true, nil
		case statusNothing:
			return true, nil
		case statusTooMany:
			return false, errMany
		default:
			return false, bus.Unavailable(fmt.Errorf("%s: status %.40q", a.of.directGet, status))
		}
	}
	if !a.follows(m) {
		return false, bus.Unavailable(errHole)
	}
	seq, err := numberOf(m, streams.HeaderSequence)
	if err != nil {
		return false, fmt.Errorf("%s: %w", a.of.directGet, err)
	}
	at, err := time.Parse(time.RFC3339Nano, m.Header.Get(streams.HeaderTimeStamp))
	if err != nil {
		return false, fmt.Errorf("%s: %w", a.of.directGet, err)
	}
	a.seq = Revision(seq)
	e := Entry{Op: opOf(m.Header), Value: m.Data, Revision: a.seq, At: at.UTC()}
	if key, err := streams.ParseBucketKey(a.of.name, m.Header.Get(streams.HeaderSubject)); err == nil {
		e.Key = key // else it was put there by hand, and is nobody's
	}
	a.entries = append(a.entries, e)
	return false, nil
}

var errHole = errors.New("a message of the answer is missing")

func (a *lastAnswer) follows(m *nats.Msg) bool {
	before, err := numberOf(m, streams.HeaderLastSequence)
	return err == nil && Revision(before) == a.seq
}

func numberOf(m *nats.Msg, header string) (uint64, error) {
	return strconv.ParseUint(m.Header.Get(header), 10, 64)
}

// subjects turns filters of keys into those of the stream.
func (b *Bucket) subjects(filters []string) ([]string, error) {
	subjects := make([]string, len(filters))
	for i, f := range filters {
		subject, err := streams.BucketKeySubject(b.name, f)
		if err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "This is not a filter of keys")
		}
		subjects[i] = subject
	}
	return subjects, nil
}

// opOf is Put or Delete: a mark of ours or of another client, or one that the server left.
func opOf(h nats.Header) Op {
	if len(h[streams.HeaderMarkerReason]) > 0 {
		return Delete
	}
	for _, op := range h[streams.HeaderKVOperation] {
		if strings.EqualFold(op, streams.KVPurge) || strings.EqualFold(op, streams.KVDelete) {
			return Delete
		}
	}
	return Put
}
