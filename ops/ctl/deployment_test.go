package ctl_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/ctl"
	"github.com/canopychat/canopy/streams/provision"
	"github.com/canopychat/canopy/streams/streamstest"
)

// place is a home folder with nats contexts, and a data folder.
type place struct {
	data string
	vars map[string]string
}

func newPlace(t *testing.T) place {
	t.Helper()
	return place{data: t.TempDir(), vars: map[string]string{"XDG_CONFIG_HOME": t.TempDir(), "HOME": t.TempDir()}}
}

func (p place) env(name string) string { return p.vars[name] }

func (p place) context(t *testing.T, name, text string) {
	t.Helper()
	home := p.vars["XDG_CONFIG_HOME"]
	if home == "" {
		home = filepath.Join(p.vars["HOME"], ".config")
	}
	dir := filepath.Join(home, "nats", "context")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (p place) run(t *testing.T, hub string) {
	t.Helper()
	if err := (config.RunFile{NATS: config.RunNATS{Hub: hub}}).Write(p.data); err != nil {
		t.Fatal(err)
	}
}

func TestFindPrecedence(t *testing.T) {
	p := newPlace(t)
	p.run(t, "nats://run:1")
	p.context(t, "one", `{"description":"x","url":"nats://one:1","user":"u","password":"secret","jetstream_domain":"hub"}`)
	p.context(t, "two", `{"url":"two:1,three:1"}`)
	find := func(q ctl.Query) string {
		t.Helper()
		q.Data, q.Env = p.data, p.env
		d, err := ctl.Find(q)
		if err != nil {
			t.Fatal(err)
		}
		return d.Where()
	}
	p.vars["NATS_URL"] = "nats://u:secret@env:1"
	p.vars["NATS_CONTEXT"] = "two"
	if got := find(ctl.Query{Context: "one", Named: true}); got != "nats://one:1" {
		t.Errorf("--context: %s", got)
	}
	if got := find(ctl.Query{Named: true}); got != "nats://run:1" {
		t.Errorf("--data: %s", got)
	}
	if got := find(ctl.Query{}); got != "nats://two:1,nats://three:1" {
		t.Errorf("NATS_CONTEXT: %s", got)
	}
	delete(p.vars, "NATS_CONTEXT")
	if got := find(ctl.Query{}); got != "nats://u:xxxxx@env:1" {
		t.Errorf("NATS_URL: %s", got)
	}
	delete(p.vars, "NATS_URL")
	if got := find(ctl.Query{}); got != "nats://run:1" {
		t.Errorf("the default data folder: %s", got)
	}
	p.vars["XDG_CONFIG_HOME"] = ""
	p.context(t, "three", `{"url":"nats://three:1"}`)
	if got := find(ctl.Query{Context: "three"}); got != "nats://three:1" {
		t.Errorf("without XDG_CONFIG_HOME: %s", got)
	}
}

func TestFindProblems(t *testing.T) {
	p := newPlace(t)
	p.context(t, "empty", `{}`)
	p.context(t, "broken", `{`)
	p.context(t, "nsc", `{"url":"nats://a:1","nsc":"nsc://x"}`)
	damaged := t.TempDir()
	if err := os.WriteFile(config.RunFilePath(damaged), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		q    ctl.Query
		want string
	}{
		{ctl.Query{Data: p.data}, "no deployment runs here: there is no " + config.RunFilePath(p.data)},
		{ctl.Query{Data: damaged}, "is damaged: it does not say where the hub is"},
		{ctl.Query{Context: "nope"}, `there is no nats context "nope"`},
		{ctl.Query{Context: "../one"}, `"../one" is not the name of a nats context`},
		{ctl.Query{Context: ".."}, `".." is not the name of a nats context`},
		{ctl.Query{Context: "empty"}, `the nats context "empty" has no url`},
		{ctl.Query{Context: "broken"}, "is not a nats context"},
		{ctl.Query{Context: "nsc"}, "use creds"},
	} {
		c.q.Env = p.env
		_, err := ctl.Find(c.q)
		var problem *config.Problem
		if !errors.As(err, &problem) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: %v", c.q.Context, err)
		}
	}
}

func TestConnectByContextAndEnvironment(t *testing.T) {
	c := streamstest.Start(t)
	u, err := url.Parse(c.HubURL())
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	p := newPlace(t)
	p.context(t, "hub", `{"url":"nats://`+u.Host+`","user":"`+u.User.Username()+`","password":"`+password+`"}`)
	try := func(q ctl.Query) error {
		q.Data, q.Env = p.data, p.env
		d, err := ctl.Find(q)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := d.Connect(c.Context(), slog.New(slog.DiscardHandler))
		if err == nil {
			conn.Close()
		}
		return err
	}
	if err := try(ctl.Query{Context: "hub"}); err != nil {
		t.Error(err)
	}
	p.vars["NATS_URL"], p.vars["NATS_USER"], p.vars["NATS_PASSWORD"] = "nats://"+u.Host, u.User.Username(), password
	if err := try(ctl.Query{}); err != nil {
		t.Error(err)
	}
	var problem *config.Problem
	p.vars["NATS_PASSWORD"] = "wrong"
	if err := try(ctl.Query{}); !errors.As(err, &problem) || !strings.Contains(err.Error(), "refuses the credentials of NATS_URL") {
		t.Error(err)
	}
	p.vars["NATS_CREDS"] = filepath.Join(p.data, "nowhere.creds")
	if err := try(ctl.Query{}); !errors.As(err, &problem) || !strings.Contains(err.Error(), "nowhere.creds") {
		t.Error(err)
	}
}

// A process that was killed leaves its run.json behind.
func TestStaleRunFile(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	p := newPlace(t)
	p.run(t, "nats://canopy:secret@"+address)
	d, err := ctl.Find(ctl.Query{Data: p.data, Env: p.env})
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.Connect(context.Background(), slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "is stale: nobody answers at nats://canopy:xxxxx@"+address) || strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
}

func TestStreams(t *testing.T) {
	c := streamstest.StartWith(t, streamstest.Options{Empty: true})
	conn := connect(t, c)
	small := provision.Options{Replicas: 1, MaxBytes: 64 << 20}
	plan, err := ctl.PlanStreams(c.Context(), conn, small)
	if err != nil || len(plan.Changes) == 0 || plan.Refused() != 0 {
		t.Fatal(err, plan)
	}
	if err := plan.Apply(c.Context()); err != nil {
		t.Fatal(err)
	}
	if plan, err = ctl.PlanStreams(c.Context(), conn, small); err != nil || len(plan.Changes) != 0 {
		t.Error(err, plan)
	}
	small.MaxBytes = 32 << 20
	if plan, err = ctl.PlanStreams(c.Context(), conn, small); err != nil || len(plan.Changes) != 4 || plan.Refused() != 0 {
		t.Error(err, plan)
	}
}
