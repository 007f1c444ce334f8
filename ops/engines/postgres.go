package engines

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/datadir"
	"github.com/canopychat/canopy/ops/engines/child"
)

// canopyName is the user, who may make databases, and the database that is there.
const canopyName = "canopy"

// longestSocket is how many bytes of path a unix socket may have.
const longestSocket = 107

// postgres is the system's PostgreSQL with a cluster of its own in the folder.
type postgres struct {
	bin    string
	dir    string
	as     *child.Account
	noSync bool
	given  int // port; 0: a free one, the same each time
	node   *Node
	access access
}

// access is what a cluster is reached by; it is kept beside the data.
type access struct {
	Port     int    `json:"port"`
	Password string `json:"password"`
}

func newPostgres(d *folder, o Options, failed chan<- error) (*postgres, error) {
	bin, err := findPostgres(os.Getenv("PATH"), "/usr/lib/postgresql")
	if err != nil {
		return nil, err
	}
	as, err := child.Unprivileged()
	if err != nil {
		return nil, config.Problemf("PostgreSQL refuses to be run by root: %w", err)
	}
	p := &postgres{bin: bin, dir: d.at("postgres"), as: as, noSync: o.NoSync, given: o.PostgresPort}
	p.node = &Node{Name: "postgres", Log: filepath.Join(p.dir, "postgres.log"), kind: p, failed: failed}
	return p, nil
}

// findPostgres is the folder of the newest PostgreSQL: Debian keeps them side by side, others have one in the PATH.
func findPostgres(path, versions string) (string, error) {
	found, err := filepath.Glob(filepath.Join(versions, "*/bin/initdb"))
	if err != nil {
		return "", err
	}
	newest, dir := 0, ""
	for _, initdb := range found {
		bin := filepath.Dir(initdb)
		version, err := strconv.Atoi(filepath.Base(filepath.Dir(bin)))
		if err == nil && version > newest {
			newest, dir = version, bin
		}
	}
	for _, p := range filepath.SplitList(path) {
		if dir == "" && p != "" {
			if real, err := exec.LookPath(filepath.Join(p, "initdb")); err == nil {
				dir = filepath.Dir(real)
			}
		}
	}
	if dir == "" {
		return "", config.Problemf("PostgreSQL is missing: initdb is neither in %s/*/bin nor in the PATH (Debian: apt-get install postgresql)", versions)
	}
	return dir, nil
}

// dsn is for who may make databases.
func (p *postgres) dsn() string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(canopyName, p.access.Password), Host: p.address(), Path: canopyName, RawQuery: "sslmode=disable"}
	return u.String()
}

func (p *postgres) address() string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.access.Port))
}

func (p *postgres) data() string { return filepath.Join(p.dir, "data") }

// prepare is of kind.
func (p *postgres) prepare(ctx context.Context) (child.Command, error) {
	if err := os.MkdirAll(p.dir, 0o711); err != nil {
		return child.Command{}, config.Problemf("the folder %s: %w", p.dir, plain(err))
	}
	if closed := p.as.Barred(p.dir); closed != "" {
		return child.Command{}, config.Problemf("PostgreSQL refuses to be run by root and runs as %s, whom %s is closed to: take a folder elsewhere, or open that one (chmod o+x)", p.as.Name, closed)
	}
	if err := p.as.Own(p.dir); err != nil {
		return child.Command{}, config.Problemf("the folder %s: %w", p.dir, plain(err))
	}
	if err := p.loadAccess(ctx); err != nil {
		return child.Command{}, err
	}
	if _, err := os.Stat(p.data()); errors.Is(err, fs.ErrNotExist) {
		if err := p.initialise(ctx); err != nil {
			return child.Command{}, err
		}
	}
	return child.Command{
		Path: filepath.Join(p.bin, "postgres"), Args: p.args(), Env: p.environ(), As: p.as,
		Orphan: syscall.SIGINT, // the fast shutdown, as at Stop
	}, nil
}

func (p *postgres) args() []string {
	socket := p.dir
	if len(socket)+len("/.s.PGSQL.65535") > longestSocket {
		socket = "" // TCP is enough
	}
	args := []string{"-D", p.data()}
	settings := []string{
		"listen_addresses=127.0.0.1", "port=" + strconv.Itoa(p.access.Port), "unix_socket_directories=" + socket, "max_connections=200",
		"logging_collector=off", "log_line_prefix=%m [%p] ",
	}
	if p.noSync {
		settings = append(settings, "fsync=off", "full_page_writes=off") // what is committed is with the system, and survives a kill
	}
	for _, s := range settings {
		args = append(args, "-c", s)
	}
	return args
}

// environ has no setting of another PostgreSQL in it, and no language: logs and messages are the same everywhere.
func (p *postgres) environ() []string { return child.Environ([]string{"LC_ALL=C", "TZ=UTC"}, "PG*") }

// loadAccess finds the password and the port of last time. The port is another one when it was taken meanwhile, unless
// it was given.
func (p *postgres) loadAccess(ctx context.Context) error {
	file := filepath.Join(p.dir, "access.json")
	text, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.access = access{Password: datadir.Password()}
	case err != nil:
		return err
	default:
		if err := json.Unmarshal(text, &p.access); err != nil {
			return config.Problemf("%s is damaged: %w", file, err)
		}
	}
	if p.given != 0 {
		p.access.Port = p.given
		if err := awaitFree(ctx, p.address(), "--postgres-port takes another one"); err != nil {
			return err
		}
	}
	if p.access.Port == 0 || p.given == 0 && awaitFree(ctx, p.address(), "") != nil {
		if p.access.Port, err = freePort(ctx); err != nil {
			return err
		}
	}
	if text, err = json.Marshal(p.access); err != nil {
		return err
	}
	if err := os.WriteFile(file+".part", append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(file+".part", file)
}

// initialise makes the cluster and the database. The data gets its name when it is whole: an interrupted run leaves
// nothing that is taken for a cluster.
func (p *postgres) initialise(ctx context.Context) error {
	fresh := p.data() + ".part"
	password := filepath.Join(p.dir, "password.part")
	err := os.RemoveAll(fresh)
	if err == nil {
		err = os.WriteFile(password, []byte(p.access.Password), 0o600)
	}
	if err == nil {
		err = p.as.Own(password)
	}
	defer os.Remove(password) // access.json has it
	if err != nil {
		return config.Problemf("the folder %s: %w", p.dir, plain(err))
	}
	initdb := []string{"-D", fresh, "-U", canopyName, "-A", "scram-sha-256", "--pwfile", password, "-E", "UTF8", "--locale=C", "--no-instructions"}
	if p.noSync {
		initdb = append(initdb, "--no-sync")
	}
	if err := p.tool(ctx, "initdb", "", initdb...); err != nil {
		return err
	}
	if err := p.tool(ctx, "postgres", "CREATE DATABASE "+canopyName+"\n", "--single", "-D", fresh, "template1"); err != nil {
		return err
	}
	return os.Rename(fresh, p.data())
}

// tool runs one of PostgreSQL's programs to its end.
func (p *postgres) tool(ctx context.Context, name, in string, args ...string) error {
	var out bytes.Buffer
	err := child.RunTool(ctx, child.Command{Path: filepath.Join(p.bin, name), Args: args, Env: p.environ(), As: p.as}, strings.NewReader(in), &out)
	if err != nil && ctx.Err() == nil {
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		return fmt.Errorf("postgres: %s ended with %w: %s", name, err, lines[len(lines)-1])
	}
	return err
}

// ready is of kind. What pg_ctl waits for: the server's pid file says whose it is and, in its last line, that it
// takes connections.
func (p *postgres) ready(_ context.Context, pid int) (bool, error) {
	text, err := os.ReadFile(filepath.Join(p.data(), "postmaster.pid"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	lines := strings.Split(string(text), "\n")
	return len(lines) >= 8 && lines[0] == strconv.Itoa(pid) && strings.TrimSpace(lines[7]) == "ready", err
}

// farewell is of kind: the fast shutdown, which does not wait for who is connected.
func (p *postgres) farewell() syscall.Signal { return syscall.SIGINT }
