package job_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/job"
)

var update = flag.Bool("update", false, "write the golden files anew")

const (
	workspace = chat.WorkspaceID("069mz9tyc5w00w5000000000ws")
	channel   = chat.ChannelID("069mz9tyc5w00n2k8q4r6s7w1x")
	bob       = chat.UserID("069mz9tyc5w00b0b0000000000")
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

// deliveries and scheduled are jobs as they lie in JetStream, by the name of the file with their bytes: a file is added,
// never changed, for they outlive the process that wrote them.
var (
	deliveries = map[string]job.Delivery{
		"delivery": {V: 1, WorkspaceID: workspace, UserID: bob, Epoch: 1, ChannelID: channel, Seq: 41, Why: chat.OwedDirect, PostedAt: noon, RoutedAt: noon.Add(10 * time.Second)},
		"delivery.full": {V: 1, WorkspaceID: workspace, UserID: bob, Shard: 3, Epoch: chat.MaxEpoch, ChannelID: channel, Seq: chat.MaxSeq, Why: chat.OwedKeyword, PostedAt: noon,
			RoutedAt: noon.Add(10 * time.Second), Round: 2, Tried: 40, TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", Attempts: []chat.Attempt{
				{At: noon.Add(time.Minute), Target: "push:069mz9tyc5w00p00000000push", Error: "410 <gone> & \"over\""}, {At: noon.Add(time.Hour), Target: ""}}},
	}
	scheduled = map[string]job.Scheduled{
		"scheduled.message": {V: 1, ID: "069mz9tyc5w00j0b0000000000", Kind: job.Later, WorkspaceID: workspace, UserID: bob, ChannelID: channel, Thread: 7,
			ClientMsgID: "01936b2e-7c00-7000-8000-000000000001", Body: "<later> & 日本\n", At: noon, CreatedAt: noon.Add(-time.Hour)},
		"scheduled.reminder":       {V: 1, ID: "069mz9tyc5w00j0b0000000000", Kind: job.Reminder, WorkspaceID: workspace, UserID: bob, Body: "stand up", At: noon, CreatedAt: noon.Add(-time.Hour)},
		"scheduled.reminder.about": {V: 1, ID: "069mz9tyc5w00j0b0000000000", Kind: job.Reminder, WorkspaceID: workspace, UserID: bob, ChannelID: channel, Seq: 41, Body: "this", At: noon, CreatedAt: noon.Add(-time.Hour)},
	}
)

// hold holds a job to its golden bytes.
func hold[T any](t *testing.T, name string, want T, encode func(T) ([]byte, error), parse func([]byte) (T, error)) {
	t.Helper()
	path := filepath.Join("testdata", name+".json")
	got, err := encode(want)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(golden, got) {
		t.Errorf("%s: is written as\n%s\nwant\n%s", name, got, golden)
	}
	back, err := parse(golden)
	if diff := cmp.Diff(want, back); err != nil || diff != "" {
		t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
	}
}

func TestGoldenBytes(t *testing.T) {
	for name, d := range deliveries {
		hold(t, name, d, job.Delivery.Encode, job.ParseDelivery)
	}
	for name, s := range scheduled {
		hold(t, name, s, job.Scheduled.Encode, job.ParseScheduled)
	}
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) != len(deliveries)+len(scheduled) {
		t.Errorf("there are %d files, %v", len(files), err)
	}
}

func TestTheVersionIsWritten(t *testing.T) {
	d, s := deliveries["delivery"], scheduled["scheduled.reminder"]
	d.V, s.V = 0, 0
	for name, write := range map[string]func() ([]byte, error){"delivery": d.Encode, "scheduled": s.Encode} {
		b, err := write()
		if err != nil || !strings.HasPrefix(string(b), `{"v":1,`) {
			t.Errorf("%s: %s, %v", name, b, err)
		}
	}
}

func TestUnknownFieldsAreIgnored(t *testing.T) {
	b, err := deliveries["delivery"].Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := job.ParseDelivery(bytes.Replace(b, []byte(`{`), []byte(`{"newer":{"field":[1]},`), 1))
	if diff := cmp.Diff(deliveries["delivery"], got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestDeliveriesThatAreNone(t *testing.T) {
	for name, change := range map[string]func(*job.Delivery){
		"a newer version":   func(d *job.Delivery) { d.V = 2 },
		"no workspace":      func(d *job.Delivery) { d.WorkspaceID = "" },
		"a wildcard":        func(d *job.Delivery) { d.UserID = "*" },
		"no channel":        func(d *job.Delivery) { d.ChannelID = "a.b" },
		"seq 0":             func(d *job.Delivery) { d.Seq = 0 },
		"a seq beyond":      func(d *job.Delivery) { d.Seq = chat.MaxSeq + 1 },
		"epoch 0":           func(d *job.Delivery) { d.Epoch = 0 },
		"an epoch beyond":   func(d *job.Delivery) { d.Epoch = chat.MaxEpoch + 1 },
		"no reason":         func(d *job.Delivery) { d.Why = "" },
		"a shard below 0":   func(d *job.Delivery) { d.Shard = -1 },
		"a round below 0":   func(d *job.Delivery) { d.Round = -1 },
		"tried less than 0": func(d *job.Delivery) { d.Tried = -1 },
	} {
		d := deliveries["delivery"]
		change(&d)
		b, err := d.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := job.ParseDelivery(b); !errors.Is(err, job.ErrMalformed) || !cmp.Equal(got, job.Delivery{}) {
			t.Errorf("%s is read as %+v, %v", name, got, err)
		}
	}
	for _, text := range []string{"", "null", "{}", "[]", "\"\"", "{", `{"v":1}`, `{"v":"1"}`, "\xff"} {
		if _, err := job.ParseDelivery([]byte(text)); !errors.Is(err, job.ErrMalformed) {
			t.Errorf("%q is read, %v", text, err)
		}
		if _, err := job.ParseScheduled([]byte(text)); !errors.Is(err, job.ErrMalformed) {
			t.Errorf("%q is read as scheduled, %v", text, err)
		}
	}
}

func TestScheduledThatAreNone(t *testing.T) {
	for name, change := range map[string]func(*job.Scheduled){
		"a newer version":     func(s *job.Scheduled) { s.V = 2 },
		"no kind":             func(s *job.Scheduled) { s.Kind = "" },
		"another kind":        func(s *job.Scheduled) { s.Kind = "call" },
		"no id":               func(s *job.Scheduled) { s.ID = "" },
		"an id that is none":  func(s *job.Scheduled) { s.ID = "A" },
		"no workspace":        func(s *job.Scheduled) { s.WorkspaceID = ">" },
		"nobody":              func(s *job.Scheduled) { s.UserID = "" },
		"a message, nowhere":  func(s *job.Scheduled) { s.ChannelID = "" },
		"of a wildcard":       func(s *job.Scheduled) { s.Kind, s.ChannelID = job.Reminder, "*.>" },
		"never":               func(s *job.Scheduled) { s.At = time.Time{} },
		"a seq beyond":        func(s *job.Scheduled) { s.Seq = chat.MaxSeq + 1 },
		"a thread beyond all": func(s *job.Scheduled) { s.Thread = 1<<64 - 1 },
	} {
		s := scheduled["scheduled.message"]
		change(&s)
		b, err := s.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := job.ParseScheduled(b); !errors.Is(err, job.ErrMalformed) || got != (job.Scheduled{}) {
			t.Errorf("%s is read as %+v, %v", name, got, err)
		}
	}
}

// comesBack expects that what was read is written, and read again as the same.
func comesBack[T any](t *testing.T, b []byte, parse func([]byte) (T, error), encode func(T) ([]byte, error)) {
	got, err := parse(b)
	if err != nil {
		if !errors.Is(err, job.ErrMalformed) {
			t.Fatalf("%q: %v", b, err)
		}
		return
	}
	text, err := encode(got)
	if err != nil {
		t.Fatalf("%q is read as %+v, and not written: %v", b, got, err)
	}
	again, err := parse(text)
	if diff := cmp.Diff(got, again); err != nil || diff != "" {
		t.Fatalf("%q is written as %q: %v (-want +got):\n%s", b, text, err, diff)
	}
}

func FuzzParseDelivery(f *testing.F) {
	for _, d := range deliveries {
		if b, err := d.Encode(); err == nil {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) { comesBack(t, b, job.ParseDelivery, job.Delivery.Encode) })
}

func FuzzParseScheduled(f *testing.F) {
	for _, s := range scheduled {
		if b, err := s.Encode(); err == nil {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) { comesBack(t, b, job.ParseScheduled, job.Scheduled.Encode) })
}
