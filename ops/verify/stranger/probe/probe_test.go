package probe_test

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/ops/verify/stranger/answer"
	"github.com/canopychat/canopy/ops/verify/stranger/call"
	"github.com/canopychat/canopy/ops/verify/stranger/probe"
	"github.com/canopychat/canopy/ops/verify/stranger/socket"
)

// Each attempt has a name of its own, and one that has nothing to be made with ends as not tried. Those that ask for a socket knock.
func TestAnAttemptThatCannotBeMade(t *testing.T) {
	calls, err := call.New("http://127.0.0.1:1", call.Account{Login: "ann"})
	if err != nil {
		t.Fatal(err)
	}
	knocked := 0
	means := probe.Means{
		Calls: calls, Space: "w",
		Conn: func(string) *socket.Socket { return nil },
		Knock: func(_ context.Context, at string, query url.Values) answer.Answer {
			knocked++
			if at != "gw-1" || !query.Has("workspace") {
				t.Errorf("knocked at %q with %v", at, query)
			}
			return answer.Refusal("invalid", 0)
		},
	}
	seen := make(map[string]bool)
	for _, name := range probe.Names {
		if seen[name] {
			t.Errorf("two are called %q", name)
		}
		seen[name] = true
		op := record.Op{F: record.Probe, Body: name, At: "gw-1", Phase: "peak"}
		if strings.HasPrefix(name, "header token") {
			continue // it needs nothing but a server
		}
		got, want := probe.Try(t.Context(), means, &op), "nobody has signed in on this device"
		switch {
		case strings.HasSuffix(name, "of another workspace"):
			want = "the op names no target"
		case strings.HasPrefix(name, "frame"):
			want = "no such socket is open"
		case strings.HasPrefix(name, "socket"):
			want = "invalid"
		}
		if got.Code != want || (got.Outcome == record.Refused) != (want == "invalid") {
			t.Errorf("%s: %+v, want %s", name, got, want)
		}
	}
	if knocked < 20 {
		t.Errorf("knocked %d times", knocked)
	}
}
