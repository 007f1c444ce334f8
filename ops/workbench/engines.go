package workbench

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/canopychat/canopy/ops/engines"
)

// EnginesCmd is canopy engines.
type EnginesCmd struct {
	Up    EnginesUpCmd    `cmd:"" help:"Start them, and stop them with Ctrl-C."`
	Fetch EnginesFetchCmd `cmd:"" help:"Fetch Cassandra's jars, if they are not there."`
}

// Help is shown by canopy engines --help.
func (EnginesCmd) Help() string {
	return `The real servers that Canopy runs on at scale, on the loopback of this machine, for tests and for trying out. In production they are installed as their own documentation says.`
}

// EnginesUpCmd is canopy engines up.
type EnginesUpCmd struct {
	Dir       string `required:"" placeholder:"DIR" help:"Folder of their data and logs; one run at a time has it."`
	Cassandra int    `placeholder:"1|3" help:"A ring of so many nodes, at 127.0.0.1 to 127.0.0.3."`
	Postgres  bool   `help:"A PostgreSQL with a user and a database canopy."`
	Hub       int    `placeholder:"3" help:"A hub of three, each in a process of its own."`

	Network      string `placeholder:"A.B.C" help:"First three numbers of the addresses of Cassandra's nodes, for rings side by side (default 127.0.0)."`
	CQLPort      int    `name:"cql-port" placeholder:"N" help:"Cassandra's port for clients (default 9042)."`
	PostgresPort int    `placeholder:"N" help:"PostgreSQL's port (default: a free one, the same for a folder each time)."`
	NoSync       bool   `help:"PostgreSQL does not wait for the disk. For tests."`
	Jars         string `placeholder:"DIR" help:"Folder of Cassandra's jars ($$CANOPY_CASSANDRA_JARS; default: in the user's cache)."`
}

// Help is shown by canopy engines up --help.
func (EnginesUpCmd) Help() string {
	return `It stays in the foreground. When all of them serve it says where, and writes engines.json into the folder, with passwords and process ids; when it stops it takes the file away. The data stays. When one of them ends by itself, all are stopped.

Cassandra is fetched from Maven Central at the first time, 67 MB. It needs Java 11 or 17, and mvn until it is fetched (Debian: openjdk-17-jre-headless, maven); a node takes 1 GB of memory. PostgreSQL is the system's (Debian: postgresql); started by root, it runs as the user postgres, or nobody. Linux only.`
}

// EnginesFetchCmd is canopy engines fetch.
type EnginesFetchCmd struct {
	Jars string `placeholder:"DIR" help:"Where to ($$CANOPY_CASSANDRA_JARS; default: in the user's cache)."`
}

// Run is of kong.
func (c EnginesUpCmd) Run(s *Session) error {
	o := engines.Options{
		Dir: c.Dir, Cassandra: c.Cassandra, Postgres: c.Postgres, Hub: c.Hub,
		Network: c.Network, CQLPort: c.CQLPort, PostgresPort: c.PostgresPort, NoSync: c.NoSync, Jars: c.Jars, Say: s.steps(),
	}
	return engines.Run(s.Context, o, func(a engines.Addresses) {
		// What cannot be shown is in engines.json.
		_, _ = io.WriteString(s.Stdout, s.enginesText(c.Dir, a))
	})
}

// Run is of kong.
func (c EnginesFetchCmd) Run(s *Session) error {
	return engines.Fetch(s.Context, engines.Options{Jars: c.Jars, Say: s.steps()})
}

// enginesText is what canopy engines up prints when everything serves.
func (s *Session) enginesText(dir string, a engines.Addresses) string {
	var text strings.Builder
	text.WriteString("\nThe engines serve\n\n")
	up := []string{s.Program, "up"}
	var hosts []string
	for _, n := range a.Cassandra {
		hosts = append(hosts, fmt.Sprintf("%s:%d", n.Host, n.Port))
	}
	if len(hosts) > 0 {
		row(&text, "cassandra", strings.Join(hosts, ","))
		up = append(up, "--cassandra", strings.Join(hosts, ","))
	}
	if a.Postgres != nil {
		row(&text, "postgres", a.Postgres.DSN)
		up = append(up, "--postgres", s.Quote(a.Postgres.DSN))
	}
	label := "hub"
	for _, h := range a.Hub {
		fmt.Fprintf(&text, "  %-10s %s\n", label, h.URL)
		label = ""
	}
	row(&text, "written to", filepath.Join(dir, "engines.json"))
	if len(up) > 2 {
		text.WriteString("\nCanopy on them, all in one process:\n\n  " + strings.Join(up, " ") + "\n")
	}
	text.WriteString("\nCtrl-C stops them; their data stays.\n")
	return text.String()
}
