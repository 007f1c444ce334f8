package deliver_test

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/ddl"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/cassandra"
	"github.com/canopychat/canopy/services/store/cassandra/ring"
	"github.com/canopychat/canopy/services/store/storetest"
)

// onCassandra is a store in a keyspace of its own on the real server, which goes with the test.
func onCassandra(t *testing.T) store.Messages {
	t.Helper()
	const timeout = 20 * time.Second
	hosts, keyspace := strings.Split(storetest.Server(t, storetest.Cassandra), ","), "deliver_"+strconv.FormatInt(time.Now().UnixNano(), 36)
	m, err := cassandra.Open(t.Context(), cassandra.Config{Hosts: hosts, Keyspace: keyspace, Replication: 1, Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		r, err := ring.Open(ctx, ring.Config{Hosts: hosts, Keyspace: keyspace, Replication: 1, Timeout: timeout, Migrations: ddl.CassandraMessages()})
		if err == nil {
			err = r.Exec(ctx, ring.Write{Statement: ring.Statement("DROP KEYSPACE IF EXISTS " + keyspace)})
			_ = r.Close() // what it was for is done
		}
		if err != nil {
			t.Logf("the keyspace %s stays: %v", keyspace, err)
		}
	})
	return m
}

// The same on the real server: what is written down survives whoever wrote it.
func TestKilledOnCassandra(t *testing.T) {
	messages := onCassandra(t)
	t.Run("router", func(t *testing.T) { killRouter(newTownOn(t, messages, fivePeople...)) })
	t.Run("worker", func(t *testing.T) { killWorker(newTownOn(t, onCassandra(t), "bob")) })
}
