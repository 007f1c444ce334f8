package cli_test

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"

	"github.com/canopychat/canopy/ops/app"
	"github.com/canopychat/canopy/ops/cli"
)

// What a new deployment tells its first visitor to type begins as they have begun themselves.
func TestUpEmptyTellsWhatToType(t *testing.T) {
	for _, c := range []struct{ program, want string }{
		{"", "canopy"},
		{"canopy", "canopy"},
		{"./canopy", "./canopy"},
		{"/opt/my tools/canopy", "'/opt/my tools/canopy'"},
		{"/tmp/go-build1086935632/b001/exe/canopy", "go run ./ops/cmd/canopy"},
		{"/home/ada/.cache/go-build/04/0491a8-d/canopy", "go run ./ops/cmd/canopy"},
	} {
		var stdout, stderr bytes.Buffer
		signals := make(chan os.Signal, 1)
		code := cli.Main([]string{"up", "--empty"}, cli.System{
			Program: c.program, Stdout: &stdout, Stderr: &stderr, Signals: signals,
			Serve: func(ctx context.Context, _ cli.Serving, ready func(app.Running)) error {
				ready(app.Running{
					HTTP: "http://127.0.0.1:8080", Data: "/srv/canopy", Roles: app.AllRoles,
					Setup: app.Setup{URL: "http://127.0.0.1:8080/setup", Code: "code-of-setup"},
				})
				signals <- os.Interrupt
				<-ctx.Done()
				return nil
			},
		})
		want := "\n    " + c.want + " setup --data /srv/canopy --workspace NAME --login NAME\n"
		if code != 0 || !strings.Contains(stdout.String(), want) || !strings.Contains(stdout.String(), "code-of-setup") {
			t.Errorf("%q: %d\n%s%s", c.program, code, stdout.String(), stderr.String())
		}
	}
}
