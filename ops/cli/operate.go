package cli

import (
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/ctl"
	"github.com/canopychat/canopy/ops/operator"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/provision"
)

const whereHelp = operator.WhereHelp

// target are the flags of every command that needs a deployment that runs.
type target struct {
	operator.Where `embed:""`
}

// reach finds the deployment and connects to it.
func (c target) reach(s *session) (*bus.Conn, ctl.Deployment, config.Config, error) {
	if c.Context != "" && c.Data != "" {
		return nil, ctl.Deployment{}, config.Config{}, config.Problemf("--context and --data: one says where the deployment is")
	}
	cfg, err := source{Config: c.Config, Data: c.Data, Set: c.Set}.load(s, config.Together, nil)
	if err != nil {
		return nil, ctl.Deployment{}, cfg, err
	}
	named := c.Data != "" || cfg.Data != config.Default(config.Together).Data
	d, err := ctl.Find(ctl.Query{Context: c.Context, Data: cfg.Data, Named: named, Env: s.env})
	if err != nil {
		return nil, d, cfg, err
	}
	conn, err := d.Connect(s.ctx, slog.New(slog.DiscardHandler)) // what fails is an error of the command
	return conn, d, cfg, err
}

type seedCmd struct {
	target    `embed:""`
	Users     int    `default:"1000" help:"People, user0001 and on, all of them in general."`
	Channels  int    `default:"50" help:"Channels, seed-001 and on."`
	Messages  int    `default:"20000" help:"Messages in all of them, with some threads, edits and reactions."`
	Tokens    string `placeholder:"FILE" help:"Write one access token a line, in the order of the people. Whoever reads it is them."`
	Workspace string `placeholder:"ID" help:"The workspace to fill (default: that of run.json)."`
}

// Help is shown by canopy seed --help.
func (seedCmd) Help() string {
	return `What is there is kept and counted: run again, it adds what is missing, also after Ctrl-C. ` + whereHelp
}

func (c seedCmd) Run(s *session) error {
	conn, d, _, err := c.reach(s)
	if err != nil {
		return err
	}
	defer conn.Close()
	o := ctl.SeedOptions{Workspace: d.Workspace, Users: c.Users, Channels: c.Channels, Messages: c.Messages, Tokens: c.Tokens}
	if c.Workspace != "" {
		if o.Workspace, err = chat.ParseWorkspaceID(c.Workspace); err != nil {
			return config.Problemf("--workspace: %w", err)
		}
	}
	report, err := ctl.Seed(s.ctx, conn, o, newProgress(s.Stderr))
	if report.Users > 0 {
		if _, err := fmt.Fprint(s.Stdout, report.Text(o)); err != nil {
			return err
		}
	}
	if fault.Is(err, fault.NotFound) {
		return config.Problemf("there is no workspace %s at %s", o.Workspace, d.Where())
	}
	return err
}

type streamsCmd struct {
	Plan  planCmd  `cmd:"" help:"Show what differs. Changes nothing."`
	Apply applyCmd `cmd:"" help:"Create and update what differs. Never deletes or recreates a stream."`
}

type planCmd struct {
	target `embed:""`
	Force  bool `aliases:"allow-loss" help:"Plan also to shrink streams below what they hold."`
}

type applyCmd struct {
	target `embed:""`
	Force  bool `aliases:"allow-loss" help:"Also shrink streams below what they hold: what no longer fits is lost."`
}

const streamsHelp = `The limits are those of the settings (streams.replicas, max_age, max_bytes, dedup_window): give the --config that the deployment runs with. `

// Help is shown by canopy streams plan --help.
func (planCmd) Help() string { return streamsHelp + whereHelp }

// Help is shown by canopy streams apply --help.
func (applyCmd) Help() string { return streamsHelp + whereHelp }

func (c planCmd) Run(s *session) error {
	_, done, err := c.target.plan(s, c.Force)
	if err != nil {
		return err
	}
	done()
	return nil
}

func (c applyCmd) Run(s *session) error {
	plan, done, err := c.target.plan(s, c.Force)
	if err != nil {
		return err
	}
	defer done()
	if len(plan.Changes) == 0 {
		return nil
	}
	if n := plan.Refused(); n > 0 {
		return fmt.Errorf("nothing was changed: %d of %d changes are refused", n, len(plan.Changes))
	}
	if err := plan.Apply(s.ctx); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.Stdout, "%d changes made\n", len(plan.Changes))
	return err
}

// plan compares and shows the result. done ends the connection.
func (c target) plan(s *session, force bool) (plan *ctl.StreamPlan, done func(), err error) {
	conn, _, cfg, err := c.reach(s)
	if err != nil {
		return nil, nil, err
	}
	o := ctl.StreamOptions(cfg)
	o.AllowLoss = force
	plan, err = ctl.PlanStreams(s.ctx, conn, o)
	if err == nil {
		err = provision.Render(s.Stdout, plan.Changes)
	}
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	return plan, conn.Close, nil
}

type versionCmd struct{}

func (versionCmd) Run(s *session) error {
	version, revision, server := "(devel)", "", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		if info.Main.Version != "" {
			version = info.Main.Version
		}
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" {
				revision = " " + setting.Value
			}
		}
		for _, dep := range info.Deps {
			if dep.Path == "github.com/nats-io/nats-server/v2" {
				server = ", nats-server " + dep.Version
			}
		}
	}
	_, err := fmt.Fprintf(s.Stdout, "canopy %s%s, %s %s/%s%s\n", version, revision, runtime.Version(), runtime.GOOS, runtime.GOARCH, server)
	return err
}
