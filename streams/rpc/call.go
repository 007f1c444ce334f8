package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/streams"
)

// CallTimeout bounds a call whose ctx has no nearer deadline.
const CallTimeout = 5 * time.Second

// retryAfter is when a question that nobody answered is worth asking again.
const retryAfter = 2 * time.Second

// Call asks a method and reads the answer. The error is a *fault.Error: what the service said, or
// Unavailable when nobody answered in time.
func Call[Reply any](ctx context.Context, nc *nats.Conn, to Method, req any) (Reply, error) {
	var reply Reply
	subject, err := streams.RPCSubject(to.Service, to.Method)
	if err != nil {
		return reply, err
	}
	data, err := json.Marshal(req)
	if err != nil {
		return reply, fmt.Errorf("ask %s: %w", subject, err)
	}
	ctx, cancel := context.WithTimeout(ctx, CallTimeout)
	defer cancel()
	msg, err := nc.RequestWithContext(ctx, subject, data)
	if err != nil {
		return reply, unanswered(subject, err)
	}
	if code := msg.Header.Get(micro.ErrorCodeHeader); code != "" {
		return reply, failed(code, msg)
	}
	if err := json.Unmarshal(msg.Data, &reply); err != nil {
		return reply, fmt.Errorf("answer of %s: %w", subject, err)
	}
	return reply, nil
}

// Method is where a question goes.
type Method struct {
	Service streams.Service
	Method  streams.Method
}

func unanswered(subject string, err error) error {
	if errors.Is(err, context.Canceled) {
		return fault.Wrap(fault.Unavailable, err, "the request was given up")
	}
	return fault.Wrap(fault.Unavailable, fmt.Errorf("ask %s: %w", subject, err), "a part of the service does not answer").After(retryAfter)
}

func failed(code string, msg *nats.Msg) error {
	var f rpc.Fault
	if err := json.Unmarshal(msg.Data, &f); err != nil || f.Code == "" {
		return fault.Wrap(fault.Unavailable, fmt.Errorf("%s: %s", code, msg.Header.Get(micro.ErrorHeader)), "a part of the service does not answer").After(retryAfter)
	}
	return fault.New(f.Code, "%s", f.Message).After(time.Duration(f.RetryAfterMS) * time.Millisecond)
}
