package site

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/canopychat/canopy/ops/engines"
	"github.com/canopychat/canopy/ops/lifecycle"
	"github.com/canopychat/canopy/ops/local"
	"github.com/canopychat/canopy/ops/verify/lever"
	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/ops/verify/site/hook"
	"github.com/canopychat/canopy/ops/verify/site/renewal"
	"github.com/canopychat/canopy/streams"
)

// Gateway is where sockets are opened, past the front.
type Gateway struct{ Name, Region, Socket string }

// API is where REST is asked, past the front. Region is empty when it is of all regions.
type API struct{ Name, Region, URL string }

// Process is one that runs here.
type Process struct {
	Name       string
	Role       string // hub, leaf, gateway, api, persist, deliver
	MetricsURL string
	PID        func() int // 0: it does not run now
}

// Site is a deployment. Its fields are immutable after Local or Running; its methods may be used from many goroutines, Close once.
type Site struct {
	Name           string
	Dir            string // of a deployment on this machine: what `canopy … --data` takes; empty: elsewhere
	Regions        []string
	URL            map[string]string // of a region's front
	Gateways       []Gateway         // empty: only the front is known
	APIs           []API             // as Gateways
	HubNodes       []string          // names
	Processes      []Process
	CassandraHosts []string // past all proxies; empty: there is none, or nobody says where
	Keyspace       string
	Postgres       string // DSN, past all proxies; empty: as CassandraHosts
	Hook           string // URL of our webhook; empty: there is none

	hub        string // NATS URLs with a login; empty: unknown
	keeper     account
	deployment *local.Deployment
	engines    *engines.Engines
	hook       *hook.Hook
	life       *lifecycle.Lifecycle
	ways       []local.Way
	levers     []lever.Lever
	renewal    *renewal.Renewal  // nil: the deployment is not ours
	ailing     []*ailing         // disks that levers may have broken
	told       func(text string) // is told what happens; may be nil

	mu     sync.Mutex
	spaces []record.Workspace // guarded by mu; those that Settle has made

	storing sync.Mutex // held by who takes a store of the hub away: one at a time
}

// account is who makes the workspaces.
type account struct{ login, password string }

func newSite(name string) *Site {
	return &Site{Name: name, URL: map[string]string{}, life: lifecycle.New(slog.New(slog.DiscardHandler), nil)}
}

func (s *Site) say(format string, args ...any) {
	if s.told != nil {
		s.told(fmt.Sprintf(format, args...))
	}
}

// operatorBudget is how long a node of the hub may take to let us in.
const operatorBudget = 5 * time.Second

// Hub connects to the hub as operators do, past all proxies; the caller closes it. It is nil, without an error, when nobody has said
// where the hub is.
func (s *Site) Hub() (*nats.Conn, error) {
	if s.hub == "" {
		return nil, nil
	}
	return nats.Connect(s.hub, nats.Name("canopy verify"), nats.Timeout(operatorBudget), nats.MaxReconnects(-1))
}

// inHub does something with the hub's streams, as an operator; nothing when nobody has said where the hub is.
func (s *Site) inHub(do func(jetstream.JetStream) error) error {
	nc, err := s.Hub()
	if err != nil {
		return fmt.Errorf("the hub: %w", err)
	}
	if nc == nil {
		return nil
	}
	defer nc.Close()
	js, err := jetstream.NewWithDomain(nc, streams.HubDomain)
	if err != nil {
		return err
	}
	return do(js)
}

// Levers are what can be broken here.
func (s *Site) Levers() []lever.Lever { return slices.Clone(s.levers) }

// Ready waits until every process can do its work, and every node of the hub has all that the others have.
func (s *Site) Ready(ctx context.Context) error {
	if s.deployment == nil {
		return nil // what is not ours is looked at by who uses it
	}
	if err := s.deployment.Ready(ctx); err != nil {
		return err
	}
	return s.level(ctx, s.HubNodes)
}

// readyOf waits until these processes are ready. One that is not ours, or does not run, is passed over: whoever has taken it down waits
// for it.
func (s *Site) readyOf(ctx context.Context, names ...string) error {
	all, ctx := errgroup.WithContext(ctx)
	for _, name := range names {
		if p := s.deployment.Process(name); p != nil && p.PID() != 0 {
			all.Go(func() error { return p.Ready(ctx) })
		}
	}
	return all.Wait()
}

// Close ends everything that was started here. The error says what did not end as it should, or had ended by itself.
func (s *Site) Close() error {
	var errs []error
	for _, w := range s.ways {
		w.Heal() // who stops says goodbye
	}
	errs = append(errs, s.healDisks())
	if s.deployment != nil {
		errs = append(errs, s.deployment.Close())
	}
	if s.engines != nil {
		errs = append(errs, s.engines.Stop())
	}
	s.life.Stop()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("the site ended with %w", err)
	}
	return nil
}
