package cli_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/canopychat/canopy/edge/client/clienttest"
	"github.com/canopychat/canopy/ops/cli"
	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/schemas/fault"
)

// talk runs canopy chat with some input.
func talk(input string, environ []string, args ...string) (code int, stdout, stderr string) {
	var out, problems output
	code = cli.Main(append([]string{"chat"}, args...), cli.System{
		Stdin: bytes.NewBufferString(input), Stdout: &out, Stderr: &problems, Environ: environ,
	})
	return code, out.String(), problems.String()
}

func TestChat(t *testing.T) {
	s := clienttest.New(t)
	data := t.TempDir()
	run := config.RunFile{
		HTTP: s.URL, NATS: config.RunNATS{Hub: "nats://127.0.0.1:1"},
		Logins: []config.RunLogin{{Login: "alice", Password: clienttest.Password}, {Login: "carol", Password: "another"}},
	}
	if err := run.Write(data); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(data, "password")
	if err := os.WriteFile(file, []byte(clienttest.Password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"CANOPY_PASSWORD=" + clienttest.Password}
	for i, args := range [][]string{
		{"--as", "alice", "--data", data},
		{"--as", "bob", "--data", data, "--password-file", file},
		{"--as", "bob", "--url", s.URL, "--workspace", "Demo", "--channel", "#plans"},
	} {
		code, stdout, stderr := talk("hello\n/quit\n", env, args...)
		if code != 0 || stderr != "" || !strings.Contains("\n"+stdout, "\n-- #") {
			t.Errorf("%v: %d %s%s", args, code, stdout, stderr)
		}
		if asked := s.Asked(); asked[len(asked)-1] != "POST /logout" {
			t.Errorf("%d: the sign-in stays: %q", i, asked)
		}
	}
	code, stdout, stderr := talk(`{"type":"message.send","channel_id":"c1","body":"by a script"}`, nil, "--as", "alice", "--data", data, "--json")
	if code != 0 || !strings.Contains(stdout, `"status":"stored"`) {
		t.Errorf("%d %s%s", code, stdout, stderr)
	}
	if got := s.Messages(clienttest.General); !slices.Contains(got, "by a script") {
		t.Errorf("%q", got)
	}
}

func TestChatFails(t *testing.T) {
	s := clienttest.New(t)
	nowhere := filepath.Join(t.TempDir(), "nowhere")
	env := []string{"CANOPY_PASSWORD=" + clienttest.Password}
	for _, c := range []struct {
		args string
		env  []string
		code int
		want string
	}{
		{args: "", code: 2, want: "--as"},
		{args: "--as alice --data " + nowhere, code: 2, want: "no deployment runs here"},
		{args: "--as alice --url " + s.URL, code: 2, want: "no password for alice"},
		{args: "--as alice --url nonsense", env: env, code: 2, want: `--url: "nonsense" is not the http:// or https:// address`},
		{args: "--as alice --data x --url " + s.URL, env: env, code: 2, want: "--url and --data"},
		{args: "--as nobody --url " + s.URL, env: env, code: 2, want: "nobody cannot sign in"},
		{args: "--as alice --password-file " + nowhere + " --url " + s.URL, env: env, code: 2, want: "--password-file"},
		{args: "--as alice --workspace x --url " + s.URL, env: env, code: 2, want: `there is no workspace "x"`},
		{args: "--as alice --channel x --url " + s.URL, env: env, code: 2, want: "there is no channel #x"},
		{args: "--as alice --url http://127.0.0.1:1", env: env, code: 1, want: "nobody answers at http://127.0.0.1:1"},
	} {
		code, _, stderr := talk("", c.env, strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: %d %s", c.args, code, stderr)
		}
	}
	s.Refuse(fault.New(fault.Forbidden, "not here"))
	if code, _, stderr := talk("hello\n", env, "--as", "alice", "--url", s.URL); code != 1 || !strings.Contains(stderr, "1 of what was asked was refused") {
		t.Errorf("%d %s", code, stderr)
	}
}
