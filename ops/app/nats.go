package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/ops/app/access"
	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/ctl"
	"github.com/canopychat/canopy/ops/datadir"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/natsd"
	"github.com/canopychat/canopy/streams/provision"
)

// Users of the embedded servers, besides access.User.
const (
	userSystem = "sys"
	userLeaf   = "leaf"
)

const (
	attemptTime  = 10 * time.Second // of one attempt to provision: a question can be lost in a reconnect, and a new cluster elects first
	attemptPause = 500 * time.Millisecond
)

func (a *App) login() natsd.Login {
	return natsd.Login{User: access.User, Password: a.folder.Secrets.App}
}
func (a *App) system() natsd.Login {
	return natsd.Login{User: userSystem, Password: a.folder.Secrets.System}
}

func (a *App) startHub(ctx context.Context) error {
	common := natsd.Common{
		Name: "canopy-hub", Listen: a.cfg.Hub.Listen, Monitor: a.cfg.Hub.Monitor, App: a.login(), System: a.system(),
		StoreDir: a.folder.At(datadir.Hub), MaxStore: a.cfg.Hub.MaxStore, SyncAlways: a.cfg.Hub.SyncAlways, Logger: a.log,
	}
	if a.cfg.Hub.Server != "" {
		if a.has(RoleLeaf) && a.cfg.Leaf.Server == "" {
			return config.Problemf("hub.server: in one process with a hub that has a file, the leaf needs one as well (leaf.server)")
		}
		common = fromFile(a.cfg.Hub.Server, a.cfg.Hub.URL, a.log)
	}
	a.hub = natsd.NewHub(natsd.HubConfig{
		Common: common, LeafListen: a.cfg.Hub.LeafListen, Leaf: natsd.Login{User: userLeaf, Password: a.folder.Secrets.Leaf},
	})
	a.life.Start("hub", a.hub.Run, nil)
	if err := a.hub.Ready(ctx); err != nil {
		return err
	}
	a.running.Hub, a.running.HubSystem = a.hub.ClientURL(), a.hub.SystemURL()
	return a.canLogIn(a.running.Hub, "hub")
}

func (a *App) startLeaf(ctx context.Context) error {
	hub := a.cfg.Leaf.HubURL
	if a.hub != nil {
		hub = a.hub.LeafURL()
	} else {
		hub = access.With(hub, natsd.Login{User: userLeaf, Password: a.folder.Secrets.Leaf})
	}
	common := natsd.Common{
		Name: "canopy-leaf-" + a.cfg.Region, Listen: a.cfg.Leaf.Listen, Monitor: a.cfg.Leaf.Monitor, App: a.login(), System: a.system(),
		StoreDir: a.folder.At(datadir.Leaf), Logger: a.log,
	}
	if a.cfg.Leaf.Server != "" {
		common = fromFile(a.cfg.Leaf.Server, a.cfg.Leaf.URL, a.log)
	}
	a.leaf = natsd.NewLeaf(natsd.LeafConfig{Common: common, Region: a.cfg.Region, HubURLs: strings.Split(hub, ",")})
	a.life.Start("leaf", a.leaf.Run, nil)
	if err := a.leaf.Ready(ctx); err != nil {
		return err
	}
	a.running.Leaf = a.leaf.ClientURL()
	return a.canLogIn(a.running.Leaf, "leaf")
}

// fromFile is a server that has a configuration file. This process logs in with what the server's URL in our settings
// says, or as the first user of the file whose password it can read.
func fromFile(path, address string, log *slog.Logger) natsd.Common {
	c := natsd.Common{File: path, Logger: log}
	first, _, _ := strings.Cut(address, ",")
	if u, err := url.Parse(strings.TrimSpace(first)); err == nil && u.User != nil {
		c.App.User = u.User.Username()
		c.App.Password, _ = u.User.Password()
	}
	return c
}

// canLogIn refuses a server that this process cannot use.
func (a *App) canLogIn(address, server string) error {
	if address != "" {
		return nil
	}
	return config.Problemf("%s.server: no user of the account %s has a password in plain text there: say in %s.url how this process logs in", server, streams.AccountApp, server)
}

// dialHub connects to the hub: to the one in this process, or to the one that the config names.
func (a *App) dialHub(ctx context.Context) (err error) {
	cfg := bus.DialConfig{URL: access.With(a.cfg.Hub.URL, a.login()), Role: a.name(), Logger: a.log}
	if a.hub != nil {
		cfg.URL, cfg.InProcess = a.hub.ClientURL(), a.hub
	}
	a.hubConn, err = a.dial(ctx, cfg)
	return err
}

// dialLeaf connects to the leaf: people's sockets know no other server.
func (a *App) dialLeaf(ctx context.Context) (err error) {
	cfg := bus.DialConfig{URL: access.With(a.cfg.Leaf.URL, a.login()), Role: a.name(), Logger: a.log}
	if a.leaf != nil {
		cfg.URL, cfg.InProcess = a.leaf.ClientURL(), a.leaf
	}
	a.leafConn, err = a.dial(ctx, cfg)
	return err
}

// dial connects and waits for the server: processes start in any order.
func (a *App) dial(ctx context.Context, cfg bus.DialConfig) (*bus.Conn, error) {
	conn, err := bus.Dial(cfg)
	if err != nil {
		return nil, config.Problemf("%v", err)
	}
	a.life.Closes("connection "+cfg.Role, func() error { conn.Close(); return nil })
	return conn, conn.Ready(ctx)
}

func (a *App) name() string {
	if a.whole() {
		return "canopy-up"
	}
	return "canopy-" + string(a.roles[0])
}

// provision makes the streams what their files say, and stops when they cannot be, or when they were emptied
// since the store saw them.
func (a *App) provision(ctx context.Context) error {
	wanted, err := provision.Load(streams.Files(), ctl.StreamOptions(a.cfg))
	if err != nil {
		return err
	}
	js, err := jetstream.NewWithDomain(a.hubConn.NATS(), streams.HubDomain)
	if err != nil {
		return fmt.Errorf("JetStream of the hub: %w", err)
	}
	for {
		err := a.provisionOnce(ctx, wanted, js)
		var refused *provision.RefusedError
		switch {
		case err == nil:
			return nil
		case errors.As(err, &refused), errors.Is(err, provision.ErrEmptied):
			return config.Problemf("%v", err)
		case ctx.Err() != nil:
			return err
		}
		a.log.Warn("the streams are not ready yet", "err", err)
		if err := bus.Pause(ctx, attemptPause); err != nil {
			return err
		}
	}
}

func (a *App) provisionOnce(ctx context.Context, wanted *provision.Wanted, js jetstream.JetStream) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	seen, err := a.seen(ctx)
	if err != nil {
		return err
	}
	changes, err := wanted.Ensure(ctx, js, seen)
	if len(changes) > 0 {
		a.log.Info("streams applied", "changes", len(changes))
	}
	return err
}

// seen is how far each stream has been seen: what the stores of this process have from it. It is empty in a
// process without a store.
func (a *App) seen(ctx context.Context) (map[string]uint64, error) {
	seen := make(map[string]uint64)
	for shard := range streams.Shards {
		var through, recorded chat.Seq
		var err error
		if a.messages != nil {
			through, err = a.messages.Progress(ctx, shard)
		}
		if err == nil && a.directory != nil {
			recorded, err = a.directory.Recorded(ctx, shard)
		}
		if err != nil {
			return nil, fmt.Errorf("what the stores have of shard %d: %w", shard, err)
		}
		seen[streams.ChatStream(shard)] = uint64(max(through, recorded))
	}
	return seen, nil
}

// dedupWindow is how long the log itself remembers a Msg-Id.
func (a *App) dedupWindow() time.Duration {
	if a.cfg.Streams.DedupWindow > 0 {
		return a.cfg.Streams.DedupWindow
	}
	return chat.DedupWindow
}
