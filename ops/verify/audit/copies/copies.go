// Package copies reads what each server of the hub has of a workspace's log.
//
// Nothing in JetStream reads a replica of one's choice. But a consumer with one replica is placed on any server that has the stream, says
// which one that is, and reads from that one's own files: so some are made, until each server had one. They are in memory, and are taken
// away again; one that cannot be ends by itself.
package copies

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
)

const (
	tries   = 60                     // consumers that are made until every server had one: with three the last one comes after 6 or so
	batch   = 500                    // events of one answer
	wait    = 2 * time.Second        // for the next one
	refuse  = 20                     // times that nobody may be at a consumer before another one is made
	pause   = 250 * time.Millisecond // between them
	forgets = time.Minute            // a consumer that nobody took away ends by itself
	remove  = 5 * time.Second        // to take one away
)

// Log is a workspace's, in one stream.
type Log struct {
	Filter    string   // subjects of its events
	Leader    string   // name of the stream's leader; empty: there is one server, and it has no name
	Followers []string // the others that have it
	Wanted    int      // events that the leader has
	Begins    chat.Seq // the stream began after it; 0: it is the first one of its shard

	space  string
	stream jetstream.Stream
}

// Find looks what the stream of a shard has of a workspace. That it has nothing is a Log of which nothing is wanted.
func Find(ctx context.Context, js jetstream.JetStream, space string, shard streams.Shard) (*Log, error) {
	filter, err := streams.ChatWorkspaceFilter(shard, chat.WorkspaceID(space))
	if err != nil {
		return nil, err
	}
	stream, err := js.Stream(ctx, streams.ChatStream(shard))
	if err != nil {
		return nil, err
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(filter))
	if err != nil {
		return nil, err
	}
	l := &Log{Filter: filter, Begins: chat.Seq(max(info.Config.FirstSeq, 1) - 1), space: space, stream: stream}
	for _, n := range info.State.Subjects {
		l.Wanted += int(n)
	}
	if info.Cluster != nil {
		l.Leader = info.Cluster.Leader
		for _, peer := range info.Cluster.Replicas {
			l.Followers = append(l.Followers, peer.Name)
		}
	}
	return l, nil
}

// Copy is what one server has.
type Copy struct {
	Server string
	Events []record.Event // in rising order, without their Source
	Err    error          // why it is less than the leader has; without any events: why nothing could be read
}

// leader is the record.Event.Source of what a stream's leader has.
const leader = "stream"

// Lines are a copy as a record has it, found at a look (record.Event.Look): under the name of its server, if that has one, and the leader's as what the
// stream has, too.
func (l *Log) Lines(c Copy, look int) (all []record.Event) {
	var sources []string
	if c.Server == l.Leader {
		sources = append(sources, leader)
	}
	if c.Server != "" {
		sources = append(sources, c.Server)
	}
	for _, source := range sources {
		for _, e := range c.Events {
			e.Source, e.Look = source, look
			all = append(all, e)
		}
	}
	return all
}

// Read hands over the copy of each server, the leader's as well. Each is waited for until it has as much as the leader, at most patience.
func (l *Log) Read(ctx context.Context, patience time.Duration, take func(Copy)) {
	left := append([]string{l.Leader}, l.Followers...)
	failed := errors.New("no consumer came to lie there") // the last
	for range tries {
		if len(left) == 0 || ctx.Err() != nil {
			break
		}
		at, events, err := l.try(ctx, patience, left)
		if err != nil {
			failed = err
		}
		if events != nil {
			i := slices.Index(left, at)
			left = slices.Delete(left, i, i+1)
			take(Copy{at, events, err})
		}
	}
	for _, name := range left {
		take(Copy{Server: name, Err: failed})
	}
}

// try makes a consumer and reads by it, if it lies on one of those that are left. Events with an error are less than the leader has; no
// events with an error, and another consumer may have better luck.
func (l *Log) try(ctx context.Context, patience time.Duration, left []string) (at string, events []record.Event, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c, err := l.stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
		FilterSubject: l.Filter, DeliverPolicy: jetstream.DeliverAllPolicy, AckPolicy: jetstream.AckNonePolicy,
		MemoryStorage: true, Replicas: 1, InactiveThreshold: forgets,
	})
	if err != nil {
		return "", nil, errors.Join(err, bus.Pause(ctx, pause))
	}
	info := c.CachedInfo()
	if at = l.Leader; info.Cluster != nil { // a server alone says nothing of it
		at = info.Cluster.Leader
	}
	if slices.Contains(left, at) {
		events, err = l.read(ctx, c)
	}
	removing, cancel := context.WithTimeout(context.WithoutCancel(ctx), remove)
	defer cancel()
	_ = l.stream.DeleteConsumer(removing, info.Name) // or it ends by itself
	return at, events, err
}

// read takes everything that a copy has, and waits until that is as much as the leader has.
func (l *Log) read(ctx context.Context, c jetstream.Consumer) ([]record.Event, error) {
	events := []record.Event{}
	refused := 0
	for last := false; !last || len(events) < l.Wanted; {
		if ctx.Err() != nil {
			return l.withErased(events), fmt.Errorf("it has %d events of %d", len(events), l.Wanted)
		}
		some, err := c.Fetch(batch, jetstream.FetchMaxWait(wait))
		if err != nil {
			return nil, err
		}
		for m := range some.Messages() {
			at, err := m.Metadata()
			if err != nil {
				return nil, err
			}
			last = at.NumPending == 0
			events = append(events, EventOf(m.Subject(), m.Data(), record.Event{Space: l.space, Seq: int64(at.Sequence.Stream)}))
			if last && len(events) >= l.Wanted {
				break // what else comes was written after this look began
			}
		}
		err = some.Error()
		if errors.Is(err, nats.ErrNoResponders) && refused < refuse {
			// The consumer was just made: its server tells the others a moment later that it listens there.
			refused++
			err = bus.Pause(ctx, pause)
		}
		if err != nil && ctx.Err() == nil {
			return nil, err
		}
	}
	return l.withErased(events), nil
}

// EventOf fills in what a message of a log says.
func EventOf(subject string, data []byte, out record.Event) record.Event {
	out.Kind = record.Unreadable
	if place, err := streams.ParseChat(subject); err == nil {
		out.Channel = string(place.ChannelID)
		if e, err := event.Parse(data); err == nil {
			out.Epoch, out.Kind, out.Sender, out.ID, out.Body = int64(e.Epoch), string(e.Kind), string(e.SenderID), string(e.ClientMsgID), e.Body
			out.Thread, out.Message, out.Emoji, out.User = int64(e.Thread), int64(e.MessageSeq), e.Emoji, string(e.UserID)
		}
	}
	return out
}

// withErased adds the messages that were taken out of a stream after their delete: the delete says where they lay. Of their edits, which
// went with them, nothing says so. What lay in an earlier stream of the log was not in this one.
func (l *Log) withErased(events []record.Event) []record.Event {
	there := make(map[int64]bool, len(events))
	for _, e := range events {
		there[e.Seq] = true
	}
	for _, e := range events {
		if e.Kind != string(event.MessageDeleted) || there[e.Message] || e.Message <= int64(l.Begins) {
			continue
		}
		there[e.Message] = true
		events = append(events, record.Event{
			Space: e.Space, Epoch: e.Epoch, Seq: e.Message, Channel: e.Channel, Kind: string(event.MessagePosted), Erased: true,
		})
	}
	slices.SortFunc(events, func(a, b record.Event) int { return cmp.Compare(a.Seq, b.Seq) })
	return events
}
