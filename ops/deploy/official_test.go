package deploy_test

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/ops/deploy"
	"github.com/canopychat/canopy/ops/deploy/certs"
	"github.com/canopychat/canopy/streams"
)

// officialServer builds nats-server as its makers publish it.
func officialServer(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "nats-server")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "github.com/nats-io/nats-server/v2")
	build.Dir = filepath.Join("..", "tools") // the module that has the developers' tools
	build.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return binary
}

// environ is what the files read, in the environment this time.
func (v variables) environ() []string {
	env := os.Environ()
	for name, value := range v {
		env = append(env, name+"="+value)
	}
	return env
}

// unchanged is a shipped file as it is.
func unchanged(t *testing.T, conf []byte) string {
	t.Helper()
	return variables{}.file(t, conf)
}

// startProcess runs a server until the test ends.
func startProcess(t *testing.T, binary, conf string, v variables) {
	t.Helper()
	var says bytes.Buffer
	process := exec.Command(binary, "-c", conf)
	process.Env, process.Stdout, process.Stderr = v.environ(), &says, &says
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = process.Process.Kill() // it may have ended by itself, which is why the test failed
		_ = process.Wait()         // killed, as was wanted
		if t.Failed() {
			t.Log(says.String())
		}
	})
}

// reached reports whether somebody listens at an address.
func reached(address string) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}

func TestTheOfficialServer(t *testing.T) {
	binary := officialServer(t)
	s := &site{t: t}
	var err error
	if s.tls, err = certs.Make(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	at := free(t, 9)
	s.leafs = at[3:6]
	hub, leaf := unchanged(t, deploy.HubConf), unchanged(t, deploy.LeafConf)
	for i := range 3 {
		v := s.hub(i, at[:3])
		v["CANOPY_HUB_LISTEN"] = at[6+i]
		if i == 0 {
			check(t, binary, hub, v)
		}
		startProcess(t, binary, hub, v)
	}
	check(t, binary, leaf, s.leafOf("eu", euPassword))

	l := s.leaf("eu", euPassword) // ours, at the hub of theirs
	eventually(t, "the first server listens", func() error { return reached(at[6]) })
	nc := dial(t, "nats://"+at[6], nats.UserInfo("canopy", appPassword))
	js, err := jetstream.NewWithDomain(nc, streams.HubDomain)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the hub has a leader", func() error {
		asking, cancel := context.WithTimeout(t.Context(), 2*time.Second) // nobody answers what is asked during the election
		defer cancel()
		_, err := js.AccountInfo(asking)
		return err
	})
	crosses(t, dial(t, l.ClientURL()), nc, "eph.w1.typing.c1")
}

// check is nats-server -t: does it understand the file?
func check(t *testing.T, binary, conf string, v variables) {
	t.Helper()
	test := exec.CommandContext(t.Context(), binary, "-c", conf, "-t")
	test.Env = v.environ()
	if out, err := test.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
