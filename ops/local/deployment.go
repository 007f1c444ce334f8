package local

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/datadir"
	"github.com/canopychat/canopy/ops/lifecycle"
	"github.com/canopychat/canopy/streams"
)

// Deployment is processes that run. All methods may be used from many goroutines, Close once.
type Deployment struct {
	// Immutable after Start.
	Dir        string // absolute; also the data folder of `canopy … --data` (run.json)
	Regions    []string
	Hubs       []*Process
	Leaves     map[string]*Process   // by region
	Gateways   map[string][]*Process // by region
	APIs       []*Process            // one; one for each region, with shared stores
	Persisters []*Process            // as APIs
	Deliverers []*Process            // as APIs
	Links      map[string]Link       // by region; empty without LinkThroughProxy or Proxies
	Ways       []Way                 // all that Options.Proxies promises

	o      Options
	plan   *plan
	life   *lifecycle.Lifecycle // of fronts and links
	folder *datadir.Folder

	mu sync.Mutex // guards folder.Secrets, and the files of addresses
}

// Start starts a deployment and waits until all of it is ready; ctx has no say afterwards. When something does not
// start, what runs is stopped. What the user can mend is a *config.Problem.
func Start(ctx context.Context, o Options) (*Deployment, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return nil, config.Problemf("the folder %s: %v", o.Dir, err)
	}
	folder, err := datadir.Open(o.Dir, nil, true)
	if err != nil {
		return nil, err
	}
	d := &Deployment{
		Dir: o.Dir, Regions: o.Regions, Leaves: map[string]*Process{}, Gateways: map[string][]*Process{}, Links: map[string]Link{},
		o: o, life: lifecycle.New(o.Log, nil), folder: folder,
	}
	if err := d.start(ctx); err != nil {
		_ = d.Close() // why it did not start says more than how the others ended
		return nil, err
	}
	return d, nil
}

func (d *Deployment) start(ctx context.Context) (err error) {
	if d.plan, err = newPlan(d.o, d.folder.Secrets); err != nil {
		return err
	}
	d.Hubs, d.APIs, d.Persisters = d.plan.of("hub", ""), d.plan.of("api", ""), d.plan.of("persist", "")
	d.Deliverers = d.plan.of("deliver", "")
	if err := d.pave(); err != nil {
		return err
	}
	for i, leaf := range d.plan.of("leaf", "") {
		region := d.Regions[i]
		d.Leaves[region], d.Gateways[region] = leaf, d.plan.of("edge", region)
		apis := &turn{of: d.plan.of("api", region), otherwise: d.APIs}
		if len(apis.of) == 0 {
			apis.of = d.APIs
		}
		f, err := newFront(d.plan.fronts[region], &turn{of: d.Gateways[region]}, apis, d.o.Log)
		if err != nil {
			return err
		}
		d.life.Start(frontOf(region), f.Run, nil)
	}
	for _, p := range d.Processes() {
		p.changed = d.write
		d.o.say("starting %s", p.Name)
		if err := p.Start(); err != nil {
			return err
		}
	}
	if err := d.await(ctx, func(p *Process) { d.o.say("%s is ready", p.Name) }); err != nil {
		return err
	}
	return d.write()
}

// Processes are all of them, in the order in which they need each other.
func (d *Deployment) Processes() []*Process {
	if d.plan == nil {
		return nil
	}
	return d.plan.processes
}

// Process is one of them by its name; nil: there is none.
func (d *Deployment) Process(name string) *Process {
	for _, p := range d.Processes() {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// Ready waits until every process is ready.
func (d *Deployment) Ready(ctx context.Context) error { return d.await(ctx, func(*Process) {}) }

// await waits until every process is ready, or the first is known to be in trouble.
func (d *Deployment) await(ctx context.Context, ready func(*Process)) error {
	all, ctx := errgroup.WithContext(ctx)
	for _, p := range d.Processes() {
		all.Go(func() error {
			if err := p.Ready(ctx); err != nil {
				return err
			}
			ready(p)
			return nil
		})
	}
	return all.Wait()
}

// URL is where people of a region reach REST and, at /socket, any of its gateways.
func (d *Deployment) URL(region string) string { return "http://" + d.plan.outside[frontOf(region)] }

// Socket is the address of a gateway's own sockets, past the front: live.Options.URL.
func (d *Deployment) Socket(gateway *Process) string {
	return "ws://" + d.plan.outside[gateway.Name] + "/socket"
}

// REST is where an api itself is reached, past the front.
func (d *Deployment) REST(api *Process) string { return "http://" + d.plan.outside[api.Name] }

// HubURL is the hub for services and operators: NATS URLs of all its nodes with a login, commas between.
func (d *Deployment) HubURL() string {
	return d.plan.hubURL("", userServices, d.plan.passwords.services)
}

// SystemURL is the same in the system account.
func (d *Deployment) SystemURL() string {
	return d.plan.hubURL("", userSystem, d.plan.passwords.system)
}

// LeafURL is a region's leaf with the login of its gateways.
func (d *Deployment) LeafURL(region string) string {
	return withLogin("nats", userGateway, d.plan.passwords.gateway[region], d.Leaves[region].Address)
}

// connectBudget is how long a node of the hub may take to let one in.
const connectBudget = 5 * time.Second

// Operator connects to the hub as services do; the connection goes from node to node while they die and come back.
// The caller closes it.
func (d *Deployment) Operator() (*nats.Conn, error) {
	return nats.Connect(d.HubURL(), nats.Name("canopy local"), nats.Timeout(connectBudget), nats.MaxReconnects(-1))
}

// StreamLeader is the node of the hub that leads a shard's stream; nil: nobody does now.
func (d *Deployment) StreamLeader(ctx context.Context, shard streams.Shard) (*Process, error) {
	nc, err := d.Operator()
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	js, err := jetstream.NewWithDomain(nc, streams.HubDomain)
	if err != nil {
		return nil, err
	}
	stream, err := js.Stream(ctx, streams.ChatStream(shard))
	if err != nil {
		return nil, fmt.Errorf("the stream of shard %d: %w", shard, err)
	}
	info := stream.CachedInfo()
	if info.Cluster == nil {
		return nil, nil
	}
	return d.Process(info.Cluster.Leader), nil
}

// Close stops everything, those first that need the others, and waits for it. The error says who had ended by itself,
// who did not stop when asked and was killed, and who ended with an error.
func (d *Deployment) Close() error {
	var errs []error
	for _, p := range d.Processes() {
		if err := p.Crashed(); err != nil {
			errs = append(errs, fmt.Errorf("%w\n%s", err, p.Tail()))
		}
	}
	for _, role := range []string{"edge", "deliver", "persist", "api", "leaf", "hub"} {
		if d.plan != nil {
			errs = append(errs, stopAll(d.plan.of(role, "")))
		}
	}
	d.life.Stop()
	errs = append(errs, d.removeFiles(), d.folder.Close())
	return errors.Join(errs...)
}

// stopAll stops those of some processes that run, all at once.
func stopAll(processes []*Process) error {
	errs := make([]error, len(processes))
	var stopping sync.WaitGroup
	for i, p := range processes {
		if p.PID() != 0 {
			stopping.Go(func() { errs[i] = p.Stop(context.Background()) })
		}
	}
	stopping.Wait()
	return errors.Join(errs...)
}
