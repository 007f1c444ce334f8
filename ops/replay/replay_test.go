package replay_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/operator"
	"github.com/canopychat/canopy/ops/replay"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/services/persist"
	"github.com/canopychat/canopy/services/store/sqlite"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/streamstest"
)

// counting is a progress that is only counted.
type counting struct{ begun, total, done int }

func (c *counting) Begin(_ string, total int) { c.begun, c.total = c.begun+1, c.total+total }
func (c *counting) Add(n int)                 { c.done += n }
func (c *counting) End()                      {}

// desk is a deployment with some events in two of its logs, and an empty store.
type desk struct {
	t       *testing.T
	cluster *streamstest.Cluster
	data    string
	store   *sqlite.Messages
	kept    persist.Store // what the command writes to
	bar     counting
	out     bytes.Buffer
	problem bytes.Buffer
	ctx     context.Context
}

func open(t *testing.T) *desk {
	t.Helper()
	d := &desk{t: t, cluster: streamstest.Start(t), data: t.TempDir(), ctx: t.Context()}
	for shard, n := range map[int]int{0: 700, 2: 5} {
		for i := range n {
			body := fmt.Sprintf(`{"v":1,"kind":"message.posted","epoch":1,"channel_id":"c%d","sender_id":"u1","client_msg_id":"m%d","body":"hi"}`, shard, i)
			m := &nats.Msg{Subject: fmt.Sprintf("chat.%d.w%d.c%d", shard, shard, shard), Data: []byte(body), Header: nats.Header{"Nats-Msg-Id": {nats.NewInbox()}}}
			if _, err := d.cluster.HubJS.PublishMsgAsync(m); err != nil {
				t.Fatal(err)
			}
		}
	}
	select {
	case <-d.cluster.HubJS.PublishAsyncComplete():
	case <-time.After(streamstest.Wait):
		t.Fatal("the events are not stored")
	}
	var err error
	if d.store, err = sqlite.OpenMessages(t.Context(), filepath.Join(d.data, "messages.db")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.store.Close(); err != nil {
			t.Error(err)
		}
	})
	d.kept = d.store
	return d
}

func (d *desk) run(c replay.Cmd) error {
	d.t.Helper()
	d.bar = counting{}
	d.out.Reset()
	d.problem.Reset()
	c.Data = d.data
	if c.From == "" {
		c.From = "first"
	}
	return c.Run(&replay.Session{
		Context: d.ctx, Stdout: &d.out, Stderr: &d.problem, Program: "canopy", Quote: func(s string) string { return "'" + s + "'" }, Progress: &d.bar,
		Reach: func(w operator.Where) (*bus.Conn, config.Config, error) {
			conn, err := bus.Dial(bus.DialConfig{URL: d.cluster.HubURL(), Role: "ctl", Logger: slog.New(slog.DiscardHandler)})
			if err == nil {
				err = conn.Ready(d.ctx)
			}
			cfg := config.Default(config.Together)
			cfg.Data = w.Data
			return conn, cfg, err
		},
		Open: func(context.Context, config.Config) (persist.Store, func() error, error) {
			return d.kept, func() error { return nil }, nil
		},
	})
}

func TestAllShardsAreWritten(t *testing.T) {
	d := open(t)
	for range 2 { // again changes nothing
		if err := d.run(replay.Cmd{Shard: -1}); err != nil {
			t.Fatal(err)
		}
		want := "shard 0: 1 to 700, 700 events\nshard 1: nothing was written\nshard 2: 1 to 5, 5 events\nshard 3: nothing was written\n"
		if d.out.String() != want || d.problem.Len() > 0 {
			t.Errorf("said:\n%s%s", &d.out, &d.problem)
		}
		if d.bar != (counting{4, 705, 705}) {
			t.Errorf("progress %+v", d.bar)
		}
	}
	for shard, want := range map[int]uint64{0: 700, 1: 0, 2: 5} {
		if p, err := d.store.Progress(t.Context(), shard); err != nil || uint64(p) != want {
			t.Errorf("progress of shard %d is %d, %v", shard, p, err)
		}
	}
	if _, err := d.store.Message(t.Context(), "c2", 5); err != nil {
		t.Error(err)
	}
}

// cutShort is a store whose command is interrupted at its second write.
type cutShort struct {
	persist.Store
	stop func()
	n    int
}

func (c *cutShort) Apply(ctx context.Context, events []event.Stored) error {
	if c.n++; c.n > 1 {
		c.stop()
		return ctx.Err()
	}
	return c.Store.Apply(ctx, events)
}

func TestAnInterruptedReplaySaysHowToGoOn(t *testing.T) {
	d := open(t)
	var stop func()
	d.ctx, stop = context.WithCancel(t.Context())
	d.kept = &cutShort{Store: d.store, stop: stop}
	if err := d.run(replay.Cmd{Shard: -1}); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	p, err := d.store.Progress(t.Context(), 0)
	if err != nil || p == 0 || p == 700 {
		t.Fatalf("progress %d, %v", p, err)
	}
	want := fmt.Sprintf("canopy: to go on:\n  canopy persist replay --shard 0 --from %d --data '%s'\n  canopy persist replay --shard 2 --from 1 --data '%s'\n", p+1, d.data, d.data)
	if got := d.problem.String(); got != want {
		t.Errorf("it says\n%s, not\n%s", got, want)
	}

	d.ctx, d.kept = t.Context(), d.store
	if err := d.run(replay.Cmd{Shard: 0, From: fmt.Sprint(p + 1)}); err != nil {
		t.Fatal(err)
	}
	if got := d.out.String(); got != fmt.Sprintf("shard 0: %d to 700, %d events\n", p+1, 700-p) {
		t.Errorf("it says %s", got)
	}
}

func TestWhatIsRefusedWritesNothing(t *testing.T) {
	d := open(t)
	s, err := d.cluster.HubJS.Stream(d.cluster.Context(), "CHAT_2")
	if err != nil {
		t.Fatal(err)
	}
	for seq := uint64(1); seq <= 3; seq++ { // as age does
		if err := s.DeleteMsg(d.cluster.Context(), seq); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		cmd  replay.Cmd
		says string
	}{
		{replay.Cmd{Shard: -1, From: "1"}, "the log of shard 2 holds 4 to 5. --from first"},
		{replay.Cmd{Shard: -1}, "the store has shard 2 up to 0, and the log holds 4 to 5. Begin no later than what the store lacks, or say --leave-hole"},
		{replay.Cmd{Shard: 0, From: "700000"}, "the log of shard 0 holds 1 to 700"},
		{replay.Cmd{Shard: 0, From: "100"}, "--leave-hole"},
		{replay.Cmd{Shard: -1, From: "100"}, "--shard"},
		{replay.Cmd{Shard: -1, To: 100}, "--shard"},
		{replay.Cmd{Shard: 4}, "shards 0 to 3"},
		{replay.Cmd{Shard: 2, From: "24h"}, "the log of shard 2 holds 4 to 5, from 20"},
		{replay.Cmd{Shard: 2, From: "yesterday"}, "--from"},
	} {
		err := d.run(c.cmd)
		var problem *config.Problem
		if !errors.As(err, &problem) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v", c.cmd, err)
		}
		if d.out.Len()+d.problem.Len() > 0 || d.bar.begun > 0 {
			t.Errorf("%+v: it says %s%s", c.cmd, &d.out, &d.problem)
		}
	}
	if p, err := d.store.Progress(t.Context(), 0); err != nil || p != 0 {
		t.Errorf("progress %d, %v", p, err)
	}
	d.data = filepath.Join(d.data, "nowhere")
	if err := d.run(replay.Cmd{Shard: -1}); err == nil || !strings.Contains(err.Error(), "no data folder") {
		t.Errorf("without a folder: %v", err)
	}
}

func TestWhereToBegin(t *testing.T) {
	now := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]replay.Start{
		"first": {}, "1": {Seq: 1}, "281474976710655": {Seq: 281474976710655},
		"72h": {Time: now.Add(-72 * time.Hour)}, "2026-03-01T08:00:00+01:00": {Time: time.Date(2026, 3, 1, 7, 0, 0, 0, time.UTC)},
	} {
		if got, err := replay.ParseStart(text, now); err != nil || got.Seq != want.Seq || !got.Time.Equal(want.Time) {
			t.Errorf("%s is %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "0", "-1", "-72h", "0s", "last", "281474976710656", "2026-03-01", "1.5"} {
		if got, err := replay.ParseStart(text, now); err == nil {
			t.Errorf("%q is %+v", text, got)
		}
	}
}
