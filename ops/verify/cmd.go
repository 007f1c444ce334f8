package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/verify/plants"
	"github.com/canopychat/canopy/ops/verify/report"
	"github.com/canopychat/canopy/ops/verify/site"
)

// Session is what the command has from the process it runs in: ops/cli hands it over.
type Session struct {
	Context context.Context // ends with the first signal
	Stdout  io.Writer
	Stderr  io.Writer
	Env     func(string) string
	Version string
	// Password is that of somebody at the deployment that runs, asked for or found where the other commands find it.
	Password func(file, login string) (string, error)
}

// Cmd is canopy verify.
type Cmd struct {
	Local    bool          `help:"Start a deployment on this machine (a hub of three, two regions, Cassandra, PostgreSQL, a proxy in every connection), break it in every way there is, and stop it."`
	Files    bool          `help:"With --local: messages and accounts in SQLite files, so that no Cassandra and no PostgreSQL is needed, nor broken."`
	Seed     uint64        `placeholder:"N" help:"What people do, and what breaks when, follows from it (default: another one each time; the report says which)."`
	Duration time.Duration `default:"2m" placeholder:"TIME" help:"For how long people act and things break (default 2m). Starting, mending and comparing come on top: some two minutes."`
	Rate     float64       `default:"40" placeholder:"N" help:"Operations a second, of all people (default 40)."`
	People   int           `default:"6" placeholder:"N" help:"People in each region (default 6)."`
	Calm     bool          `help:"Break nothing."`
	Only     []string      `placeholder:"TIER/FAULT" help:"Break in no other ways: leaf-hub/cut, or hub for all that can be done to hubs. The report names them."`

	Plant      string `placeholder:"NAME" help:"With --local, in the source tree: put this bug into the deployment, to see that it is found."`
	ListPlants bool   `help:"List the bugs that can be planted."`

	URL          string            `name:"url" placeholder:"URL" help:"A deployment that runs, instead of --local. Nothing of it is broken but our own sockets; two workspaces are made in it, and stay."`
	Regions      map[string]string `placeholder:"NAME=URL" mapsep:"," help:"Further regions of it, and where people reach them."`
	Login        string            `placeholder:"NAME" help:"With --url: who makes the workspaces. The password is the first of these that is there: --password-file, $$CANOPY_PASSWORD, what you type."`
	PasswordFile string            `placeholder:"FILE" help:"A file with that password."`
	Hub          string            `name:"hub" placeholder:"URL" help:"With --url: the hub as services reach it, nats://user:password@host:port, so that the log, its replicas and its consumers are looked at; without it 1, 8, 11 and 17 are not checked, and the exit code is 1. On a command line it is seen by who lists processes; $$CANOPY_VERIFY_HUB is not."`

	Dir    string `placeholder:"DIR" help:"Folder of the record and of what --local starts (default: a temporary one, which is kept when a promise is broken)."`
	Report string `placeholder:"FILE" help:"Write the report there as JSON, too."`
	Check  string `name:"check" placeholder:"FILE" help:"Check the record of an earlier run again, and do nothing else."`
}

// Help is shown by canopy verify --help.
func (Cmd) Help() string {
	return `People act at all gateways, half of them by the product's own client and half by one that shares no code with it, while processes are killed, paused and cut off from each other. Everything that anybody did, was answered and was told is in a record; when all is mended and quiet, what each replica, store, page and replay has is added to it. Then the record is held against what Canopy promises, and a promise that is broken is shown by the smallest piece of history that breaks it.

A promise that nothing could have broken in the run counts as not checked, which is a failure, too; but one about stores is left out, and said so, where the flags let none be broken. The exit code is 0 when all hold, and 1 when not. With --plant it is 0 when the bug was found.

Examples:

  canopy verify --local --seed 7 --duration 5m --report report.json
  canopy verify --local --files --duration 30s
  canopy verify --local --files --plant leave-not-heard
  canopy verify --url https://chat.staging.example --login owner --calm
  canopy verify --check canopy-verify-7/record.jsonl`
}

// Run is of kong.
func (c Cmd) Run(s *Session) error {
	if c.ListPlants {
		return plants.Table(s.Stdout)
	}
	if c.Check != "" {
		rep, err := Check(c.Check)
		if err != nil {
			return err
		}
		return c.tell(s, rep)
	}
	o, err := c.options(s)
	if err != nil {
		return err
	}
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return config.Problemf("the folder %s: %v", c.Dir, err)
	}
	rep, err := Run(s.Context, o)
	if err != nil {
		return errors.Join(err, c.clear(o.Dir, false))
	}
	told := c.tell(s, rep)
	if told != nil {
		fmt.Fprintf(s.Stderr, "canopy: record and logs are in %s\n", o.Dir)
	}
	return errors.Join(told, c.clear(o.Dir, told != nil))
}

// clear takes a temporary folder away, unless it is evidence.
func (c Cmd) clear(dir string, keep bool) error {
	if c.Dir != "" || keep {
		return nil
	}
	return os.RemoveAll(dir)
}

func (c Cmd) options(s *Session) (o Options, err error) {
	switch {
	case c.Local == (c.URL != ""):
		return o, config.Problemf("--local starts a deployment, --url names one that runs: give one of the two")
	case c.URL != "" && c.Login == "":
		return o, config.Problemf("--url wants --login: who makes the workspaces")
	case c.Calm && len(c.Only) > 0:
		return o, config.Problemf("--calm breaks nothing, --only something: give one of the two")
	case c.Files && !c.Local:
		return o, config.Problemf("--files is for --local")
	}
	o = Options{
		Local: c.Local, Files: c.Files, Seed: c.Seed, Duration: c.Duration, Rate: c.Rate, People: c.People, Plant: c.Plant, Calm: c.Calm, Only: c.Only,
		Dir: c.Dir, Version: s.Version, Say: says(s.Stderr),
	}
	if o.Seed == 0 {
		o.Seed = uint64(time.Now().UnixNano()) % 1e9
	}
	if c.URL != "" {
		o.Running = site.RunningOptions{URL: map[string]string{"": c.URL}, Login: c.Login, Hub: cmp.Or(c.Hub, s.Env("CANOPY_VERIFY_HUB"))}
		for region, url := range c.Regions {
			o.Running.URL[region] = url
		}
		if o.Running.Password, err = s.Password(c.PasswordFile, c.Login); err != nil {
			return o, err
		}
	}
	if o.Canopy, err = os.Executable(); err != nil {
		return o, fmt.Errorf("which program is this: %w", err)
	}
	if c.Dir == "" {
		if o.Dir, err = os.MkdirTemp("", "canopy-verify-"+strconv.FormatUint(o.Seed, 10)+"-"); err != nil {
			return o, config.Problemf("a temporary folder: %v", err)
		}
	}
	o.Say(fmt.Sprintf("seed %d, in %s", o.Seed, o.Dir))
	return o, nil
}

// tell shows a report. The error is that something does not hold, or that the report cannot be written.
func (c Cmd) tell(s *Session, rep report.Report) error {
	if c.Report != "" {
		f, err := os.Create(c.Report)
		if err != nil {
			return config.Problemf("--report: %v", err)
		}
		if err := errors.Join(rep.JSON(f), f.Close()); err != nil {
			return fmt.Errorf("--report: %w", err)
		}
	}
	if err := rep.Text(s.Stdout); err != nil {
		return err
	}
	if rep.Plant != "" {
		return found(s.Stdout, rep)
	}
	if !rep.Holds {
		return errBroken
	}
	return nil
}

// found says whether a planted bug was found: under an invariant that it is meant for.
func found(to io.Writer, rep report.Report) error {
	p, err := plants.Find(rep.Plant)
	if err != nil {
		return err // the record is of another version
	}
	for _, v := range rep.Verdicts {
		if v.Broken > 0 && slices.Contains(p.Invariants, v.Invariant) {
			_, err := fmt.Fprintf(to, "%s was found: %s\n", p.Name, p.Story)
			return err
		}
	}
	return fmt.Errorf("%s was NOT found, and breaks %v: it shows by %s", p.Name, p.Invariants, p.Finds)
}

// says writes lines with the time since now before them, one at a time.
func says(to io.Writer) func(string) {
	began := time.Now()
	var mu sync.Mutex
	return func(text string) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(to, "canopy: %6.1f s  %s\n", time.Since(began).Seconds(), text)
	}
}
