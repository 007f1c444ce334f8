package status

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/kv"
	"github.com/canopychat/canopy/streams/registry"
)

// askTimeout bounds each question.
const askTimeout = 5 * time.Second

// Report is what a deployment looks like at a moment.
type Report struct {
	At        time.Time     `json:"at"`
	Streams   []Stream      `json:"streams"`
	Consumers []Consumer    `json:"consumers"`
	Processes []rpc.Process `json:"processes"` // by role and id
	Problems  []string      `json:"problems"`  // what an operator should look at; empty: nothing
}

// Stream is one of the hub's.
type Stream struct {
	Name     string    `json:"name"`
	Messages uint64    `json:"messages"`
	Bytes    uint64    `json:"bytes"`
	MaxBytes int64     `json:"max_bytes"` // -1: no limit
	First    uint64    `json:"first_seq"`
	Last     uint64    `json:"last_seq"`
	LastAt   time.Time `json:"last_ts"`
	Leader   string    `json:"leader,omitempty"` // empty: the stream is on one server
	Replicas int       `json:"replicas"`
	Behind   int       `json:"replicas_behind"` // that are offline or not current
}

// Consumer is a durable one.
type Consumer struct {
	Stream      string `json:"stream"`
	Name        string `json:"consumer"`
	Lag         uint64 `json:"lag"`     // events of the stream after the ack floor: not done yet
	Pending     uint64 `json:"pending"` // of them, those not delivered yet
	AckPending  int    `json:"ack_pending"`
	Redelivered int    `json:"redelivered"`
	Floor       uint64 `json:"ack_floor_seq"`
}

// Collect asks the deployment behind a connection. The error is that nothing at all could be learned.
func Collect(ctx context.Context, conn *bus.Conn) (Report, error) {
	r := Report{At: time.Now().UTC(), Streams: []Stream{}, Consumers: []Consumer{}, Processes: []rpc.Process{}, Problems: []string{}}
	js, err := jetstream.NewWithDomain(conn.NATS(), streams.HubDomain)
	if err != nil {
		return r, fmt.Errorf("JetStream of the hub: %w", err)
	}
	names := streams.Streams()
	failed := 0
	for _, name := range names {
		if err := r.addStream(ctx, js, name); err != nil {
			failed++
			r.problem("stream %s: %v", name, cause(err))
		}
		if ctx.Err() != nil {
			return r, ctx.Err()
		}
	}
	if failed == len(names) {
		return r, fmt.Errorf("the hub does not answer: %s", r.Problems[0])
	}
	if err := r.addProcesses(ctx, conn); err != nil {
		r.problem("registry: %v", cause(err))
	}
	r.judge()
	return r, nil
}

func (r *Report) problem(format string, args ...any) {
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}

func (r *Report) addStream(ctx context.Context, js jetstream.JetStream, name string) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	s, err := js.Stream(ctx, name)
	if err != nil {
		return err
	}
	info := s.CachedInfo()
	found := Stream{
		Name: name, Messages: info.State.Msgs, Bytes: info.State.Bytes, MaxBytes: info.Config.MaxBytes,
		First: info.State.FirstSeq, Last: info.State.LastSeq, LastAt: info.State.LastTime.UTC(), Replicas: info.Config.Replicas,
	}
	if info.Cluster != nil {
		found.Leader = info.Cluster.Leader
		for _, peer := range info.Cluster.Replicas {
			if peer.Offline || !peer.Current {
				found.Behind++
			}
		}
	}
	r.Streams = append(r.Streams, found)
	consumers, err := streams.Consumers(name)
	if err != nil {
		return err
	}
	for _, consumer := range consumers {
		c, err := s.Consumer(ctx, consumer)
		if err != nil {
			return fmt.Errorf("consumer %s: %w", consumer, err)
		}
		about := c.CachedInfo()
		r.Consumers = append(r.Consumers, Consumer{
			Stream: name, Name: consumer, Pending: about.NumPending, AckPending: about.NumAckPending, Redelivered: about.NumRedelivered,
			Floor: about.AckFloor.Stream, Lag: about.NumPending + uint64(about.NumAckPending),
		})
	}
	return nil
}

// addProcesses reads the registry.
func (r *Report) addProcesses(ctx context.Context, conn *bus.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	bucket, err := kv.Open(kv.Config{Conn: conn, Domain: streams.HubDomain, Name: streams.BucketRegistry})
	if err != nil {
		return err
	}
	r.Processes, err = registry.List(ctx, bucket)
	return err
}

// lagWorthSaying is how many events a consumer may lag behind before it is a problem: some seconds of a busy shard.
const lagWorthSaying = 10_000

// judge says what an operator should look at.
func (r *Report) judge() {
	for _, s := range r.Streams {
		switch {
		case s.Behind > 0:
			r.problem("stream %s: %d of %d replicas are behind", s.Name, s.Behind, s.Replicas)
		case s.MaxBytes > 0 && s.Bytes > uint64(s.MaxBytes)/10*9:
			r.problem("stream %s: %d %% full; it refuses events when it is", s.Name, s.Bytes*100/uint64(s.MaxBytes))
		}
	}
	for _, c := range r.Consumers {
		lag := c.Lag
		if c.Name == streams.ConsumerDeliver {
			lag = c.Pending // what it holds it holds back on purpose, until those who are online have confirmed
		}
		if lag > lagWorthSaying {
			r.problem("consumer %s of %s lags %s events behind", c.Name, c.Stream, grouped(lag))
		}
	}
	roles := map[string]bool{}
	for _, p := range r.Processes {
		roles[p.Role] = true
		if !p.Healthy {
			r.problem("%s %s: %s", p.Role, p.ID, strings.TrimSpace("not ready. "+p.Detail))
		}
	}
	for _, needed := range []string{string(streams.ServiceAPI), string(streams.ServiceDeliver), string(streams.ServiceGateway), string(streams.ServicePersist)} {
		if !roles[needed] {
			r.problem("no process with the role %s", needed)
		}
	}
	slices.Sort(r.Problems)
}

// cause is the innermost error, which says it shortest.
func cause(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}
