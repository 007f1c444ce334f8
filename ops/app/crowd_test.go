package app_test

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/canopychat/canopy/ops/ctl"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams/bus"
)

// silent shows no progress.
type silent struct{}

func (silent) Begin(string, int) {}
func (silent) Add(int)           {}
func (silent) End()              {}

// seed fills the workspace with people and channels, and answers the people.
func (d *deployment) seed(people, channels int) []*user {
	d.t.Helper()
	conn, err := bus.Dial(bus.DialConfig{URL: d.run.Hub, Role: "test", Logger: testLog()})
	if err != nil {
		d.t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Ready(d.t.Context()); err != nil {
		d.t.Fatal(err)
	}
	tokens := filepath.Join(d.t.TempDir(), "tokens")
	options := ctl.SeedOptions{Workspace: chat.WorkspaceID(d.run.Workspace.ID), Users: people, Channels: channels, Tokens: tokens}
	_, err = ctl.Seed(d.t.Context(), conn, options, silent{})
	for end := time.Now().Add(patience); fault.Is(err, fault.Unavailable) && time.Now().Before(end); { // a busy machine: what was made is there
		_, err = ctl.Seed(d.t.Context(), conn, options, silent{})
	}
	if err != nil {
		d.t.Fatal(err)
	}
	text, err := os.ReadFile(tokens)
	if err != nil {
		d.t.Fatal(err)
	}
	var users []*user
	for token := range strings.Lines(string(text)) {
		users = append(users, &user{d: d, token: strings.TrimSpace(token)})
	}
	return users
}

// joined is the channels that a user is in.
func (u *user) joined() (ids []string) {
	u.d.t.Helper()
	var page struct {
		Channels []struct {
			ID     string
			Joined bool
		}
	}
	u.must(http.StatusOK, "GET", u.workspace("/channels?limit=200"), nil, &page)
	for _, c := range page.Channels {
		if c.Joined {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

// 200 people in 20 channels talk, and are cut off again and again at random moments. In the end all have seen the same
// order, with nothing missing and nothing doubled, and it is what history holds.
func TestACrowdThatIsCutOff(t *testing.T) {
	t.Parallel()
	people, channels, each := 200, 20, 3
	if testing.Short() {
		people, each = 40, 4
	}
	cfg := testConfig(t)
	cfg.Edge.RingEntries = 400 // who is away for long reads pages of the log
	d := up(t, cfg)
	clients := make([]*client, 0, people)
	var sending, talking sync.WaitGroup
	sending.Add(people)
	alice := d.signIn("alice")
	general := alice.channel("general") // everybody is in it: it only says the end
	for _, u := range d.seed(people, channels) {
		var me struct {
			User struct{ ID string }
		}
		u.must(http.StatusOK, "GET", "/me", nil, &me)
		u.id = me.User.ID
		c := newClient(u, slices.DeleteFunc(u.joined(), func(id string) bool { return id == general }), each)
		c.cuts, c.sentAll = 0.03, sending.Done
		clients = append(clients, c)
	}
	from := alice.open().hello.Head
	for _, c := range clients {
		c.cursor = from
		talking.Go(c.run)
	}
	sending.Wait()
	alice.post(general, map[string]any{"body": "the end"})
	talking.Wait()

	history := make(map[string][]message)
	total, resumed, resent := 0, int64(0), 0
	for _, c := range clients {
		for _, ch := range c.channels {
			if history[ch] == nil {
				messages, complete := c.user.history(ch)
				if n := len(messages); n > 0 && complete < messages[n-1].Seq {
					t.Errorf("history of %s is complete through %d and shows %d", ch, complete, messages[n-1].Seq)
				}
				history[ch] = messages
			}
		}
		total, resumed, resent = total+len(c.acked), resumed+c.resumed.Load(), resent+c.resent
	}
	for _, c := range clients {
		checkAcked(t, history, c.acked)
		c.checkSeen(t, history, from, c.channels)
	}
	t.Logf("%d messages in %d channels, %d resumes, %d sends again", total, len(history), resumed, resent)
	if total != people*each || resumed < int64(people/2) || len(history) < channels {
		t.Errorf("the test proves little")
	}
}
