package engines

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/engines/cassandrajars"
	"github.com/canopychat/canopy/ops/engines/child"
)

// Options say which engines to start, and how.
type Options struct {
	Dir       string // of data, logs and engines.json; made when it is not there
	Cassandra int    // nodes of the ring: 0, 1 or 3
	Postgres  bool
	Hub       int // nodes: 0 or 3

	Network      string   // of the ring's addresses: nodes are Network.1 to .3 (default 127.0.0)
	CQLPort      int      // default 9042
	PostgresPort int      // default: a free one, the same for a folder each time
	NoSync       bool     // PostgreSQL does not wait for the disk: for tests
	Jars         string   // folder of Cassandra's jars (default: $CANOPY_CASSANDRA_JARS, else in the user's cache)
	Program      []string // how canopy is started, for the hub (default: this very program)

	Say func(text string) // is told each step in one line; may be nil
}

func (o Options) say(format string, args ...any) {
	if o.Say != nil {
		o.Say(fmt.Sprintf(format, args...))
	}
}

func (o Options) withDefaults() Options {
	if o.Network == "" {
		o.Network = "127.0.0"
	}
	if o.CQLPort == 0 {
		o.CQLPort = 9042
	}
	return o
}

var loopback = regexp.MustCompile(`^127\.\d{1,3}\.\d{1,3}$`)

func (o Options) check() error {
	switch {
	case !child.Supported:
		return config.Problemf("engines are started on Linux only; on another system, start the servers by its own means")
	case o.Dir == "":
		return config.Problemf("in which folder? --dir says it")
	case !slices.Contains([]int{0, 1, 3}, o.Cassandra):
		return config.Problemf("a ring of %d nodes: it has 1 or 3", o.Cassandra)
	case !slices.Contains([]int{0, 3}, o.Hub):
		return config.Problemf("a hub of %d nodes: it has 3", o.Hub)
	case o.Cassandra == 0 && o.Hub == 0 && !o.Postgres:
		return config.Problemf("which engines? --cassandra 1, --postgres, --hub 3")
	case !loopback.MatchString(o.Network) || net.ParseIP(o.Network+".1") == nil:
		return config.Problemf("the network %.40q is not the first three numbers of a loopback address, such as 127.0.9", o.Network)
	}
	return nil
}

// Engines are servers that run.
type Engines struct {
	Cassandra []*Node
	Postgres  *Node // nil: none
	Hub       []*Node

	options  Options
	folder   *folder
	ring     *ring
	postgres *postgres
	hub      *hub
	order    [][]*Node // as they are started; those of one row need each other
	failed   chan error
}

// Start starts the engines one after the other, waits until each serves and writes engines.json. When ctx ends before,
// or one of them does not start, those that run are stopped. ctx has no say afterwards. What is missing or in the way
// is the user's to mend: a *config.Problem.
func Start(ctx context.Context, o Options) (*Engines, error) {
	o = o.withDefaults()
	if err := o.check(); err != nil {
		return nil, err
	}
	d, err := openFolder(o.Dir)
	if err != nil {
		return nil, err
	}
	e := &Engines{options: o, folder: d, failed: make(chan error, 1)}
	err = e.plan(ctx)
	for _, nodes := range e.order {
		if err == nil {
			err = e.start(ctx, nodes)
		}
	}
	if err == nil {
		err = d.publish(e.Addresses())
	}
	if err != nil {
		return nil, errors.Join(err, e.Stop())
	}
	return e, nil
}

// plan finds what the engines need, before anything is started.
func (e *Engines) plan(ctx context.Context) error {
	if e.options.Postgres {
		p, err := newPostgres(e.folder, e.options, e.failed)
		if err != nil {
			return err
		}
		e.postgres, e.Postgres = p, p.node
		e.order = append(e.order, []*Node{p.node})
	}
	if e.options.Hub > 0 {
		h, err := newHub(ctx, e.folder, e.options, e.failed)
		if err != nil {
			return err
		}
		e.hub = h
		for _, n := range h.nodes {
			e.Hub = append(e.Hub, n.node)
		}
		e.order = append(e.order, e.Hub)
	}
	if e.options.Cassandra > 0 {
		j, err := cassandrajars.Fetch(ctx, e.options.Jars, e.options.say)
		if err != nil {
			return err
		}
		if e.ring, err = newRing(e.folder, e.options, j, e.failed); err != nil {
			return err
		}
		for _, n := range e.ring.nodes {
			e.Cassandra = append(e.Cassandra, n.node)
			e.order = append(e.order, []*Node{n.node}) // nodes that join a ring at once get in each other's way
		}
	}
	return nil
}

func (e *Engines) start(ctx context.Context, nodes []*Node) error {
	for _, n := range nodes {
		e.options.say("%s: starting; it writes to %s", n.Name, n.Log)
	}
	if err := startAll(ctx, nodes); err != nil {
		return err
	}
	for _, n := range nodes {
		e.options.say("%s: serves, process %d", n.Name, n.PID())
	}
	return nil
}

// Failed gives the error of the first engine that ended without having been told to by its Node.
func (e *Engines) Failed() <-chan error { return e.failed }

// Addresses say where the engines are; the pid of one that does not run is 0.
func (e *Engines) Addresses() Addresses {
	var a Addresses
	if e.ring != nil {
		for _, n := range e.ring.nodes {
			a.Cassandra = append(a.Cassandra, CassandraNode{n.host, e.ring.port, n.node.PID()})
		}
	}
	if e.postgres != nil {
		a.Postgres = &PostgresAddress{e.postgres.dsn(), e.postgres.node.PID()}
	}
	if e.hub != nil {
		for _, n := range e.hub.nodes {
			a.Hub = append(a.Hub, HubNode{n.url(), n.node.PID()})
		}
	}
	return a
}

// Stop stops the engines, the last one first, and gives the folder back. Everything lasts. It may be called
// again.
func (e *Engines) Stop() error {
	if e.folder.lock == nil {
		return nil // it is another run's
	}
	errs := []error{e.folder.retract()}
	for _, n := range slices.Backward(slices.Concat(e.order...)) {
		if n.running() == nil {
			continue
		}
		e.options.say("%s: stopping", n.Name)
		errs = append(errs, n.Stop())
	}
	return errors.Join(append(errs, e.folder.close())...)
}

// Run starts the engines, calls ready, and stops them when ctx ends, or with an error when one of them ends by itself.
func Run(ctx context.Context, o Options, ready func(Addresses)) error {
	e, err := Start(ctx, o)
	if err != nil {
		return err
	}
	ready(e.Addresses())
	select {
	case <-ctx.Done():
	case err = <-e.Failed():
	}
	return errors.Join(err, e.Stop())
}

// Fetch makes sure that Cassandra's jars are there (Options.Jars), as Start does.
func Fetch(ctx context.Context, o Options) error {
	_, err := cassandrajars.Fetch(ctx, o.Jars, o.say)
	return err
}
