package app_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// apart is the six roles as processes of their own, from one config file.
type apart struct {
	t     *testing.T
	conf  string
	roles map[string]*process
	api   *deployment // REST
	edge  *deployment // sockets
}

var roleNames = []string{"hub", "leaf", "edge", "api", "persist", "deliver"}

// takeApart starts a demo in one process and stops it, so that there are people; then it writes the config file that
// the six roles share, with more in it when that is given.
func takeApart(t *testing.T, more ...string) *apart {
	t.Helper()
	first := up(t, testConfig(t))
	first.stop()
	hub, leafNodes, monitor, leaf, api, edge := freePort(t), freePort(t), freePort(t), freePort(t), freePort(t), freePort(t)
	text := fmt.Sprintf(`
data: %q
listen: %q
log_level: error
hub { listen: %q, leaf_listen: %q, monitor: %q }
leaf { listen: %q }
edge { listen: %q, drain_spread: "100ms" }
%s
`, first.cfg.Data, api, hub, leafNodes, monitor, leaf, edge, strings.Join(more, "\n"))
	conf := filepath.Join(t.TempDir(), "canopy.conf")
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	a := &apart{t: t, conf: conf, roles: make(map[string]*process), api: &deployment{t: t}, edge: &deployment{t: t}}
	a.api.run.HTTP, a.edge.run.HTTP = "http://"+api, "http://"+edge
	a.api.inherit(first)
	a.edge.inherit(first)
	return a
}

// start starts roles, in this order, and does not wait for them.
func (a *apart) start(roles ...string) {
	a.t.Helper()
	for _, role := range roles {
		a.roles[role] = canopy(a.t, role, "--config", a.conf)
	}
}

// serve waits until roles serve.
func (a *apart) serve(roles ...string) {
	a.t.Helper()
	for _, role := range roles {
		a.roles[role].serves()
	}
}

// say posts a message over a socket, again and again until it is acknowledged, and answers its seq.
func (a *apart) say(who *user, channel, body string) uint64 {
	a.t.Helper()
	id := newMsgID()
	for deadline := time.Now().Add(2 * patience); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		c, err := who.at(a.edge).dial("")
		if err != nil {
			continue
		}
		s := &socket{t: a.t, c: c}
		for f, err := s.read(); err == nil; f, err = s.read() {
			switch {
			case f.Type == "hello":
				s.send(map[string]any{"type": "message.send", "channel_id": channel, "body": body, "client_msg_id": id})
				continue
			case f.Type == "message.ack":
				_ = c.Close()
				return f.Seq
			case f.Type != "error":
				continue
			}
			break
		}
		_ = c.Close()
	}
	a.t.Fatalf("%q could not be said", body)
	return 0
}

// checkTalk has alice say something, and bob receive it: live, and over REST, which also takes his answer.
func (a *apart) checkTalk(alice, bob *user, general, what string, cursor *uint64) {
	a.t.Helper()
	first := a.say(alice, general, what)
	id := map[string]any{"body": "re: " + what, "client_msg_id": newMsgID()}
	var answer reply
	for deadline := time.Now().Add(2 * patience); ; time.Sleep(50 * time.Millisecond) {
		status, err := bob.try("POST", "/channels/"+general+"/messages", id, &answer)
		if err == nil && (status == http.StatusCreated || status == http.StatusOK) {
			break
		}
		if time.Now().After(deadline) {
			a.t.Fatalf("after %s REST takes nothing: %d %v", what, status, err)
		}
	}
	s := bob.at(a.edge).open(*cursor)
	got := s.until(answer.Seq)
	if !s.hello.Resumed || !slices.Equal(bodies(got), []string{what, "re: " + what}) || got[0].Seq != first {
		a.t.Errorf("after %s bob's cursor %d brings %v", what, *cursor, got)
	}
	s.cut()
	*cursor = answer.Seq
	messages, complete := alice.history(general)
	if n := len(messages); complete < answer.Seq || messages[n-1].Seq != answer.Seq || messages[n-2].Body != what {
		a.t.Errorf("after %s history through %d ends with %+v", what, complete, messages[n-2:])
	}
}

// The six roles are processes of their own, from one config file. They start in any order, and any of them may be
// killed and started again.
func TestRolesApart(t *testing.T) {
	t.Parallel()
	a := takeApart(t)
	a.start("deliver", "persist", "edge", "api", "leaf", "hub")
	a.serve(roleNames...)
	alice, bob := a.api.signIn("alice"), a.api.signIn("bob")
	general := alice.channel("general")
	cursor := a.say(alice, general, "a beginning")
	a.checkTalk(alice, bob, general, "the start", &cursor)
	for _, role := range roleNames {
		a.roles[role].kill()
		a.start(role)
		a.checkTalk(alice, bob, general, "the kill of "+role, &cursor)
		a.serve(role)
	}
	if testing.Short() {
		return
	}
	for _, order := range [][]string{{"edge", "api", "persist", "leaf", "hub", "deliver"}, {"persist", "deliver", "leaf", "api", "hub", "edge"}} {
		for _, role := range roleNames {
			a.roles[role].kill()
		}
		a.start(order...)
		a.checkTalk(alice, bob, general, fmt.Sprint("the kill of all, then ", order), &cursor)
		a.serve(roleNames...)
	}
	for _, role := range []string{"api", "edge", "deliver", "persist", "leaf", "hub"} {
		if code := a.roles[role].stop(); code != 0 {
			t.Errorf("%s ended with %d: %s", role, code, a.roles[role].errors)
		}
	}
}

// The role deliver may be there before what it needs, and may be killed: who was not there is told when it is back, once.
func TestDeliverAlone(t *testing.T) {
	t.Parallel()
	a := takeApart(t, `deliver { grace: "100ms", first_retry: "100ms", allow_private: ["127.0.0.0/8"] }`)
	admin := freePort(t)
	deliver := func() *process { return canopy(t, "deliver", "--config", a.conf, "--set", "admin="+admin) }
	ready := func(what, line string, status int) {
		t.Helper()
		awaits(t, what, func() bool {
			got, text := get(t, "http://"+admin, "/readyz?verbose")
			return got == status && strings.Contains(text, line+"\n")
		})
	}
	a.roles["deliver"] = deliver()
	ready("it lives without the others", "[-]start failed: starting", http.StatusServiceUnavailable)
	a.start("persist", "api", "hub")
	a.serve("deliver", "persist", "api", "hub")
	ready("it is ready", "[+]deliver ok", http.StatusOK)
	alice, bob := a.api.signIn("alice"), a.api.signIn("bob")
	general := alice.channel("general")
	address, asked := outside(t)
	alice.must(http.StatusCreated, "POST", alice.workspace("/webhooks"), map[string]any{"url": address + "/hook"}, nil)
	told := func(what string, seq uint64) {
		t.Helper()
		if k := asked.next(t); k.told.Seq != seq || k.told.UserID != bob.id {
			t.Errorf("%s: the webhook is told %+v, want %d for %s", what, k.told, seq, bob.id)
		}
	}
	say := func(body string) uint64 { return alice.post(general, map[string]any{"body": "@bob " + body}).Seq }
	told("at first", say("one"))
	a.roles["deliver"].kill()
	two := say("two")
	a.roles["deliver"] = deliver().serves()
	told("after a kill", two)
	told("and on", say("three"))
	for _, role := range []string{"deliver", "api", "persist", "hub"} {
		if code := a.roles[role].stop(); code != 0 || strings.Contains(a.roles[role].errors.String(), "ERROR") {
			t.Errorf("%s ended with %d: %s", role, code, a.roles[role].errors)
		}
	}
	if len(asked) > 0 {
		t.Errorf("the webhook is told once more: %+v", (<-asked).told)
	}
}
