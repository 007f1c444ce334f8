package provision_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/natsd"
	"github.com/canopychat/canopy/streams/provision"
	"github.com/canopychat/canopy/streams/streamstest"
)

func load(t *testing.T, files fs.FS, o provision.Options) *provision.Wanted {
	t.Helper()
	w, err := provision.Load(files, o)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func plan(t *testing.T, c *streamstest.Cluster, w *provision.Wanted) []provision.Change {
	t.Helper()
	p, err := w.Plan(c.Context(), c.LeafJS)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func render(t *testing.T, p []provision.Change) string {
	t.Helper()
	var text strings.Builder
	if err := provision.Render(&text, p); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// alter is the files with one of them changed.
func alter(t *testing.T, name string, change func(map[string]any)) fs.FS {
	t.Helper()
	altered := fstest.MapFS{}
	names, err := fs.Glob(streams.Files(), "*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range names {
		text, err := fs.ReadFile(streams.Files(), n)
		if err != nil {
			t.Fatal(err)
		}
		if n == name {
			object := map[string]any{}
			if err := json.Unmarshal(text, &object); err != nil {
				t.Fatal(err)
			}
			change(object)
			if text, err = json.Marshal(object); err != nil {
				t.Fatal(err)
			}
		}
		altered[n] = &fstest.MapFile{Data: text}
	}
	return altered
}

func set(key string, value any) func(map[string]any) {
	return func(object map[string]any) { object[key] = value }
}

// small are the options that the test's cluster was provisioned with.
func small() provision.Options { return provision.Options{Replicas: 1, MaxBytes: 64 << 20} }

func TestASecondApplyChangesNothing(t *testing.T) {
	c := streamstest.StartWith(t, streamstest.Options{Empty: true})
	w := load(t, streams.Files(), small())
	first := plan(t, c, w)
	if want := len(streams.Streams()) + consumers(t); len(first) != want {
		t.Fatalf("the first plan has %d changes, want %d:\n%s", len(first), want, render(t, first))
	}
	for _, change := range first {
		if change.Action != provision.Create {
			t.Errorf("%s %s", change.Action, change.Stream)
		}
	}
	if err := w.Apply(c.Context(), c.LeafJS, first); err != nil {
		t.Fatal(err)
	}
	second := plan(t, c, w)
	if len(second) != 0 {
		t.Errorf("the second plan:\n%s", render(t, second))
	}
	if text := render(t, second); !strings.Contains(text, "as the files say") {
		t.Error(text)
	}
	// The plan of another process that was made before is stale, and harmless.
	if err := w.Apply(c.Context(), c.LeafJS, first); err != nil {
		t.Errorf("the same creations again: %v", err)
	}
}

// consumers is how many there are.
func consumers(t *testing.T) (n int) {
	t.Helper()
	for _, stream := range streams.Streams() {
		of, err := streams.Consumers(stream)
		if err != nil {
			t.Fatal(err)
		}
		n += len(of)
	}
	return n
}

func TestTheServerReportsExactlyWhatTheFilesSay(t *testing.T) {
	c := streamstest.StartWith(t, streamstest.Options{Empty: true})
	if _, err := load(t, streams.Files(), provision.Options{Replicas: 1, MaxBytes: 1 << 20}).Ensure(c.Context(), c.HubJS, nil); err != nil {
		t.Fatal(err)
	}
	for _, name := range streams.Streams() {
		stream, err := c.HubJS.Stream(c.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		same(t, name+".json", stream.CachedInfo().Config, func(want map[string]any) {
			want["num_replicas"] = 1.0 // a hub that is alone
			if strings.HasPrefix(name, "CHAT_") {
				want["max_bytes"] = float64(1 << 20)
			}
			maps.DeleteFunc(want["metadata"].(map[string]any), func(k string, _ any) bool { return strings.HasPrefix(k, "io.nats.monitor.peer-") })
		})
		consumers, err := streams.Consumers(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, consumer := range consumers {
			has, err := c.HubJS.Consumer(c.Context(), name, consumer)
			if err != nil {
				t.Fatal(err)
			}
			same(t, name+"."+consumer+".json", has.CachedInfo().Config, func(map[string]any) {})
		}
	}
}

// same compares a file, byte for byte but for what adapt changes, with what the server has: `nats stream edit
// --dry-run` with that file would show no difference.
func same(t *testing.T, file string, has any, adapt func(map[string]any)) {
	t.Helper()
	text, err := fs.ReadFile(streams.Files(), file)
	if err != nil {
		t.Fatal(err)
	}
	want, got := map[string]any{}, map[string]any{}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	adapt(want)
	reported, err := json.Marshal(has)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(reported, &got); err != nil {
		t.Fatal(err)
	}
	maps.DeleteFunc(got["metadata"].(map[string]any), func(k string, _ any) bool { return strings.HasPrefix(k, "_nats.") })
	for _, object := range []map[string]any{want, got} { // nats.go leaves some zero values out
		maps.DeleteFunc(object, func(_ string, v any) bool { return v == false || v == 0.0 })
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s: file (-), server (+):\n%s", file, d)
	}
}

func TestTheFilesSayWhatTheDesignSays(t *testing.T) {
	for name, config := range read[jetstream.StreamConfig](t, func(name string) bool { return strings.Count(name, ".") == 1 }) {
		shard, err := streams.ParseChatStream(config.Name)
		if config.Description == "" || config.Replicas != 3 || config.Storage != jetstream.FileStorage ||
			config.MaxBytes <= 0 || !config.AllowDirect {
			t.Errorf("%s: %+v", name, config)
		}
		if err != nil {
			continue
		}
		filter, err := streams.ChatShardFilter(shard)
		if err != nil {
			t.Fatal(err)
		}
		fan := "fan" + strings.TrimPrefix(filter, "chat")
		if config.Subjects[0] != filter || config.RePublish.Source != filter || config.RePublish.Destination != fan {
			t.Errorf("%s: subjects %v, republish %+v", name, config.Subjects, config.RePublish)
		}
		if config.Duplicates != chat.DedupWindow || config.MaxMsgSize != chat.MaxStoredEvent ||
			config.MaxAge != 72*time.Hour || config.Discard != jetstream.DiscardNew {
			t.Errorf("%s: %+v", name, config)
		}
	}
	for name, config := range read[jetstream.ConsumerConfig](t, func(name string) bool { return strings.Count(name, ".") == 2 }) {
		stream, _, _ := strings.Cut(name, ".")
		filter := map[string]string{
			streams.StreamAdvisories: "", streams.StreamDelivery: streams.DeliveryDueFilter(), streams.StreamSched: streams.DueFilter(),
		}[stream]
		if shard, err := streams.ParseChatStream(stream); err == nil {
			if filter, err = streams.ChatShardFilter(shard); err != nil {
				t.Fatal(err)
			}
		}
		if config.FilterSubject != filter || config.AckPolicy != jetstream.AckExplicitPolicy || config.MaxDeliver != 8 ||
			len(config.BackOff) != 5 || config.Description == "" {
			t.Errorf("%s: %+v", name, config)
		}
	}
}

// read decodes the files that are chosen, strictly.
func read[T any](t *testing.T, chosen func(name string) bool) map[string]T {
	t.Helper()
	names, err := fs.Glob(streams.Files(), "*.json")
	if err != nil {
		t.Fatal(err)
	}
	configs := map[string]T{}
	for _, name := range names {
		if !chosen(name) {
			continue
		}
		f, err := streams.Files().Open(name)
		if err != nil {
			t.Fatal(err)
		}
		d := json.NewDecoder(f)
		d.DisallowUnknownFields()
		var config T
		if err := d.Decode(&config); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		configs[name] = config
	}
	if len(configs) == 0 {
		t.Fatal("no files")
	}
	return configs
}

func TestLoadIsStrict(t *testing.T) {
	for name, files := range map[string]fs.FS{
		"an unknown field":              alter(t, "CHAT_0.json", set("max_mesages", 1)),
		"an unknown field, nested":      alter(t, "CHAT_0.json", set("republish", map[string]any{"source": "a", "dest": "b"})),
		"an unknown consumer field":     alter(t, "CHAT_0.persist.json", set("max_delivery", 1)),
		"an unknown storage":            alter(t, "CHAT_0.json", set("storage", "tape")),
		"a text for a number":           alter(t, "CHAT_0.json", set("max_age", "72h")),
		"another stream's name":         alter(t, "CHAT_0.json", set("name", "CHAT_1")),
		"another consumer's name":       alter(t, "CHAT_0.persist.json", set("durable_name", "search")),
		"a window longer than the age":  alter(t, "CHAT_0.json", set("max_age", int64(time.Minute))),
		"a consumer without its stream": fstest.MapFS{"X.persist.json": &fstest.MapFile{Data: []byte(`{"name":"persist","durable_name":"persist"}`)}},
		"a second object":               fstest.MapFS{"X.json": &fstest.MapFile{Data: []byte(`{"name":"X"}{}`)}},
		"no JSON":                       fstest.MapFS{"X.json": &fstest.MapFile{Data: []byte(`name: X`)}},
	} {
		if _, err := provision.Load(files, small()); !errors.Is(err, provision.ErrBadFile) {
			t.Errorf("%s: %v, want ErrBadFile", name, err)
		}
	}
}

func TestACompatibleDriftIsShownAndRepaired(t *testing.T) {
	c := streamstest.Start(t)
	files := alter(t, "CHAT_2.json", func(o map[string]any) {
		o["max_msg_size"] = 4096
		o["subjects"] = []string{"chat.2.>", "chat.two.>"}
	})
	w := load(t, files, small())
	drift := plan(t, c, w)
	want := "update stream CHAT_2\n" +
		"    max_msg_size: 65536 -> 4096\n" +
		"    subjects: [\"chat.2.>\"] -> [\"chat.2.>\",\"chat.two.>\"]\n"
	if got := render(t, drift); got != want {
		t.Fatalf("the plan is\n%s\nwant\n%s", got, want)
	}
	if err := w.Apply(c.Context(), c.LeafJS, drift); err != nil {
		t.Fatal(err)
	}
	if again := plan(t, c, w); len(again) != 0 {
		t.Errorf("after Apply:\n%s", render(t, again))
	}
	w = load(t, alter(t, "CHAT_1.persist.json", set("max_ack_pending", 100)), small())
	if got := render(t, plan(t, c, w)); !strings.Contains(got, "update consumer persist of CHAT_1\n    max_ack_pending: 5000 -> 100\n") {
		t.Errorf("the plan is\n%s", got)
	}
}

func TestAnIncompatibleDriftStopsAndChangesNothing(t *testing.T) {
	c := streamstest.Start(t)
	for name, test := range map[string]struct {
		file   string
		change func(map[string]any)
		line   string
	}{
		"storage":        {"CHAT_1.json", set("storage", "memory"), `storage: "file" -> "memory"  (refused: the server cannot`},
		"retention":      {"CHAT_1.json", set("retention", "interest"), `retention: "limits" -> "interest"  (refused: another retention`},
		"a subject less": {"CHAT_1.json", set("subjects", []string{"chat.1.*.*"}), `(refused: what is published on chat.1.> would find no stream)`},
		"deny_purge":     {"CHAT_1.json", set("deny_purge", false), `deny_purge: true -> (unset)  (refused: the server cannot`},
		"ack policy":     {"CHAT_1.persist.json", set("ack_policy", "all"), `ack_policy: "explicit" -> "all"  (refused: the server cannot`},
		"deliver policy": {"CHAT_1.persist.json", set("deliver_policy", "new"), `deliver_policy: "all" -> "new"  (refused: the server cannot`},
		"schedules":      {"SCHED.json", set("allow_msg_schedules", false), `allow_msg_schedules: true -> (unset)  (refused: the server cannot`},
		"filter":         {"CHAT_1.persist.json", set("filter_subject", "chat.1.w.>"), `(refused: its position would stay`},
	} {
		t.Run(name, func(t *testing.T) {
			// One compatible difference comes first in the plan: it must not be applied either.
			files := fstest.MapFS{}
			for n, f := range alter(t, test.file, test.change).(fstest.MapFS) {
				files[n] = f
			}
			files["ADVISORIES.json"] = alter(t, "ADVISORIES.json", set("max_bytes", 1<<30)).(fstest.MapFS)["ADVISORIES.json"]
			w := load(t, files, small())
			before := plan(t, c, w)
			err := w.Apply(c.Context(), c.LeafJS, before)
			var refused *provision.RefusedError
			if !errors.As(err, &refused) || !strings.Contains(err.Error(), test.line) || strings.Contains(err.Error(), "ADVISORIES") {
				t.Errorf("Apply: %v\nwant a *RefusedError with the line %q", err, test.line)
			}
			if after := plan(t, c, w); render(t, after) != render(t, before) {
				t.Errorf("something was changed:\n%s\nbefore:\n%s", render(t, after), render(t, before))
			}
			if _, err := w.Ensure(c.Context(), c.LeafJS, nil); !errors.As(err, &refused) {
				t.Errorf("Ensure: %v", err)
			}
		})
	}
}

func TestAShrinkThatLosesMessagesNeedsLeave(t *testing.T) {
	c := streamstest.Start(t)
	roomy := provision.Options{Replicas: 1, MaxBytes: 1 << 20}
	if p := plan(t, c, load(t, streams.Files(), roomy)); len(p) == 0 || p[0].Action != provision.Update {
		t.Errorf("an empty stream may shrink:\n%s", render(t, p))
	}
	for range 40 {
		if _, err := c.LeafJS.Publish(c.Context(), "chat.0.w.c", make([]byte, 1<<10)); err != nil {
			t.Fatal(err)
		}
	}
	tight := provision.Options{Replicas: 1, MaxBytes: 20 << 10}
	w := load(t, streams.Files(), tight)
	p := plan(t, c, w)
	text := render(t, p)
	for _, part := range []string{"refuse stream CHAT_0\n", "bytes; --allow-loss does it", "update stream CHAT_1\n"} {
		if !strings.Contains(text, part) {
			t.Errorf("the plan lacks %q:\n%s", part, text)
		}
	}
	tight.AllowLoss = true
	w = load(t, streams.Files(), tight)
	if _, err := w.Ensure(c.Context(), c.LeafJS, nil); err != nil {
		t.Error(err)
	}
}

func TestAShrinkOfTheAgeIsJudgedByTheOldestMessage(t *testing.T) {
	c := streamstest.Start(t)
	if _, err := c.LeafJS.Publish(c.Context(), "chat.0.w.c", nil); err != nil {
		t.Fatal(err)
	}
	hour := small()
	hour.MaxAge = time.Hour
	if p := plan(t, c, load(t, streams.Files(), hour)); len(p) != streams.Shards || p[0].Action != provision.Update {
		t.Errorf("nothing is older than an hour:\n%s", render(t, p))
	}
	now := small()
	now.MaxAge = time.Nanosecond
	if p := plan(t, c, load(t, streams.Files(), now)); p[0].Action != provision.Refuse || p[1].Action != provision.Update {
		t.Errorf("only CHAT_0 holds something:\n%s", render(t, p))
	}
}

func TestForeignMetadataAndPausesStay(t *testing.T) {
	c := streamstest.Start(t)
	stream, err := c.HubJS.Stream(c.Context(), "CHAT_3")
	if err != nil {
		t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	config.Metadata["team"] = "chat"
	if _, err := c.HubJS.UpdateStream(c.Context(), config); err != nil {
		t.Fatal(err)
	}
	if _, err := c.HubJS.PauseConsumer(c.Context(), "CHAT_3", "persist", time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if p := plan(t, c, load(t, streams.Files(), small())); len(p) != 0 {
		t.Errorf("the plan is\n%s", render(t, p))
	}
	longer := small()
	longer.MaxAge = 100 * time.Hour
	if _, err := load(t, streams.Files(), longer).Ensure(c.Context(), c.HubJS, nil); err != nil {
		t.Fatal(err)
	}
	if stream, err = c.HubJS.Stream(c.Context(), "CHAT_3"); err != nil || stream.CachedInfo().Config.Metadata["team"] != "chat" {
		t.Errorf("the team's label is gone: %v, %v", stream.CachedInfo().Config.Metadata, err)
	}
}

func TestManyProcessesMayProvisionAtOnce(t *testing.T) {
	c := streamstest.StartWith(t, streamstest.Options{Empty: true})
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			js := c.HubJS
			if i%2 == 0 {
				js = c.LeafJS
			}
			if _, err := load(t, streams.Files(), small()).Ensure(c.Context(), js, nil); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if p := plan(t, c, load(t, streams.Files(), small())); len(p) != 0 {
		t.Errorf("the plan is\n%s", render(t, p))
	}
}

func TestACreationThatAnotherMadeDifferentlyIsARace(t *testing.T) {
	c := streamstest.StartWith(t, streamstest.Options{Empty: true})
	ours := load(t, streams.Files(), small())
	stale := plan(t, c, ours)
	theirs := small()
	theirs.MaxBytes = 1 << 20
	if _, err := load(t, streams.Files(), theirs).Ensure(c.Context(), c.HubJS, nil); err != nil {
		t.Fatal(err)
	}
	if err := ours.Apply(c.Context(), c.HubJS, stale); !errors.Is(err, provision.ErrRace) {
		t.Errorf("Apply of a stale plan: %v, want ErrRace", err)
	}
	if _, err := ours.Ensure(c.Context(), c.HubJS, nil); err != nil {
		t.Error(err)
	}
}

func TestAnEmptiedHubIsNoticed(t *testing.T) {
	c := streamstest.Start(t)
	for range 3 {
		if _, err := c.LeafJS.Publish(c.Context(), "chat.0.w.c", nil); err != nil {
			t.Fatal(err)
		}
	}
	seen, err := provision.LastSeqs(c.Context(), c.LeafJS)
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]uint64{
		"ADVISORIES": 0, "CHAT_0": 3, "CHAT_1": 0, "CHAT_2": 0, "CHAT_3": 0, "DELIVERY": 0, "DLQ": 0, "KV_deadletters": 0, "KV_registry": 0, "KV_revocations": 0,
		"PROBE": 0, "SCHED": 0,
	}; !maps.Equal(seen, want) {
		t.Fatalf("LastSeqs = %v, want %v", seen, want)
	}
	w := load(t, streams.Files(), small())
	c.Forget("CHAT_0", 3) // what grew too old does not move the end
	c.RestartHub()
	if _, err := w.Ensure(c.Context(), c.LeafJS, seen); err != nil {
		t.Errorf("after a restart: %v", err)
	}

	c.EmptyHub()
	emptied := func(err error, says string) {
		t.Helper()
		if !errors.Is(err, provision.ErrEmptied) || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want ErrEmptied that says %q", err, says)
		}
	}
	_, err = w.Ensure(c.Context(), c.HubJS, seen)
	emptied(err, "CHAT_0 is missing (it ended at 3)")
	if ends, err := provision.LastSeqs(c.Context(), c.HubJS); err != nil || len(ends) != 0 {
		t.Errorf("Ensure made streams on an emptied hub: %v, %v", ends, err)
	}
	c.Provision()
	emptied(provision.CheckNotEmptied(c.Context(), c.HubJS, seen), "CHAT_0 ends at 0 (it ended at 3 or later)")
}

func TestWhatAHubAloneReservesFitsItsStore(t *testing.T) {
	var sum int64
	for _, config := range read[jetstream.StreamConfig](t, func(name string) bool { return strings.Count(name, ".") == 1 }) {
		if _, err := streams.ParseChatStream(config.Name); err == nil {
			config.MaxBytes = provision.AloneMaxBytes
		}
		sum += config.MaxBytes
	}
	if sum > natsd.DefaultMaxStore {
		t.Errorf("the streams reserve %d bytes of %d", sum, int64(natsd.DefaultMaxStore))
	}
	c := streamstest.StartWith(t, streamstest.Options{Empty: true})
	if _, err := load(t, streams.Files(), provision.Alone()).Ensure(c.Context(), c.HubJS, nil); err != nil {
		t.Error(err)
	}
	if _, err := load(t, streams.Files(), provision.Options{Replicas: 1}).Ensure(c.Context(), c.HubJS, nil); err == nil {
		t.Error("four streams of 8 GiB fit into the store of a hub that is alone")
	}
}
