package local

import (
	"cmp"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/canopychat/canopy/ops/config"
)

// Options say what to start. The zero value of a field means its default.
type Options struct {
	Dir      string   // of everything; made when missing, and gone on with when not
	Canopy   string   // path of the program
	Regions  []string // eu and us
	Gateways int      // in each region; 2

	Cassandra []string // host:port of some nodes of a ring for Messages; an SQLite file when empty
	Keyspace  string   // in it; canopy
	Postgres  string   // DSN of the Directory's database; an SQLite file when empty

	LinkThroughProxy bool // Links stand between the leaves and the hub
	Proxies          bool // Ways stand in every connection: of people, of gateways, leaves and services, and between the nodes of the hub; Links are among them

	Settings []string          // more settings for every process, KEY=VALUE as --set takes them
	Env      []string          // more of the environment of every process, KEY=VALUE
	Say      func(text string) // is told what happens, in one line each, by many goroutines; may be nil
	Log      *slog.Logger      // of what runs in this process; none when nil
}

// DefaultRegions are those of a deployment that names none.
var DefaultRegions = []string{"eu", "us"}

// maxGateways keeps a slip from starting a thousand processes.
const maxGateways = 16

// withDefaults is o with its zero fields filled in, checked. The error is a *config.Problem.
func (o Options) withDefaults() (Options, error) {
	if len(o.Regions) == 0 {
		o.Regions = DefaultRegions
	}
	o.Gateways = cmp.Or(o.Gateways, 2)
	o.Keyspace = cmp.Or(o.Keyspace, config.Default(config.Apart).Cassandra.Keyspace)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o, o.check()
}

func (o Options) check() error {
	if o.Dir == "" {
		return config.Problemf("a deployment wants a folder")
	}
	if o.Gateways < 1 || o.Gateways > maxGateways {
		return config.Problemf("%d gateways in a region: 1 to %d will do", o.Gateways, maxGateways)
	}
	for i, region := range o.Regions {
		if !slices.Contains(shippedRegions(), region) {
			return config.Problemf("there is no region %.60q: the hub's file, ops/deploy/nats/hub.conf, has %s", region, strings.Join(shippedRegions(), ", "))
		}
		if slices.Contains(o.Regions[:i], region) {
			return config.Problemf("the region %s is named twice", region)
		}
	}
	if info, err := os.Stat(o.Canopy); err != nil {
		return config.Problemf("the program to start: %v", err)
	} else if info.IsDir() {
		return config.Problemf("the program to start: %s is a folder", o.Canopy)
	}
	if (len(o.Cassandra) > 0) != (o.Postgres != "") {
		return config.Problemf("Cassandra and PostgreSQL are given both or neither: with one of them alone, several processes would share an SQLite file")
	}
	return nil
}

// shared reports whether the stores are servers, so that api and persist may run more than once.
func (o Options) shared() bool { return len(o.Cassandra) > 0 }

func (o Options) say(format string, args ...any) {
	if o.Say != nil {
		o.Say(fmt.Sprintf(format, args...))
	}
}

// errNoRegion says that a region is none of the deployment's.
func errNoRegion(region string) error { return fmt.Errorf("there is no region %q", region) }
