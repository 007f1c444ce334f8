package absent_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/canopychat/canopy/ops/app"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/deliver/notice"
	"github.com/canopychat/canopy/services/deliver/target/pushtest"
)

// attempts of a round in the deployment that most tests share.
const attempts = 5

// Most tests share a deployment, each with a workspace of its own.
func TestWhoIsOffline(t *testing.T) {
	t.Parallel()
	cfg := settings(t)
	cfg.Deliver.Grace, cfg.Deliver.Attempts = 500*time.Millisecond, attempts
	cfg.Deliver.FirstRetry, cfg.Deliver.MaxRetry = 200*time.Millisecond, time.Second
	run, _ := launch(t, cfg)
	for name, test := range map[string]func(*testing.T, app.Running){
		"undelivered": undelivered, "pushed": pushed, "gone": gone, "down": down, "garbage": garbage,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, run)
		})
	}
}

// Somebody whom no attempt reaches is a dead letter, and gets the message once when that was tried again after a fix.
func undelivered(t *testing.T, run app.Running) {
	w, hooks := found(t, run), pushtest.StartHooks(t)
	w.webhook(hooks)
	hooks.Be(pushtest.Mood{Fail: fault.Forbidden, Says: "out of order"})
	ack := w.says(w.alice, "@bob come here")
	dead := w.becomes(ack.Seq, w.bob, chat.DeliveryDead)
	if whats(dead) != "stored routed"+strings.Repeat(" attempt", attempts)+" dead" || dead.Attempts != attempts || dead.Why != chat.OwedMention ||
		!strings.HasPrefix(dead.Reason, fmt.Sprintf("undelivered after %d attempts: ", attempts)) || !strings.Contains(dead.Reason, "out of order") {
		t.Errorf("the ledger says %s: %+v", whats(dead), dead)
	}
	var found []letter
	until(t, "there is a dead letter", func() (bool, string) { found = w.own(); return len(found) > 0, "" })
	if len(found) != 1 || found[0].Stream != "DELIVERY" || found[0].Consumer != "push" || found[0].Reason != dead.Reason {
		t.Fatalf("dead letters: %+v, and the ledger says %q", found, dead.Reason)
	}
	if asked := hooks.Asked(); asked != attempts || len(hooks.Taken()) > 0 {
		t.Errorf("the webhook was asked %d times, and took %d", asked, len(hooks.Taken()))
	}
	if code, text, _ := w.canopy("delivery", "show", fmt.Sprint(ack.Seq), "--user", "bob", "--workspace", string(w.workspace)); code != 0 ||
		!strings.Contains(text, "bob: dead, undelivered after") || strings.Count(text, "attempt ") < attempts {
		t.Errorf("canopy delivery show: %d\n%s", code, text)
	}

	hooks.Be(pushtest.Mood{})
	id := fmt.Sprint(found[0].ID)
	if code, out, problem := w.canopy("dlq", "retry", id, "--dry-run"); code != 0 || len(hooks.Taken()) > 0 {
		t.Errorf("a dry run: %d %s%s", code, out, problem)
	}
	if code, out, problem := w.canopy("dlq", "retry", id); code != 0 {
		t.Errorf("canopy dlq retry: %d %s%s", code, out, problem)
	}
	got := w.becomes(ack.Seq, w.bob, chat.DeliveryDelivered)
	if last := got.Story[len(got.Story)-1]; !strings.HasPrefix(last.Text, "by webhook:") || got.Rounds != 1 || !strings.Contains(whats(got), "redriven attempt") {
		t.Errorf("the ledger says %s: %+v", whats(got), got)
	}
	w.noJobs()
	taken := hooks.Taken()
	if want := notice.IDOf(w.workspace, cursorOf(t, ack.ServerMsgID), w.bob.id); len(taken) != 1 || taken[0].ID != want {
		t.Errorf("the webhook took %d, want one with the id %s: %+v", len(taken), want, taken)
	}
	if left := w.own(); len(left) > 0 {
		t.Errorf("dead letters are left: %+v", left)
	}
	if code, out, problem := w.canopy("dlq", "retry", id); code == 0 || !strings.Contains(problem, "there is no dead letter "+id) {
		t.Errorf("once more: %d %s%s", code, out, problem)
	}
	if n := len(hooks.Taken()); n != 1 {
		t.Errorf("the webhook took %d in the end", n)
	}
}

func cursorOf(t *testing.T, text string) chat.Cursor {
	t.Helper()
	c, err := chat.ParseCursor(text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
