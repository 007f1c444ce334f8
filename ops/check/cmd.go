package check

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/ctl"
	"github.com/canopychat/canopy/ops/operator"
	"github.com/canopychat/canopy/streams/bus"
)

// Session is what the command has from the process it runs in: ops/cli hands it over.
type Session struct {
	Context context.Context // ends with the first signal
	Stdout  io.Writer
	Env     func(string) string
	Version string // of this program

	// Reach connects to the deployment and reads its settings. The caller closes the connection.
	Reach func(operator.Where) (*bus.Conn, config.Config, error)
	// Schemas look at the stores that the settings name.
	Schemas func(config.Config) map[string]SchemaOf
}

// Cmd is canopy check.
type Cmd struct {
	operator.Where `embed:""`
	System         string `placeholder:"URL" help:"The hub with a login of the system account, nats://user:password@host ($$CANOPY_CHECK_SYSTEM)."`
	Edge           string `placeholder:"URL" help:"A leaf with the login of its gateways, nats://user:password@host ($$CANOPY_CHECK_EDGE)."`
	JSON           bool   `name:"json" help:"One JSON object a finding, a line each."`
}

// Help is shown by canopy check --help.
func (Cmd) Help() string {
	return `Looks at a deployment before traffic: hub, fsync, quorum, streams and consumers, the log, clocks, the tables of the stores, processes, and what an edge may do. It changes nothing but a probe. The exit code is 1 when a check failed. ` + `The limits of streams are those of the settings: give the --config that the deployment runs with. ` + operator.WhereHelp
}

// errNotReady makes the exit code 1; what failed stands on the screen already.
var errNotReady = errors.New("not ready for traffic")

// checkConnect is how long a server may take to let the check in.
const checkConnect = 5 * time.Second

// Run is of kong.
func (c Cmd) Run(s *Session) error {
	conn, cfg, err := s.Reach(c.Where)
	if err != nil {
		return err
	}
	defer conn.Close()
	d := Deployment{Conn: conn, Streams: ctl.StreamOptions(cfg), Schemas: s.Schemas(cfg), Version: s.Version}
	system, edge := c.logins(s, cfg)
	for _, to := range []struct {
		flag, url string
		into      **nats.Conn
	}{{"--system", system, &d.System}, {"--edge", edge, &d.Edge}} {
		if to.url == "" {
			continue
		}
		nc, err := nats.Connect(to.url, nats.Name("canopy check"), nats.Timeout(checkConnect), nats.MaxReconnects(0),
			nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})) // a permission that is refused is what is looked for
		if err != nil {
			return config.Problemf("%s: %v", to.flag, err)
		}
		defer nc.Close()
		*to.into = nc
	}
	var unwritten error
	fine, err := Run(s.Context, d, func(f Finding) {
		unwritten = errors.Join(unwritten, c.show(s, f))
	})
	switch {
	case err != nil:
		return err
	case unwritten != nil:
		return fmt.Errorf("show a finding: %w", unwritten)
	case !fine:
		return errNotReady
	}
	return nil
}

// logins are the servers besides the hub: those that were named; else that of run.json, which is of a deployment in one
// process: its leaf has one login for all, and what an edge may do there is no question.
func (c Cmd) logins(s *Session, cfg config.Config) (system, edge string) {
	system, edge = cmp.Or(c.System, s.Env("CANOPY_CHECK_SYSTEM")), cmp.Or(c.Edge, s.Env("CANOPY_CHECK_EDGE"))
	if system == "" && c.Context == "" && s.Env("NATS_URL") == "" && s.Env("NATS_CONTEXT") == "" {
		if run, err := config.ReadRunFile(cfg.Data); err == nil { // without one the check is left out, and says so
			system = run.NATS.System
		}
	}
	return system, edge
}

func (c Cmd) show(s *Session, f Finding) error {
	if c.JSON {
		return json.NewEncoder(s.Stdout).Encode(f)
	}
	level := string(f.Level)
	if f.Level == Fail {
		level = strings.ToUpper(level)
	}
	_, err := fmt.Fprintf(s.Stdout, "%-5s %-17s %s\n", level, f.Check, f.Detail)
	return err
}
