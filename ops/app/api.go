package app

import (
	"context"

	"github.com/canopychat/canopy/ops/app/adapt"
	"github.com/canopychat/canopy/ops/app/rules"
	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/gate"
	"github.com/canopychat/canopy/ops/remote"
	schema "github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/services/accounts"
	"github.com/canopychat/canopy/services/api"
	"github.com/canopychat/canopy/services/auth"
	"github.com/canopychat/canopy/services/mail"
	"github.com/canopychat/canopy/services/throttle"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/rpc"
)

// apiRole is the parts of the api role that others need: the demo, the handler, operators' figures.
type apiRole struct {
	*rules.Rules
	passwords *auth.Passwords
	signer    *auth.Signer
	sessions  *auth.Sessions
	verifier  *auth.Verifier
	accounts  *accounts.Service
	rest      *api.API
}

// startAPI wires the api role: who somebody is, what REST and the questions of others say.
func (a *App) startAPI(ctx context.Context) error {
	a.api = &apiRole{Rules: a.rules}
	for _, step := range []func(context.Context) error{a.startSessions, a.startAccounts, a.startREST, a.serveQuestions} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// startSessions wires who somebody is.
func (a *App) startSessions(ctx context.Context) (err error) {
	r := a.api
	if r.signer, err = auth.OpenSigner(ctx, auth.SignerConfig{Keyring: r.Store, Lifetime: a.cfg.Auth.TokenLife, Now: a.cfg.Clock.Now}); err != nil {
		return err
	}
	bucket, err := hubBucket(a.hubConn, streams.BucketRevocations)
	if err != nil {
		return err
	}
	r.verifier = auth.NewVerifier(auth.VerifierConfig{Source: r.signer, Revocations: a.revocations, Now: a.cfg.Clock.Now})
	r.passwords = auth.NewPasswords(0)
	r.sessions = auth.New(auth.Config{
		Accounts: r.Store, SignIns: r.Store, Tickets: r.Store, Passwords: r.passwords, Signer: r.signer,
		Announcer: remote.Announcer{Bucket: bucket, Life: r.signer.RevocationLife()}, Revocations: a.revocations, Throttle: throttle.New(throttle.Config{}),
		RefreshLife: a.cfg.Auth.SessionLife, Now: a.cfg.Clock.Now, Logger: a.log.With("component", "auth"),
	})
	a.life.Start("sign-ins", r.sessions.Run, nil)
	return nil
}

// startAccounts wires who gets in and out.
func (a *App) startAccounts(context.Context) error {
	r := a.api
	mailer, err := a.startMail()
	if err != nil {
		return err
	}
	r.accounts, err = accounts.New(accounts.Config{
		Store: r.Store, Directory: r.Directory, Hasher: r.passwords, Mailer: mailer, SignOuts: r.sessions, PublicURL: a.publicURL(), Now: a.cfg.Clock.Now,
		Logger: a.log.With("component", "accounts"),
	})
	return err
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
func (a *App) startREST(ctx context.Context) error {
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
	waits, err := a.late.Notify(ctx)
	if err != nil {
		return err
	}
	cfg := api.Config{
		SignIns: adapt.SignIns{Sessions: r.sessions, Metrics: a.metrics}, Sessions: r.sessions, Tokens: r.verifier,
		Accounts: r.Directory, Founding: r.accounts, Workspaces: r.Directory,
		Roles: adapt.Roles{Service: r.Directory, Accounts: r.accounts}, Invites: r.accounts, Channels: r.Directory, Joining: r.Directory, Editing: r.Directory,
		People: r.Directory, Directs: r.Directory, History: r.Reader, Gateways: live,
		Log: r.Submitter, SetupCode: code, Idempotency: r.Store, Proxies: proxies, Notify: waits,
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
	admin := accounts.NewAdmin(r.accounts, adapt.Tokens{Sessions: r.sessions, Users: r.Store}, r.signer)
	a.serveRPC(rpc.Service{Name: streams.ServiceDirectory, Version: streams.DirectoryVersion, Methods: map[streams.Method]rpc.Handler{
		streams.DirectorySession: rpc.Answer(r.Directory.Session),
		streams.DirectoryImport:  rpc.Answer(admin.Import),
		streams.DirectoryTicket:  rpc.Answer(r.sessions.Redeem),
		streams.DirectoryKeys: rpc.Answer(func(ctx context.Context, _ schema.KeysRequest) (schema.KeysReply, error) {
			keys, err := r.signer.Keys(ctx)
			return schema.KeysReply{Keys: keys}, err
		}),
	}})
	a.serveRPC(rpc.Service{Name: streams.ServiceHistory, Version: streams.HistoryVersion, Methods: map[streams.Method]rpc.Handler{
		streams.HistorySend:    rpc.Answer(r.Reader.Send),
		streams.HistoryMessage: rpc.Answer(r.Reader.Message),
	}})
	a.serveRPC(rpc.Service{Name: streams.ServiceCursors, Version: streams.CursorsVersion, Methods: map[streams.Method]rpc.Handler{
		streams.CursorsRead: rpc.Answer(r.Cursors.Read), streams.CursorsDelivered: rpc.Answer(r.Cursors.Delivered),
	}})
	a.serveRPC(rpc.Service{Name: streams.ServiceAdmin, Version: streams.AdminVersion, Methods: map[streams.Method]rpc.Handler{
		streams.AdminUsers: rpc.Answer(admin.Users), streams.AdminUser: rpc.Answer(admin.User),
		streams.AdminWorkspaces: rpc.Answer(admin.Workspaces), streams.AdminWorkspace: rpc.Answer(admin.Workspace),
		streams.AdminMember: rpc.Answer(admin.Member), streams.AdminInvite: rpc.Answer(admin.Invite),
		streams.AdminToken: rpc.Answer(admin.Token), streams.AdminKeys: rpc.Answer(admin.Keys),
	}})
	return nil
}
