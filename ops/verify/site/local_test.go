package site_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/verify/lever"
	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/ops/verify/site"
	"github.com/canopychat/canopy/schemas/chat"
)

// A whole deployment on files: its people, what every connection goes through, and what comes back after it was taken away.
func TestLocal(t *testing.T) {
	if testing.Short() {
		t.Skip("it breaks a deployment for a minute")
	}
	t.Parallel()
	p := start(t, site.LocalOptions{})
	t.Run("its people", p.sub(peopleAreApart))
	t.Run("its webhook", p.sub(theWebhookIsWrittenDown))
	t.Run("a running one", p.sub(aRunningOneIsReachedThroughAProxy))
	t.Run("every connection goes through a proxy", p.sub(nothingBypassesAProxy))
	t.Run("what is said once is lost", p.sub(whatIsSaidOnceIsLost))
	t.Run("a node that forgets", p.sub(aNodeThatForgetsIsToldAgain))
	t.Run("disks", p.sub(aNodeWithoutRoomIsStartedAgain))
	t.Run("what is killed comes back", p.sub(whatIsKilledComesBack))
	t.Run("nobody was told", p.sub(whatNobodyWasToldOfIsFound))
}

// sub runs a test on the site.
func (p *place) sub(test func(*place)) func(*testing.T) {
	return func(t *testing.T) {
		of := *p
		of.t = t
		test(&of)
	}
}

func peopleAreApart(p *place) {
	if len(p.spaces) != 2 || len(p.spaces[0].People) != 4 || len(p.spaces[1].People) != 3 {
		p.t.Fatalf("the workspaces are %+v", p.spaces)
	}
	for i, space := range p.spaces {
		var names []string
		for _, ch := range space.Channels {
			if ch.Name != "" {
				names = append(names, ch.Name+" "+ch.Type)
			}
		}
		if want := []string{"general public", "one public", "two public", "three public", "secret private"}; !slices.Equal(names, want) {
			p.t.Errorf("the channels of %s are %q", space.Name, names)
		}
		for _, who := range space.People {
			in := p.login(who)
			if of := in.Account().Workspaces; len(of) != 1 || string(of[0].ID) != space.ID {
				p.t.Errorf("%s of workspace %d is in %+v", who.Login, i, of)
			}
			if string(in.Account().User.ID) != who.ID {
				p.t.Errorf("%s has the id %s, and not %s", who.Login, in.Account().User.ID, who.ID)
			}
		}
	}
}

// Nobody has a socket, so who is mentioned is owed the message by the webhook.
func theWebhookIsWrittenDown(p *place) {
	from, to := p.spaces[0].People[0], p.spaces[0].People[1]
	ack := p.says(p.login(from), "@"+to.Login+" are you there?")
	p.until("the webhook is told", func() bool {
		if err := p.rec.Flush(); err != nil {
			p.t.Fatal(err)
		}
		got, err := record.Read(strings.NewReader(p.text.String()))
		if err != nil {
			p.t.Fatal(err)
		}
		return slices.ContainsFunc(got.Ops, func(op record.Op) bool {
			return op.F == record.Notify && op.Who == to.Login && op.Message == int64(ack) && op.Workspace == p.spaces[0].ID && op.Outcome == record.OK
		})
	})
}

func aRunningOneIsReachedThroughAProxy(p *place) {
	owner := p.spaces[0].People[0]
	run, err := site.Running(p.ctx, site.RunningOptions{URL: p.URL, Login: owner.Login, Password: p.passwords[owner.Login]})
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() {
		if err := run.Close(); err != nil {
			p.t.Error(err)
		}
	}()
	spaces, passwords, err := run.Settle(p.ctx, 8, 1)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, l := range run.Levers() {
		if !strings.HasPrefix(l.Tier, "client") {
			p.t.Errorf("%s %s is not ours to pull", l.Fault, l.Tier)
		}
	}
	who := spaces[0].People[0]
	enter := func() error {
		_, err := client.Login(p.ctx, run.URL[who.Region], who.Login, passwords[who.Login], "")
		return err
	}
	cut := pull(p, run.Levers(), "cut", "client-gateway")
	if err := enter(); err == nil {
		p.t.Error("the way is cut, and leads there")
	}
	p.mend(cut)
	if err := enter(); err != nil {
		p.t.Error(err)
	}
}

// When all ways of a kind are cut, who needs them says that it cannot do its work: no connection goes past its proxy.
func nothingBypassesAProxy(p *place) {
	type way struct{ tier, role string }
	for _, together := range [][]way{ // none of those that are cut at once needs another
		{{"gateway-leaf", "gateway"}, {"api-hub", "api"}, {"persist-hub", "persist"}, {"deliver-hub", "deliver"}},
		{{"leaf-hub", "leaf"}},
		{{"hub-hub", "api"}}, // after the time that an election may take
	} {
		var all []lever.Lever
		for _, w := range together {
			all = append(all, pull(p, p.Levers(), "cut", w.tier)...)
		}
		for _, w := range together {
			for _, process := range p.Processes {
				if process.Role == w.role {
					p.until(process.Name+" is not ready without "+w.tier, func() bool { return !ready(p, process) })
				}
			}
		}
		p.mend(all)
		if err := p.Ready(p.ctx); err != nil {
			p.t.Fatalf("after %v: %v", together, err)
		}
	}
	cut := pull(p, p.Levers(), "cut", "client-gateway")
	for region, url := range p.URL {
		if _, err := http.Get(url + "/openapi.json"); err == nil {
			p.t.Errorf("the front of %s is reached past its proxy", region)
		}
	}
	p.mend(cut)
}

// Everything that was answered is there when a node of the hub has lost what it had written last, and when it has lost everything.
func aNodeThatForgetsIsToldAgain(p *place) {
	who := p.spaces[0].People[0]
	in := p.login(who)
	for _, fault := range []string{"unsynced", "wipe"} {
		l := some(p, p.Levers(), fault, "hub")[0]
		if l.Most != 1 || !l.Alone {
			p.t.Errorf("%s may meet another fault", fault)
		}
		first := p.says(in, "before")
		if err := l.Begin(p.ctx); err != nil {
			p.t.Fatalf("%s: %v", fault, err)
		}
		if err := l.End(p.ctx); err != nil {
			p.t.Fatalf("%s: %v", fault, err)
		}
		last := p.says(in, "after")
		page, err := in.History(p.ctx, chat.ChannelID(p.spaces[0].Channels[0].ID), client.Page{Limit: 100})
		if err != nil {
			p.t.Fatal(err)
		}
		for _, seq := range []chat.Seq{first, last} {
			found := false
			for _, m := range page.Messages {
				found = found || m.Seq == seq
			}
			if !found {
				p.t.Errorf("%s: %d is lost", fault, seq)
			}
		}
	}
}

func whatIsKilledComesBack(p *place) {
	for _, role := range []string{"gateway", "leaf", "hub", "api", "persist", "deliver"} {
		l := some(p, p.Levers(), "kill", role)[0]
		var process site.Process
		for _, one := range p.Processes {
			if one.Name == l.Target {
				process = one
			}
		}
		before := process.PID()
		if err := l.Begin(p.ctx); err != nil {
			p.t.Fatal(err)
		}
		if process.PID() != 0 {
			p.t.Errorf("%s was killed, and runs", l.Target)
		}
		for range 2 { // to mend it twice is no mistake
			if err := l.End(p.ctx); err != nil {
				p.t.Fatal(err)
			}
		}
		if after := process.PID(); after == 0 || after == before || !ready(p, process) {
			p.t.Errorf("%s runs as %d after %d, ready: %v", l.Target, after, before, ready(p, process))
		}
	}
	p.says(p.login(p.spaces[0].People[1]), "all are back")
}

// With engines of its own, what is stored goes through proxies as well, and the engines can be broken.
func TestLocalWithEngines(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts a Cassandra and a PostgreSQL")
	}
	t.Parallel()
	p := start(t, site.LocalOptions{Engines: true})
	in := p.login(p.spaces[0].People[0])
	for _, fault := range []struct{ name, tier string }{{"kill", "postgres"}, {"pause", "cassandra"}} {
		broken := pull(p, p.Levers(), fault.name, fault.tier)
		p.mend(broken)
		if err := p.Ready(p.ctx); err != nil {
			t.Fatalf("after %s %s: %v", fault.name, fault.tier, err)
		}
	}
	for _, tier := range []string{"api-cassandra", "api-postgres"} {
		cut := pull(p, p.Levers(), "cut", tier)
		for _, process := range p.Processes {
			if process.Role == "api" {
				p.until(process.Name+" is not ready without "+tier, func() bool { return !ready(p, process) })
			}
		}
		p.mend(cut)
	}
	p.says(in, "all are back")
}

// ready asks a process.
func ready(p *place, process site.Process) bool {
	ctx, cancel := context.WithTimeout(p.ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(process.MetricsURL, "/metrics")+"/readyz", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = answer.Body.Close() // the status is all
	return answer.StatusCode == http.StatusOK
}

// some are levers of one kind; there must be one.
func some(p *place, all []lever.Lever, fault, tier string) []lever.Lever {
	p.t.Helper()
	found := slices.DeleteFunc(slices.Clone(all), func(l lever.Lever) bool { return l.Fault != fault || l.Tier != tier })
	if len(found) == 0 || found[0].Of != len(found) {
		p.t.Fatalf("there are %d levers %s %s", len(found), fault, tier)
	}
	return found
}

// pull begins a fault of all targets of a tier.
func pull(p *place, all []lever.Lever, fault, tier string) []lever.Lever {
	p.t.Helper()
	found := some(p, all, fault, tier)
	for _, l := range found {
		if err := l.Begin(p.ctx); err != nil {
			p.t.Fatalf("%s %s %s: %v", fault, tier, l.Target, err)
		}
	}
	return found
}

// mend ends it, of all at once as a nemesis does.
func (p *place) mend(broken []lever.Lever) {
	p.t.Helper()
	errs := make(chan error, len(broken))
	for _, l := range broken {
		go func() { errs <- l.End(p.ctx) }()
	}
	for range broken {
		if err := <-errs; err != nil {
			p.t.Error(err)
		}
	}
}

func (p *place) login(who record.Person) *client.Client {
	p.t.Helper()
	in, err := client.Login(p.ctx, p.URL[who.Region], who.Login, p.passwords[who.Login], "")
	if err != nil {
		p.t.Fatal(err)
	}
	return in
}

// says posts into the first channel of the first workspace, for as long as it takes.
func (p *place) says(in *client.Client, body string) (seq chat.Seq) {
	p.t.Helper()
	m := client.Message{ChannelID: chat.ChannelID(p.spaces[0].Channels[0].ID), Body: body, ClientMsgID: client.NewMsgID()}
	p.until("a message is taken", func() bool {
		ack, err := in.Post(p.ctx, m)
		seq = ack.Seq
		return err == nil
	})
	return seq
}

func (p *place) until(what string, is func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) || p.t.Context().Err() != nil {
			p.t.Fatalf("waited in vain until %s", what)
		}
	}
}

// lacking is what a machine has not that a site wants.
func lacking(err error) bool {
	return errors.As(err, new(*config.Problem)) && os.Getenv("CANOPY_ENGINES") != "required"
}
