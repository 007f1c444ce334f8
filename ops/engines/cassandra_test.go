//go:build linux

package engines_test

import (
	"bytes"
	"encoding/binary"
	"flag"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canopychat/canopy/ops/engines"
)

var update = flag.Bool("update", false, "write the golden files")

func TestCassandrasFilesAreAsWritten(t *testing.T) {
	for _, name := range []string{"cassandra.yaml", "logback.xml", "jvm.args"} {
		got, err := engines.Render(name, `/srv/my "data"`)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s (-update writes it anew):\n%s", path, diff)
		}
	}
}

func TestWhoANodeSees(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	before := "INFO [GossipStage:1] InetAddress /127.0.7.1:7000 is now UP\n"
	text := before + "INFO InetAddress /127.0.7.2:7000 is now UP\nINFO InetAddress /127.0.7.2:7000 is now DOWN\nINFO Node /127.0.7.3:7000 has restarted, now UP\nINFO InetAddress /127.0.7.3:7000 is now UP\n"
	if err := os.WriteFile(log, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]bool{"127.0.7.1": false, "127.0.7.2": false, "127.0.7.3": true, "127.0.7.30": false} {
		if got, err := engines.Sees(log, host, int64(len(before))); got != want || err != nil {
			t.Errorf("%s: %v %v, want %v", host, got, err, want)
		}
	}
}

// Three nodes answer, one after the other stops in each of the ways there are, and is back with what it had.
func TestARingOfThree(t *testing.T) {
	e := start(t, engines.Options{Cassandra: 3, Network: "127.0.71"})
	first := dialCQL(t, "127.0.71.1:9042")
	first.query("CREATE KEYSPACE kept WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 3}")
	first.query("CREATE TABLE kept.row (id int PRIMARY KEY)")
	first.soon("INSERT INTO kept.row (id) VALUES (42)")
	// A node that has only just heard of the table answers as if it were empty.
	elsewhere := dialCQL(t, "127.0.71.3:9042")
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		rows := elsewhere.soon("SELECT id FROM kept.row")
		if bytes.Contains(rows, []byte{0, 0, 0, 4, 0, 0, 0, 42}) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the row is not in the ring: %q", rows)
		}
	}

	second := e.Cassandra[1]
	pid := second.PID()
	if err := second.Stop(); err != nil {
		t.Fatal(err)
	}
	if second.PID() != 0 || alive(pid) {
		t.Error("a stopped node has a process")
	}
	first.query("INSERT INTO kept.row (id) VALUES (43)") // two of three are enough
	if err := second.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if second.PID() == pid {
		t.Error("the node has the process that it had before it was stopped")
	}
	// The node is in the ring again, so a quorum that needs it can be had.
	third := e.Cassandra[2]
	third.Kill()
	dialCQL(t, "127.0.71.2:9042").query("INSERT INTO kept.row (id) VALUES (44)")
	select {
	case err := <-e.Failed():
		t.Errorf("what was stopped on purpose counts as a failure: %v", err)
	default:
	}
}

// One node keeps its data over a stop of all and a kill -9, holds still while it is paused, and is missed when it dies.
func TestANodeAlone(t *testing.T) {
	dir := t.TempDir()
	o := engines.Options{Dir: dir, Cassandra: 1, Network: "127.0.72"}
	e := start(t, o)
	n := e.Cassandra[0]
	cql := dialCQL(t, "127.0.72.1:9042")
	cql.query("CREATE KEYSPACE kept WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}")
	cql.query("CREATE TABLE kept.row (id int PRIMARY KEY)")
	cql.query("INSERT INTO kept.row (id) VALUES (42)")

	n.Kill()
	if err := n.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	cql = dialCQL(t, "127.0.72.1:9042")
	if rows := cql.query("SELECT id FROM kept.row"); !bytes.Contains(rows, []byte{0, 0, 0, 4, 0, 0, 0, 42}) {
		t.Errorf("the row is gone: %q", rows)
	}

	n.Pause()
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		cql.query("SELECT id FROM kept.row")
	}()
	select {
	case <-answered:
		t.Error("a paused node answers")
	case <-time.After(300 * time.Millisecond): // shorter only makes the test see less
	}
	n.Continue()
	<-answered

	if _, err := engines.Start(t.Context(), o); asProblem(err) != "engines run in "+dir+" already: its engines.json says where" {
		t.Errorf("a folder in use: %v", err)
	}
	busy := o
	busy.Dir = t.TempDir()
	if _, err := engines.Start(t.Context(), busy); !strings.HasPrefix(asProblem(err), "127.0.72.1:9042 is taken by another process; ") {
		t.Errorf("addresses in use: %v", err)
	}
	if err := e.Stop(); err != nil {
		t.Fatal(err)
	}
	three := o
	three.Cassandra = 3
	if _, err := engines.Start(t.Context(), three); !strings.HasPrefix(asProblem(err), "the data in "+dir+" is of a ring of 1 at 127.0.72.x, and not of a ring of 3 at ") {
		t.Errorf("a ring that grows: %v", err)
	}
}

// cqlConn speaks as much of the native protocol (version 4) as it takes to keep a row: drivers are for stores.
type cqlConn struct {
	t    *testing.T
	conn net.Conn
}

func dialCQL(t *testing.T, address string) *cqlConn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	c := &cqlConn{t, conn}
	if op, body := c.ask(1, []byte("\x00\x01\x00\x0bCQL_VERSION\x00\x053.0.0")); op != 2 { // STARTUP, READY
		t.Fatalf("%s answers STARTUP by %d %q", address, op, body)
	}
	return c
}

func (c *cqlConn) ask(op byte, body []byte) (byte, []byte) {
	c.t.Helper()
	frame := binary.BigEndian.AppendUint32([]byte{4, 0, 0, 0, op}, uint32(len(body)))
	if _, err := c.conn.Write(append(frame, body...)); err != nil {
		c.t.Error(err)
		return 0, nil
	}
	head := make([]byte, 9)
	if _, err := io.ReadFull(c.conn, head); err != nil {
		c.t.Error(err)
		return 0, nil
	}
	answer := make([]byte, binary.BigEndian.Uint32(head[5:]))
	if _, err := io.ReadFull(c.conn, answer); err != nil {
		c.t.Error(err)
	}
	return head[4], answer
}

// query asks at consistency QUORUM and answers the result.
func (c *cqlConn) query(text string) []byte {
	c.t.Helper()
	op, answer := c.try(text)
	if op != opResult {
		c.t.Errorf("%s: %d %q", text, op, answer)
	}
	return answer
}

// soon is a query that may be refused until all nodes have heard of the table.
func (c *cqlConn) soon(text string) []byte {
	c.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		op, answer := c.try(text)
		if op == opResult || c.t.Failed() {
			return answer
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("%s: %d %q", text, op, answer)
		}
	}
}

const opResult = 8

func (c *cqlConn) try(text string) (byte, []byte) {
	c.t.Helper()
	body := binary.BigEndian.AppendUint32(nil, uint32(len(text)))
	return c.ask(7, append(append(body, text...), 0, 4, 0)) // QUERY
}
