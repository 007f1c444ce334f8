package kv

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
)

// answerTimeout bounds one question, when the caller's context allows more.
const answerTimeout = 3 * time.Second

// Errors of a JetStream that answers (nats-server errors.json).
const (
	codeStreamNotFound = 10059
	codeWrongLast      = 10071
	codeWrongLastToo   = 10164 // of a replicated stream
	codeOverlap        = 10138
)

// Config says which bucket.
type Config struct {
	Conn   *bus.Conn
	Domain string         // streams.HubDomain, or the region of a leaf
	Name   streams.Bucket // one that the domain has

	// Make makes the bucket when a watch finds it gone, as a bucket in memory is after its server's restart
	// (provision.EnsureLeaf). It may be called by several processes at once. Nil: the watch waits until somebody does.
	Make func(ctx context.Context) error
}

// Bucket is one bucket. It may be used by many goroutines at once.
type Bucket struct {
	// immutable after Open
	conn      *bus.Conn
	domain    string
	name      streams.Bucket
	stream    string
	leaderGet string
	directGet string
	make      func(ctx context.Context) error
}

// Open makes a Bucket. It starts nothing, and the bucket need not be there yet. The error is about the names alone.
func Open(cfg Config) (*Bucket, error) {
	b := &Bucket{conn: cfg.Conn, domain: cfg.Domain, name: cfg.Name, make: cfg.Make}
	var err error
	if b.stream, err = streams.BucketStream(cfg.Name); err != nil {
		return nil, err
	}
	if b.leaderGet, err = streams.BucketLeaderGetSubject(cfg.Domain, cfg.Name); err != nil {
		return nil, err
	}
	if b.directGet, err = streams.BucketDirectGetSubject(cfg.Domain, cfg.Name); err != nil {
		return nil, err
	}
	return b, nil
}

// A Revision numbers the writes of a bucket, from 1. It begins again with a bucket that was lost and made anew.
type Revision uint64

// Put sets a key, which stays until the bucket's own age limit, if it has one.
func (b *Bucket) Put(ctx context.Context, key string, value []byte) (Revision, error) {
	return b.write(ctx, key, value, nats.Header{})
}

// PutTTL sets a key that ends after ttl, which is rounded up to whole seconds and must be more than 0.
func (b *Bucket) PutTTL(ctx context.Context, key string, value []byte, ttl time.Duration) (Revision, error) {
	h, err := withTTL(ttl)
	if err != nil {
		return 0, err
	}
	return b.write(ctx, key, value, h)
}

// Create sets a key that is not there; of several who try, one succeeds. The error is Conflict when it is there. After
// Unavailable it may be there with this value: Get says so.
func (b *Bucket) Create(ctx context.Context, key string, value []byte) (Revision, error) {
	return b.create(ctx, key, value, nats.Header{})
}

// CreateTTL is Create of a key that ends after ttl, which is rounded up to whole seconds and must be more than 0.
func (b *Bucket) CreateTTL(ctx context.Context, key string, value []byte, ttl time.Duration) (Revision, error) {
	h, err := withTTL(ttl)
	if err != nil {
		return 0, err
	}
	return b.create(ctx, key, value, h)
}

// Delete ends a key. One that is not there is no error.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	_, err := b.write(ctx, key, nil, nats.Header{
		streams.HeaderKVOperation: {streams.KVPurge},
		streams.HeaderRollup:      {streams.RollupSubject},
		streams.HeaderTTL:         {seconds(streams.BucketMarkerSeconds)}, // or a mark of every key that ever was would stay
	})
	return err
}

// create expects no revision of the key; when there is the mark of its end, it expects that.
func (b *Bucket) create(ctx context.Context, key string, value []byte, h nats.Header) (Revision, error) {
	const attempts = 3 // between a look and a write, the mark may go or another may come
	var last Revision
	for attempt := 1; ; attempt++ {
		h[streams.HeaderExpectedLast] = []string{strconv.FormatUint(uint64(last), 10)}
		revision, err := b.write(ctx, key, value, h)
		if err == nil || !fault.Is(err, fault.Conflict) || attempt == attempts {
			return revision, err
		}
		e, lookErr := b.last(ctx, key)
		switch {
		case fault.Is(lookErr, fault.NotFound):
			last = 0
		case lookErr != nil:
			return 0, lookErr
		case e.Op == Put:
			return 0, err
		default:
			last = e.Revision
		}
	}
}

func (b *Bucket) write(ctx context.Context, key string, value []byte, h nats.Header) (Revision, error) {
	subject, err := streams.BucketPutSubject(b.domain, b.name, key)
	if err != nil {
		return 0, fault.Wrap(fault.Invalid, err, "This is not a key")
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	m, err := b.conn.NATS().RequestMsgWithContext(ctx, &nats.Msg{Subject: subject, Data: value, Header: h})
	if err != nil {
		return 0, bus.Unavailable(fmt.Errorf("%s: %w", subject, err))
	}
	var ack struct {
		Error  *bus.APIError `json:"error"`
		Stream string        `json:"stream"`
		Domain string        `json:"domain"`
		Seq    Revision      `json:"seq"`
	}
	if err := json.Unmarshal(m.Data, &ack); err != nil {
		return 0, fmt.Errorf("%s: %w", subject, err)
	}
	switch {
	case ack.Error != nil && (ack.Error.ErrCode == codeWrongLast || ack.Error.ErrCode == codeWrongLastToo):
		return 0, fault.Wrap(fault.Conflict, ack.Error, "It is there already")
	case ack.Error != nil:
		return 0, bus.Unavailable(fmt.Errorf("%s: %w", subject, ack.Error))
	case ack.Stream != b.stream || ack.Domain != b.domain || ack.Seq == 0:
		return 0, fmt.Errorf("%s: acknowledged by %.40q in domain %.40q", subject, ack.Stream, ack.Domain)
	}
	return ack.Seq, nil
}

func withTTL(ttl time.Duration) (nats.Header, error) {
	if ttl <= 0 {
		return nil, fault.New(fault.Invalid, "A time to live is more than 0")
	}
	whole := (ttl + time.Second - 1) / time.Second
	return nats.Header{streams.HeaderTTL: {seconds(int64(whole))}}, nil
}

func seconds(n int64) string { return strconv.FormatInt(n, 10) + "s" }

// isGone reports whether an error says that there is no such bucket.
func isGone(err error) bool { return isCode(err, codeStreamNotFound) }

// isOverlap reports whether an error says that two filters of a watch match the same key.
func isOverlap(err error) bool { return isCode(err, codeOverlap) }

func isCode(err error, code int) bool {
	var api *bus.APIError
	return errors.As(err, &api) && api.ErrCode == code
}
