package app

import (
	"context"
	"fmt"
	"time"

	"github.com/canopychat/canopy/edge/fanout"
	"github.com/canopychat/canopy/edge/gateway"
	"github.com/canopychat/canopy/schemas/chat"
	schema "github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/services/api"
	"github.com/canopychat/canopy/services/auth"
	"github.com/canopychat/canopy/services/directory"
	"github.com/canopychat/canopy/services/history"
	"github.com/canopychat/canopy/services/ingest"
	"github.com/canopychat/canopy/services/persist"
	"github.com/canopychat/canopy/services/store/sqlite"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/publish"
	"github.com/canopychat/canopy/streams/rpc"
)

// apiRole is the parts of the api role that others need: the demo, the handler.
type apiRole struct {
	store     *sqlite.Directory
	passwords *auth.Passwords
	directory *directory.Service
	ingest    *ingest.Ingest
	rest      *api.API
}

// edgeRole is the parts of the edge role that the admin listener shows.
type edgeRole struct {
	feeds *fanout.Feeds
}

func (a *App) openMessages(ctx context.Context) (err error) {
	a.messages, err = sqlite.OpenMessages(ctx, a.folder.at(messagesFile))
	if err != nil {
		return err
	}
	a.life.closes("messages store", a.messages.Close)
	return nil
}

func (a *App) openDirectory(ctx context.Context) (err error) {
	a.directory, err = sqlite.OpenDirectory(ctx, a.folder.at(directoryFile))
	if err != nil {
		return err
	}
	a.life.closes("directory store", a.directory.Close)
	return nil
}

func (a *App) startPersist(context.Context) error {
	a.consumers = persist.NewConsumers(a.hubConn, func(ctx context.Context) error {
		_, err := a.messages.Progress(ctx, 0)
		return err
	})
	p := persist.New(persist.Config{Store: a.messages, Source: a.consumers, Log: bus.NewLog(a.hubConn), Logger: a.log.With("component", "persist")})
	a.life.start("persist", p.Run, nil)
	return nil
}

// publisher starts a publisher on a connection.
func (a *App) publisher(name string, conn *bus.Conn) *publish.Publisher {
	p := publish.New(conn, publish.Config{})
	a.life.start(name, p.Run, nil)
	return p
}

// startAPI wires the api role: one line a part, in the order of their needs.
func (a *App) startAPI(ctx context.Context) error {
	db := a.directory
	signer, err := auth.OpenSigner(ctx, auth.SignerConfig{Keyring: db, Lifetime: a.cfg.Auth.TokenLife})
	if err != nil {
		return err
	}
	verifier := auth.NewVerifier(auth.VerifierConfig{Source: signer})
	passwords := auth.NewPasswords(0)
	log := bus.NewLog(a.hubConn)
	publisher := a.publisher("api publisher", a.hubConn)
	relay := directory.NewRelay(directory.RelayConfig{
		Outbox: db, Log: directory.Hub{Publisher: publisher, Reader: log}, Window: a.dedupWindow(), Logger: a.log.With("component", "relay"),
	})
	service, err := directory.New(directory.Config{Store: db, Shards: streams.Shards, Relay: relay, Tokens: signer})
	if err != nil {
		return err
	}
	reader := history.New(history.Config{Store: a.messages, Log: log, Logger: a.log.With("component", "history")})
	into := ingest.New(ingest.Config{Publisher: publisher, Log: log, History: reader, Window: a.dedupWindow()})
	a.api = &apiRole{store: db, passwords: passwords, directory: service, ingest: into, rest: api.New(api.Config{
		SignIns: auth.NewLogin(auth.LoginConfig{Accounts: db, Passwords: passwords, Signer: signer}), Tokens: verifier,
		Accounts: service, Workspaces: service, Channels: service, Joining: service, Editing: service,
		People: service, Directs: service, History: reader, Log: into, Logger: a.log.With("component", "api"),
	})}
	a.life.start("outbox relay", relay.Run, nil)
	a.serveRPC(rpc.Service{Name: streams.ServiceDirectory, Version: streams.DirectoryVersion, Methods: map[streams.Method]rpc.Handler{
		streams.DirectorySession: rpc.Answer(service.Session),
		streams.DirectoryImport:  rpc.Answer(service.Import),
		streams.DirectoryKeys: rpc.Answer(func(ctx context.Context, _ schema.KeysRequest) (schema.KeysReply, error) {
			keys, err := signer.Keys(ctx)
			return schema.KeysReply{Keys: keys}, err
		}),
	}})
	a.serveRPC(rpc.Service{Name: streams.ServiceHistory, Version: streams.HistoryVersion, Methods: map[streams.Method]rpc.Handler{
		streams.HistorySend:    rpc.Answer(reader.Send),
		streams.HistoryMessage: rpc.Answer(reader.Message),
	}})
	return nil
}

func (a *App) serveRPC(s rpc.Service) {
	a.life.start("service "+string(s.Name), func(ctx context.Context) error {
		return rpc.Serve(ctx, a.hubConn.NATS(), s, a.log)
	}, nil)
}

// startEdge wires the edge role. It knows no database: what it needs of one, it asks over NATS.
func (a *App) startEdge(ctx context.Context) error {
	log := bus.NewLog(a.leafConn)
	feeds := fanout.New(a.leafConn, log, fanout.Config{
		RingEntries: a.cfg.Edge.RingEntries, RingBytes: int(a.cfg.Edge.RingBytes), Log: a.log.With("component", "fanout"),
	})
	remote := remote{a.leafConn}
	verifier := auth.NewVerifier(auth.VerifierConfig{Source: remote})
	into := ingest.New(ingest.Config{
		Publisher: a.publisher("edge publisher", a.leafConn), Log: log, History: remote, Window: a.dedupWindow(),
		Stamps: stamps{feeds, ingest.NewLogStamps(log)},
	})
	gw, err := gateway.New(a.gatewayConfig(), gateway.Neighbours{
		Verifier: tokenVerifier{verifier}, Directory: remote, Feeds: feeds, Submitter: into,
	})
	if err != nil {
		return err
	}
	if a.has(RoleAPI) { // else it comes when it comes: until then sockets are refused as unavailable
		if err := remote.answers(ctx); err != nil {
			return err
		}
	}
	a.edge, a.gateway = &edgeRole{feeds: feeds}, gw
	a.life.start("fanout", feeds.Run, nil)
	a.life.start("gateway", gw.Run, a.drainGateway)
	return nil
}

func (a *App) gatewayConfig() gateway.Config {
	c := gateway.Config{
		Heartbeat: a.cfg.Edge.Heartbeat, StallTimeout: a.cfg.Edge.StallTimeout, DrainSpread: a.cfg.Edge.DrainSpread,
		MaxSockets: a.cfg.Edge.MaxSockets, AllowedOrigins: a.cfg.Edge.AllowedOrigins, Log: a.log.With("component", "gateway"),
	}
	if a.cfg.NoLimits {
		c.MaxSockets, c.MaxOpening, c.MaxSending = -1, -1, -1
	}
	return c
}

// drainBudget is how long clients have to leave when the process stops.
const drainBudget = 5 * time.Second

func (a *App) drainGateway() {
	ctx, cancel := context.WithTimeout(context.Background(), drainBudget)
	defer cancel()
	a.gateway.Drain(ctx)
}

// remote asks the roles that have a database.
type remote struct{ conn *bus.Conn }

func method(s streams.Service, m streams.Method) rpc.Method { return rpc.Method{Service: s, Method: m} }

// Session implements gateway.Directory.
func (r remote) Session(ctx context.Context, req schema.SessionRequest) (schema.SessionReply, error) {
	return rpc.Call[schema.SessionReply](ctx, r.conn.NATS(), method(streams.ServiceDirectory, streams.DirectorySession), req)
}

// Keys implements auth.KeySource.
func (r remote) Keys(ctx context.Context) ([]schema.VerifyKey, error) {
	reply, err := rpc.Call[schema.KeysReply](ctx, r.conn.NATS(), method(streams.ServiceDirectory, streams.DirectoryKeys), schema.KeysRequest{})
	return reply.Keys, err
}

// answerPause is how often the edge asks for the api of its own process: the word of who answers takes some
// milliseconds from the hub to the leaf.
const answerPause = 10 * time.Millisecond

// answers waits until the api can be asked.
func (r remote) answers(ctx context.Context) error {
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
func (r remote) Send(ctx context.Context, req schema.SendRequest) (schema.SendReply, error) {
	return rpc.Call[schema.SendReply](ctx, r.conn.NATS(), method(streams.ServiceHistory, streams.HistorySend), req)
}

// Message implements ingest.History.
func (r remote) Message(ctx context.Context, req schema.MessageRequest) (schema.MessageReply, error) {
	return rpc.Call[schema.MessageReply](ctx, r.conn.NATS(), method(streams.ServiceHistory, streams.HistoryMessage), req)
}

// tokenVerifier is auth's verifier as a gateway needs it.
type tokenVerifier struct{ verifier *auth.Verifier }

// VerifyToken implements gateway.Verifier.
func (v tokenVerifier) VerifyToken(ctx context.Context, raw string) (chat.UserID, error) {
	claims, err := v.verifier.Verify(ctx, raw)
	return claims.UserID, err
}

// stamps answers from the gateway's own feeds, which have an event at the moment of its PubAck, or asks the log.
type stamps struct {
	feeds *fanout.Feeds
	log   ingest.LogStamps
}

// feedPatience is how long a feed may take to have an event that the log has acknowledged.
const feedPatience = 150 * time.Millisecond

// StampOf implements ingest.Stamps.
func (s stamps) StampOf(ctx context.Context, ws chat.WorkspaceID, shard streams.Shard, seq chat.Seq) (time.Time, error) {
	within, cancel := context.WithTimeout(ctx, feedPatience)
	at, ok := s.feeds.StampOf(within, ws, seq)
	cancel()
	if ok {
		return at, nil
	}
	at, err := s.log.StampOf(ctx, ws, shard, seq)
	if err != nil {
		return at, fmt.Errorf("the time of an event: %w", err)
	}
	return at, nil
}
