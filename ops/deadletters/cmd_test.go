package deadletters_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"github.com/nats-io/nats.go"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/deadletters"
	"github.com/canopychat/canopy/ops/operator"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	schema "github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/dlq"
	"github.com/canopychat/canopy/streams/rpc"
	"github.com/canopychat/canopy/streams/streamstest"
)

// desk is where an operator sits.
type desk struct {
	t      *testing.T
	c      *streamstest.Cluster
	queue  *dlq.Queue
	conn   *bus.Conn
	ctx    context.Context
	out    screen
	errs   screen
	begun  []string // progress
	steps  int
	ended  int
	atStep func(int)
}

// screen may be written while it is read.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

// take is what was written since.
func (s *screen) take() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := s.text.String()
	s.text.Reset()
	return text
}

func sit(t *testing.T) *desk {
	t.Helper()
	c := streamstest.Start(t)
	conn := dial(t, c)
	return &desk{t: t, c: c, conn: conn, queue: dlq.Open(conn), ctx: t.Context()}
}

func (d *desk) Begin(what string, total int) {
	d.begun = append(d.begun, fmt.Sprint(what, " ", total))
	d.steps = 0
}

func (d *desk) Add(n int) {
	d.steps += n
	if d.atStep != nil {
		d.atStep(d.steps)
	}
}

func (d *desk) End() { d.ended++ }

// runs runs a command. It says to stdout what is wanted, to stderr nothing or what is wanted, and fails with words or not at all.
func (d *desk) runs(cmd interface {
	Run(*deadletters.Session) error
}) (stdout, stderr string, err error) {
	d.t.Helper()
	err = cmd.Run(&deadletters.Session{Context: d.ctx, Stdout: &d.out, Stderr: &d.errs, Progress: d, Reach: func(operator.Where) (*bus.Conn, error) {
		return bus.Dial(bus.DialConfig{URL: d.c.HubURL(), Role: "test", Logger: slog.New(slog.DiscardHandler)})
	}})
	return d.out.take(), d.errs.take(), err
}

func (d *desk) want(got, want string) {
	d.t.Helper()
	if got != want {
		d.t.Errorf("it says\n%s\nwant\n%s", got, want)
	}
}

func (d *desk) mistake(err error, want string) {
	d.t.Helper()
	if problem := (*config.Problem)(nil); !errors.As(err, &problem) || !strings.Contains(err.Error(), want) {
		d.t.Errorf("%v is no mistake of the person's that says %q", err, want)
	}
}

var when = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

func letter(seq chat.Seq) dlq.Letter {
	return dlq.Letter{
		Stream: "CHAT_0", Consumer: "persist", Subject: "chat.0.w1.c1", Seq: seq, Reason: "malformed event", Attempts: 1,
		At: when, StoredAt: when.Add(-time.Minute), MsgID: fmt.Sprint("u1.", seq), Found: dlq.FoundNote, Payload: []byte(`{"v":1}`),
	}
}

func (d *desk) put(letters ...dlq.Letter) {
	d.t.Helper()
	for _, l := range letters {
		if _, _, err := d.queue.Put(d.ctx, l); err != nil {
			d.t.Fatal(err)
		}
	}
}

// deliver is the role deliver, as far as these commands see it: even seqs can be tried again.
func (d *desk) deliver(retry func(schema.DeadRetryRequest) (schema.DeadRetryReply, error)) {
	d.t.Helper()
	if retry == nil {
		retry = func(r schema.DeadRetryRequest) (schema.DeadRetryReply, error) {
			l, err := d.queue.Get(d.ctx, r.ID)
			if err != nil {
				return schema.DeadRetryReply{}, err
			}
			if l.Seq%2 == 1 {
				return schema.DeadRetryReply{Reason: "It can never be stored: \x1b[31mred"}, nil
			}
			if !r.DryRun {
				err = d.queue.Drop(d.ctx, r.ID)
			}
			return schema.DeadRetryReply{Done: true, Place: fmt.Sprintf("stored at its place: seq %d of channel c1", l.Seq)}, err
		}
	}
	start(d.t, func(ctx context.Context) error {
		return rpc.Serve(ctx, d.conn.NATS(), rpc.Service{Name: streams.ServiceDead, Version: streams.RoleVersion, Methods: map[streams.Method]rpc.Handler{
			streams.DeadRetry: rpc.Answer(func(_ context.Context, r schema.DeadRetryRequest) (schema.DeadRetryReply, error) { return retry(r) }),
		}}, slog.New(slog.DiscardHandler))
	})
	method, err := streams.RPCSubject(streams.ServiceDead, streams.DeadRetry)
	if err != nil {
		d.t.Fatal(err)
	}
	eventually(d.t, "the service answers", func() bool {
		_, err := d.conn.NATS().Request(method, []byte(`{"id":0,"dry_run":true}`), time.Second)
		return err == nil
	})
}

func (d *desk) count() int {
	d.t.Helper()
	n, err := d.queue.Count(d.ctx, dlq.Filter{})
	if err != nil {
		d.t.Fatal(err)
	}
	return n
}

func TestLs(t *testing.T) {
	d := sit(t)
	var ls deadletters.Cmd
	out, errs, err := d.runs(ls.Ls)
	d.want(out+errs, "no dead letters\n")
	if err != nil {
		t.Error(err)
	}
	job := letter(9)
	job.Stream, job.Consumer, job.Subject, job.Reason, job.Attempts, job.At = "DELIVERY", "push", "delivery.w2.u1", "undelivered after 10 attempts", 10, when.Add(time.Hour)
	d.put(letter(7), job)
	const head = "ID  AT                   STREAM    CONSUMER  SEQ  ATTEMPTS  SUBJECT         REASON\n"
	const first, second = "1   2026-03-01 08:00:00  CHAT_0    persist   7    1         chat.0.w1.c1    malformed event\n",
		"2   2026-03-01 09:00:00  DELIVERY  push      9    10        delivery.w2.u1  undelivered after 10 attempts\n"
	out, errs, err = d.runs(ls.Ls)
	d.want(out+errs, head+first+second)
	if err != nil {
		t.Error(err)
	}
	ls.Ls.JSON = true
	out, _, _ = d.runs(ls.Ls)
	d.want(out, `{"id":1,"stream":"CHAT_0","consumer":"persist","subject":"chat.0.w1.c1","seq":7,"reason":"malformed event","attempts":1,"at":"2026-03-01T08:00:00Z","stored_at":"2026-03-01T07:59:00Z","found":"note"}
{"id":2,"stream":"DELIVERY","consumer":"push","subject":"delivery.w2.u1","seq":9,"reason":"undelivered after 10 attempts","attempts":10,"at":"2026-03-01T09:00:00Z","stored_at":"2026-03-01T07:59:00Z","found":"note"}
`)
	for name, x := range map[string]struct {
		set  func(*deadletters.Cmd)
		want string // ids
	}{
		"stream":    {func(c *deadletters.Cmd) { c.Ls.Stream = "CHAT_0" }, "[1]"},
		"consumer":  {func(c *deadletters.Cmd) { c.Ls.Consumer = "push" }, "[2]"},
		"subject":   {func(c *deadletters.Cmd) { c.Ls.Subject = "chat.*.w1.>" }, "[1]"},
		"workspace": {func(c *deadletters.Cmd) { c.Ls.Workspace = "w2" }, "[2]"},
		"reason":    {func(c *deadletters.Cmd) { c.Ls.Reason = "UNDELIVERED" }, "[2]"},
		"since":     {func(c *deadletters.Cmd) { c.Ls.Since = "2026-03-01T08:30:00Z" }, "[2]"},
		"until":     {func(c *deadletters.Cmd) { c.Ls.Until = "2026-03-01T08:30:00Z" }, "[1]"},
		"duration":  {func(c *deadletters.Cmd) { c.Ls.Until = "1h" }, fmt.Sprint(past(when, 1, when.Add(time.Hour), 2))},
		"nothing":   {func(c *deadletters.Cmd) { c.Ls.Reason = "nonsense" }, "[]"},
	} {
		c := ls
		x.set(&c)
		out, errs, err := d.runs(c.Ls)
		ids := []int{}
		for line := range strings.Lines(out) {
			var l struct{ ID int }
			if err := json.Unmarshal([]byte(line), &l); err != nil {
				t.Fatal(line, err)
			}
			ids = append(ids, l.ID)
		}
		if fmt.Sprint(ids) != x.want || errs != "" || err != nil {
			t.Errorf("%s: %v %s %v, want %s", name, ids, errs, err, x.want)
		}
	}
	for want, set := range map[string]func(*deadletters.Cmd){
		"--stream: ":                     func(c *deadletters.Cmd) { c.Ls.Stream = "chat" },
		`There is no consumer "no one" `: func(c *deadletters.Cmd) { c.Ls.Consumer = "no one" },
		"--workspace: ":                  func(c *deadletters.Cmd) { c.Ls.Workspace = "!" },
		`--since: "yesterday" is neither a time such as 2026-03-01T08:00:00Z nor a duration such as 2h`: func(c *deadletters.Cmd) { c.Ls.Since = "yesterday" },
		"--until: ": func(c *deadletters.Cmd) { c.Ls.Until = "-2h" },
		"--limit: ": func(c *deadletters.Cmd) { c.Ls.Limit = -1 },
	} {
		var c deadletters.Cmd
		set(&c)
		_, _, err := d.runs(c.Ls)
		d.mistake(err, want)
	}
}

// past is the ids of what ended more than an hour ago.
func past(at time.Time, id int, at2 time.Time, id2 int) []int {
	ids := []int{}
	for _, x := range []struct {
		at time.Time
		id int
	}{{at, id}, {at2, id2}} {
		if time.Since(x.at) > time.Hour {
			ids = append(ids, x.id)
		}
	}
	return ids
}

// hostile is a letter that would rather be obeyed than read.
func hostile() dlq.Letter {
	l := letter(3)
	l.Subject, l.Reason = "chat.0.\x1b[31mred.c\u202e1", "first\nsecond\t\x1b]0;title\x07 \u009b2J"
	l.Header = nats.Header{"X-Evil": {"\x1b[2Jgone", "two\r\nlines"}, "X-\u009b": {"x"}}
	l.Payload = []byte("{\"body\":\"\u009b31m \u007f \u202e\",\"raw\":\"\xff\"}")
	l.TraceParent = "00-\x1b[1m"
	return l
}

func TestNothingInALetterMovesTheCursor(t *testing.T) {
	d := sit(t)
	d.put(hostile())
	text := letter(4)
	text.Payload = []byte("\x1b[2J\x00garbage\xff\u009b")
	d.put(text)
	// What somebody puts there by hand goes through nobody's hands.
	byHand := &nats.Msg{Subject: "dlq.\x1b[31m.\u202e.x", Header: nats.Header{
		"Canopy-Dead-Reason": {"\x1b[2J"}, "Canopy-Dead-Subject": {"a\tb\u009b"}, "Canopy-Dead-Found": {"\u0085x"}, "X-Y": {"\u009b2J"}, "Traceparent": {"\x1b"},
	}, Data: []byte("{\"\u202e\":\"\x7f\"}")}
	if _, err := d.c.HubJS.PublishMsg(d.ctx, byHand); err != nil {
		t.Fatal(err)
	}
	shown := 0
	look := func(cmd interface {
		Run(*deadletters.Session) error
	}, lines int) {
		t.Helper()
		out, errs, err := d.runs(cmd)
		if err != nil || errs != "" || out == "" {
			t.Errorf("%s %v", errs, err)
		}
		for i, r := range out {
			if r != '\n' && (unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp)) || (r == unicode.ReplacementChar && !strings.HasPrefix(out[i:], "\ufffd")) {
				t.Fatalf("%q reaches the terminal in %q", r, out)
			}
		}
		if n := strings.Count(out, "\n"); lines > 0 && n != lines {
			t.Errorf("%d lines:\n%s", n, out)
		}
		shown++
	}
	var c deadletters.Cmd
	look(c.Ls, 4)
	c.Ls.JSON = true
	look(c.Ls, 3)
	for id := range uint64(3) {
		c.Show.ID, c.Show.JSON = id+1, false
		look(c.Show, 0)
		c.Show.JSON = true
		look(c.Show, 1)
	}
	if shown != 8 {
		t.Error(shown)
	}
}

func TestShow(t *testing.T) {
	d := sit(t)
	l := letter(7)
	l.TraceParent, l.Header = "00-a-b-01", nats.Header{"X-Own": {"mine", "twice"}}
	gone := letter(8)
	gone.Subject, gone.StoredAt, gone.MsgID, gone.Payload, gone.Gone, gone.GoneBecause, gone.Attempts = "", time.Time{}, "", nil, true, "it grew too old", 8
	text := letter(9)
	text.Payload = []byte("\x00garbage\xff")
	d.put(l, gone, text)
	var c deadletters.Cmd
	c.Show.ID = 1
	out, _, err := d.runs(c.Show)
	d.want(out, `dead letter 1
  reason     malformed event
  at         2026-03-01T08:00:00Z
  consumer   persist of CHAT_0, after 1 delivery
  original   seq 7 on chat.0.w1.c1, stored 2026-03-01T07:59:00Z
  noticed by note
  trace      00-a-b-01
  header     Nats-Msg-Id: u1.7
  header     X-Own: mine, twice
  header     traceparent: 00-a-b-01

{
  "v": 1
}
`)
	if err != nil {
		t.Error(err)
	}
	c.Show.ID = 2
	out, _, _ = d.runs(c.Show)
	d.want(out, `dead letter 2
  reason     malformed event
  at         2026-03-01T08:00:00Z
  consumer   persist of CHAT_0, after 8 deliveries
  original   seq 8 on an unknown subject, stored at an unknown time
  noticed by note
  payload    none, the original is gone: it grew too old
`)
	c.Show.ID = 3
	if out, _, _ = d.runs(c.Show); !strings.HasSuffix(out, "\n9 bytes: \"\\x00garbage\\xff\"\n") {
		t.Error(out)
	}
	c.Show.JSON = true
	out, _, _ = d.runs(c.Show)
	var w struct {
		Payload any
		Bytes   []byte
		Headers map[string][]string
	}
	if err := json.Unmarshal([]byte(out), &w); err != nil || w.Payload != nil || string(w.Bytes) != "\x00garbage\xff" || w.Headers["Nats-Msg-Id"][0] != "u1.9" {
		t.Errorf("%s: %+v, %v", out, w, err)
	}
	c.Show.ID = 99
	_, _, err = d.runs(c.Show)
	d.mistake(err, "99")
}

func TestRetry(t *testing.T) {
	d := sit(t)
	d.put(letter(1), letter(2), letter(4), letter(6))
	var c deadletters.Cmd
	_, _, err := d.runs(c.Retry)
	d.mistake(err, "which ones?")
	c.Retry.All, c.Retry.IDs = true, []uint64{1}
	_, _, err = d.runs(c.Retry)
	d.mistake(err, "give ids, or --all")
	c.Retry.IDs = nil

	out, _, err := d.runs(c.Retry)
	d.want(out, "0 done, 0 refused, 4 not reached\n")
	if err == nil || !strings.Contains(err.Error(), "is a process with the role deliver running?") {
		t.Errorf("with nobody to ask: %v", err)
	}
	d.deliver(nil)
	c.Retry.Reason = "nonsense"
	out, errs, err := d.runs(c.Retry)
	d.want(out+errs, "no dead letters\n")
	if err != nil {
		t.Error(err)
	}
	c.Retry.Reason, c.Retry.DryRun = "", true
	d.begun, d.ended = nil, 0
	out, errs, err = d.runs(c.Retry)
	d.want(out+errs, `1 refused: It can never be stored: \x1b[31mred
2 stored at its place: seq 2 of channel c1
3 stored at its place: seq 4 of channel c1
4 stored at its place: seq 6 of channel c1
3 can be tried again, 1 refused
`)
	if n := d.count(); err == nil || n != 4 || fmt.Sprint(d.begun, d.steps, d.ended) != "[looking 4] 4 1" {
		t.Errorf("%v, %d letters, progress %v %d %d", err, n, d.begun, d.steps, d.ended)
	}
	c = deadletters.Cmd{}
	c.Retry.IDs, c.Retry.JSON = []uint64{99, 2, 2}, true
	out, errs, err = d.runs(c.Retry)
	d.want(out, `{"id":2,"stream":"CHAT_0","consumer":"persist","subject":"chat.0.w1.c1","seq":2,"reason":"malformed event","attempts":1,"at":"2026-03-01T08:00:00Z","stored_at":"2026-03-01T07:59:00Z","found":"note","done":true,"place":"stored at its place: seq 2 of channel c1"}
`)
	d.want(errs, "canopy: there is no dead letter 99 (any more)\n")
	if err == nil {
		t.Error("an id that is gone is no success")
	}
	c.Retry.IDs, c.Retry.JSON = []uint64{3, 3}, false
	d.begun = nil
	out, errs, err = d.runs(c.Retry)
	d.want(out+errs, "3 stored at its place: seq 4 of channel c1\n1 done, 0 refused\n")
	if err != nil || d.begun != nil {
		t.Errorf("%v; one alone has a progress: %v", err, d.begun)
	}
	if n := d.count(); n != 2 {
		t.Errorf("%d letters are left", n)
	}
}

func TestDrop(t *testing.T) {
	d := sit(t)
	d.put(letter(1), letter(2), letter(3))
	var c deadletters.Cmd
	c.Drop.All = true
	_, _, err := d.runs(c.Drop)
	d.mistake(err, "--yes does it")
	c.Drop.DryRun = true
	out, _, err := d.runs(c.Drop)
	d.want(out, "3 would be dropped, 0 refused\n")
	if n := d.count(); n != 3 || err != nil {
		t.Errorf("%d letters, %v", n, err)
	}
	c = deadletters.Cmd{}
	c.Drop.IDs = []uint64{2}
	out, _, err = d.runs(c.Drop)
	d.want(out, "1 dropped, 0 refused\n")
	if n := d.count(); n != 2 || err != nil {
		t.Errorf("%d letters, %v", n, err)
	}
	c = deadletters.Cmd{}
	c.Drop.All, c.Drop.Yes = true, true
	out, _, err = d.runs(c.Drop)
	d.want(out, "2 dropped, 0 refused\n")
	if n := d.count(); n != 0 || err != nil {
		t.Errorf("%d letters, %v", n, err)
	}
	c = deadletters.Cmd{}
	c.Drop.IDs = []uint64{2}
	out, errs, err := d.runs(c.Drop)
	d.want(out+errs, "canopy: there is no dead letter 2 (any more)\n0 dropped, 0 refused\n"[:len("canopy: there is no dead letter 2 (any more)\n")])
	if err == nil {
		t.Error("dropped twice")
	}
}

// TestStoppedMidway: what was done is said, and what was not is still there.
func TestStoppedMidway(t *testing.T) {
	d := sit(t)
	for seq := range chat.Seq(6) {
		d.put(letter(2 * (seq + 1)))
	}
	d.deliver(nil)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	d.ctx = ctx
	d.atStep = func(n int) {
		if n == 2 {
			interrupt()
		}
	}
	var c deadletters.Cmd
	c.Retry.All = true
	out, _, err := d.runs(c.Retry)
	if !errors.Is(err, context.Canceled) || !strings.HasSuffix(out, "\n2 done, 0 refused, 4 not reached\n") || d.ended != 1 {
		t.Errorf("Ctrl-C: %v, %d\n%s", err, d.ended, out)
	}
	d.ctx, d.atStep = t.Context(), nil
	if n := d.count(); n != 4 {
		t.Errorf("%d letters are left", n)
	}
	d.atStep = func(n int) {
		if n == 1 {
			d.c.StopHub()
		}
	}
	c = deadletters.Cmd{}
	c.Drop.All, c.Drop.Yes = true, true
	out, _, err = d.runs(c.Drop)
	if !fault.Is(err, fault.Unavailable) || out != "1 dropped, 0 refused, 3 not reached\n" {
		t.Errorf("without a hub: %v\n%s", err, out)
	}
	d.c.StartHub()
	d.atStep = nil
	eventually(t, "the hub is back", func() bool { n, err := d.queue.Count(d.ctx, dlq.Filter{}); return err == nil && n == 3 })
	if out, _, err = d.runs(c.Drop); err != nil || out != "3 dropped, 0 refused\n" {
		t.Errorf("with it: %v\n%s", err, out)
	}
}

func TestThousands(t *testing.T) {
	n := 600
	if underRace {
		n = 350
	}
	d := sit(t)
	var putting sync.WaitGroup
	slots := make(chan struct{}, 32)
	for seq := range chat.Seq(n) {
		slots <- struct{}{}
		putting.Go(func() {
			defer func() { <-slots }()
			if _, _, err := d.queue.Put(d.ctx, letter(seq+1)); err != nil {
				t.Error(err)
			}
		})
	}
	putting.Wait()
	var c deadletters.Cmd
	c.Ls.Limit = 100
	out, errs, err := d.runs(c.Ls)
	if lines := strings.Count(out, "\n"); lines != 101 || errs != "canopy: there are more; --limit 0 shows all\n" || err != nil {
		t.Errorf("%d lines, %s, %v", lines, errs, err)
	}
	c.Ls.Limit, c.Ls.JSON = 0, true
	out, errs, err = d.runs(c.Ls)
	seen := map[chat.Seq]bool{}
	var ids []uint64
	for line := range strings.Lines(out) {
		var l struct {
			ID  uint64
			Seq chat.Seq
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		seen[l.Seq], ids = true, append(ids, l.ID)
	}
	if len(seen) != n || len(ids) != n || !slices.IsSorted(ids) || errs != "" || err != nil {
		t.Errorf("%d of %d, %s, %v", len(seen), len(ids), errs, err)
	}
	c.Drop.All, c.Drop.Yes = true, true
	out, _, err = d.runs(c.Drop)
	d.want(out, fmt.Sprintf("%d dropped, 0 refused\n", n))
	if left := d.count(); err != nil || left != 0 || d.steps != n {
		t.Errorf("%d are left, %d steps, %v", left, d.steps, err)
	}
}

func TestWatch(t *testing.T) {
	d := sit(t)
	d.put(letter(1))
	ctx, interrupt := context.WithCancel(t.Context())
	d.ctx = ctx
	var c deadletters.Cmd
	c.Watch.JSON, c.Watch.Reason = true, "malformed"
	ended := make(chan error, 1)
	go func() {
		ended <- c.Watch.Run(&deadletters.Session{Context: ctx, Stdout: &d.out, Stderr: &d.errs, Reach: func(operator.Where) (*bus.Conn, error) {
			return bus.Dial(bus.DialConfig{URL: d.c.HubURL(), Role: "test", Logger: slog.New(slog.DiscardHandler)})
		}})
	}()
	seen, seq := "", chat.Seq(1)
	eventually(t, "it shows what comes", func() bool {
		seq++
		other := letter(seq * 1000)
		other.Reason = "of another kind"
		d.put(letter(seq), other)
		seen += d.out.take()
		return seen != ""
	})
	if strings.Contains(seen, `"id":1,`) || strings.Contains(seen, "another kind") || !strings.Contains(seen, `"reason":"malformed event"`) {
		t.Error(seen)
	}
	interrupt()
	if err := <-ended; err != nil {
		t.Errorf("Ctrl-C: %v", err)
	}
	d.ctx = t.Context()
	c.Watch.Consumer = "no one"
	_, _, err := d.runs(c.Watch)
	d.mistake(err, "There is no consumer")
}

// brokenPipe is a reader that has gone.
type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("the pipe is broken") }

func TestAReaderThatHasGoneEndsIt(t *testing.T) {
	d := sit(t)
	d.put(letter(1), letter(2))
	for _, asJSON := range []bool{false, true} {
		var c deadletters.Cmd
		c.Ls.JSON, c.Drop.JSON, c.Drop.All, c.Drop.DryRun = asJSON, asJSON, true, true
		s := &deadletters.Session{Context: d.ctx, Stdout: brokenPipe{}, Stderr: &d.errs, Progress: d, Reach: func(operator.Where) (*bus.Conn, error) {
			return bus.Dial(bus.DialConfig{URL: d.c.HubURL(), Role: "test", Logger: slog.New(slog.DiscardHandler)})
		}}
		for name, err := range map[string]error{"ls": c.Ls.Run(s), "drop": c.Drop.Run(s)} {
			if err == nil || !strings.Contains(err.Error(), "the pipe is broken") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
