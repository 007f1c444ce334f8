package local_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/faultproxy"
	"github.com/canopychat/canopy/ops/local"
	"github.com/canopychat/canopy/schemas/chat"
)

// One deployment serves all that leaves it whole.
func TestDeployment(t *testing.T) {
	before := goleak.IgnoreCurrent()
	dir := t.TempDir()
	s := start(t, local.Options{Dir: dir, LinkThroughProxy: true})
	t.Run("the regions talk", s.checkTalk)
	t.Run("history is the same in both", s.checkHistory)
	t.Run("canopy status sees everything", s.checkStatus)
	t.Run("scripts find it", s.checkFiles)
	t.Run("a second one leaves the folder alone", s.checkLock)
	t.Run("the stream leader is one of the hubs", s.checkLeader)
	t.Run("a gateway is killed", s.checkGatewayKill)
	t.Run("a link is held and heals", s.checkLink)
	t.Run("a process is paused", s.checkPause)
	t.Run("who ends by itself is started again", s.checkSupervise)
	s.t = t
	s.close()
	if _, err := os.Stat(filepath.Join(dir, local.FileName)); err == nil {
		t.Error("deployment.json is left behind")
	}
	http.DefaultClient.CloseIdleConnections()
	goleak.VerifyNone(t, before)
	if t.Failed() {
		return
	}
	t.Run("another start goes on", func(t *testing.T) { checkAgain(t, dir) })
}

func (s *site) checkTalk(t *testing.T) {
	s.t = t
	ada, bob := s.talks("ada", "", chat.Cursor{}).online(), s.talks("bob", "", chat.Cursor{}).online()
	first := ada.says("hello from eu")
	if m := bob.hears("hello from eu").Message; m.Seq != first {
		t.Errorf("bob has it as %d, ada as %d", m.Seq, first)
	}
	second := bob.says("hello from us")
	if m := ada.hears("hello from us").Message; m.Seq != second || second <= first {
		t.Errorf("ada has the answer as %d, bob as %d, after %d", m.Seq, second, first)
	}
	// Past the front, at each gateway.
	for _, region := range s.Regions {
		for _, g := range s.Gateways[region] {
			c := s.talks("ada", s.Socket(g), chat.Cursor{}).online()
			c.says("at " + g.Name)
			bob.hears("at " + g.Name)
			c.leave()
		}
	}
	ada.leave()
	bob.leave()
}

func (s *site) checkHistory(t *testing.T) {
	var pages [][]string
	for _, login := range []string{"ada", "bob"} {
		list, err := s.town.People[login].History(s.ctx, s.town.Channels["general"], client.Page{})
		if err != nil {
			t.Fatal(err)
		}
		var bodies []string
		for _, m := range list.Messages {
			bodies = append(bodies, m.Body)
		}
		pages = append(pages, bodies)
	}
	want := []string{"at gateway-us-2", "at gateway-us-1", "at gateway-eu-2", "at gateway-eu-1", "hello from us", "hello from eu"}
	for _, bodies := range pages {
		if !slices.Equal(bodies, want) {
			t.Errorf("history is %q", bodies)
		}
	}
}

// canopy runs a command of operators against the deployment.
func (s *site) canopy(args ...string) ([]byte, error) {
	cmd := exec.CommandContext(s.ctx, compiled(s.t), append(args, "--config", filepath.Join(s.Dir, local.ConfigName))...)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = errors.New(string(exit.Stderr))
	}
	return out, err
}

func (s *site) checkStatus(t *testing.T) {
	s.t = t
	var report struct {
		Streams []struct {
			Name     string
			Replicas int
			Behind   int `json:"replicas_behind"`
		}
		Processes []struct {
			Role, Region, URL, Admin string
			Healthy                  bool
		}
		Problems []string
	}
	var out []byte
	missing := func() (all []string) {
		for _, p := range s.Processes() {
			found := false
			for _, seen := range report.Processes {
				found = found || seen.Admin == p.AdminURL && seen.Healthy
			}
			if !found {
				all = append(all, p.Name)
			}
		}
		return all
	}
	// The registry is read from any hub node, and one may be a moment behind.
	s.awaits("everything is there and healthy", func() bool {
		var err error
		if out, err = s.canopy("status", "--json"); err != nil {
			return false
		}
		report.Streams, report.Processes, report.Problems = nil, nil, nil
		if err := json.Unmarshal(out, &report); err != nil {
			t.Fatal(err)
		}
		return len(missing()) == 0
	})
	if len(report.Processes) != len(s.Processes()) || len(report.Problems) > 0 {
		t.Errorf("it shows %s", out)
	}
	chats := 0
	for _, stream := range report.Streams {
		if strings.HasPrefix(stream.Name, "CHAT_") {
			chats++
			if stream.Replicas != 3 || stream.Behind != 0 {
				t.Errorf("%s has %d replicas, %d behind", stream.Name, stream.Replicas, stream.Behind)
			}
		}
	}
	if chats == 0 {
		t.Errorf("no stream of messages: %s", out)
	}
	if out, err := s.canopy("streams", "plan"); err != nil || !strings.Contains(string(out), "as the files say") {
		t.Errorf("the streams are not as their files say: %v %s", err, out)
	}
}

func (s *site) checkFiles(t *testing.T) {
	path := filepath.Join(s.Dir, local.FileName)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v", info.Mode())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var f local.File
	if err := json.Unmarshal(text, &f); err != nil {
		t.Fatal(err)
	}
	if len(f.Processes) != len(s.Processes()) || len(f.Regions) != 2 || len(f.Regions[0].Sockets) != 2 || len(f.Logins) != 2 || f.Workspace != string(s.town.Workspace) {
		t.Errorf("it says %s", text)
	}
	for i, p := range s.Processes() {
		if f.Processes[i].PID != p.PID() || f.Processes[i].Name != p.Name {
			t.Errorf("it says %+v of %s, which is %d", f.Processes[i], p.Name, p.PID())
		}
	}
	for i, login := range []string{"ada", "bob"} {
		if _, err := client.Login(s.ctx, f.Regions[i].URL, login, f.Logins[i].Password, ""); err != nil {
			t.Errorf("%s: %v", login, err)
		}
	}
	run, err := config.ReadRunFile(s.Dir)
	if err != nil || run.HTTP != s.URL("eu") || run.Setup != nil {
		t.Errorf("run.json: %+v, %v", run, err)
	}
}

func (s *site) checkLock(t *testing.T) {
	_, err := local.Start(s.ctx, local.Options{Dir: s.Dir, Canopy: compiled(t)})
	if !errors.As(err, new(*config.Problem)) || !strings.Contains(err.Error(), "in use") {
		t.Errorf("it says %v", err)
	}
	if _, err := config.ReadRunFile(s.Dir); err != nil {
		t.Errorf("run.json after it: %v", err)
	}
}

func (s *site) checkLeader(t *testing.T) {
	s.t = t
	s.awaits("there is a leader", func() bool {
		p, err := s.StreamLeader(s.ctx, 0)
		return err == nil && p != nil && slices.Contains(s.Hubs, p)
	})
}

// Who is at a gateway that is killed comes back through the front, or at another gateway by the cursor.
func (s *site) checkGatewayKill(t *testing.T) {
	s.t = t
	victim, other := s.Gateways["us"][0], s.Gateways["us"][1]
	ada := s.talks("ada", "", chat.Cursor{}).online()
	direct := s.talks("bob", s.Socket(victim), chat.Cursor{}).online()
	front := s.talks("bob", "", chat.Cursor{}).online()
	before := ada.says("before")
	for _, c := range []*talker{direct, front} {
		c.hears("before")
	}
	cursor := direct.Cursor()
	if cursor.Seq < before {
		t.Errorf("the cursor is %v after %d", cursor, before)
	}
	if err := victim.Kill(); err != nil {
		t.Fatal(err)
	}
	if victim.PID() != 0 || victim.IsReady(s.ctx) {
		t.Error("it is not dead")
	}
	ada.says("meanwhile")
	front.hears("meanwhile")
	direct.leave()
	back := s.talks("bob", s.Socket(other), cursor)
	if m := back.hears("meanwhile").Message; len(back.seen) != 1 {
		t.Errorf("at %d the other gateway has told %d messages", m.Seq, len(back.seen))
	}
	if err := victim.Restart(s.ctx); err != nil {
		t.Fatal(err)
	}
	again := s.talks("bob", s.Socket(victim), cursor)
	again.hears("meanwhile")
	for _, c := range []*talker{ada, front, back, again} {
		c.leave()
	}
}

// Half of a link is silent: what is sent waits, and is stored once when it heals.
func (s *site) checkLink(t *testing.T) {
	s.t = t
	ada, bob := s.talks("ada", "", chat.Cursor{}).online(), s.talks("bob", "", chat.Cursor{}).online()
	s.Links["us"].Hold(faultproxy.Up)
	p, err := bob.Send(s.ctx, client.Message{ChannelID: s.town.Channels["general"], Body: "from the island"})
	if err != nil {
		t.Fatal(err)
	}
	s.awaits("something is held", func() bool { return s.Links["us"].Counts().HeldUp > 0 })
	ada.says("on the mainland")
	select {
	case <-p.Done():
		t.Error("a send over a link that is silent was answered")
	default:
	}
	s.Links["us"].Heal()
	if r, err := p.Wait(s.ctx); err != nil || r.Seq == 0 {
		t.Errorf("after the link has healed: %+v, %v", r, err)
	}
	ada.hears("from the island")
	bob.hears("from the island")
	ada.leave()
	bob.leave()
	if err := s.Ready(s.ctx); err != nil {
		t.Error(err)
	}
}

func (s *site) checkPause(t *testing.T) {
	p := s.Persisters[0]
	if err := p.Pause(); err != nil {
		t.Fatal(err)
	}
	asked, cancel := context.WithTimeout(s.ctx, 300*time.Millisecond)
	defer cancel()
	if p.IsReady(asked) {
		t.Error("a process that is paused answers")
	}
	if err := p.Ready(asked); err == nil || !strings.Contains(err.Error(), p.Name) {
		t.Errorf("Ready says %v", err)
	}
	if err := p.Continue(); err != nil {
		t.Fatal(err)
	}
	if err := p.Ready(s.ctx); err != nil {
		t.Error(err)
	}
}

func (s *site) checkSupervise(t *testing.T) {
	s.t = t
	ctx, cancel := context.WithCancel(s.ctx)
	ended := make(chan struct{})
	go func() { defer close(ended); s.Supervise(ctx) }()
	p := s.Gateways["eu"][1]
	pid := p.PID()
	killByHand(t, pid)
	s.awaits("it runs again", func() bool { return p.PID() != 0 && p.PID() != pid })
	if err := p.Ready(s.ctx); err != nil {
		t.Error(err)
	}
	cancel()
	<-ended
}

// checkAgain starts on a folder that is there: the same people, the same messages, new addresses.
func checkAgain(t *testing.T, dir string) {
	s := start(t, local.Options{Dir: dir, Gateways: 1})
	ada, bob := s.talks("ada", "", chat.Cursor{}).online(), s.talks("bob", "", chat.Cursor{}).online()
	ada.says("another day")
	bob.hears("another day")
	list, err := s.town.People["bob"].History(s.ctx, s.town.Channels["general"], client.Page{})
	if err != nil || len(list.Messages) < 9 || list.Messages[len(list.Messages)-1].Body != "hello from eu" {
		t.Errorf("history: %d messages, %v", len(list.Messages), err)
	}
	ada.leave()
	bob.leave()
	// Who ends by itself, and is not noticed by anybody, is told at the end.
	victim := s.Process("gateway-eu-1")
	killByHand(t, victim.PID())
	s.awaits("it has gone", func() bool { return victim.PID() == 0 })
	err = s.Close()
	s.Deployment = nil
	if err == nil || !strings.Contains(err.Error(), "gateway-eu-1 has ended: signal: killed") {
		t.Errorf("Close says %v", err)
	}
}

func TestAStartThatFailsLeavesNothing(t *testing.T) {
	before := goleak.IgnoreCurrent()
	dir := t.TempDir()
	_, err := local.Start(t.Context(), local.Options{Dir: dir, Canopy: compiled(t), Settings: []string{"edge.heartbeat=never"}})
	if err == nil || !strings.Contains(err.Error(), "it wants a time") || strings.Count(err.Error(), "has ended") != 1 {
		t.Errorf("Start says %v", err)
	}
	if left := running(t, dir); len(left) > 0 {
		t.Errorf("it has left %q", left)
	}
	goleak.VerifyNone(t, before)
}

func TestMistakes(t *testing.T) {
	for name, o := range map[string]local.Options{
		"no folder":           {Canopy: compiled(t)},
		"no program":          {Dir: t.TempDir(), Canopy: filepath.Join(t.TempDir(), "canopy")},
		"a folder to start":   {Dir: t.TempDir(), Canopy: t.TempDir()},
		"an unknown region":   {Dir: t.TempDir(), Canopy: compiled(t), Regions: []string{"eu", "mars"}},
		"a region twice":      {Dir: t.TempDir(), Canopy: compiled(t), Regions: []string{"eu", "eu"}},
		"too many gateways":   {Dir: t.TempDir(), Canopy: compiled(t), Gateways: 1000},
		"Cassandra alone":     {Dir: t.TempDir(), Canopy: compiled(t), Cassandra: []string{"127.0.0.1:9042"}},
		"PostgreSQL alone":    {Dir: t.TempDir(), Canopy: compiled(t), Postgres: "postgres://canopy@127.0.0.1/canopy"},
		"a file for a folder": {Dir: compiled(t), Canopy: compiled(t)},
	} {
		if _, err := local.Start(t.Context(), o); !errors.As(err, new(*config.Problem)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// alive reports whether a process is there that was started with a file: its id may be another's by now.
func alive(pid int, config string) bool {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	return err == nil && strings.Contains(string(text), config)
}

// killByHand is kill -9 by somebody else.
func killByHand(t *testing.T, pid int) {
	t.Helper()
	p, err := os.FindProcess(pid)
	if err == nil {
		err = p.Kill()
	}
	if err != nil {
		t.Fatal(err)
	}
}
