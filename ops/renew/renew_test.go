package renew_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/operator"
	"github.com/canopychat/canopy/ops/renew"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/services/persist"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/sqlite"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/provision"
	"github.com/canopychat/canopy/streams/rpc"
	"github.com/canopychat/canopy/streams/streamstest"
)

// desk is a hub with some events in the logs of shards 0 and 2, and stores that know more of shard 0.
type desk struct {
	t         *testing.T
	cluster   *streamstest.Cluster
	data      string
	messages  *sqlite.Messages
	directory *sqlite.Directory
	opened    renew.Stores // what the command is given
	out       bytes.Buffer
}

const (
	had   = 1200 // of shard 0, as the message store says
	other = 5    // of shard 2
)

func open(t *testing.T) *desk {
	t.Helper()
	d := &desk{t: t, cluster: streamstest.Start(t), data: t.TempDir()}
	var err error
	d.messages, err = sqlite.OpenMessages(t.Context(), filepath.Join(d.data, "messages.db"))
	d.must(err)
	t.Cleanup(func() { d.must(d.messages.Close()) })
	d.directory, err = sqlite.OpenDirectory(t.Context(), filepath.Join(d.data, "directory.db"))
	d.must(err)
	t.Cleanup(func() { d.must(d.directory.Close()) })
	d.must(d.directory.CreateUsers(t.Context(), []store.NewUser{{User: chat.User{ID: "u1", Login: "ada", DisplayName: "Ada", CreatedAt: time.Unix(1e9, 0)}}}))
	for id, shard := range map[chat.WorkspaceID]int{"w0": 0, "w1": 0, "w2": 2} {
		d.must(d.directory.CreateWorkspace(t.Context(), chat.Workspace{ID: id, Name: string(id), Shard: shard, Epoch: 1, CreatedAt: time.Unix(1e9, 0)}, "u1"))
	}
	d.talk(0, 100)
	d.talk(2, other)
	d.must(d.messages.NoteProgress(t.Context(), 0, had))
	d.must(d.messages.NoteProgress(t.Context(), 2, other-2))
	d.opened = renew.Stores{Messages: d.messages, Directory: d.directory}
	return d
}

func (d *desk) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

// talk puts n events into the log of a shard.
func (d *desk) talk(shard, n int) (last uint64) {
	d.t.Helper()
	for i := range n {
		body := fmt.Sprintf(`{"v":1,"kind":"message.posted","epoch":1,"channel_id":"c%d","sender_id":"u1","client_msg_id":"m%d","body":"hi"}`, shard, i)
		ack, err := d.cluster.HubJS.PublishMsg(d.cluster.Context(), &nats.Msg{Subject: fmt.Sprintf("chat.%d.w%d.c%d", shard, shard, shard), Data: []byte(body)})
		d.must(err)
		last = ack.Sequence
	}
	return last
}

func (d *desk) run(c renew.Cmd) error {
	d.t.Helper()
	d.out.Reset()
	c.Data = d.data
	return c.Run(&renew.Session{
		Context: d.t.Context(), Stdout: &d.out,
		Settings: func(w operator.Where) (config.Config, error) {
			cfg := config.Default(config.Together)
			cfg.Data, cfg.Streams.MaxBytes, cfg.Hub.URL = w.Data, 64<<20, d.cluster.HubURL()
			return cfg, nil
		},
		Open: func(context.Context, config.Config) (renew.Stores, func() error, error) {
			return d.opened, func() error { return nil }, nil
		},
	})
}

func (d *desk) says(lines ...string) {
	d.t.Helper()
	for _, line := range lines {
		if !strings.Contains(strings.Join(strings.Fields(d.out.String()), " "), line) {
			d.t.Errorf("it does not say %q:\n%s", line, &d.out)
		}
	}
}

// extent is what a shard's log has given out.
func (d *desk) extent(shard int) provision.Extent {
	d.t.Helper()
	e, err := provision.ExtentOf(d.cluster.Context(), d.cluster.HubJS, streams.ChatStream(shard))
	d.must(err)
	return e
}

func (d *desk) progress(shard int) uint64 {
	d.t.Helper()
	p, err := d.messages.Progress(d.t.Context(), shard)
	d.must(err)
	return uint64(p)
}

func (d *desk) epochs() (all []chat.Epoch) {
	d.t.Helper()
	spaces, err := d.directory.ListWorkspaces(d.t.Context(), "", 100)
	d.must(err)
	for _, w := range spaces {
		all = append(all, w.Epoch)
	}
	return all
}

// starts is what a process does at its start: whether the hub is taken for the one that held the data, and is as it should be.
func (d *desk) starts() error {
	d.t.Helper()
	seen := map[string]uint64{}
	for shard := range streams.Shards {
		recorded, err := d.directory.Recorded(d.t.Context(), shard)
		d.must(err)
		seen[streams.ChatStream(shard)] = max(d.progress(shard), uint64(recorded))
	}
	wanted, err := provision.Load(streams.Files(), provision.Options{Replicas: 1, MaxBytes: 64 << 20})
	d.must(err)
	_, err = wanted.Ensure(d.cluster.Context(), d.cluster.HubJS, seen)
	return err
}

// renewed checks that the log of shard 0 is a new one, and that everything goes on with it.
func (d *desk) renewed(epoch chat.Epoch, first uint64) {
	d.t.Helper()
	if e := d.extent(0); e.Missing || e.Origin != first || e.Last != first-1 || d.progress(0) != first-1 {
		d.t.Errorf("the log is %+v, and the store has it up to %d; want it from %d", e, d.progress(0), first)
	}
	if got := d.epochs(); !slices.Equal(got, []chat.Epoch{epoch, epoch, 1}) {
		d.t.Errorf("epochs are %v, want %d", got, epoch)
	}
	if e := d.extent(2); e.Last != other || d.progress(2) != other-2 {
		d.t.Errorf("the other log is %+v, and the store has it up to %d", e, d.progress(2))
	}
	d.must(d.starts())
	for _, name := range []string{streams.ConsumerPersist, streams.ConsumerDeliver} {
		c, err := d.cluster.HubJS.Consumer(d.cluster.Context(), streams.ChatStream(0), name)
		d.must(err)
		if at := c.CachedInfo().AckFloor.Stream; at != first-1 {
			d.t.Errorf("%s stands at %d", name, at)
		}
	}
	if got := d.talk(0, 1); got != first {
		d.t.Errorf("the first event is %d", got)
	}
	d.must(d.run(renew.Cmd{Yes: true}))
	d.says("nothing to do")
}

const first = had + 1<<30 + 1

func TestALogThatWasLostBeginsAnew(t *testing.T) {
	for name, lose := range map[string]func(d *desk){
		"100":     func(*desk) {}, // an older copy
		"missing": func(d *desk) { d.must(d.cluster.HubJS.DeleteStream(d.cluster.Context(), "CHAT_0")) },
	} {
		t.Run(name, func(t *testing.T) {
			d := open(t)
			lose(d)
			if err := d.starts(); !errors.Is(err, provision.ErrEmptied) {
				t.Fatalf("a process starts: %v", err)
			}
			before := d.extent(0)
			d.must(d.run(renew.Cmd{}))
			d.says(fmt.Sprintf("0 %s 1200 1073743025 w0 epoch 1→2, w1 epoch 1→2", name), "1 0 0 goes on", "2 5 3 goes on w2 epoch 1",
				"shard 0: what was acknowledged after seq 1200", "nothing was changed")
			if e := d.extent(0); e != before || d.progress(0) != had || !slices.Equal(d.epochs(), []chat.Epoch{1, 1, 1}) {
				t.Fatalf("showing it changed something: %+v, %d, %v", e, d.progress(0), d.epochs())
			}
			d.must(d.run(renew.Cmd{Yes: true, JSON: true}))
			d.says(`{"shard":0,`, `"work":"renew","first":1073743025,"workspaces":[{"workspace_id":"w0","name":"w0","epoch":1,"new_epoch":2}`, `"done":true`)
			d.renewed(2, first)
		})
	}
}

// falters are stores that fail once.
type falters struct {
	renew.Directory
	persist.Store
	before, after, note bool // which step fails: before the epoch has begun, after it, or the last one

}

var errKilled = errors.New("the command is killed here")

func (f *falters) BeginEpoch(ctx context.Context, shard int, at chat.Seq) ([]chat.Workspace, error) {
	if f.before {
		return nil, errKilled
	}
	all, err := f.Directory.BeginEpoch(ctx, shard, at)
	if f.after && err == nil {
		err = errKilled
	}
	return all, err
}

func (f *falters) NoteProgress(ctx context.Context, shard int, seq chat.Seq) error {
	if f.note {
		return errKilled
	}
	return f.Store.NoteProgress(ctx, shard, seq)
}

func TestItMayBeStoppedAnywhereAndRunAgain(t *testing.T) {
	for _, c := range []struct {
		name  string
		fails falters
		gone  bool // the old log, when it is stopped: a server died between the two
		ends  error
		epoch chat.Epoch
		first uint64
	}{
		{name: "before the epoch", fails: falters{before: true}, ends: provision.ErrEmptied, epoch: 2, first: first},
		{name: "after the epoch", fails: falters{after: true}, ends: provision.ErrEmptied, epoch: 3, first: first + 1<<30},
		{name: "when the old log is gone", fails: falters{after: true}, gone: true, ends: provision.ErrEmptied, epoch: 3, first: first + 1<<30},
		{name: "before the last step", fails: falters{note: true}, epoch: 2, first: first},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := open(t)
			f := c.fails
			f.Directory, f.Store = d.directory, d.messages
			d.opened = renew.Stores{Messages: &f, Directory: &f}
			if err := d.run(renew.Cmd{Yes: true}); !errors.Is(err, errKilled) {
				t.Fatal(err)
			}
			if c.gone {
				d.must(d.cluster.HubJS.DeleteStream(d.cluster.Context(), "CHAT_0"))
			}
			if err := d.starts(); !errors.Is(err, c.ends) {
				t.Fatalf("half done, a process starts with %v", err)
			}
			d.opened = renew.Stores{Messages: d.messages, Directory: d.directory}
			d.must(d.run(renew.Cmd{Yes: true}))
			d.says("done: start the processes")
			d.renewed(c.epoch, c.first)
		})
	}
}

// With --all a log that looks whole begins anew, too, and what it holds beyond the store is kept.
func TestAllLogsOfAnOlderCopy(t *testing.T) {
	d := open(t)
	d.must(d.run(renew.Cmd{}))
	d.says("--all renews them, too")
	d.must(d.run(renew.Cmd{Yes: true, All: true}))
	if e := d.extent(2); e.Origin != other+1<<30+1 || d.progress(2) != e.Last {
		t.Errorf("the log is %+v, and the store has it up to %d", e, d.progress(2))
	}
	for _, seq := range []chat.Seq{other - 1, other} {
		if _, err := d.messages.Message(t.Context(), "c2", seq); err != nil {
			t.Errorf("message %d: %v", seq, err)
		}
	}
	if e := d.extent(1); e.Origin != 0 || e.Last != 0 {
		t.Errorf("a log that was never used is %+v", e)
	}
	d.must(d.starts())
	d.must(d.run(renew.Cmd{Yes: true, All: true}))
	d.says("nothing to do")
}

// Nobody who writes may live meanwhile: who answers, and who is in the registry.
func TestItIsRefusedWhileProcessesLive(t *testing.T) {
	d := open(t)
	conn, err := bus.Dial(bus.DialConfig{URL: d.cluster.LeafURL(), Role: "test", Logger: slog.New(slog.DiscardHandler)})
	d.must(err)
	t.Cleanup(conn.Close)
	d.must(conn.Ready(t.Context()))
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	for _, role := range []streams.Service{streams.ServiceGateway, streams.ServiceHub} {
		go func() {
			ended <- rpc.Register(ctx, conn.NATS(), rpc.Role{Service: role, ID: "p1", Region: "eu"}, slog.New(slog.DiscardHandler))
		}()
	}
	refused := func(who string) {
		t.Helper()
		var problem *config.Problem
		for end := time.Now().Add(streamstest.Wait); ; time.Sleep(10 * time.Millisecond) {
			living, err := renew.Living(t.Context(), d.connect(), d.cluster.HubJS)
			d.must(err)
			if slices.Equal(living, []string{who}) {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("there live %q", living)
			}
		}
		if err := d.run(renew.Cmd{Yes: true}); !errors.As(err, &problem) || !strings.HasSuffix(err.Error(), "15 s: "+who) {
			t.Errorf("while %s lives: %v", who, err)
		}
	}
	refused("gateway p1")
	stop()
	for range 2 {
		d.must(<-ended)
	}
	bucket, err := d.cluster.HubJS.KeyValue(d.cluster.Context(), string(streams.BucketRegistry))
	d.must(err)
	_, err = bucket.Put(d.cluster.Context(), "api.p2", []byte(`{"role":"api","id":"p2"}`))
	d.must(err)
	refused("api p2")
	if e := d.extent(0); e.Last != 100 || d.progress(0) != had {
		t.Errorf("it was done all the same: %+v", e)
	}
	d.must(d.cluster.HubJS.DeleteKeyValue(d.cluster.Context(), string(streams.BucketRegistry)))
	d.must(d.run(renew.Cmd{})) // the registry was lost with the hub
}

func (d *desk) connect() *bus.Conn {
	d.t.Helper()
	conn, err := bus.Dial(bus.DialConfig{URL: d.cluster.HubURL(), Role: "ctl", Logger: slog.New(slog.DiscardHandler)})
	d.must(err)
	d.t.Cleanup(conn.Close)
	d.must(conn.Ready(d.t.Context()))
	return conn
}
