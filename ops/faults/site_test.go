package faults_test

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/ops/local"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rest"
	"github.com/canopychat/canopy/streams"
)

// patience bounds every wait, for machines that have much else to do. Nothing that goes well waits for it.
const patience = 3 * time.Minute

// Where people talk. All are in the channels; only the owner is in the secret one.
var channels = []string{"alpha", "beta", "gamma"}

const secret = "secret"

// site is the deployment, the people in it, and all that was seen so far.
type site struct {
	*local.Deployment
	t         *testing.T // of the fault that is made
	whole     *testing.T // of them all
	ctx       context.Context
	canopy    string // path of the program
	workspace chat.WorkspaceID
	shard     streams.Shard
	people    []*person
	owner     *person // the first of them
	channels  []chat.ChannelID
	secret    chat.ChannelID
	js        jetstream.JetStream
	seen      answers
	rows      []*row
	mended    time.Time      // when the fault was
	following sync.WaitGroup // of consumers
}

// start starts a deployment with a dozen people in it, whose sockets are open.
func start(t *testing.T) *site {
	t.Helper()
	dir := t.TempDir()
	w := &site{t: t, whole: t, ctx: t.Context(), canopy: filepath.Join(dir, "canopy")}
	if out, err := exec.Command("go", "build", "-o", w.canopy, "github.com/canopychat/canopy/ops/cmd/canopy").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	began := time.Now()
	d, err := local.Start(t.Context(), local.Options{
		Dir: filepath.Join(dir, "site"), Canopy: w.canopy, LinkThroughProxy: true, Settings: []string{"edge.drain_spread=100ms"},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Deployment = d
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("the deployment ended with %v", err)
		}
	})
	t.Logf("%d processes are ready after %s", len(d.Processes()), time.Since(began).Round(100*time.Millisecond))
	w.settle()
	w.lookIntoTheLog()
	return w
}

// settle has four people in each region come through its front, and one more at each gateway.
func (w *site) settle() {
	w.t.Helper()
	var all []local.Person
	at := map[string]*local.Process{}
	for _, region := range w.Regions {
		for i := range 4 {
			all = append(all, local.Person{Login: fmt.Sprintf("%s%d", region, i), Region: region})
		}
		for i, g := range w.Gateways[region] {
			login := fmt.Sprintf("%sat%d", region, i+1)
			at[login] = g
			all = append(all, local.Person{Login: login, Region: region})
		}
	}
	town, err := w.Settle(w.ctx, "Works", all, channels...)
	if err != nil {
		w.t.Fatal(err)
	}
	w.workspace = town.Workspace
	for _, name := range channels {
		w.channels = append(w.channels, town.Channels[name])
	}
	made, err := town.People[all[0].Login].CreateChannel(w.ctx, w.workspace, rest.NewChannel{Name: secret, Type: chat.ChannelPrivate})
	if err != nil {
		w.t.Fatal(err)
	}
	w.secret = made.ID
	for _, p := range all {
		w.people = append(w.people, w.arrives(p, town.People[p.Login], at[p.Login]))
	}
	w.owner = w.people[0]
	w.awaits("all are connected", func() (bool, string) { return w.allOnline() })
}

// lookIntoTheLog connects as an operator, and finds the shard.
func (w *site) lookIntoTheLog() {
	w.t.Helper()
	nc, err := nats.Connect(w.HubURL(), nats.Timeout(5*time.Second), nats.MaxReconnects(-1), nats.ReconnectWait(200*time.Millisecond))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(nc.Close)
	if w.js, err = jetstream.NewWithDomain(nc, streams.HubDomain); err != nil {
		w.t.Fatal(err)
	}
	for shard, name := range streams.ChatStreams() {
		filter, err := streams.ChatWorkspaceFilter(shard, w.workspace)
		if err != nil {
			w.t.Fatal(err)
		}
		s, err := w.js.Stream(w.ctx, name)
		if err != nil {
			w.t.Fatal(err)
		}
		info, err := s.Info(w.ctx, jetstream.WithSubjectFilter(filter))
		if err != nil {
			w.t.Fatal(err)
		}
		if len(info.State.Subjects) > 0 {
			w.shard = shard
			return
		}
	}
	w.t.Fatalf("no log has the workspace %s", w.workspace)
}

// until looks at something again and again until it is so; the error says what it saw last.
func (w *site) until(what string, is func() (bool, string)) error {
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		ok, seen := is()
		if ok {
			return nil
		}
		if time.Now().After(deadline) || w.ctx.Err() != nil {
			return fmt.Errorf("waited in vain until %s: %s", what, seen)
		}
	}
}

// awaits is until for who cannot go on without.
func (w *site) awaits(what string, is func() (bool, string)) {
	w.t.Helper()
	w.must(w.until(what, is))
}

func (w *site) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// region are the people of a region; of all when it is empty.
func (w *site) region(region string) []*person {
	var some []*person
	for _, p := range w.people {
		if region == "" || p.region == region {
			some = append(some, p)
		}
	}
	return some
}

func (w *site) allOnline() (bool, string) {
	for _, p := range w.people {
		if open, last := p.state(); !open {
			return false, fmt.Sprintf("%s is offline: %v", p.login, last)
		}
	}
	return true, ""
}

// loginOf names people in a record.
func (w *site) loginOf(id chat.UserID) string {
	for _, p := range w.people {
		if p.id == id {
			return p.login
		}
	}
	return string(id)
}

// messageOf is a message as REST and sockets tell it.
func (w *site) messageOf(m rest.Message) message {
	return message{m.Seq, m.ChannelID, w.loginOf(m.SenderID), m.ClientMsgID, m.Body}
}
