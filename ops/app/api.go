package app

import (
	"context"

	"github.com/canopychat/canopy/ops/app/adapt"
	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/ctl"
	"github.com/canopychat/canopy/ops/gate"
	"github.com/canopychat/canopy/ops/obs"
	"github.com/canopychat/canopy/ops/remote"
	schema "github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/services/accounts"
	"github.com/canopychat/canopy/services/api"
	"github.com/canopychat/canopy/services/auth"
	"github.com/canopychat/canopy/services/directory"
	"github.com/canopychat/canopy/services/history"
	"github.com/canopychat/canopy/services/ingest"
	"github.com/canopychat/canopy/services/mail"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/throttle"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/publish"
	"github.com/canopychat/canopy/streams/rpc"
)

// apiRole is the parts of the api role that others need: the demo, the handler, operators' figures.
type apiRole struct {
	store     store.Directory
	passwords *auth.Passwords
	signer    *auth.Signer
	sessions  *auth.Sessions
	verifier  *auth.Verifier
	directory *directory.Service
	accounts  *accounts.Service
	publisher *publish.Publisher
	reader    *history.Reader
	ingest    *ingest.Ingest
	rest      *api.API
}

// startAPI wires the api role: who somebody is, what the rules are, what REST and the questions of others say.
func (a *App) startAPI(ctx context.Context) error {
	a.api = &apiRole{store: a.directory}
	for _, step := range []func(context.Context) error{a.startSessions, a.startDirectory, a.startREST, a.serveQuestions} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// startSessions wires who somebody is.
func (a *App) startSessions(ctx context.Context) (err error) {
	r := a.api
	if r.signer, err = auth.OpenSigner(ctx, auth.SignerConfig{Keyring: r.store, Lifetime: a.cfg.Auth.TokenLife}); err != nil {
		return err
	}
	bucket, err := hubBucket(a.hubConn, streams.BucketRevocations)
	if err != nil {
		return err
	}
	r.verifier = auth.NewVerifier(auth.VerifierConfig{Source: r.signer, Revocations: a.revocations})
	r.passwords = auth.NewPasswords(0)
	r.sessions = auth.New(auth.Config{
		Accounts: r.store, SignIns: r.store, Tickets: r.store, Passwords: r.passwords, Signer: r.signer,
		Announcer: remote.Announcer{Bucket: bucket, Life: r.signer.RevocationLife()}, Revocations: a.revocations, Throttle: throttle.New(throttle.Config{}),
		RefreshLife: a.cfg.Auth.SessionLife, Logger: a.log.With("component", "auth"),
	})
	a.life.Start("sign-ins", r.sessions.Run, nil)
	return nil
}

// startDirectory wires the rules, and what brings their changes into the log.
func (a *App) startDirectory(context.Context) (err error) {
	r, log := a.api, bus.NewLog(a.hubConn)
	r.publisher = a.publisher("api publisher", a.hubConn)
	relay := directory.NewRelay(directory.RelayConfig{
		Outbox: r.store, Log: directory.Hub{Publisher: r.publisher, Reader: log}, Window: a.dedupWindow(), Logger: a.log.With("component", "relay"),
	})
	if r.directory, err = directory.New(directory.Config{
		Store: r.store, Shards: streams.Shards, Among: streams.ShardsFor(a.cfg.Region, ctl.Placement(a.cfg)), Relay: relay, Read: a.messages,
	}); err != nil {
		return err
	}
	mailer, err := a.startMail()
	if err != nil {
		return err
	}
	if r.accounts, err = accounts.New(accounts.Config{
		Store: r.store, Directory: r.directory, Hasher: r.passwords, Mailer: mailer, SignOuts: r.sessions, PublicURL: a.publicURL(),
		Logger: a.log.With("component", "accounts"),
	}); err != nil {
		return err
	}
	r.reader = history.New(history.Config{Store: a.messages, Log: log, Logger: a.log.With("component", "history")})
	r.ingest = ingest.New(ingest.Config{
		Publisher: r.publisher, Log: log, History: r.reader, Window: a.dedupWindow(), Logger: a.log.With("component", "ingest"),
	})
	a.life.Start("outbox relay", relay.Run, nil)
	return nil
}

// startMail sends mail when the settings say how; nil: it is not sent.
func (a *App) startMail() (accounts.Mailer, error) {
	m := a.cfg.Mail
	if m.Server == "" {
		return nil, nil
	}
	sender, err := mail.New(mail.Config{
		Address: m.Server, From: m.From, User: m.User, Password: m.Password, TLS: m.TLS, Logger: a.log.With("component", "mail"),
	})
	if err != nil {
		return nil, config.Problemf("mail: %v", err)
	}
	a.life.Start("mail", sender.Run, nil)
	return sender, nil
}

// startREST wires what people ask over HTTP.
func (a *App) startREST(context.Context) error {
	r := a.api
	code, err := a.setupCode()
	if err != nil {
		return err
	}
	live, err := a.startGatewayView(a.hubConn)
	if err != nil {
		return err
	}
	proxies, err := a.cfg.Proxies()
	if err != nil {
		return err
	}
	cfg := api.Config{
		SignIns: adapt.SignIns{Sessions: r.sessions, Metrics: a.metrics}, Sessions: r.sessions, Tokens: r.verifier,
		Accounts: r.directory, Founding: r.accounts, Workspaces: r.directory,
		Roles: adapt.Roles{Service: r.directory, Accounts: r.accounts}, Invites: r.accounts, Channels: r.directory, Joining: r.directory, Editing: r.directory,
		People: r.directory, Directs: r.directory, Reads: r.directory, History: r.reader, Gateways: live,
		Log: obs.NewSubmitter(r.ingest, a.metrics, a.tracer), SetupCode: code, Idempotency: r.store, Proxies: proxies,
		Tracer: a.tracer, Request: a.metrics.Request, Refused: a.metrics.Refusals("rest"), Logger: a.log.With("component", "api"),
	}
	if !a.cfg.NoLimits {
		cfg.Log = gate.Submitter{Gate: a.sends, Next: cfg.Log}
		if cfg.Gate, err = gate.New(gate.Rates{Address: a.cfg.Limits.AddressRequests, User: a.cfg.Limits.UserRequests}); err != nil {
			return err
		}
	}
	r.rest = api.New(cfg)
	return nil
}

// serveQuestions answers what other processes and operators ask over NATS.
func (a *App) serveQuestions(context.Context) error {
	r := a.api
	admin := accounts.NewAdmin(r.accounts, adapt.Tokens{Sessions: r.sessions, Users: r.store}, r.signer)
	a.serveRPC(rpc.Service{Name: streams.ServiceDirectory, Version: streams.DirectoryVersion, Methods: map[streams.Method]rpc.Handler{
		streams.DirectorySession: rpc.Answer(r.directory.Session),
		streams.DirectoryImport:  rpc.Answer(admin.Import),
		streams.DirectoryTicket:  rpc.Answer(r.sessions.Redeem),
		streams.DirectoryKeys: rpc.Answer(func(ctx context.Context, _ schema.KeysRequest) (schema.KeysReply, error) {
			keys, err := r.signer.Keys(ctx)
			return schema.KeysReply{Keys: keys}, err
		}),
	}})
	a.serveRPC(rpc.Service{Name: streams.ServiceHistory, Version: streams.HistoryVersion, Methods: map[streams.Method]rpc.Handler{
		streams.HistorySend:    rpc.Answer(r.reader.Send),
		streams.HistoryMessage: rpc.Answer(r.reader.Message),
	}})
	a.serveRPC(rpc.Service{Name: streams.ServiceAdmin, Version: streams.AdminVersion, Methods: map[streams.Method]rpc.Handler{
		streams.AdminUsers: rpc.Answer(admin.Users), streams.AdminUser: rpc.Answer(admin.User),
		streams.AdminWorkspaces: rpc.Answer(admin.Workspaces), streams.AdminWorkspace: rpc.Answer(admin.Workspace),
		streams.AdminMember: rpc.Answer(admin.Member), streams.AdminInvite: rpc.Answer(admin.Invite),
		streams.AdminToken: rpc.Answer(admin.Token), streams.AdminKeys: rpc.Answer(admin.Keys),
	}})
	return nil
}
