package ctl_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/ctl"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	schema "github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/rpc"
	"github.com/canopychat/canopy/streams/streamstest"
)

const (
	workspace chat.WorkspaceID = "w1"
	shard     streams.Shard    = 2
)

// directory is a small directory: what is imported exists once.
type directory struct {
	mu       sync.Mutex
	users    map[string]chat.UserID
	channels map[string]chat.ChannelID
	in       map[chat.ChannelID]map[chat.UserID]bool
	refusals int // Unavailable answers to give first
	asked    int
}

func newDirectory() *directory {
	return &directory{users: map[string]chat.UserID{}, channels: map[string]chat.ChannelID{}, in: map[chat.ChannelID]map[chat.UserID]bool{}}
}

func (d *directory) doImport(_ context.Context, req schema.ImportRequest) (schema.ImportReply, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked++
	if d.refusals > 0 {
		d.refusals--
		return schema.ImportReply{}, fault.New(fault.Unavailable, "the log does not answer").After(time.Millisecond)
	}
	if req.WorkspaceID != workspace {
		return schema.ImportReply{}, fault.New(fault.NotFound, "there is no such workspace")
	}
	if len(req.Users) > schema.MaxImport || len(req.Channels) > schema.MaxImport {
		return schema.ImportReply{}, fault.New(fault.Invalid, "too many")
	}
	var reply schema.ImportReply
	for _, c := range req.Channels {
		if d.channels[c.Name] == "" {
			d.channels[c.Name] = chat.ChannelID(fmt.Sprintf("c%d", len(d.channels)))
			d.in[d.channels[c.Name]] = map[chat.UserID]bool{}
		}
		reply.Channels = append(reply.Channels, schema.ImportedChannel{ChannelID: d.channels[c.Name], Name: c.Name})
	}
	for _, u := range req.Users {
		if d.users[u.Login] == "" {
			d.users[u.Login] = chat.UserID(fmt.Sprintf("u%d", len(d.users)))
		}
		for _, name := range u.Join {
			if d.channels[name] == "" {
				return schema.ImportReply{}, fault.New(fault.NotFound, "there is no public channel %q", name)
			}
			d.in[d.channels[name]][d.users[u.Login]] = true
		}
		reply.Users = append(reply.Users, schema.ImportedUser{UserID: d.users[u.Login], Login: u.Login, Token: "token-" + u.Login})
	}
	return reply, nil
}

func (d *directory) session(_ context.Context, req schema.SessionRequest) (schema.SessionReply, error) {
	return schema.SessionReply{WorkspaceID: req.WorkspaceID, Shard: shard, Epoch: 1, Role: chat.RoleMember}, nil
}

// members is a copy of who is where.
func (d *directory) members() map[chat.ChannelID]int {
	d.mu.Lock()
	defer d.mu.Unlock()
	counts := map[chat.ChannelID]int{}
	for id, in := range d.in {
		counts[id] = len(in)
	}
	return counts
}

// serve answers for the directory until the test ends.
func serve(t *testing.T, c *streamstest.Cluster, d *directory) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	nc := c.Dial(c.HubURL())
	ended := make(chan error, 1)
	go func() {
		ended <- rpc.Serve(ctx, nc, rpc.Service{Name: streams.ServiceDirectory, Version: streams.DirectoryVersion, Methods: map[streams.Method]rpc.Handler{
			streams.DirectoryImport:  rpc.Answer(d.doImport),
			streams.DirectorySession: rpc.Answer(d.session),
		}}, slog.New(slog.DiscardHandler))
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// connect reaches the hub as the commands do, through a run.json.
func connect(t *testing.T, c *streamstest.Cluster) *bus.Conn {
	t.Helper()
	data := t.TempDir()
	run := config.RunFile{NATS: config.RunNATS{Hub: c.HubURL()}, Workspace: config.RunWorkspace{ID: string(workspace)}}
	if err := run.Write(data); err != nil {
		t.Fatal(err)
	}
	d, err := ctl.Find(ctl.Query{Data: data, Named: true, Env: nothing})
	if err != nil {
		t.Fatal(err)
	}
	if d.Workspace != workspace {
		t.Errorf("workspace %q", d.Workspace)
	}
	conn, err := d.Connect(c.Context(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

func nothing(string) string { return "" }

// steps counts what a seed shows.
type steps struct {
	begun []string
	total map[string]int
	done  map[string]int
	after int // messages after which stop is called
	stop  context.CancelFunc
}

func (s *steps) Begin(what string, total int) {
	if s.total == nil {
		s.total, s.done = map[string]int{}, map[string]int{}
	}
	s.begun = append(s.begun, what)
	s.total[what] = total
}

func (s *steps) Add(n int) {
	what := s.begun[len(s.begun)-1]
	s.done[what] += n
	if s.stop != nil && what == "messages" && s.done[what] == s.after {
		s.stop()
	}
}

func (s *steps) End() {}

// stored reads the workspace's log back.
func stored(t *testing.T, c *streamstest.Cluster, conn *bus.Conn) []event.Stored {
	t.Helper()
	filter, err := streams.ChatWorkspaceFilter(shard, workspace)
	if err != nil {
		t.Fatal(err)
	}
	var all []event.Stored
	q := bus.ReadQuery{Shard: shard, Filter: filter}
	for {
		batch, err := bus.NewLog(conn).Read(c.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range batch.Entries {
			parsed, err := event.Parse(e.Payload)
			if err != nil {
				t.Fatal(err)
			}
			if parsed.ChannelID != e.Place.ChannelID {
				t.Fatalf("an event of %s lies in %s", parsed.ChannelID, e.Place.ChannelID)
			}
			all = append(all, event.Stored{Event: parsed, Seq: e.Seq})
			q.From = e.Seq + 1
		}
		if batch.Pending == 0 {
			return all
		}
	}
}

func TestSeed(t *testing.T) {
	c := streamstest.Start(t)
	d := newDirectory()
	d.refusals = 2 // it is asked again
	serve(t, c, d)
	conn := connect(t, c)
	tokens := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(tokens, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	o := ctl.SeedOptions{Workspace: workspace, Users: 120, Channels: 30, Messages: 3000, Tokens: tokens}
	var shown steps
	first, err := ctl.Seed(c.Context(), conn, o, &shown)
	if err != nil {
		t.Fatal(err)
	}
	if first.Users != 120 || first.Channels != 31 || first.Messages != 3000 || first.Found != 0 {
		t.Errorf("%+v", first)
	}
	if first.Edits == 0 || first.Reactions == 0 || first.Replies == 0 {
		t.Errorf("nobody did anything but post: %+v", first)
	}
	if diff := cmp.Diff(shown.total, shown.done); diff != "" {
		t.Errorf("what was shown is not what was done:\n%s", diff)
	}
	members := d.members()
	if members[d.channels["general"]] != 120 {
		t.Errorf("%d of 120 are in general", members[d.channels["general"]])
	}
	for id, n := range members {
		if n == 0 {
			t.Errorf("nobody is in %s", id)
		}
	}
	checkTokens(t, tokens, 120)
	log := stored(t, c, conn)
	checkTalk(t, d, log, first)

	again, err := ctl.Seed(c.Context(), conn, o, &steps{})
	if err != nil {
		t.Fatal(err)
	}
	if again.Found != 3000 || again.Messages != 0 || len(stored(t, c, conn)) != len(log) {
		t.Errorf("a second run added something: %+v", again)
	}
	if diff := cmp.Diff(members, d.members()); diff != "" {
		t.Errorf("a second run changed who is where:\n%s", diff)
	}
}

func checkTokens(t *testing.T, path string, users int) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if len(lines) != users || lines[0] != "token-user0001" || lines[users-1] != "token-user0120" {
		t.Errorf("%d tokens, from %s to %s", len(lines), lines[0], lines[len(lines)-1])
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

// checkTalk makes sure that what was seeded could have been said by people: in channels they are in, about what is there.
func checkTalk(t *testing.T, d *directory, log []event.Stored, r ctl.SeedReport) {
	t.Helper()
	posts := map[chat.Seq]event.Stored{}
	kinds := map[event.Kind]int{}
	ids := map[chat.ClientMsgID]bool{}
	for _, e := range log {
		kinds[e.Kind]++
		if !d.in[e.ChannelID][e.SenderID] {
			t.Errorf("%s is not in %s", e.SenderID, e.ChannelID)
		}
		about, isThere := posts[max(e.Thread, e.MessageSeq)]
		switch {
		case e.Kind == event.MessagePosted:
			posts[e.Seq] = e
			if ids[e.ClientMsgID] {
				t.Errorf("%s stands for two messages", e.ClientMsgID)
			}
			ids[e.ClientMsgID] = true
			if e.Thread != 0 && (!isThere || about.ChannelID != e.ChannelID || about.Thread != 0) {
				t.Errorf("%d answers %d, which it cannot", e.Seq, e.Thread)
			}
		case !isThere || about.ChannelID != e.ChannelID:
			t.Errorf("%s %d is about %d, which is not there", e.Kind, e.Seq, e.MessageSeq)
		case e.Kind == event.MessageEdited && about.SenderID != e.SenderID:
			t.Errorf("%s edits what %s wrote", e.SenderID, about.SenderID)
		}
	}
	want := map[event.Kind]int{event.MessagePosted: r.Messages, event.MessageEdited: r.Edits, event.ReactionAdded: r.Reactions}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Errorf("the report is not what is in the log:\n%s", diff)
	}
}

// Stopped in the middle, everything that was handed out has its outcome; the next run does the rest.
func TestSeedResumes(t *testing.T) {
	c := streamstest.Start(t)
	serve(t, c, newDirectory())
	conn := connect(t, c)
	o := ctl.SeedOptions{Workspace: workspace, Users: 5, Channels: 2, Messages: 8000}

	ctx, stop := context.WithCancel(c.Context())
	first, err := ctl.Seed(ctx, conn, o, &steps{after: 1000, stop: stop})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if first.Messages < 1000 || first.Messages == 8000 {
		t.Errorf("it was not stopped in the middle: %+v", first)
	}
	if n := len(stored(t, c, conn)); n != first.Messages+first.Edits+first.Reactions {
		t.Errorf("the log holds %d events, the report says %+v", n, first)
	}
	second, err := ctl.Seed(c.Context(), conn, o, &steps{})
	if err != nil || second.Found != first.Messages || second.Found+second.Messages != 8000 {
		t.Errorf("%v %+v after %+v", err, second, first)
	}
	o.Messages = 8100
	if third, err := ctl.Seed(c.Context(), conn, o, &steps{}); err != nil || third.Messages != 100 {
		t.Errorf("%v %+v", err, third)
	}
}

func TestSeedStopsWhileItImports(t *testing.T) {
	c := streamstest.Start(t)
	conn := connect(t, c) // nobody answers for the directory
	ctx, stop := context.WithTimeout(c.Context(), 200*time.Millisecond)
	defer stop()
	if _, err := ctl.Seed(ctx, conn, ctl.SeedOptions{Workspace: workspace, Users: 1}, &steps{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestSeedProblems(t *testing.T) {
	c := streamstest.Start(t)
	serve(t, c, newDirectory())
	conn := connect(t, c)
	missing := filepath.Join(t.TempDir(), "nowhere")
	for want, o := range map[string]ctl.SeedOptions{
		"which workspace? Its id is in run.json of the data folder; give it with --workspace": {Users: 1},
		"--users: 1 to 100000":                    {Workspace: workspace},
		"--channels: 0 to 10000":                  {Workspace: workspace, Users: 1, Channels: -1},
		"--messages: 0 to 10000000":               {Workspace: workspace, Users: 1, Messages: 10_000_001},
		"--tokens: there is no folder " + missing: {Workspace: workspace, Users: 1, Tokens: filepath.Join(missing, "tokens")},
	} {
		_, err := ctl.Seed(c.Context(), conn, o, &steps{})
		var problem *config.Problem
		if !errors.As(err, &problem) || err.Error() != want {
			t.Errorf("%+v: %v", o, err)
		}
	}
	_, err := ctl.Seed(c.Context(), conn, ctl.SeedOptions{Workspace: "other", Users: 1}, &steps{})
	if !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
}
