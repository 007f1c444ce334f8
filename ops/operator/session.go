package operator

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/ctl"
	"github.com/canopychat/canopy/schemas/chat"
	schema "github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/streams/bus"
)

// WhereHelp says where a command finds its deployment.
const WhereHelp = `The deployment is the first of these that is given: --context, --data (its run.json), $NATS_CONTEXT, $NATS_URL with $NATS_CREDS, $NATS_NKEY, $NATS_USER, $NATS_PASSWORD, $NATS_CA, $NATS_CERT and $NATS_KEY; else run.json of ./canopy-data.`

// Where are the flags of every command that needs a deployment that runs.
type Where struct {
	Config  string   `short:"c" placeholder:"FILE" help:"Configuration in the syntax of NATS's own files ($$CANOPY_CONFIG)."`
	Data    string   `placeholder:"DIR" help:"Folder of everything that lasts (default ./canopy-data)."`
	Set     []string `sep:"none" placeholder:"KEY=VALUE" help:"Any setting by its full name, such as edge.heartbeat=10s; may be repeated."`
	Context string   `placeholder:"NAME" help:"A context of the nats command."`
}

// Session is what a command has from the process it runs in: ops/cli hands it over.
type Session struct {
	Context context.Context // ends with the first signal
	Stdin   io.Reader       // nil: there is none
	Stdout  io.Writer
	Reach   func(Where) (*bus.Conn, ctl.Deployment, error) // connects; the caller closes
	Ask     func(question string) (string, error)          // on the terminal, which does not show the answer; a *config.Problem where there is none
}

// operator are the flags of every command that asks the service admin.
type operator struct {
	Where `embed:""`
	JSON  bool `name:"json" help:"One JSON object a line, for scripts."`
}

// inWorkspace are those of commands about one workspace.
type inWorkspace struct {
	operator  `embed:""`
	Workspace string `short:"w" placeholder:"ID" help:"The workspace (default: that of run.json, or the only one)."`
}

// ask runs do against the deployment.
func (c operator) ask(s *Session, do func(ctl.Admin, ctl.Deployment) error) error {
	conn, d, err := s.Reach(c.Where)
	if err != nil {
		return err
	}
	defer conn.Close()
	return do(ctl.NewAdmin(conn), d)
}

// ask runs do with the workspace that is meant.
func (c inWorkspace) ask(s *Session, do func(ctl.Admin, chat.WorkspaceID) error) error {
	return c.operator.ask(s, func(a ctl.Admin, d ctl.Deployment) error {
		ws := d.Workspace
		if c.Workspace != "" {
			parsed, err := chat.ParseWorkspaceID(c.Workspace)
			if err != nil {
				return config.Problemf("--workspace: %w", err)
			}
			ws = parsed
		}
		if ws == "" {
			only, err := onlyWorkspace(s, a)
			if err != nil {
				return err
			}
			ws = only
		}
		return do(a, ws)
	})
}

// onlyWorkspace is the workspace of a deployment that has no other.
func onlyWorkspace(s *Session, a ctl.Admin) (chat.WorkspaceID, error) {
	var found []chat.WorkspaceID
	err := a.Workspaces(s.Context, func(w schema.Workspace) error {
		found = append(found, w.WorkspaceID)
		return nil
	})
	switch {
	case err != nil:
		return "", err
	case len(found) == 0:
		return "", config.Problemf("there is no workspace yet: canopy setup, or canopy workspace add, makes one")
	case len(found) > 1:
		return "", config.Problemf("which workspace? Give its id with --workspace; canopy workspace ls shows them")
	}
	return found[0], nil
}

// table is rows for people, or objects for scripts.
type table struct {
	json *json.Encoder
	rows *tabwriter.Writer
}

// table begins a list with its headings.
func (c operator) table(s *Session, headings ...string) *table {
	if c.JSON {
		return &table{json: json.NewEncoder(s.Stdout)}
	}
	t := &table{rows: tabwriter.NewWriter(s.Stdout, 0, 0, 2, ' ', 0)}
	t.line(headings)
	return t
}

// add is one row: value for scripts, its cells for people.
func (t *table) add(value any, cells ...string) error {
	if t.json != nil {
		return t.json.Encode(value)
	}
	t.line(cells)
	return nil
}

func (t *table) line(cells []string) {
	fmt.Fprintln(t.rows, strings.Join(cells, "\t")) // what the output refuses, end tells
}

// end shows what is still to be shown.
func (t *table) end(err error) error {
	if err == nil && t.rows != nil {
		err = t.rows.Flush()
	}
	return err
}

// say shows what was done: value for scripts, a text for people.
func (c operator) say(s *Session, value any, text string) error {
	if c.JSON {
		return json.NewEncoder(s.Stdout).Encode(value)
	}
	_, err := fmt.Fprintln(s.Stdout, text)
	return err
}

// day is a time as a table shows it.
func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") }

// state is whether an account is open.
func state(deactivated bool) string {
	if deactivated {
		return "closed"
	}
	return "open"
}

// newPassword are the ways to say a password: it is never an argument, which every user of the machine can read.
type newPassword struct {
	PasswordFile string `placeholder:"FILE" help:"The password is the first line of this file; - is the standard input."`
	Generate     bool   `help:"Make a password and show it once."`
}

// read is the password; made reports that nobody knows it yet.
func (p newPassword) read(s *Session) (password string, made bool, err error) {
	switch {
	case p.PasswordFile != "" && p.Generate:
		return "", false, config.Problemf("--password-file and --generate: one says where the password comes from")
	case p.Generate:
		return strings.ToLower(rand.Text()), true, nil
	case p.PasswordFile == "-":
		password, err = firstLine(s.Stdin)
	case p.PasswordFile != "":
		password, err = passwordOf(p.PasswordFile)
	default:
		password, err = prompt(s)
	}
	if err == nil {
		err = chat.CheckPassword(password)
	}
	if err != nil {
		return "", false, config.Problemf("%w", err)
	}
	return password, false, nil
}

func passwordOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close() // it was only read
	return firstLine(f)
}

// firstLine reads no more than a password can have.
func firstLine(from io.Reader) (string, error) {
	if from == nil {
		return "", config.Problemf("there is no standard input")
	}
	line, err := bufio.NewReader(io.LimitReader(from, chat.MaxPassword+3)).ReadString('\n')
	if err != nil && err != io.EOF {
		return "", fmt.Errorf("read the password: %w", err)
	}
	return strings.TrimRight(line, "\r\n"), nil
}

// prompt asks for a password twice.
func prompt(s *Session) (string, error) {
	first, err := s.Ask("New password: ")
	if err != nil {
		return "", err
	}
	second, err := s.Ask("Once more: ")
	if err == nil && first != second {
		err = config.Problemf("these were two different passwords; nothing was changed")
	}
	return first, err
}

// row is one line of a text for people.
func row(to *strings.Builder, name, value string) { fmt.Fprintf(to, "  %-10s %s\n", name, value) }
