package workbench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/engines"
	"github.com/canopychat/canopy/ops/local"
)

// LocalCmd is canopy local.
type LocalCmd struct {
	Up LocalUpCmd `cmd:"" help:"Start it, and stop it with Ctrl-C."`
}

// LocalUpCmd is canopy local up.
type LocalUpCmd struct {
	Dir       string   `default:"./canopy-local" placeholder:"DIR" help:"Folder of everything: settings, data, logs (default ./canopy-local)."`
	Regions   []string `default:"eu,us" placeholder:"NAME" help:"Regions, each with a leaf node and gateways (default eu,us)."`
	Gateways  int      `default:"2" placeholder:"N" help:"Gateways of each region (default 2)."`
	Cassandra []string `placeholder:"HOST" help:"Some nodes of a Cassandra ring, for messages. With --postgres, too."`
	Postgres  string   `placeholder:"DSN" help:"The PostgreSQL database of accounts and channels, postgres://…"`
	Engines   bool     `name:"with-engines" help:"Start a Cassandra and a PostgreSQL in the folder, and use them (canopy engines up says what that needs)."`
	Set       []string `sep:"none" placeholder:"KEY=VALUE" help:"Any setting by its full name, for all processes; may be repeated."`
}

// Help is shown by canopy local up --help.
func (LocalUpCmd) Help() string {
	return `Three hub nodes, in each region a leaf node and gateways, REST and persisters: each a process of its own on this machine, from the configuration files that production has. When all is ready it shows what runs where and how to look inside; deployment.json in the folder says the same to scripts. A process that ends by itself, as by kill -9, is started again. Without --cassandra and --postgres, messages and accounts are in SQLite files. Ctrl-C stops everything; the next start goes on with what is there.`
}

// The people of a first start: one at each end of the deployment.
const (
	localWorkspace = "Demo"
	localFirst     = "alice"
	localLast      = "bob"
)

// Run is of kong.
func (c LocalUpCmd) Run(s *Session) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("which program is this: %w", err)
	}
	o := local.Options{
		Dir: c.Dir, Canopy: program, Regions: c.Regions, Gateways: c.Gateways, Cassandra: c.Cassandra, Postgres: c.Postgres, Settings: c.Set,
		Say: oneAtATime(s.steps()),
	}
	if !c.Engines {
		return c.up(s.Context, s, o)
	}
	if len(c.Cassandra) > 0 || c.Postgres != "" {
		return config.Problemf("--with-engines starts a Cassandra and a PostgreSQL: leave --cassandra and --postgres out")
	}
	return c.upWithEngines(s, o)
}

// localNetwork is where the ring of --with-engines listens: not where another one would.
const localNetwork = "127.0.71"

func (c LocalUpCmd) upWithEngines(s *Session, o local.Options) error {
	e, err := engines.Start(s.Context, engines.Options{Dir: filepath.Join(c.Dir, "engines"), Cassandra: 1, Postgres: true, Network: localNetwork, Say: o.Say})
	if err != nil {
		return err
	}
	at := e.Addresses()
	for _, n := range at.Cassandra {
		o.Cassandra = append(o.Cassandra, net.JoinHostPort(n.Host, strconv.Itoa(n.Port)))
	}
	o.Postgres = at.Postgres.DSN
	ctx, cancel := context.WithCancel(s.Context)
	var watching sync.WaitGroup
	var failed error
	watching.Go(func() {
		defer cancel()
		select {
		case failed = <-e.Failed():
		case <-ctx.Done():
		}
	})
	err = c.up(ctx, s, o)
	cancel()
	watching.Wait()
	return errors.Join(err, failed, e.Stop())
}

// up starts the deployment and stays until ctx ends.
func (LocalUpCmd) up(ctx context.Context, s *Session, o local.Options) (err error) {
	d, err := local.Start(ctx, o)
	if err != nil {
		return err
	}
	defer func() {
		o.Say("stopping all processes")
		err = errors.Join(err, d.Close())
	}()
	people := []local.Person{{Login: localFirst, Region: d.Regions[0]}, {Login: localLast, Region: d.Regions[len(d.Regions)-1]}}
	if _, err := d.Settle(ctx, localWorkspace, people, "random"); err != nil {
		return fmt.Errorf("the first people: %w", err)
	}
	if _, err := fmt.Fprint(s.Stdout, localText(s, d)); err != nil {
		return err
	}
	d.Supervise(ctx)
	return nil
}

// oneAtATime has calls from many goroutines come one after the other.
func oneAtATime(say func(string)) func(string) {
	var mu sync.Mutex
	return func(text string) {
		mu.Lock()
		defer mu.Unlock()
		say(text)
	}
}

// localText is what runs where, and how to look inside.
func localText(s *Session, d *local.Deployment) string {
	var text strings.Builder
	f := d.File()
	fmt.Fprintf(&text, "\nCanopy serves, in %d processes\n\n", len(f.Processes))
	rows := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(rows, "  PROCESS\tREGION\tADDRESS\tADMIN\tPID\tLOG")
	for _, p := range f.Processes {
		log, err := filepath.Rel(d.Dir, p.Log)
		if err != nil {
			log = p.Log
		}
		fmt.Fprintf(rows, "  %s\t%s\t%s\t%s\t%d\t%s\n", p.Name, cmp.Or(p.Region, "-"), cmp.Or(p.Address, "-"), strings.TrimPrefix(p.Admin, "http://"), p.PID, log)
	}
	_ = rows.Flush() // a strings.Builder takes everything
	text.WriteString("\n")
	row(&text, "folder", d.Dir)
	for _, r := range f.Regions {
		row(&text, r.Region, r.URL+"  REST, and sockets at any gateway of the region")
	}
	text.WriteString("\nTalk, from one region to the other:\n\n")
	for i, l := range f.Logins {
		region := f.Regions[min(i, len(f.Regions)-1)]
		fmt.Fprintf(&text, "  CANOPY_PASSWORD=%s %s chat --url %s --as %s\n", l.Password, s.Program, region.URL, l.Login)
	}
	at := " --config " + s.Quote(filepath.Join(d.Dir, local.ConfigName))
	text.WriteString("\nLook inside:\n\n")
	fmt.Fprintf(&text, "  %s status --watch%s\n", s.Program, at)
	fmt.Fprintf(&text, "  %s check%s --edge %s\n", s.Program, at, s.Quote(f.Leaves[f.Regions[0].Region]))
	fmt.Fprintf(&text, "  nats -s %s stream report\n", s.Quote(f.Hub))
	fmt.Fprintf(&text, "  nats -s %s sub 'chat.>'\n", s.Quote(f.Hub))
	fmt.Fprintf(&text, "  nats -s %s server report jetstream\n", s.Quote(f.System))
	text.WriteString("\nTry it: kill -9 any of them. It is started again, and people go on where they were.\nCtrl-C stops all; the next start goes on with everything there.\n")
	return text.String()
}
