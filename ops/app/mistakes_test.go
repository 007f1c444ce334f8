package app_test

import (
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/canopychat/canopy/ops/config"
)

// mistake runs a command that must end with exit code 2 and one line that says what is wrong.
func mistake(t *testing.T, says string, args ...string) {
	t.Helper()
	p := canopy(t, args...)
	code := p.code()
	var lines []string
	for line := range strings.Lines(p.errors.String()) {
		if !strings.HasPrefix(line, "canopy: starting ") {
			lines = append(lines, line)
		}
	}
	if code != 2 || len(lines) != 1 || !strings.Contains(lines[0], says) || p.out.String() != "" {
		t.Errorf("canopy %v\nexit code %d, out %q\n%s\nwant one line with %q", args, code, p.out, p.errors, says)
	}
}

// What a user can mend is one clear line and exit code 2.
func TestMistakesOfTheUser(t *testing.T) {
	on := func(data string, more ...string) []string {
		return append([]string{"up", "--data", data, "--listen", "127.0.0.1:0"}, more...)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().String()
	file := filepath.Join(t.TempDir(), "file")
	conf := filepath.Join(t.TempDir(), "canopy.conf")
	for path, text := range map[string]string{file: "a file", conf: "edge { heartbeat: \"30s\", colour: red }"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	newer := t.TempDir()
	if err := os.WriteFile(filepath.Join(newer, "VERSION"), []byte("99\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	mistake(t, port, "up", "--data", t.TempDir(), "--listen", port)
	mistake(t, port, on(t.TempDir(), "--admin", port)...)
	mistake(t, port, on(t.TempDir(), "--set", "hub.listen="+port)...)
	mistake(t, port, on(t.TempDir(), "--set", "hub.leaf_listen="+port)...)
	mistake(t, port, on(t.TempDir(), "--set", "leaf.listen="+port)...)
	mistake(t, "cannot be made", on(filepath.Join(file, "data"))...)
	mistake(t, "newer", on(newer)...)
	mistake(t, `"edge.colour"`, on(t.TempDir(), "--config", conf)...)
	mistake(t, "edge.colour", on(t.TempDir(), "--set", "edge.colour=red")...)
	mistake(t, "no such file", on(t.TempDir(), "--config", file+".conf")...)
	if os.Geteuid() != 0 { // nothing is unwritable to root
		locked := t.TempDir()
		if err := os.Chmod(locked, 0o500); err != nil {
			t.Fatal(err)
		}
		mistake(t, "cannot be written", on(locked)...)
	}
}

// One data folder belongs to one process; run.json says how to reach it, and goes when it ends.
func TestTheDataFolder(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	p, d := upProcess(t, data)
	path := filepath.Join(data, "run.json")
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("run.json: %v %v", info, err)
	}
	alice, bob := d.signIn("alice"), d.signIn("bob")
	general := alice.channel("general")
	seq := alice.open().say(general, "kept")
	checkOutput(t, p.out.String(), d)
	mistake(t, "in use", "up", "--data", data, "--listen", "127.0.0.1:0")
	mistake(t, "in use", "api", "--data", data, "--listen", "127.0.0.1:0")
	if _, err := bob.dial(""); err != nil {
		t.Errorf("a second process disturbed the first: %v", err)
	}
	if code := p.stop(); code != 0 {
		t.Errorf("it ended with %d: %s", code, p.errors)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after a clean stop run.json is there: %v", err)
	}

	_, again := upProcess(t, data)
	if again.run.Workspace != d.run.Workspace || again.run.Logins[0] != d.run.Logins[0] {
		t.Errorf("the second start has %+v, the first had %+v", again.run, d.run)
	}
	messages, complete := again.signIn("bob").history(general)
	if last := messages[len(messages)-1]; last.Seq != seq || last.Body != "kept" || complete < seq {
		t.Errorf("the second start's history ends with %+v", last)
	}
	if next := again.signIn("alice").open().say(general, "next"); next <= seq {
		t.Errorf("after %d came %d", seq, next)
	}
}

// checkOutput looks for what a user needs to go on.
func checkOutput(t *testing.T, text string, d *deployment) {
	t.Helper()
	wanted := []string{d.run.HTTP, d.cfg.Data, "nats -s "}
	for _, l := range d.run.Logins {
		wanted = append(wanted, l.Login, l.Password)
	}
	for _, want := range wanted {
		if !strings.Contains(text, want) {
			t.Errorf("it did not print %q:\n%s", want, text)
		}
	}
	for _, url := range []string{d.run.Hub, d.run.Leaf} {
		if !strings.HasPrefix(url, "nats://") || !strings.Contains(url, "@") {
			t.Errorf("a URL of NATS: %s", url)
		}
	}
	resp, err := http.Get(d.run.HTTP + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("GET /: %s", resp.Status)
	}
}

// A process that was killed leaves run.json behind; it is gone before the next one serves, or says why it cannot.
func TestAnOldRunFileMisleadsNobody(t *testing.T) {
	data := t.TempDir()
	p, d := upProcess(t, data)
	p.kill()
	if r, err := config.ReadRunFile(data); err != nil || r.HTTP != d.run.HTTP {
		t.Errorf("after a kill: %+v %v", r, err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	mistake(t, "cannot listen", "up", "--data", data, "--listen", taken.Addr().String())
	if _, err := config.ReadRunFile(data); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("run.json of a process that was killed: %v", err)
	}
}

// A hub that was emptied between two runs would give a seq a second time: it is noticed.
func TestAnEmptiedHubIsNoticed(t *testing.T) {
	t.Parallel()
	d := up(t, testConfig(t))
	d.settled()
	d.stop()
	hub := filepath.Join(d.cfg.Data, "hub")
	if err := os.Rename(hub, hub+".away"); err != nil {
		t.Fatal(err)
	}
	mistake(t, "CHAT_", "up", "--data", d.cfg.Data, "--listen", "127.0.0.1:0", "--log-level", "error")
	if err := os.RemoveAll(hub); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(hub+".away", hub); err != nil {
		t.Fatal(err)
	}
	d.signInAgain(t)
}

// signInAgain starts the deployment's data again and looks whether it is all right.
func (d *deployment) signInAgain(t *testing.T) {
	t.Helper()
	again := up(t, d.cfg)
	alice := again.signIn("alice")
	general := alice.channel("general")
	seq := alice.open().say(general, "still there")
	if messages, _ := alice.history(general); messages[len(messages)-1].Seq != seq || len(messages) < 6 {
		t.Errorf("history: %+v", messages)
	}
}
