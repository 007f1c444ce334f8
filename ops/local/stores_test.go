package local_test

import (
	"context"
	"fmt"
	"net/url"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/ops/local"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/ddl"
	"github.com/canopychat/canopy/services/store/cassandra/ring"
	"github.com/canopychat/canopy/services/store/storetest"
)

// On the engines that operators run, each region has an api and a persister of its own, and none is missed.
func TestSharedStores(t *testing.T) {
	o := sharedStores(t)
	s := start(t, o)
	if len(s.APIs) != 2 || len(s.Persisters) != 2 || s.APIs[0].Data == s.APIs[1].Data {
		t.Fatalf("%d api, %d persisters", len(s.APIs), len(s.Persisters))
	}
	ada, bob := s.talks("ada", "", chat.Cursor{}).online(), s.talks("bob", "", chat.Cursor{}).online()
	ada.says("with all")
	bob.hears("with all")
	for _, p := range []*local.Process{s.APIs[1], s.Persisters[0]} {
		if err := p.Kill(); err != nil {
			t.Fatal(err)
		}
	}
	last := bob.says("with one api and one persister") // us has no api: its front asks that of eu
	ada.hears("with one api and one persister")
	s.awaits("history has it", func() bool {
		list, err := s.town.People["bob"].History(s.ctx, s.town.Channels["general"], client.Page{})
		return err == nil && len(list.Messages) == 2 && list.CompleteThrough >= last && list.Messages[0].Seq == last
	})
	for _, p := range []*local.Process{s.APIs[1], s.Persisters[0]} {
		if err := p.Restart(s.ctx); err != nil {
			t.Error(err)
		}
	}
	ada.leave()
	bob.leave()
}

// sharedStores are a keyspace and a database for one test, in the servers that run.
func sharedStores(t *testing.T) local.Options {
	t.Helper()
	nodes := strings.Split(storetest.Server(t, storetest.Cassandra), ",")
	dsn, err := url.Parse(storetest.Server(t, storetest.Postgres))
	if err != nil {
		t.Fatal(err)
	}
	name := "local_" + strconv.FormatInt(time.Now().UnixNano(), 36)
	ask := func(sql string) {
		t.Helper()
		if out, err := exec.Command("psql", dsn.String(), "-c", sql).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v %s", sql, err, out)
		}
	}
	ask("CREATE DATABASE " + name)
	t.Cleanup(func() {
		ask(fmt.Sprintf("DROP DATABASE %s WITH (FORCE)", name))
		r, err := ring.Open(context.Background(), ring.Config{Hosts: nodes, Keyspace: name, Replication: 1, Migrations: ddl.CassandraMessages()})
		if err == nil {
			err = r.Exec(context.Background(), ring.Write{Statement: ring.Statement("DROP KEYSPACE IF EXISTS " + name)})
			_ = r.Close() // what it was for is done
		}
		if err != nil {
			t.Logf("the keyspace %s stays: %v", name, err)
		}
	})
	database := *dsn
	database.Path = "/" + name
	return local.Options{Cassandra: nodes, Postgres: database.String(), Keyspace: name}
}
