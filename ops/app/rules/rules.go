// Package rules wires what every role has that holds both databases: who may do what, the way into the log, history, and
// what people have read.
package rules

import (
	"log/slog"
	"time"

	"github.com/canopychat/canopy/ops/app/adapt"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/services/cursors"
	"github.com/canopychat/canopy/services/directory"
	"github.com/canopychat/canopy/services/history"
	"github.com/canopychat/canopy/services/ingest"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/eph"
	"github.com/canopychat/canopy/streams/publish"
)

// Config is what the rules are made of. All of it is needed.
type Config struct {
	Conn      *bus.Conn // to the hub
	Directory store.Directory
	Messages  store.Messages
	Publisher *publish.Publisher                    // runs elsewhere
	Submitter func(event.Submitter) event.Submitter // counts and traces what goes into the log
	Window    time.Duration                         // that the log knows a repetition
	Among     []streams.Shard                       // that workspaces made here lie in
	Now       func() time.Time
	Logger    *slog.Logger
}

// Rules are the parts.
type Rules struct {
	Store     store.Directory
	Directory *directory.Service
	Relay     *directory.Relay // to be run
	Reader    *history.Reader
	Submitter event.Submitter
	Cursors   *cursors.Service
}

// Open makes them. It starts nothing.
func Open(cfg Config) (*Rules, error) {
	r, log := &Rules{Store: cfg.Directory}, bus.NewLog(cfg.Conn)
	r.Relay = directory.NewRelay(directory.RelayConfig{
		Outbox: r.Store, Log: directory.Hub{Publisher: cfg.Publisher, Reader: log}, Window: cfg.Window, Now: cfg.Now, Logger: cfg.Logger.With("component", "relay"),
	})
	var err error
	if r.Directory, err = directory.New(directory.Config{Store: r.Store, Shards: streams.Shards, Among: cfg.Among, Relay: r.Relay, Now: cfg.Now}); err != nil {
		return nil, err
	}
	r.Reader = history.New(history.Config{Store: cfg.Messages, Log: log, Logger: cfg.Logger.With("component", "history")})
	r.Submitter = cfg.Submitter(ingest.New(ingest.Config{
		Publisher: cfg.Publisher, Log: log, History: r.Reader, Window: cfg.Window, Logger: cfg.Logger.With("component", "ingest"),
	}))
	if r.Cursors, err = cursors.New(cursors.Config{
		Directory: r.Directory, Tenures: r.Store, Read: cfg.Messages, Log: log, Delivered: cfg.Messages, Notices: adapt.Notices{Carrier: eph.New(cfg.Conn)},
		Now: cfg.Now, Logger: cfg.Logger.With("component", "cursors"),
	}); err != nil {
		return nil, err
	}
	return r, nil
}
