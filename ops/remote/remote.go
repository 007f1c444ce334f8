// Package remote is what a process that has no database asks of those that have one, over NATS: it satisfies the interfaces
// that the gateway, ingest and the verifier of tokens declare.
package remote

import (
	"context"
	"fmt"
	"time"

	"github.com/canopychat/canopy/edge/fanout"
	"github.com/canopychat/canopy/schemas/chat"
	schema "github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/schemas/token"
	"github.com/canopychat/canopy/services/auth"
	"github.com/canopychat/canopy/services/ingest"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/rpc"
)

// Roles asks the roles that have a database.
type Roles struct{ conn *bus.Conn }

// New makes a Roles that asks over a connection.
func New(conn *bus.Conn) Roles { return Roles{conn} }

func method(s streams.Service, m streams.Method) rpc.Method { return rpc.Method{Service: s, Method: m} }

// Session implements gateway.Directory.
func (r Roles) Session(ctx context.Context, req schema.SessionRequest) (schema.SessionReply, error) {
	return rpc.Call[schema.SessionReply](ctx, r.conn.NATS(), method(streams.ServiceDirectory, streams.DirectorySession), req)
}

// Read implements gateway.Cursors, as does Delivered.
func (r Roles) Read(ctx context.Context, req schema.ReadRequest) (schema.ReadReply, error) {
	return rpc.Call[schema.ReadReply](ctx, r.conn.NATS(), method(streams.ServiceCursors, streams.CursorsRead), req)
}

// Delivered keeps up to where devices have got everything.
func (r Roles) Delivered(ctx context.Context, req schema.DeliveredRequest) error {
	_, err := rpc.Call[schema.DeliveredReply](ctx, r.conn.NATS(), method(streams.ServiceCursors, streams.CursorsDelivered), req)
	return err
}

// Keys implements auth.KeySource.
func (r Roles) Keys(ctx context.Context) ([]schema.VerifyKey, error) {
	reply, err := rpc.Call[schema.KeysReply](ctx, r.conn.NATS(), method(streams.ServiceDirectory, streams.DirectoryKeys), schema.KeysRequest{})
	return reply.Keys, err
}

// answerPause is how often the edge asks for the api of its own process: the word of who answers takes some
// milliseconds from the hub to the leaf.
const answerPause = 10 * time.Millisecond

// Answers waits until the api can be asked.
func (r Roles) Answers(ctx context.Context) error {
	for {
		_, err := r.Keys(ctx)
		if err == nil {
			return nil
		}
		if bus.Pause(ctx, answerPause) != nil {
			return fmt.Errorf("the api of this process does not answer: %w", err)
		}
	}
}

// Send implements ingest.History.
func (r Roles) Send(ctx context.Context, req schema.SendRequest) (schema.SendReply, error) {
	return rpc.Call[schema.SendReply](ctx, r.conn.NATS(), method(streams.ServiceHistory, streams.HistorySend), req)
}

// Message implements ingest.History.
func (r Roles) Message(ctx context.Context, req schema.MessageRequest) (schema.MessageReply, error) {
	return rpc.Call[schema.MessageReply](ctx, r.conn.NATS(), method(streams.ServiceHistory, streams.HistoryMessage), req)
}

// Verifier implements what the gateway wants to know of who comes: tokens are verified here, a ticket is taken by the api.
type Verifier struct {
	Tokens      *auth.Verifier
	Revocations *auth.Revocations
	Roles       Roles
}

// VerifyToken is door.Verifier.
func (v Verifier) VerifyToken(ctx context.Context, raw string) (token.Claims, error) {
	return v.Tokens.Verify(ctx, raw)
}

// Redeem is door.Verifier.
func (v Verifier) Redeem(ctx context.Context, ticket string) (token.Claims, error) {
	r, err := rpc.Call[schema.TicketReply](ctx, v.Roles.conn.NATS(), method(streams.ServiceDirectory, streams.DirectoryTicket), schema.TicketRequest{Ticket: ticket})
	return token.Claims{UserID: r.UserID, SignInID: r.SignInID, IssuedAt: time.Now().UTC(), ExpiresAt: r.ExpiresAt}, err
}

// Revoked is door.Verifier.
func (v Verifier) Revoked(id token.SignInID) bool { return v.Revocations.Revoked(id) }

// Stamps answers from the gateway's own feeds, which have an event at the moment of its PubAck, or asks the log.
type Stamps struct {
	Feeds *fanout.Feeds
	Log   ingest.LogStamps
}

// feedPatience is how long a feed may take to have an event that the log has acknowledged.
const feedPatience = 150 * time.Millisecond

// StampOf implements ingest.Stamps.
func (s Stamps) StampOf(ctx context.Context, ws chat.WorkspaceID, shard streams.Shard, seq chat.Seq) (time.Time, error) {
	within, cancel := context.WithTimeout(ctx, feedPatience)
	at, ok := s.Feeds.StampOf(within, ws, seq)
	cancel()
	if ok {
		return at, nil
	}
	at, err := s.Log.StampOf(ctx, ws, shard, seq)
	if err != nil {
		return at, fmt.Errorf("the time of an event: %w", err)
	}
	return at, nil
}
