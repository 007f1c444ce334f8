package cli

import (
	"strconv"
	"strings"

	"github.com/canopychat/canopy/ops/app"
	"github.com/canopychat/canopy/ops/check"
	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/deadletters"
	"github.com/canopychat/canopy/ops/ledger"
	"github.com/canopychat/canopy/ops/operator"
	"github.com/canopychat/canopy/ops/renew"
	"github.com/canopychat/canopy/ops/status"
	"github.com/canopychat/canopy/ops/verify"
	"github.com/canopychat/canopy/ops/workbench"
)

const description = `Team messaging on NATS JetStream.

"canopy up" runs everything in one process and says how to look at it. Settings come from flags, else from the environment (CANOPY_LISTEN for listen, CANOPY_EDGE_HEARTBEAT for edge.heartbeat), else from the file of --config, else from the defaults; "canopy up --print-config" shows them all.`

// grammar is the whole command line.
type grammar struct {
	Up        upCmd                 `cmd:"" help:"Run everything in this process."`
	Setup     setupCmd              `cmd:"" help:"Make the first account and its workspace."`
	Join      joinCmd               `cmd:"" help:"Accept an invite."`
	Chat      chatCmd               `cmd:"" help:"Talk in the terminal, or in a script."`
	Hub       hubCmd                `cmd:"" help:"Run the NATS server that holds the streams."`
	Leaf      leafCmd               `cmd:"" help:"Run the NATS server of a region's edge."`
	Edge      edgeCmd               `cmd:"" help:"Run what serves people's sockets."`
	API       apiCmd                `cmd:"" name:"api" help:"Run REST, the directory and history."`
	Persist   persistCmd            `cmd:"" help:"Run what fills the history store from the log."`
	Deliver   deliverCmd            `cmd:"" help:"Run what reaches people who were not there, and keeps dead letters."`
	Local     workbench.LocalCmd    `cmd:"" help:"Run a whole deployment of many processes on this machine."`
	Status    status.Cmd            `cmd:"" help:"Show streams, consumers and processes, and what to look at."`
	Check     check.Cmd             `cmd:"" help:"Look at a deployment before traffic: quorum, streams, schemas, clocks, permissions."`
	DLQ       deadletters.Cmd       `cmd:"" name:"dlq" help:"List, show, retry and drop dead letters."`
	Delivery  ledger.Cmd            `cmd:"" help:"Show whether somebody got a message, and if not, why."`
	Streams   streamsCmd            `cmd:"" help:"Compare the hub's streams with what they should be."`
	Seed      seedCmd               `cmd:"" help:"Fill a running deployment with people and talk."`
	User      operator.UserCmd      `cmd:"" help:"List, make, close and open accounts."`
	Workspace operator.WorkspaceCmd `cmd:"" help:"List and change workspaces and who belongs to them."`
	Token     operator.TokenCmd     `cmd:"" help:"Make tokens, and the keys that sign them."`
	Verify    verify.Cmd            `cmd:"" help:"Prove on a deployment what Canopy promises, under load and faults."`
	Engines   workbench.EnginesCmd  `cmd:"" help:"Run Cassandra, PostgreSQL and a hub cluster on this machine."`
	Version   versionCmd            `cmd:"" help:"Say which build this is."`
}

// source are the flags of every command that reads settings.
type source struct {
	Config string   `short:"c" placeholder:"FILE" help:"Configuration in the syntax of NATS's own files ($$CANOPY_CONFIG)."`
	Data   string   `placeholder:"DIR" help:"Folder of everything that lasts (default ./canopy-data)."`
	Set    []string `sep:"none" placeholder:"KEY=VALUE" help:"Any setting by its full name, such as edge.heartbeat=10s; may be repeated."`
}

// process are the flags of every command that runs roles.
type process struct {
	source    `embed:""`
	Listen    string `placeholder:"HOST:PORT" help:"Where REST and sockets are served (default 127.0.0.1:8080); port 0 is any free one."`
	Admin     string `placeholder:"HOST:PORT" help:"Where metrics and health are served, without a login (default 127.0.0.1:0)."`
	Region    string `placeholder:"NAME" help:"Name of this region, the leaf's JetStream domain (default local)."`
	LogLevel  string `placeholder:"LEVEL" help:"debug, info, warn or error (default info)."`
	LogFormat string `placeholder:"FORM" help:"text, json or auto, which is text on a terminal (default auto)."`

	PrintConfig bool `help:"Print all settings as a file for --config, without passwords, and exit."`
	Check       bool `help:"Check the settings and exit."`
}

// durable is the flag of commands that run the hub.
type durable struct {
	SyncAlways bool `help:"Write to the disk before each acknowledgement, so that nothing acknowledged is lost when the power goes. Slower."`
}

// databases are the flags of commands that keep history or the directory.
type databases struct {
	Cassandra string `placeholder:"HOST,.." help:"Keep messages in Cassandra: some nodes of its ring (default: an SQLite file)."`
	Postgres  string `placeholder:"DSN" help:"Keep accounts, workspaces and channels in PostgreSQL, postgres://user:password@host/database (default: an SQLite file). A DSN on the command line is seen by who lists processes; $$CANOPY_POSTGRES_DSN is not."`
}

func (d databases) flags() []config.Flag {
	var flags []config.Flag
	if d.Cassandra != "" {
		flags = append(flags, config.Flag{Name: "--cassandra", Key: "cassandra.hosts", Value: d.Cassandra})
	}
	if d.Postgres != "" {
		flags = append(flags, config.Flag{Name: "--postgres", Key: "postgres.dsn", Value: d.Postgres})
	}
	return flags
}

type upCmd struct {
	process   `embed:""`
	durable   `embed:""`
	databases `embed:""`
	Empty     bool `help:"Make no demo at the first start: the first visitor makes the owner and the workspace."`
	NoLimits  bool `help:"No limits of rates and sockets: for measuring."`
}

// Help is shown by canopy up --help.
func (upCmd) Help() string {
	return `Runs a hub, a leaf node, the gateway, the REST API, the persister, deliveries and the stores in one process. When everything serves it prints the address, two logins (with --empty, how to make the first account) and three nats commands, and writes run.json into the data folder for scripts. Ctrl-C drains and stops; the next start goes on with everything there.`
}

// natsFile is the flag of commands that run a NATS server.
type natsFile struct {
	ServerConfig string `placeholder:"FILE" help:"Configuration of nats-server, which then says everything about the server (ops/deploy/nats in the source)."`
}

func (f natsFile) flags(role string) []config.Flag {
	if f.ServerConfig == "" {
		return nil
	}
	return []config.Flag{{Name: "--server-config", Key: role + ".server", Value: f.ServerConfig}}
}

type hubCmd struct {
	Run   hubRunCmd `cmd:"" default:"withargs" help:"Run the role; what canopy hub does without another word."`
	Renew renew.Cmd `cmd:"" help:"Begin new logs after the hub was lost, or is older than the stores."`
}

type hubRunCmd struct {
	process  `embed:""`
	durable  `embed:""`
	natsFile `embed:""`
}

const roleHelp = ` The roles of a deployment are given the same file and share a data folder, which holds the passwords they use among themselves. They may start in any order.`

// Help is shown by canopy hub --help.
func (hubCmd) Help() string {
	return `It listens at 127.0.0.1:4222 for clients and 7422 for leaf nodes (hub.listen, hub.leaf_listen).` + roleHelp + ` canopy hub run --help shows the flags.`
}

type leafCmd struct {
	process  `embed:""`
	natsFile `embed:""`
}

// Help is shown by canopy leaf --help.
func (leafCmd) Help() string {
	return `It listens at 127.0.0.1:4223 for clients (leaf.listen) and looks for the hub at nats-leaf://127.0.0.1:7422 (leaf.hub_url).` + roleHelp
}

type edgeCmd struct {
	process `embed:""`
}

// Help is shown by canopy edge --help.
func (edgeCmd) Help() string {
	return `It serves GET /socket at 127.0.0.1:8081 (edge.listen, or --listen) and looks for its leaf at nats://127.0.0.1:4223 (leaf.url).` + roleHelp
}

type deliverCmd struct {
	process   `embed:""`
	databases `embed:""`
}

// Help is shown by canopy deliver --help.
func (deliverCmd) Help() string {
	return `It looks for the hub at nats://127.0.0.1:4222 (hub.url). Any number of these processes share the work.` + roleHelp
}

type apiCmd struct {
	process   `embed:""`
	databases `embed:""`
}

// Help is shown by canopy api --help.
func (apiCmd) Help() string {
	return `It looks for the hub at nats://127.0.0.1:4222 (hub.url).` + roleHelp
}

func (c upCmd) Run(s *session) error {
	flags := append(append(c.durable.flags(), c.databases.flags()...), boolFlag("empty", c.Empty)...)
	return s.serve(c.process, append(flags, boolFlag("no-limits", c.NoLimits)...), app.AllRoles)
}

func (c hubRunCmd) Run(s *session) error {
	return s.serve(c.process, append(c.durable.flags(), c.natsFile.flags("hub")...), []app.Role{app.RoleHub})
}

func (c leafCmd) Run(s *session) error {
	return s.serve(c.process, c.natsFile.flags("leaf"), []app.Role{app.RoleLeaf})
}

// Run gives --listen the meaning that it has for this role alone.
func (c edgeCmd) Run(s *session) error {
	var listen []config.Flag
	if c.Listen != "" {
		listen, c.Listen = []config.Flag{{Name: "--listen", Key: "edge.listen", Value: c.Listen}}, ""
	}
	return s.serve(c.process, listen, []app.Role{app.RoleEdge})
}

func (c apiCmd) Run(s *session) error {
	return s.serve(c.process, c.databases.flags(), []app.Role{app.RoleAPI})
}

func (c deliverCmd) Run(s *session) error {
	return s.serve(c.process, c.databases.flags(), []app.Role{app.RoleDeliver})
}

// load reads the settings. What --set says is overridden by a flag of its own.
func (c source) load(s *session, layout config.Layout, more []config.Flag) (config.Config, error) {
	file := c.Config
	if file == "" {
		file = s.env("CANOPY_CONFIG")
	}
	var flags []config.Flag
	for _, set := range c.Set {
		key, value, ok := strings.Cut(set, "=")
		if !ok {
			return config.Config{}, config.Problemf("--set: %.60q is not KEY=VALUE", set)
		}
		flags = append(flags, config.Flag{Name: "--set", Key: strings.ToLower(strings.TrimSpace(key)), Value: value})
	}
	flags = append(append(flags, textFlag("data", c.Data)...), more...)
	return config.Load(config.Sources{Layout: layout, File: file, Env: s.Environ, Flags: flags})
}

func (c process) load(s *session, layout config.Layout, more []config.Flag) (config.Config, error) {
	for _, flag := range [][]config.Flag{
		textFlag("listen", c.Listen), textFlag("admin", c.Admin), textFlag("region", c.Region),
		textFlag("log-level", c.LogLevel), textFlag("log-format", c.LogFormat),
	} {
		more = append(more, flag...)
	}
	return c.source.load(s, layout, more)
}

func (d durable) flags() []config.Flag {
	if !d.SyncAlways {
		return nil
	}
	return []config.Flag{{Name: "--sync-always", Key: "hub.sync_always", Value: "true"}}
}

// textFlag is a flag that has the name of a setting; none when it was not given.
func textFlag(name, value string) []config.Flag {
	if value == "" {
		return nil
	}
	return []config.Flag{{Name: "--" + name, Key: strings.ReplaceAll(name, "-", "_"), Value: value}}
}

func boolFlag(name string, value bool) []config.Flag {
	if !value {
		return nil
	}
	return textFlag(name, strconv.FormatBool(value))
}
