package audit_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/ops/app"
	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/local"
	"github.com/canopychat/canopy/ops/verify/audit"
	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/dlq"
)

// alone is a deployment in this process, with the demo's people.
func alone(t *testing.T) *town {
	t.Helper()
	w := newTown(t)
	cfg := config.Default(config.Together)
	cfg.Data, cfg.Listen, cfg.Edge.DrainSpread = t.TempDir(), "127.0.0.1:0", 100*time.Millisecond
	cfg.Deliver.Grace, cfg.Deliver.Attempts = time.Second, 1
	a, err := app.New(cfg, app.AllRoles, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	w.must(err)
	ctx, stop := context.WithCancel(context.Background())
	ready, ended := make(chan app.Running, 1), make(chan error, 1)
	go func() { ended <- a.Run(ctx, func(r app.Running) { ready <- r }) }()
	var run app.Running
	select {
	case run = <-ready:
	case err := <-ended:
		stop()
		t.Fatalf("the deployment did not start: %v", err)
	}
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the deployment ended with %v", err)
		}
	})
	w.space = chat.WorkspaceID(run.Workspace.ID)
	for i, l := range run.Logins {
		c, err := client.Login(w.ctx, run.HTTP, l.Login, l.Password, "test")
		w.must(err)
		w.people[l.Login] = c
		w.config.Readers = append(w.config.Readers, audit.Reader{Login: l.Login, Password: l.Password, Workspace: run.Workspace.ID, Region: "here", Owner: i == 0})
	}
	for ch, err := range w.people["alice"].Channels(w.ctx, w.space) {
		w.must(err)
		w.channels = append(w.channels, ch.ID)
	}
	w.hub(run.Hub)
	w.config.APIs = []audit.Place{{Name: "api", Region: "here", URL: run.HTTP}}
	w.config.Gateways = []audit.Place{{Name: "gateway", Region: "here", URL: "ws" + strings.TrimPrefix(run.HTTP, "http") + "/socket"}}
	w.config.Processes = []audit.Process{{Name: "canopy", Metrics: run.Admin + "/metrics"}}
	return w
}

// TestOneProcess has everything of a small deployment written down, and finds all views the same.
func TestOneProcess(t *testing.T) {
	w := alone(t)
	a := w.audit()
	a.Before(w.ctx)
	watching, stop := context.WithCancel(w.ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		a.Watch(watching)
	}()
	rubbish := w.spoil()
	s := w.talk("alice", "bob")
	if unmet := a.Quiet(w.ctx); len(unmet) > 0 {
		t.Errorf("it does not become quiet: %q", unmet)
	}
	time.Sleep(1500 * time.Millisecond) // of looks during the load
	stop()
	<-watched
	w.must(a.Finish(w.ctx))
	r := w.recorded()
	if r.End == nil || !r.End.Quiet || len(r.End.Unmet) > 0 {
		t.Errorf("the end is %+v", r.End)
	}
	checkLog(t, sources(r)["stream"], s)
	all := views(r)
	if want := []string{
		"history of alice at api", "history of alice at api, by the stranger", "history of bob at api",
		"replay of alice at gateway", "replay of alice at gateway, by the stranger", "replay of bob at gateway",
	}; !slices.Equal(names(all), want) {
		t.Errorf("the views are %v", names(all))
	}
	for name, kept := range all {
		checkView(t, name, kept, s)
	}
	checkSame(t, all, "history of alice at api")
	checkSamples(t, r, "canopy")
	checkJobs(t, r, int64(s.mention), "bob")
	letter := record.Letter{Space: string(w.space), Consumer: streams.ConsumerPersist, Seq: rubbish, Found: dlq.FoundNote}
	if len(r.Letters) != 1 || r.Letters[0].Reason == "" || !r.End.Letters {
		t.Fatalf("of %d the dead letters are %+v", rubbish, r.Letters)
	}
	letter.Reason = r.Letters[0].Reason
	if r.Letters[0] != letter {
		t.Errorf("of %d the dead letter is %+v", rubbish, r.Letters[0])
	}
}

// spoil writes rubbish into the log, and says where.
func (w *town) spoil() (seq int64) {
	w.t.Helper()
	js, err := jetstream.NewWithDomain(w.config.Hub, streams.HubDomain)
	w.must(err)
	for shard, name := range streams.ChatStreams() {
		stream, err := js.Stream(w.ctx, name)
		w.must(err)
		subject, err := streams.ChatSubject(shard, w.space, "")
		w.must(err)
		if _, err := stream.GetLastMsgForSubject(w.ctx, subject); errors.Is(err, jetstream.ErrMsgNotFound) {
			continue // it is of another shard
		}
		ack, err := js.Publish(w.ctx, subject, []byte("rubbish"))
		w.must(err)
		return int64(ack.Sequence)
	}
	w.t.Fatal("no log has the workspace")
	return 0
}

// checkSamples looks for figures of each kind, of each time.
func checkSamples(t *testing.T, r *record.Record, process string) {
	t.Helper()
	got := map[[3]string]float64{}
	for _, s := range r.Samples {
		got[[3]string{s.Process, s.Name, s.When}] = s.Value
	}
	for _, when := range []string{"before", "", "quiet"} {
		for _, name := range []string{record.Goroutines, record.Resident, record.Descriptors} {
			if got[[3]string{process, name, when}] <= 0 {
				t.Errorf("there is no sample %s of %s %q the load", name, process, when)
			}
		}
		for _, c := range []string{"CHAT_0 persist", "CHAT_3 deliver", "DELIVERY push", "SCHED due", "ADVISORIES deadletter"} {
			if n, ok := got[[3]string{c, record.Pending, when}]; !ok || when == "quiet" && n != 0 {
				t.Errorf("what %s has to do %q the load is %v (known: %t)", c, when, n, ok)
			}
		}
		if _, ok := got[[3]string{"DLQ", record.Dead, when}]; !ok {
			t.Errorf("how many dead letters there were %q the load is not known", when)
		}
	}
	if late := got[[3]string{"verify", record.Lateness, ""}]; late <= 0 {
		t.Error("nothing says how late a timer was")
	}
}

// checkJobs looks at the job of a message: nobody could be reached, so it ends dead.
func checkJobs(t *testing.T, r *record.Record, message int64, who string) {
	t.Helper()
	last := 0
	for _, j := range r.Jobs {
		if j.Message != message {
			continue
		}
		if j.Who != who || j.Space == "" || j.Channel == "" {
			t.Errorf("the job is %+v", j)
		}
		if j.Last {
			last++
			if j.State != string(chat.DeliveryDead) || j.Reason == "" {
				t.Errorf("in the end it is %+v", j)
			}
		}
	}
	if last != 1 {
		t.Errorf("the job of %d was seen %d times in the end: %+v", message, last, r.Jobs)
	}
}

// TestReplicas reads each node's own copy, at gateways and people of two regions; and says what is left to do when a persister is paused.
func TestReplicas(t *testing.T) {
	w := newTown(t)
	dir := t.TempDir()
	program := filepath.Join(dir, "canopy")
	if out, err := exec.CommandContext(w.ctx, "go", "build", "-o", program, "github.com/canopychat/canopy/ops/cmd/canopy").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	d, err := local.Start(w.ctx, local.Options{
		Dir: filepath.Join(dir, "site"), Canopy: program, Gateways: 1,
		Settings: []string{"edge.drain_spread=100ms", "deliver.grace=1s", "deliver.attempts=1"},
	})
	w.must(err)
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("the deployment ended with %v", err)
		}
	})
	w.settle(d)
	s := w.talk("ada", "bob")
	a := w.audit()
	w.must(a.Finish(w.ctx))
	r := w.recorded()
	if r.End == nil || !r.End.Quiet || len(r.End.Unmet) > 0 {
		t.Errorf("the end is %+v", r.End)
	}
	logs := sources(r)
	if want := []string{"hub-1", "hub-2", "hub-3", "stream"}; !slices.Equal(names(logs), want) {
		t.Fatalf("there are copies of %v", names(logs))
	}
	checkLog(t, logs["stream"], s)
	for name, events := range logs {
		if !slices.Equal(events, logs["stream"]) {
			t.Errorf("%s has %d events, the stream %d, and they are not the same", name, len(events), len(logs["stream"]))
		}
	}
	all := views(r)
	if want := []string{
		"history of ada at api", "history of bob at api", "history of eve at api",
		"replay of ada at gateway-eu-1", "replay of ada at gateway-us-1", "replay of bob at gateway-us-1", "replay of eve at gateway-eu-1",
	}; !slices.Equal(slices.DeleteFunc(names(all), func(name string) bool { return strings.HasSuffix(name, "stranger") }), want) || len(all) != len(want)+2 {
		t.Errorf("the views are %v", names(all))
	}
	for name, kept := range all {
		checkView(t, name, kept, s)
	}
	checkSame(t, all, "history of ada at api")
	checkJobs(t, r, int64(s.mention), "bob")
	w.paused(d)
}

func (w *town) settle(d *local.Deployment) {
	w.t.Helper()
	settled, err := d.Settle(w.ctx, "Works", []local.Person{{Login: "ada", Region: "eu"}, {Login: "bob", Region: "us"}, {Login: "eve", Region: "eu"}}, "random")
	w.must(err)
	w.space, w.people = settled.Workspace, settled.People
	for _, id := range settled.Channels {
		w.channels = append(w.channels, id)
	}
	regions := map[string]string{"ada": "eu", "bob": "us", "eve": "eu"}
	for _, l := range d.File().Logins {
		w.config.Readers = append(w.config.Readers, audit.Reader{
			Login: l.Login, Password: l.Password, Workspace: string(w.space), Region: regions[l.Login], Owner: l.Login == "ada",
		})
	}
	w.hub(d.HubURL())
	w.config.Ready = d.Ready
	w.config.APIs = []audit.Place{{Name: "api", URL: d.URL("eu")}}
	for region, all := range d.Gateways {
		w.config.Gateways = append(w.config.Gateways, audit.Place{Name: all[0].Name, Region: region, URL: d.Socket(all[0])})
	}
	for _, p := range d.Processes() {
		w.config.Processes = append(w.config.Processes, audit.Process{Name: p.Name, Metrics: p.AdminURL + "/metrics"})
	}
}

// paused is what is unmet while nobody persists what is said.
func (w *town) paused(d *local.Deployment) {
	w.t.Helper()
	p := d.Persisters[0]
	w.must(p.Pause())
	w.talk("ada", "bob")
	w.config.Patience, w.config.Ready = 2*time.Second, nil
	unmet := strings.Join(w.audit().Quiet(w.ctx), "\n")
	if !strings.Contains(unmet, "persist has done all: ") || strings.Contains(unmet, "deadletter") {
		w.t.Errorf("without a persister what is unmet is %q", unmet)
	}
	w.must(p.Continue())
	w.config.Patience = patience
	if unmet := w.audit().Quiet(w.ctx); len(unmet) > 0 {
		w.t.Errorf("after it goes on what is unmet is %q", unmet)
	}
}
