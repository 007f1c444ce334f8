package engines

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"text/template"
	"time"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/engines/cassandrajars"
	"github.com/canopychat/canopy/ops/engines/child"
)

// storagePort is what the nodes of a ring talk to each other on. Rings that run side by side have addresses of their
// own, and share it.
const storagePort = 7000

// readyPatience is how long a node that takes a connection may take to answer on it.
const readyPatience = 5 * time.Second

//go:embed conf
var confFiles embed.FS

// Of a path, what JSON, YAML and an argument file of Java quote is quoted the same.
var confTemplates = template.Must(template.New("").Funcs(template.FuncMap{"quote": strconv.Quote}).ParseFS(confFiles, "conf/*"))

// ring is what the nodes of one ring have in common.
type ring struct {
	jars    cassandrajars.Jars
	network string // of the nodes' addresses: 127.0.0
	port    int    // of CQL
	nodes   []*cassandra
}

// cassandra is one node of a ring. Its log tells whom it sees.
type cassandra struct {
	ring *ring
	host string
	dir  string
	node *Node

	// How long each node's log, this one's too, was when this one was started last: what they noted before is of
	// another life of it.
	since map[*cassandra]int64
}

// newRing makes a ring whose nodes do not run yet. The data belongs to a ring of its size at its addresses.
func newRing(d *folder, o Options, j cassandrajars.Jars, failed chan<- error) (*ring, error) {
	r := &ring{jars: j, network: o.Network, port: o.CQLPort}
	shape := fmt.Sprintf("a ring of %d at %s.x", o.Cassandra, o.Network)
	kept := d.at("cassandra")
	switch text, err := os.ReadFile(kept); {
	case errors.Is(err, fs.ErrNotExist):
		if err := os.WriteFile(kept, []byte(shape+"\n"), 0o644); err != nil {
			return nil, config.Problemf("the folder %s: %w", d.path, plain(err))
		}
	case err != nil:
		return nil, err
	case strings.TrimSpace(string(text)) != shape:
		return nil, config.Problemf("the data in %s is of %s, and not of %s: start it as that, or take another folder", d.path, strings.TrimSpace(string(text)), shape)
	}
	for i := range o.Cassandra {
		c := &cassandra{ring: r, host: fmt.Sprintf("%s.%d", o.Network, i+1), dir: d.at(fmt.Sprintf("cassandra-%d", i+1))}
		c.node = &Node{Name: "cassandra " + c.host, Log: filepath.Join(c.dir, "cassandra.log"), kind: c, failed: failed}
		r.nodes = append(r.nodes, c)
	}
	return r, nil
}

func (c *cassandra) address() string { return net.JoinHostPort(c.host, strconv.Itoa(c.ring.port)) }

// prepare is of kind.
func (c *cassandra) prepare(ctx context.Context) (child.Command, error) {
	for _, port := range []int{c.ring.port, storagePort} {
		hint := "another ring may be there: --network 127.0.9 takes other addresses"
		if err := awaitFree(ctx, net.JoinHostPort(c.host, strconv.Itoa(port)), hint); err != nil {
			return child.Command{}, err
		}
	}
	if err := c.configure(ctx); err != nil {
		return child.Command{}, fmt.Errorf("%s: %w", c.node.Name, err)
	}
	c.since = map[*cassandra]int64{}
	for _, n := range c.ring.nodes {
		c.since[n] = logSize(n.node.Log)
	}
	return child.Command{
		Path: c.ring.jars.Java, Args: []string{"@" + c.at("conf/jvm.args")},
		Env:    child.Environ(nil, "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS", "CLASSPATH", "CASSANDRA_*"),
		Orphan: syscall.SIGKILL, // the commit log is written: nothing is lost
	}, nil
}

// configure writes the files of the node anew, for the ports that are free today.
func (c *cassandra) configure(ctx context.Context) error {
	agent, err := c.ring.jars.Agent()
	if err != nil {
		return err
	}
	jmx, err := freePort(ctx)
	if err != nil {
		return err
	}
	of := nodeConf{
		Dir: c.dir, Host: c.host, Port: c.ring.port, StoragePort: storagePort, JMX: jmx,
		Seeds: c.seeds(), Jars: c.ring.jars.Dir, Agent: agent,
		Config: (&url.URL{Scheme: "file", Path: c.at("conf/cassandra.yaml")}).String(),
	}
	if err := os.MkdirAll(c.at("conf"), 0o755); err != nil {
		return err
	}
	for _, name := range []string{"cassandra.yaml", "logback.xml", "jvm.args"} {
		text, err := of.render(name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(c.at("conf/"+name), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// nodeConf is what differs from node to node.
type nodeConf struct {
	Dir, Host         string
	Port, StoragePort int
	JMX               int
	Seeds             string
	Jars, Agent       string
	Config            string // URL of cassandra.yaml
}

// At is the path of something of the node.
func (c nodeConf) At(name string) string { return filepath.Join(c.Dir, name) }

func (c nodeConf) render(name string) ([]byte, error) {
	var text bytes.Buffer
	err := confTemplates.ExecuteTemplate(&text, name, c)
	return text.Bytes(), err
}

func (c *cassandra) at(name string) string { return filepath.Join(c.dir, name) }

// seeds are who a node asks when it starts. A new node asks those before it; one that has been in the ring asks all,
// because any of them may be down. A seed that finds nobody goes on alone.
func (c *cassandra) seeds() string {
	_, err := os.Stat(c.at("data"))
	fresh := errors.Is(err, fs.ErrNotExist)
	var all []string
	for _, n := range c.ring.nodes {
		all = append(all, net.JoinHostPort(n.host, strconv.Itoa(storagePort)))
		if n == c && fresh {
			break
		}
	}
	return strings.Join(all, ",")
}

// ready is of kind: the node answers CQL, and the other nodes that run and itself see each other.
func (c *cassandra) ready(ctx context.Context, _ int) (bool, error) {
	if !answersCQL(ctx, c.address()) {
		return false, nil
	}
	for _, other := range c.ring.nodes {
		if other == c || other.node.running() == nil || !answersCQL(ctx, other.address()) {
			continue
		}
		seen, err := sees(c.node.Log, other.host, c.since[c])
		if err != nil || !seen {
			return false, err
		}
		if seen, err = sees(other.node.Log, c.host, c.since[other]); err != nil || !seen {
			return false, err
		}
	}
	return true, nil
}

var noted = regexp.MustCompile(`/([0-9.]+)(?::\d+)? is now (UP|DOWN)`)

// sees tells whether a node is up as far as another has noted it in its log from a place on.
func sees(log, host string, since int64) (bool, error) {
	text, err := readFrom(log, since)
	if err != nil {
		return false, err
	}
	up := false
	for _, found := range noted.FindAllSubmatch(text, -1) {
		if string(found[1]) == host {
			up = string(found[2]) == "UP"
		}
	}
	return up, nil
}

// farewell is of kind.
func (c *cassandra) farewell() syscall.Signal { return syscall.SIGTERM }

// answersCQL sends OPTIONS of the native protocol, version 4, and looks for SUPPORTED: nobody has to log in for it.
func answersCQL(ctx context.Context, address string) bool {
	ctx, cancel := context.WithTimeout(ctx, readyPatience)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return false
	}
	defer conn.Close() // there is nothing left to say
	if err := conn.SetDeadline(time.Now().Add(readyPatience)); err != nil {
		return false
	}
	if _, err := conn.Write([]byte{4, 0, 0, 0, 5, 0, 0, 0, 0}); err != nil {
		return false
	}
	var head [9]byte
	_, err = io.ReadFull(conn, head[:])
	return err == nil && head[0] == 0x84 && head[4] == 6
}

// freePort is a port of the loopback below those that the system gives to connections, so that none takes it before
// its server does.
func freePort(ctx context.Context) (int, error) {
	var last error
	for range 100 {
		port := 20000 + rand.IntN(10000)
		if last = tryPort(ctx, net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); last == nil {
			return port, nil
		}
	}
	return 0, fmt.Errorf("no port is free from 20000 to 29999: %w", last)
}
