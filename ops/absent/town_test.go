package absent_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/ops/app"
	"github.com/canopychat/canopy/ops/cli"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rest"
	schema "github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/services/deliver/target/pushtest"
	"github.com/canopychat/canopy/streams"
)

// town is a workspace in a deployment, and who is in it. Each test has one of its own: webhooks are a workspace's.
type town struct {
	t          *testing.T
	url, data  string // of REST; the folder by which commands find the deployment
	workspace  chat.WorkspaceID
	channel    chat.ChannelID
	alice, bob *person // alice owns it
	js         jetstream.JetStream
	nc         *nats.Conn
}

// person is somebody who is signed in. Nobody has a socket unless a test opens one.
type person struct {
	*client.Client
	id    chat.UserID
	login string
}

// found makes a workspace with a channel that both people of the demo are in.
func found(t *testing.T, run app.Running) *town {
	t.Helper()
	w := &town{t: t, url: run.HTTP, data: run.Data}
	w.reach(run.Hub)
	var people []*person
	for _, l := range run.Logins {
		c, err := client.Login(t.Context(), run.HTTP, l.Login, l.Password, "absent")
		if err != nil {
			t.Fatal(err)
		}
		people = append(people, &person{c, c.Account().User.ID, l.Login})
	}
	w.alice, w.bob = people[0], people[1]
	var made rest.Workspace
	w.must(w.alice, http.MethodPost, "/workspaces", rest.NewWorkspace{Name: t.Name()}, &made)
	w.workspace = made.ID
	invite, err := w.alice.CreateInvite(t.Context(), w.workspace, rest.NewInvite{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.bob.Accept(t.Context(), invite.Code); err != nil {
		t.Fatal(err)
	}
	c, err := w.alice.CreateChannel(t.Context(), w.workspace, rest.NewChannel{Name: "absent"})
	if err != nil {
		t.Fatal(err)
	}
	w.channel = c.ID
	if _, err := w.bob.Join(t.Context(), c.ID); err != nil {
		t.Fatal(err)
	}
	return w
}

// reach connects to the hub as an operator does.
func (w *town) reach(hub string) {
	w.t.Helper()
	nc, err := nats.Connect(hub, nats.MaxReconnects(-1))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(nc.Close)
	w.nc = nc
	if w.js, err = jetstream.NewWithDomain(nc, streams.HubDomain); err != nil {
		w.t.Fatal(err)
	}
}

// ask makes a call of REST and answers its status.
func (w *town) ask(p *person, method, path string, in, out any) int {
	w.t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		w.t.Fatal(err)
	}
	token, err := p.Token(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	if response.StatusCode >= http.StatusBadRequest {
		w.t.Logf("%s %s: %d %s", method, path, response.StatusCode, text)
		return response.StatusCode
	}
	if out != nil {
		if err := json.Unmarshal(text, out); err != nil {
			w.t.Fatalf("%s %s: %v in %.200q", method, path, err, text)
		}
	}
	return response.StatusCode
}

// must is ask for who cannot go on without.
func (w *town) must(p *person, method, path string, in, out any) {
	w.t.Helper()
	if status := w.ask(p, method, path, in, out); status >= http.StatusBadRequest {
		w.t.Fatalf("%s %s: %d", method, path, status)
	}
}

// says has somebody post a message in the town's channel.
func (w *town) says(p *person, body string) rest.Ack {
	w.t.Helper()
	ack, err := p.Post(w.t.Context(), client.Message{ChannelID: w.channel, Body: body})
	if err != nil {
		w.t.Fatal(err)
	}
	return ack
}

// webhook makes a webhook of the workspace over REST, and has a receiver take what it signs.
func (w *town) webhook(h *pushtest.Hooks) {
	w.t.Helper()
	path := "/hooks/" + string(client.NewMsgID())
	var made rest.Webhook
	w.must(w.alice, http.MethodPost, "/workspaces/"+string(w.workspace)+"/webhooks", rest.NewWebhook{URL: h.URL() + path}, &made)
	text, ok := strings.CutPrefix(made.Secret, "whsec_")
	secret, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil {
		w.t.Fatalf("a secret that no library takes: %q, %v", made.Secret, err)
	}
	h.Expect(path, secret)
}

// canopy runs a command of operators.
func (w *town) canopy(args ...string) (code int, out, problem string) {
	var stdout, stderr bytes.Buffer
	code = cli.Main(append(args, "--data", w.data), cli.System{Stdout: &stdout, Stderr: &stderr})
	return code, stdout.String(), stderr.String()
}

// letter is a line of canopy dlq ls --json.
type letter struct {
	ID       uint64   `json:"id"`
	Stream   string   `json:"stream"`
	Consumer string   `json:"consumer"`
	Subject  string   `json:"subject"`
	Seq      chat.Seq `json:"seq"`
	Reason   string   `json:"reason"`
	Attempts int      `json:"attempts"`
}

// letters are the dead letters that canopy dlq ls shows with some flags.
func (w *town) letters(flags ...string) []letter {
	w.t.Helper()
	out := w.answers(append([]string{"dlq", "ls", "--json", "--limit", "0"}, flags...)...)
	var all []letter
	for line := range strings.Lines(out) {
		var l letter
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			w.t.Fatalf("%v in %q", err, line)
		}
		all = append(all, l)
	}
	return all
}

// answers is what a command that only looks prints. A busy machine may take longer than a question may: it is asked again.
func (w *town) answers(args ...string) string {
	w.t.Helper()
	var out string
	until(w.t, fmt.Sprintf("canopy %v answers", args), func() (bool, string) {
		var code int
		var problem string
		code, out, problem = w.canopy(args...)
		if code != 0 && !strings.Contains(problem, "unavailable") {
			w.t.Fatalf("canopy %v: %d %s", args, code, problem)
		}
		return code == 0, problem
	})
	return out
}

// own are the dead letters of the town's workspace.
func (w *town) own() []letter {
	w.t.Helper()
	return w.letters("--workspace", string(w.workspace))
}

// delivery is what canopy delivery show says of a message; of one recipient when login is not empty.
func (w *town) delivery(seq chat.Seq, login string) schema.LedgerReply {
	w.t.Helper()
	args := []string{"delivery", "show", fmt.Sprint(seq), "--json", "--workspace", string(w.workspace)}
	if login != "" {
		args = append(args, "--user", login)
	}
	var reply schema.LedgerReply
	if err := json.Unmarshal([]byte(w.answers(args...)), &reply); err != nil {
		w.t.Fatal(err)
	}
	return reply
}

// becomes waits until a message has a status for somebody.
func (w *town) becomes(seq chat.Seq, p *person, status chat.DeliveryStatus) schema.Recipient {
	w.t.Helper()
	var r schema.Recipient
	until(w.t, fmt.Sprintf("%d is %s for %s", seq, status, p.login), func() (bool, string) {
		reply := w.delivery(seq, p.login)
		if len(reply.Recipients) != 1 {
			return false, fmt.Sprintf("%+v", reply)
		}
		r = reply.Recipients[0]
		return r.Status == status, fmt.Sprintf("%+v", r)
	})
	return r
}

// jobs is how many jobs of the workspace are to be tried: those that are due, and those that wait.
func (w *town) jobs() int {
	w.t.Helper()
	s, err := w.js.Stream(w.t.Context(), streams.StreamDelivery)
	if err != nil {
		w.t.Fatal(err)
	}
	info, err := s.Info(w.t.Context(), jetstream.WithSubjectFilter("delivery."+string(w.workspace)+".>"))
	if err != nil {
		w.t.Fatal(err)
	}
	push, err := w.js.Consumer(w.t.Context(), streams.StreamDelivery, streams.ConsumerPush)
	if err != nil {
		w.t.Fatal(err)
	}
	n := 0
	for subject, lie := range info.State.Subjects {
		if _, _, seq, err := streams.ParseDelivery(subject); err != nil || seq != 0 {
			n += int(lie)
			continue
		}
		// Whoever dies between the ack of a job and its being taken out leaves it there, for nobody.
		last, err := s.GetLastMsgForSubject(w.t.Context(), subject)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			w.t.Fatal(err)
		}
		if last.Sequence > push.CachedInfo().AckFloor.Stream {
			n += int(lie)
		}
	}
	return n
}

// noJobs waits until no job of the workspace is left: nothing more is tried.
func (w *town) noJobs() {
	w.t.Helper()
	until(w.t, "no job is left", func() (bool, string) {
		n := w.jobs()
		return n == 0, fmt.Sprint(n)
	})
}

// whats are the steps of a story.
func whats(r schema.Recipient) string {
	var all []string
	for _, step := range r.Story {
		all = append(all, step.What)
	}
	return strings.Join(all, " ")
}

// waits are when the jobs of the workspace that wait are due.
func (w *town) waits() (until []time.Time) {
	w.t.Helper()
	s, err := w.js.Stream(w.t.Context(), streams.StreamDelivery)
	if err != nil {
		w.t.Fatal(err)
	}
	info, err := s.Info(w.t.Context(), jetstream.WithSubjectFilter("delivery."+string(w.workspace)+".>"))
	if err != nil {
		w.t.Fatal(err)
	}
	for subject := range info.State.Subjects {
		m, err := s.GetLastMsgForSubject(w.t.Context(), subject)
		if errors.Is(err, jetstream.ErrMsgNotFound) { // it is on its way
			continue
		}
		if err != nil {
			w.t.Fatal(err)
		}
		text, waiting := strings.CutPrefix(m.Header.Get(streams.HeaderSchedule), "@at ")
		if !waiting { // it is due
			continue
		}
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			w.t.Fatal(err)
		}
		until = append(until, at)
	}
	return until
}
