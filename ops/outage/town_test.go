package outage_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/ops/app"
	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rest"
)

// town is a whole Canopy in this process, and the people who chat there.
type town struct {
	t         *testing.T
	run       app.Running
	workspace chat.WorkspaceID
	people    []*person // alice, who owns the workspace, is the first
	log       *hubLog
}

// person is somebody who is signed in.
type person struct {
	*client.Client
	town            *town
	id              chat.UserID
	login, password string
}

// settings are of a town whose databases are the ones given; empty: a file.
func settings(t *testing.T) config.Config {
	cfg := config.Default(config.Together)
	cfg.Data, cfg.Listen = t.TempDir(), "127.0.0.1:0"
	cfg.Edge.DrainSpread = 100 * time.Millisecond
	return cfg
}

// inhabit starts everything and has people come, so many besides alice and bob.
func inhabit(t *testing.T, cfg config.Config, more int) *town {
	t.Helper()
	w := &town{t: t, run: launch(t, cfg)}
	w.workspace = chat.WorkspaceID(w.run.Workspace.ID)
	for _, l := range w.run.Logins {
		c, err := client.Login(t.Context(), w.run.HTTP, l.Login, l.Password, "outage")
		if err != nil {
			t.Fatal(err)
		}
		w.people = append(w.people, w.person(c, l.Login, l.Password))
	}
	invite, err := w.people[0].CreateInvite(t.Context(), w.workspace, rest.NewInvite{MaxUses: max(1, more)})
	if err != nil {
		t.Fatal(err)
	}
	for i := range more {
		login, password := fmt.Sprintf("guest%d", i), fmt.Sprintf("the password of guest %d", i)
		c, err := client.AcceptInvite(t.Context(), w.run.HTTP, invite.Code, rest.AcceptInvite{Login: login, Password: password})
		if err != nil {
			t.Fatal(err)
		}
		w.people = append(w.people, w.person(c, login, password))
	}
	w.log = lookInto(t, w.run)
	return w
}

func (w *town) person(c *client.Client, login, password string) *person {
	return &person{Client: c, town: w, id: c.Account().User.ID, login: login, password: password}
}

// launch runs all roles in this process, and stops them when the test ends.
func launch(t *testing.T, cfg config.Config) app.Running {
	t.Helper()
	level := slog.LevelError
	if os.Getenv("CANOPY_TEST_LOG") == "debug" {
		level = slog.LevelDebug
	}
	a, err := app.New(cfg, app.AllRoles, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan app.Running, 1), make(chan error, 1)
	go func() { ended <- a.Run(ctx, func(r app.Running) { ready <- r }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the deployment ended with: %v", err)
		}
	})
	select {
	case r := <-ready:
		return r
	case err := <-ended:
		ended <- nil // for the cleanup
		t.Fatalf("the deployment did not start: %v", err)
	case <-time.After(patience):
		t.Fatal("the deployment did not start in time")
	}
	panic("unreachable")
}

// channel makes a public channel that everybody is in.
func (w *town) channel(name string) chat.ChannelID {
	w.t.Helper()
	c, err := w.people[0].CreateChannel(w.t.Context(), w.workspace, rest.NewChannel{Name: name})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, p := range w.people[1:] {
		if _, err := p.Join(w.t.Context(), c.ID); err != nil {
			w.t.Fatal(err)
		}
	}
	return c.ID
}

// answer is what a REST call answered, once and without a second try.
type answer struct {
	status  int
	problem rest.Problem
	took    time.Duration
}

func (a answer) String() string {
	return fmt.Sprintf("%d %s after %v (retry_after %g): %s", a.status, a.problem.Code, a.took.Round(time.Millisecond), a.problem.RetryAfter, a.problem.Detail)
}

// callLimit is how long a call may hang before a test calls it stuck.
const callLimit = 45 * time.Second

// ask makes a call as somebody, or as nobody when they are nil. The error is that nothing was answered.
func (w *town) ask(p *person, method, path string, in, out any) (answer, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return answer{}, err
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), callLimit)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, w.run.HTTP+path, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	r.Header.Set("Content-Type", "application/json")
	if p != nil {
		r.Header.Set("Authorization", "Bearer "+p.Session().Token)
	}
	began := time.Now()
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, err
	}
	a := answer{status: response.StatusCode, took: time.Since(began)}
	switch {
	case a.status >= http.StatusBadRequest:
		err = json.Unmarshal(text, &a.problem)
	case out != nil:
		err = json.Unmarshal(text, out)
	}
	if err != nil {
		return a, fmt.Errorf("%d %w in %.200q", a.status, err, text)
	}
	return a, nil
}

// page is a page of a channel, as it is answered now.
func (w *town) page(p *person, channel chat.ChannelID, query string) (rest.MessageList, answer, error) {
	var list rest.MessageList
	a, err := w.ask(p, http.MethodGet, "/channels/"+string(channel)+"/messages"+query, nil, &list)
	return list, a, err
}

// readiness is what /readyz says.
func (w *town) readiness() (status int, text string) {
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.run.Admin+"/readyz", nil)
	if err != nil {
		return 0, err.Error()
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(body)
}
