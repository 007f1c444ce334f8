package rpc

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/streams"
)

// AnswerTimeout is how long a service may take over one question.
const AnswerTimeout = 5 * time.Second

// MaxAnswering is how many questions one process answers at once; more wait in NATS, where the asker's
// deadline bounds them.
const MaxAnswering = 256

// Handler answers one question. A *fault.Error goes back as it is; any other error as Internal, without its text.
type Handler func(ctx context.Context, request []byte) (any, error)

// Answer makes a Handler of a function of a request.
func Answer[Req, Reply any](fn func(context.Context, Req) (Reply, error)) Handler {
	return func(ctx context.Context, request []byte) (any, error) {
		var req Req
		if err := json.Unmarshal(request, &req); err != nil {
			return nil, fault.Wrap(fault.Invalid, err, "the request is not JSON of the documented form")
		}
		return fn(ctx, req)
	}
}

// Service is one micro service and its methods.
type Service struct {
	Name    streams.Service
	Version string
	Methods map[streams.Method]Handler

	Metadata map[string]string // what $SRV shows of this process; may be nil
}

// Role is a part that a process plays, as a service without methods.
type Role struct {
	Service streams.Service // such as streams.ServiceGateway
	ID      string          // of the process
	Region  string
}

// Register shows a role to `nats service ls|info|stats` until ctx ends.
func Register(ctx context.Context, nc *nats.Conn, r Role, log *slog.Logger) error {
	return Serve(ctx, nc, Service{
		Name: r.Service, Version: streams.RoleVersion, Metadata: map[string]string{"id": r.ID, "region": r.Region},
	}, log)
}

// Serve answers for a service until ctx ends, and returns when the last answer has been given.
func Serve(ctx context.Context, nc *nats.Conn, s Service, log *slog.Logger) error {
	registered, err := micro.AddService(nc, micro.Config{Name: string(s.Name), Description: s.Name.Description(), Version: s.Version, Metadata: s.Metadata})
	if err != nil {
		return fmt.Errorf("register service %s: %w", s.Name, err)
	}
	srv := &server{nc: nc, ctx: ctx, log: log.With("service", string(s.Name)), places: make(chan struct{}, MaxAnswering)}
	for method, handle := range s.Methods {
		subject, err := streams.RPCSubject(s.Name, method)
		if err == nil {
			err = registered.AddEndpoint(string(method), srv.endpoint(handle), micro.WithEndpointSubject(subject))
		}
		if err != nil {
			return fmt.Errorf("endpoint %s.%s: %w", s.Name, method, err)
		}
	}
	<-ctx.Done()
	err = registered.Stop()
	srv.answering.Wait()
	if err != nil && nc.IsClosed() {
		return nil // the connection went first, and took the service with it
	}
	return err
}

// server is what the endpoints of one service share.
type server struct {
	nc        *nats.Conn
	ctx       context.Context // ends the answering
	log       *slog.Logger
	places    chan struct{} // one token a question that is being answered
	answering sync.WaitGroup
}

// endpoint runs handle in a goroutine of its own: a question that waits must not hold up the next.
func (s *server) endpoint(handle Handler) micro.HandlerFunc {
	return func(req micro.Request) {
		select {
		case s.places <- struct{}{}:
		case <-s.ctx.Done():
			return
		}
		s.answering.Add(1)
		go func() {
			defer s.answering.Done()
			defer func() { <-s.places }()
			ctx, cancel := context.WithTimeout(s.ctx, AnswerTimeout)
			defer cancel()
			s.answer(ctx, req, handle)
		}()
	}
}

// answer publishes what a handler says. It does not answer through req, whose handler has returned: what that notes for
// the statistics belongs to the goroutine that called the handler.
func (s *server) answer(ctx context.Context, req micro.Request, handle Handler) {
	out := &nats.Msg{Subject: req.Reply()}
	reply, err := handle(ctx, req.Data())
	if err == nil {
		out.Data, err = json.Marshal(reply)
	}
	if err != nil {
		if fault.Is(err, fault.Internal) {
			s.log.Error("question failed", "subject", req.Subject(), "err", err)
		}
		public := fault.Public(err)
		out.Header = nats.Header{micro.ErrorHeader: {public.Message}, micro.ErrorCodeHeader: {string(public.Kind)}}
		out.Data, err = json.Marshal(rpc.Fault{Code: public.Kind, Message: public.Message, RetryAfterMS: public.RetryAfter.Milliseconds()})
	}
	if err == nil {
		err = s.nc.PublishMsg(out)
	}
	if err != nil && out.Subject != "" { // or nobody waits for an answer
		s.log.Error("could not answer", "subject", req.Subject(), "err", err)
	}
}
