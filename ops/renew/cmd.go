package renew

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/ctl"
	"github.com/canopychat/canopy/ops/operator"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/provision"
)

// Cmd is canopy hub renew.
type Cmd struct {
	operator.Where `embed:""`
	Yes            bool   `help:"Do it; without this it is only shown."`
	All            bool   `help:"Also the logs that look whole: for a hub that was set back to an older copy."`
	RunHub         bool   `help:"Run the hub of the data folder meanwhile: for a deployment of canopy up, which is stopped."`
	Cassandra      string `placeholder:"HOST,.." help:"The message store is Cassandra: some nodes of its ring (default: as the settings say)."`
	Postgres       string `placeholder:"DSN" help:"The directory is PostgreSQL (default: as the settings say, such as $$CANOPY_POSTGRES_DSN)."`
	JSON           bool   `name:"json" help:"One JSON object."`
}

// Help is shown by canopy hub renew --help.
func (Cmd) Help() string {
	return `For when what the hub held is lost for good, or an older copy is all there is, and every process refuses to start: "this is not the hub that held the data". What the message store has stays the history. What was acknowledged and had not reached it is lost; the command says after which seq.

Stop every process but the hub and the leaves. Give the --config that the deployment runs with. Without --yes it shows what it would do. Each log begins far above every seq that was ever given, in a new epoch of its workspaces; clients are told to resync. It may be stopped anywhere and run again. Then start the processes as always.

The hub is the one of the setting hub.url, when that is given; else as for every command. ` + operator.WhereHelp
}

// Run is of kong.
func (c Cmd) Run(s *Session) (err error) {
	for _, flag := range [][2]string{{"cassandra.hosts", c.Cassandra}, {"postgres.dsn", c.Postgres}} {
		if flag[1] != "" {
			c.Set = append(c.Set, flag[0]+"="+flag[1])
		}
	}
	conn, cfg, done, err := c.connect(s)
	if err != nil {
		return err
	}
	defer func() {
		conn.Close()
		if failed := done(); err == nil && failed != nil {
			err = fmt.Errorf("stop the hub: %w", failed)
		}
	}()
	if err := hasFolder(cfg); err != nil {
		return err
	}
	js, err := jetstream.NewWithDomain(conn.NATS(), streams.HubDomain)
	if err != nil {
		return fmt.Errorf("JetStream of the hub: %w", err)
	}
	if err := checkAlone(s.Context, conn, js); err != nil {
		return err
	}
	opened, closes, err := s.open(cfg)
	if err != nil {
		return fmt.Errorf("open the stores: %w", err)
	}
	err = c.renew(s, conn, Config{JS: js, Log: bus.NewLog(conn), Messages: opened.Messages, Directory: opened.Directory, All: c.All}, cfg)
	if failed := closes(); err == nil && failed != nil {
		err = fmt.Errorf("close the stores: %w", failed)
	}
	return err
}

// connect reaches the hub. done is called when it is not needed any more.
func (c Cmd) connect(s *Session) (conn *bus.Conn, cfg config.Config, done func() error, err error) {
	if c.RunHub {
		return s.alone(c.Where)
	}
	conn, cfg, err = s.reach(c.Where)
	return conn, cfg, func() error { return nil }, err
}

// hasFolder refuses a data folder that is not there and is needed: else an empty store would be made where nobody looks.
func hasFolder(cfg config.Config) error {
	if len(cfg.Cassandra.Hosts) > 0 && cfg.Postgres.DSN != "" {
		return nil
	}
	if _, err := os.Stat(cfg.Data); err != nil {
		return config.Problemf("there is no data folder with the stores: %v", err)
	}
	return nil
}

// checkAlone refuses while anybody lives who would write.
func checkAlone(ctx context.Context, conn *bus.Conn, js jetstream.JetStream) error {
	living, err := Living(ctx, conn, js)
	if err != nil || len(living) == 0 {
		return err
	}
	return config.Problemf("stop every process but the hub and the leaves first. These live, or were killed within the last 15 s: %s", strings.Join(living, ", "))
}

// renew plans, shows, and does it when it is told to.
func (c Cmd) renew(s *Session, conn *bus.Conn, cfg Config, settings config.Config) (err error) {
	if cfg.Wanted, err = provision.Load(streams.Files(), ctl.StreamOptions(settings)); err != nil {
		return err
	}
	plan, err := Plan(s.Context, cfg)
	if err == nil && c.Yes {
		plan, err = Certain(s.Context, cfg, plan)
	}
	if err != nil {
		return err
	}
	if c.Yes {
		if err := checkAlone(s.Context, conn, cfg.JS); err != nil { // it may have taken a while
			return err
		}
		err = Do(s.Context, cfg, plan)
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(s.Stdout).Encode(struct {
			Shards []Shard `json:"shards"`
			Done   bool    `json:"done"`
		}{plan, c.Yes})
	}
	return show(s.Stdout, plan, c)
}

// show is the plan as a table, and in words what it means.
func show(to io.Writer, plan []Shard, c Cmd) error {
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SHARD\tLOG ENDS AT\tSTORE HAS\tNEW LOG BEGINS AT\tWORKSPACES")
	for _, s := range plan {
		ends, begins, where := strconv.FormatUint(uint64(s.Ends), 10), string(s.Work), make([]string, len(s.Workspaces))
		if s.Missing {
			ends = "missing"
		}
		if s.Work != GoesOn {
			begins = strconv.FormatUint(uint64(s.First), 10)
		}
		for i, w := range s.Workspaces {
			where[i] = fmt.Sprintf("%s epoch %d", w.ID, w.Epoch)
			if w.NewEpoch != 0 {
				where[i] += fmt.Sprintf("→%d", w.NewEpoch)
			}
		}
		fmt.Fprintf(table, "%d\t%s\t%d\t%s\t%s\n", s.Shard, ends, s.Through, begins, strings.Join(where, ", "))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(to, verdict(plan, c))
	return err
}

// verdict says what a plan means for people.
func verdict(plan []Shard, c Cmd) string {
	var text strings.Builder
	works, old := 0, false
	for _, s := range plan {
		if s.Work != GoesOn {
			works++
		}
		if s.Work == Renew {
			fmt.Fprintf(&text, "shard %d: what was acknowledged after seq %d, and only the lost hub had, is lost\n", s.Shard, max(s.Through, s.Ends))
			old = old || !s.Missing && s.Ends > 0
		}
		if s.Unstorable > 0 {
			fmt.Fprintf(&text, "shard %d: the message store can never take %d events of the old log\n", s.Shard, s.Unstorable)
		}
	}
	if text.Len() > 0 {
		text.WriteString("dead letters, jobs and schedules that only the lost hub had are lost, too\n")
	}
	switch {
	case works == 0:
		return "every log ends where the stores say, or later: nothing to do\n"
	case old && !c.All && works < len(plan):
		text.WriteString("the hub has an older copy: the logs that go on may lack what was stored last. --all renews them, too\n")
	}
	if c.Yes {
		text.WriteString("done: start the processes as always\n")
	} else {
		text.WriteString("nothing was changed: --yes does it\n")
	}
	return text.String()
}
