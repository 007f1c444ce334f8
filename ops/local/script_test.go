package local_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/ops/local"
)

// One script starts it all, says how to look inside, and stops it all at Ctrl-C.
func TestTheScript(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deployment")
	cmd := exec.CommandContext(t.Context(), filepath.Join("..", "deploy", "local"), "--dir", dir, "--regions", "us", "--gateways", "1")
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	errs := new(strings.Builder)
	cmd.Stderr = errs
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		text.WriteString(lines.Text() + "\n")
		if strings.HasPrefix(lines.Text(), "Ctrl-C") { // the last line: all is ready
			checkShown(t, dir, text.String())
			if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
				t.Error(err)
			}
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("it ended with %v\n%s\n%s", err, text.String(), errs)
	}
	if left := running(t, dir); len(left) > 0 {
		t.Errorf("it has left %q", left)
	}
	for _, word := range []string{"hub-1 is ready", "stopping all processes"} {
		if !strings.Contains(errs.String(), word) {
			t.Errorf("it does not say %q: %s", word, errs)
		}
	}
}

// checkShown looks at what is shown when all is ready.
func checkShown(t *testing.T, dir, text string) {
	for _, word := range []string{
		"hub-1", "hub-2", "hub-3", "leaf-us", "api", "persist", "gateway-us-1", "REST, and sockets",
		"nats -s", "status --watch --config", filepath.Join(dir, local.ConfigName), "chat --url", "--as alice", "--as bob",
	} {
		if !strings.Contains(text, word) {
			t.Errorf("it does not show %q: %s", word, text)
		}
	}
	var url, password string
	for line := range strings.Lines(text) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == "us" {
			url = words[1]
		}
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "CANOPY_PASSWORD="); ok && strings.Contains(rest, "--as bob") {
			password, _, _ = strings.Cut(rest, " ")
		}
	}
	if _, err := client.Login(t.Context(), url, "bob", password, ""); err != nil {
		t.Errorf("bob cannot sign in at %q as it says: %v", url, err)
	}
}

// running are the command lines of processes that name a folder.
func running(t *testing.T, dir string) (all []string) {
	t.Helper()
	found, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(found) == 0 {
		t.Fatalf("who runs? %v", err)
	}
	for _, path := range found {
		text, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(text), dir) { // else it has just ended
			all = append(all, strings.ReplaceAll(string(text), "\x00", " "))
		}
	}
	return all
}
