// Package deliveries wires what reaches people who were not there: the parts that REST and the role deliver both have, and the
// role itself, router, worker, schedule and dead letters.
package deliveries

import (
	"context"
	"log/slog"

	"github.com/canopychat/canopy/ops/app/rules"
	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/services/api/notify"
	"github.com/canopychat/canopy/services/deliver"
	"github.com/canopychat/canopy/services/deliver/ledger"
	"github.com/canopychat/canopy/services/deliver/target"
	"github.com/canopychat/canopy/services/reach"
	"github.com/canopychat/canopy/services/schedule"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/later"
)

// Config is what the parts are made of. All of it is needed.
type Config struct {
	Conn      *bus.Conn // to the hub
	Directory store.Directory
	Messages  store.Messages
	Rules     *rules.Rules
	Settings  config.Config
	Logger    *slog.Logger
}

// Shared is the parts that answer questions.
type Shared struct {
	cfg      Config
	later    *later.Store
	routed   *deliver.Consumers
	private  bool // targets may lie in private networks
	Targets  *target.Targets
	Schedule *schedule.Service
	Ledger   *ledger.Ledger
}

// Open makes them. It starts nothing.
func Open(cfg Config) (*Shared, error) {
	s := &Shared{cfg: cfg, later: later.New(cfg.Conn)}
	s.routed = deliver.NewRouterSource(cfg.Conn, s.ready)
	private, err := cfg.Settings.PrivateTargets()
	if err != nil {
		return nil, err
	}
	s.private = len(private) > 0
	if s.Targets, err = target.New(target.Config{
		Subscriptions: cfg.Directory, Webhooks: cfg.Directory, Secrets: cfg.Directory, Contact: cfg.Settings.Deliver.Contact, AllowPrivate: private,
		Now: cfg.Settings.Clock.Now, Logger: cfg.Logger.With("component", "targets"),
	}); err != nil {
		return nil, err
	}
	if s.Schedule, err = schedule.New(schedule.Config{
		Later: s.later, Log: cfg.Rules.Submitter, Directory: cfg.Rules.Directory, Conn: cfg.Conn, Now: cfg.Settings.Clock.Now, Logger: cfg.Logger.With("component", "schedule"),
	}); err != nil {
		return nil, err
	}
	s.Ledger = ledger.New(ledger.Config{
		Places: cfg.Directory, People: cfg.Directory, Wishes: cfg.Directory, Messages: cfg.Messages, Cursors: cfg.Messages, Log: bus.NewLog(cfg.Conn),
		Routing: s.routed, Jobs: s.later, Devices: cfg.Directory, Logger: cfg.Logger.With("component", "ledger"),
	})
	return s, nil
}

// ready reports whether both databases answer: a process that restarts while one is down spends no delivery.
func (s *Shared) ready(ctx context.Context) error {
	if _, err := s.cfg.Messages.Progress(ctx, 0); err != nil {
		return err
	}
	_, err := s.cfg.Directory.Owed(ctx, "ready")
	return err
}

// Notify is what REST says of reading, of reaching people and of what waits.
func (s *Shared) Notify(ctx context.Context) (notify.Config, error) {
	r := s.cfg.Rules
	reaching, err := reach.New(reach.Config{Store: r.Store, Members: r.Store, Channels: r.Directory, AllowInsecure: s.private, Now: s.cfg.Settings.Clock.Now})
	if err != nil {
		return notify.Config{}, err
	}
	key, err := s.Targets.VAPIDKey(ctx)
	if err != nil {
		return notify.Config{}, err
	}
	return notify.Config{
		Workspaces: r.Directory, Channels: r.Directory, Reads: r.Cursors, Unreads: r.Reader, Preferences: reaching, Subscriptions: reaching, Webhooks: reaching,
		Schedule: s.Schedule, Ledger: s.Ledger, PushKey: func() string { return key },
	}, nil
}
