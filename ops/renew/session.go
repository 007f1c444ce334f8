package renew

import (
	"context"
	"errors"
	"io"
	"log/slog"

	"github.com/canopychat/canopy/ops/app/access"
	"github.com/canopychat/canopy/ops/app/stores"
	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/ctl"
	"github.com/canopychat/canopy/ops/operator"
	"github.com/canopychat/canopy/services/persist"
	"github.com/canopychat/canopy/streams/bus"
)

// Session is what the command has from the process it runs in: ops/cli hands it over.
type Session struct {
	Context context.Context // ends with the first signal
	Stdout  io.Writer

	// Settings reads the settings.
	Settings func(operator.Where) (config.Config, error)
	// Reach connects to a deployment that is looked for as every command does. The caller closes the connection.
	Reach func(operator.Where) (*bus.Conn, config.Config, error)
	// RunHub runs the hub of the data folder until ctx ends; ready is called once when it serves, with its URL.
	RunHub func(ctx context.Context, cfg config.Config, ready func(address string)) error

	// Open opens the stores of the settings; nil: those that they name. The caller closes them.
	Open func(context.Context, config.Config) (s Stores, closes func() error, err error)
}

// Stores are the two that a deployment keeps beside its hub.
type Stores struct {
	Messages  persist.Store
	Directory Directory
}

// quiet is the log of what is opened: what fails is an error of the command.
func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// open opens both stores.
func (s *Session) open(cfg config.Config) (opened Stores, closes func() error, err error) {
	if s.Open != nil {
		return s.Open(s.Context, cfg)
	}
	messages, closeMessages, err := stores.Messages(s.Context, cfg, quiet())
	if err != nil {
		return opened, nil, err
	}
	directory, closeDirectory, err := stores.Directory(s.Context, cfg, quiet())
	if err != nil {
		return opened, nil, errors.Join(err, closeMessages())
	}
	return Stores{Messages: messages, Directory: directory}, func() error { return errors.Join(closeDirectory(), closeMessages()) }, nil
}

// reach connects to the hub that the settings name, as the processes do that have them: none runs now whose run.json would say
// where it is. Where the settings name none it is looked for as every command does.
func (s *Session) reach(w operator.Where) (*bus.Conn, config.Config, error) {
	if w.Context != "" {
		return s.Reach(w)
	}
	cfg, err := s.Settings(w)
	if err != nil {
		return nil, cfg, err
	}
	if cfg.Hub.URL == "" {
		return s.Reach(w)
	}
	address, err := access.HubURL(cfg)
	if err != nil {
		return nil, cfg, err
	}
	conn, err := s.dial(address)
	return conn, cfg, err
}

// dial connects to a hub by its URL, which has the login in it.
func (s *Session) dial(address string) (*bus.Conn, error) {
	d, err := ctl.Find(ctl.Query{Env: func(name string) string {
		if name == "NATS_URL" {
			return address
		}
		return ""
	}})
	if err != nil {
		return nil, err
	}
	return d.Connect(s.Context, quiet())
}

// alone runs the hub of the data folder until done is called. A deployment in one process has no other way to one: it refuses
// to start.
func (s *Session) alone(w operator.Where) (conn *bus.Conn, cfg config.Config, done func() error, err error) {
	if w.Context != "" {
		return nil, cfg, nil, config.Problemf("--context and --run-hub: one says where the hub is")
	}
	if cfg, err = s.Settings(w); err != nil {
		return nil, cfg, nil, err
	}
	if err := hasFolder(cfg); err != nil {
		return nil, cfg, nil, err
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(s.Context)) // it is needed until the command has come to its end
	serves, ended := make(chan string, 1), make(chan error, 1)
	go func() { ended <- s.RunHub(ctx, cfg, func(address string) { serves <- address }) }()
	done = func() error {
		stop()
		return <-ended
	}
	select {
	case address := <-serves:
		if conn, err = s.dial(address); err != nil {
			return nil, cfg, nil, errors.Join(err, done())
		}
		return conn, cfg, done, nil
	case err = <-ended:
		stop()
		if err == nil {
			err = errors.New("the hub ended by itself")
		}
		return nil, cfg, nil, err
	case <-s.Context.Done():
		return nil, cfg, nil, errors.Join(s.Context.Err(), done())
	}
}
