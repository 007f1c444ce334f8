package audit_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/edge/client/live"
	"github.com/canopychat/canopy/ops/verify/audit"
	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
)

// patience bounds every wait of these tests: generous, because machines are slow.
const patience = 2 * time.Minute

// town is a deployment with people in it, and a record of it.
type town struct {
	t   *testing.T
	ctx context.Context

	space    chat.WorkspaceID
	channels []chat.ChannelID // of everybody
	people   map[string]*client.Client
	config   audit.Config

	text bytes.Buffer // the record
}

func newTown(t *testing.T) *town {
	ctx, stop := context.WithTimeout(t.Context(), 2*patience)
	t.Cleanup(stop)
	w := &town{t: t, ctx: ctx, people: map[string]*client.Client{}}
	w.config.Patience, w.config.Every = patience, 200*time.Millisecond
	began := time.Now()
	w.config.Say = func(line string) { t.Log(time.Since(began).Round(10*time.Millisecond), line) }
	return w
}

// audit begins the record.
func (w *town) audit() *audit.Audit {
	w.t.Helper()
	channels := make([]record.Channel, 0, len(w.channels))
	for _, c := range w.channels {
		channels = append(channels, record.Channel{ID: string(c), Type: string(chat.ChannelPublic)})
	}
	w.config.Run = record.Run{Workspaces: []record.Workspace{{ID: string(w.space), Name: "Works", Channels: channels}}}
	w.config.Rec = record.NewRecorder(&w.text)
	w.config.Rec.Add(record.Line{Run: &w.config.Run})
	a, err := audit.New(w.config)
	w.must(err)
	return a
}

// recorded is what the audit has written.
func (w *town) recorded() *record.Record {
	w.t.Helper()
	w.must(w.config.Rec.Flush())
	r, err := record.Read(&w.text)
	w.must(err)
	return r
}

func (w *town) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *town) hub(url string) {
	w.t.Helper()
	nc, err := nats.Connect(url, nats.MaxReconnects(-1))
	w.must(err)
	w.t.Cleanup(nc.Close)
	w.config.Hub = nc
}

// said is what has become of the messages of a talk.
type said struct {
	messages         int
	edited, deleted  chat.Seq
	reacted, changed chat.Seq // the second had a reaction that was taken back
	mention, last    chat.Seq
}

// talk is messages in all channels, with everything that can be done to them. The last thing is a message.
func (w *town) talk(by, names string) said {
	w.t.Helper()
	ctx, stop := context.WithCancel(w.ctx)
	conn := live.Connect(w.people[by], live.Options{Workspace: w.space})
	ended := make(chan error, 1)
	go func() { ended <- conn.Run(ctx) }()
	read := make(chan struct{})
	go func() {
		defer close(read)
		for range conn.Events() {
		}
	}()
	defer func() {
		stop()
		<-read
		w.must(<-ended)
	}()
	stored := func(p *live.Pending, err error) chat.Seq {
		w.t.Helper()
		w.must(err)
		r, err := p.Wait(ctx)
		w.must(err)
		return r.Seq
	}
	var s said
	say := func(body string) chat.Seq {
		w.t.Helper()
		s.messages++
		return stored(conn.Send(ctx, client.Message{ChannelID: w.channels[0], Body: body}))
	}
	for i := range 10 {
		s.messages++
		stored(conn.Send(ctx, client.Message{ChannelID: w.channels[i%len(w.channels)], Body: fmt.Sprintf("%s says %d", by, i)}))
	}
	s.edited, s.deleted, s.reacted, s.changed = say("first text"), say("a secret"), say("good news"), say("so so")
	ch := w.channels[0]
	stored(conn.Edit(ctx, ch, s.edited, "another text"))
	stored(conn.Edit(ctx, ch, s.edited, "the last text"))
	stored(conn.Edit(ctx, ch, s.deleted, "another secret"))
	stored(conn.Delete(ctx, ch, s.deleted))
	stored(conn.React(ctx, ch, s.reacted, "👍"))
	stored(conn.React(ctx, ch, s.changed, "👎"))
	stored(conn.React(ctx, ch, s.changed, "🎉"))
	stored(conn.Unreact(ctx, ch, s.changed, "👎"))
	s.mention = say("and you, @" + names + "?")
	s.last = say("that is all")
	return s
}

// sources are the logs of a record, by whose copy it is.
func sources(r *record.Record) map[string][]record.Event {
	by := map[string][]record.Event{}
	for _, e := range r.Events {
		source := e.Source
		e.Source = ""
		by[source] = append(by[source], e)
	}
	return by
}

// views are what a record's views have kept, by their names.
func views(r *record.Record) map[string]map[int64]record.Kept {
	by := map[string]map[int64]record.Kept{}
	for _, k := range r.Kept {
		if by[k.View] == nil {
			by[k.View] = map[int64]record.Kept{}
		}
		by[k.View][k.Seq] = k
	}
	return by
}

// checkLog looks at a copy of the log for what a talk must have left there.
func checkLog(t *testing.T, events []record.Event, s said) {
	t.Helper()
	at := map[int64]record.Event{}
	for i, e := range events {
		if i > 0 && e.Seq <= events[i-1].Seq {
			t.Errorf("%d comes after %d", e.Seq, events[i-1].Seq)
		}
		at[e.Seq] = e
	}
	if e := at[int64(s.last)]; e.Kind != string(event.MessagePosted) || e.Body != "that is all" || e.Sender == "" || e.ID == "" || e.Epoch != 1 {
		t.Errorf("the last message is %+v", e)
	}
	if e := at[int64(s.deleted)]; !e.Erased || e.Body != "" || e.Kind != string(event.MessagePosted) {
		t.Errorf("the deleted message is %+v", e)
	}
	for _, e := range events {
		if strings.Contains(e.Body, "secret") {
			t.Errorf("what was deleted is in the log: %+v", e)
		}
	}
}

// checkView looks at what a view has of a talk.
func checkView(t *testing.T, name string, kept map[int64]record.Kept, s said) {
	t.Helper()
	if k := kept[int64(s.edited)]; k.Body != "the last text" || !k.Edited {
		t.Errorf("%s: the edited message is %+v", name, k)
	}
	if k, ok := kept[int64(s.deleted)]; ok && !k.Deleted || !ok && !strings.HasPrefix(name, "replay") || k.Body != "" {
		t.Errorf("%s: the deleted message is there: %t, %+v", name, ok, k)
	}
	if k := kept[int64(s.reacted)]; len(k.Reactions) != 1 || !strings.HasPrefix(k.Reactions[0], "👍 ") {
		t.Errorf("%s: the message with a reaction is %+v", name, k)
	}
	if k := kept[int64(s.changed)]; len(k.Reactions) != 1 || !strings.HasPrefix(k.Reactions[0], "🎉 ") {
		t.Errorf("%s: the message with a reaction that was taken back is %+v", name, k)
	}
	if k := kept[int64(s.last)]; k.Body != "that is all" || k.Edited {
		t.Errorf("%s: the last message is %+v", name, k)
	}
}

// checkSame holds all views against one of them. A replay cannot have what was taken out of the log.
func checkSame(t *testing.T, all map[string]map[int64]record.Kept, as string) {
	t.Helper()
	for name, kept := range all {
		for seq, want := range all[as] {
			got, ok := kept[seq]
			if !ok && strings.HasPrefix(name, "replay") && want.Deleted {
				continue
			}
			if got.Channel != want.Channel || fmt.Sprint(got.Message) != fmt.Sprint(want.Message) {
				t.Errorf("%s has %d as %+v, and %s as %+v", name, seq, got.Message, as, want.Message)
			}
		}
		for seq := range kept {
			if _, ok := all[as][seq]; !ok {
				t.Errorf("%s has %d, which %s has not", name, seq, as)
			}
		}
	}
}

func TestFigures(t *testing.T) {
	goroutines := 40
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/metrics":
			fmt.Fprintf(w, "# HELP go_goroutines Number.\ngo_goroutines %d\nprocess_resident_memory_bytes 1.5e+07\nprocess_open_fds 9\nother{a=\"b\"} 3\n", goroutines)
		case "/nothing":
			fmt.Fprintln(w, "<html>")
		default:
			http.Error(w, "", http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(server.Close)
	w := newTown(t)
	w.config.Processes = []audit.Process{
		{Name: "good", Metrics: server.URL + "/metrics"}, {Name: "mute", Metrics: server.URL + "/nothing"}, {Name: "ill", Metrics: server.URL + "/x"},
	}
	w.config.Patience = 300 * time.Millisecond
	a := w.audit()
	a.Before(w.ctx)
	goroutines = 38
	a.Figures(w.ctx)
	unmet := strings.Join(a.Unmet(), "\n")
	for _, want := range []string{"figures of mute before the load: it tells nothing", "figures of ill before the load", "figures of mute at the end", "503"} {
		if !strings.Contains(unmet, want) {
			t.Errorf("what is unmet does not say %q: %s", want, unmet)
		}
	}
	var got []string
	for _, s := range w.recorded().Samples {
		got = append(got, fmt.Sprintf("%s %s %s %v", s.When, s.Process, s.Name, s.Value))
	}
	want := []string{
		"before good goroutines 40", "before good resident_bytes 1.5e+07", "before good descriptors 9",
		"quiet good goroutines 38", "quiet good resident_bytes 1.5e+07", "quiet good descriptors 9",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the samples are %q", got)
	}
}

func TestSilent(t *testing.T) {
	w := newTown(t)
	w.config.Patience = 600 * time.Millisecond
	a := w.audit()
	looks := 0
	got := a.Silent(w.ctx, func() []audit.Conn {
		looks++
		all := []audit.Conn{{"ann/1/1", 7, 7}, {"bob/1/1", 6, 7}, {"cid/1/1", 8, 9}, {"dan/1/1", 0, 0}}
		if looks > 1 {
			all[2].Told = 9 // it was only slow
		}
		return all
	})
	if want := []string{"bob/1/1"}; !slices.Equal(got, want) || looks < 2 {
		t.Errorf("after %d looks the silent ones are %v, not %v", looks, got, want)
	}
	a.Quiet(w.ctx)
	w.must(a.Finish(w.ctx))
	if end := w.recorded().End; end == nil || !slices.Equal(end.Silent, got) || end.Open != 3 || !end.Quiet {
		t.Errorf("the end is %+v", end)
	}
}

func TestNothingIsKnown(t *testing.T) {
	w := newTown(t)
	var lines []string
	w.config.Say = func(line string) { lines = append(lines, line) }
	a := w.audit()
	w.must(a.Finish(w.ctx))
	r := w.recorded()
	if len(r.Events)+len(r.Kept)+len(r.Jobs)+len(r.Samples) > 0 || r.End == nil || len(r.End.Unmet) > 0 {
		t.Errorf("with nothing known the record is %+v", r)
	}
	all := strings.Join(lines, "\n")
	for _, want := range []string{"the logs are left out", "jobs of delivery are left out", "rows are left out", "nobody is known who could look"} {
		if !strings.Contains(all, want) {
			t.Errorf("it is not said that %s: %s", want, all)
		}
	}
}

func TestBrokenOff(t *testing.T) {
	w := newTown(t)
	ctx, stop := context.WithCancel(w.ctx)
	stop()
	if err := w.audit().Finish(ctx); err == nil {
		t.Error("an audit that was broken off has ended")
	}
	if end := w.recorded().End; end != nil {
		t.Errorf("its record says how it ended: %+v", end)
	}
}

func names[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
