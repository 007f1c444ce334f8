package renew

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"

	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/kv"
	"github.com/canopychat/canopy/streams/registry"
)

const (
	answerTime   = time.Second // that a service which lives may take to say so
	registryTime = 5 * time.Second
)

// working are the roles that may not live while logs begin anew: each of them writes, or holds a place in a log.
var working = []string{
	string(streams.ServiceGateway), string(streams.ServiceAPI), string(streams.ServicePersist), string(streams.ServiceDeliver),
}

// Living finds the processes that would write meanwhile, such as "api 0198f3": those that the registry knows and those that answer.
// One that was killed stays in the registry until its entry is too old.
func Living(ctx context.Context, conn *bus.Conn, js jetstream.JetStream) ([]string, error) {
	found, err := answering(ctx, conn.NATS())
	if err != nil {
		return nil, fmt.Errorf("ask who lives: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, registryTime)
	defer cancel()
	bucket, err := kv.Open(kv.Config{Conn: conn, Domain: streams.HubDomain, Name: streams.BucketRegistry})
	if err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	if _, err := js.KeyValue(ctx, string(streams.BucketRegistry)); errors.Is(err, jetstream.ErrBucketNotFound) {
		return found, nil // lost with the hub; who lives has answered
	}
	all, err := registry.List(ctx, bucket)
	if err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	for _, p := range all {
		if slices.Contains(working, p.Role) {
			found = append(found, p.Role+" "+p.ID)
		}
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

// answering are those that answer now, over every server that this one is connected with.
func answering(ctx context.Context, nc *nats.Conn) (found []string, err error) {
	subject, err := micro.ControlSubject(micro.PingVerb, "", "")
	if err != nil {
		return nil, err
	}
	answers, err := nc.SubscribeSync(nc.NewInbox())
	if err != nil {
		return nil, err
	}
	defer func() { _ = answers.Unsubscribe() }() // the connection is closed soon
	if err := nc.PublishRequest(subject, answers.Subject, nil); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	for {
		m, err := answers.NextMsgWithContext(ctx)
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			return found, nil
		case errors.Is(err, nats.ErrNoResponders): // not even a hub's own process
			return found, nil
		case err != nil:
			return nil, err
		}
		var ping micro.Ping
		if err := json.Unmarshal(m.Data, &ping); err != nil || !slices.Contains(working, ping.Name) {
			continue // somebody else's service
		}
		found = append(found, ping.Name+" "+ping.Metadata["id"])
	}
}
