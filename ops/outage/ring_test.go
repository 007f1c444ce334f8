package outage_test

import (
	"flag"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/canopychat/canopy/schemas/ddl"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/cassandra"
	"github.com/canopychat/canopy/services/store/cassandra/ring"
	"github.com/canopychat/canopy/services/store/storetest"
)

// A ring of three, with three copies of each row, does all its work without one of its nodes; only its tables stay as
// they are until the node is back.
func TestRingWithoutOneOfItsNodes(t *testing.T) {
	t.Parallel()
	nodes := three.start(t).Cassandra
	const whole, lacking = "ring_whole", "ring_lacking"
	open(t, lacking) // its tables are made while every node is there
	t.Run("with all of them", func(t *testing.T) { suite(t, open(t, whole)) })

	if err := nodes[2].Stop(); err != nil {
		t.Fatal(err)
	}
	t.Run("without one of them", func(t *testing.T) {
		before := schemaOf(t, lacking)
		m := open(t, lacking)
		suite(t, m)
		if err := m.Apply(within(t), []event.Stored{kept}); err != nil {
			t.Fatal(err)
		}
		if after := schemaOf(t, lacking); after != before {
			t.Errorf("the schema was %s before a process started, and is %s", before, after)
		}
	})
	t.Run("its tables stay as they are", func(t *testing.T) {
		before := schemaOf(t, lacking)
		for _, keyspace := range []string{whole, "ring_new"} {
			r, err := ring.Open(within(t), onThree(keyspace, later(t)))
			if err == nil {
				_ = r.Close() // that it is open is the failure
			}
			if !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "nothing was migrated") || !strings.Contains(err.Error(), "127.0.62.3:9042 does not answer") {
				t.Errorf("a migration of %s without a node: %v", keyspace, err)
			}
		}
		if after := schemaOf(t, lacking); after != before {
			t.Errorf("the schema was %s before the migrations were refused, and is %s", before, after)
		}
	})

	if err := nodes[2].Start(within(t)); err != nil {
		t.Fatal(err)
	}
	t.Run("with all of them again", func(t *testing.T) {
		r, err := ring.Open(within(t), onThree(whole, later(t)))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if err := r.Exec(within(t), ring.Write{Statement: "INSERT INTO later (a) VALUES (1)"}); err != nil {
			t.Error(err)
		}
	})
	if err := nodes[0].Stop(); err != nil {
		t.Fatal(err)
	}
	t.Run("without another one", func(t *testing.T) {
		m, err := open(t, lacking).Message(within(t), kept.ChannelID, kept.Seq)
		if err != nil || m.Body != kept.Body {
			t.Errorf("what was written without the third node is read without the first as %+v, %v", m, err)
		}
	})
}

// kept is a message that two nodes of three got.
var kept = event.Stored{
	Event: event.Event{V: event.Version, Kind: event.MessagePosted, Epoch: 1, ChannelID: "kept", SenderID: "ann",
		ClientMsgID: "00000000-0000-7000-8000-000000000001", Body: "two of three will do"},
	WorkspaceID: "acme", Seq: 7, At: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
}

// suite is the contract's, with fewer of its random histories: all of them run on one node elsewhere.
func suite(t *testing.T, m *cassandra.Messages) {
	t.Helper()
	short := flag.Lookup("test.short")
	before := short.Value.String()
	if err := short.Value.Set("true"); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	storetest.RunMessages(t, func(*testing.T) store.Messages { return m })
	t.Logf("the suite took %v", time.Since(began).Round(time.Millisecond))
	if err := short.Value.Set(before); err != nil {
		t.Fatal(err)
	}
}

// hosts are the nodes that a process is told of; that one of them does not run is no matter.
var hosts = []string{"127.0.62.3", "127.0.62.1", "127.0.62.2"}

// answerTime is of one question: nodes are slow where machines are busy.
const answerTime = 10 * time.Second

func open(t *testing.T, keyspace string) *cassandra.Messages {
	t.Helper()
	m, err := cassandra.Open(within(t), cassandra.Config{Hosts: hosts, Keyspace: keyspace, Replication: 3, Timeout: answerTime})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func onThree(keyspace string, migrations fs.FS) ring.Config {
	return ring.Config{Hosts: hosts, Keyspace: keyspace, Replication: 3, Timeout: answerTime, Migrations: migrations}
}

// later are the tables as a later version has them.
func later(t *testing.T) fs.FS {
	t.Helper()
	files := fstest.MapFS{}
	names, err := fs.Glob(ddl.CassandraMessages(), "*.cql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(ddl.CassandraMessages(), name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: text}
	}
	files[fmt.Sprintf("%05d_later.cql", len(names)+1)] = &fstest.MapFile{Data: []byte("CREATE TABLE IF NOT EXISTS later (a int PRIMARY KEY);\n")}
	return files
}

// schemaOf is the version of the schema, which any change of any table changes.
func schemaOf(t *testing.T, keyspace string) string {
	t.Helper()
	r, err := ring.Open(within(t), onThree(keyspace, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	version, err := ring.One(within(t), r, ring.Read{Statement: "SELECT schema_version FROM system.local WHERE key = 'local'"}, "version",
		func(row ring.Row) (version string, err error) { return version, row.Scan(&version) })
	if err != nil || version == "" {
		t.Fatalf("the version of the schema: %q, %v", version, err)
	}
	return version
}
