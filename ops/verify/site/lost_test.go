package site_test

import (
	"context"
	"encoding/json"
	"maps"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/ops/verify/site/disk"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/dlq"
)

// hub is what operators ask the hub by.
func (p *place) hub() jetstream.JetStream {
	p.t.Helper()
	nc, err := p.Hub()
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(nc.Close)
	js, err := jetstream.NewWithDomain(nc, streams.HubDomain)
	if err != nil {
		p.t.Fatal(err)
	}
	return js
}

// settings are those of all streams, and of the consumer of ADVISORIES.
func (p *place) settings(js jetstream.JetStream) map[string]string {
	p.t.Helper()
	all := map[string]string{}
	put := func(name string, config any, err error) {
		p.t.Helper()
		text, failed := json.Marshal(config)
		if err != nil || failed != nil {
			p.t.Fatal(name, err, failed)
		}
		all[name] = string(text)
	}
	for _, name := range streams.Streams() {
		stream, err := js.Stream(p.ctx, name)
		if err != nil {
			p.t.Fatal(name, err)
		}
		put(name, stream.CachedInfo().Config, err)
	}
	c, err := js.Consumer(p.ctx, streams.StreamAdvisories, streams.ConsumerDeadletter)
	if err != nil {
		p.t.Fatal(err)
	}
	put(streams.ConsumerDeadletter, c.CachedInfo().Config, nil)
	return all
}

// What is changed in the hub is what the fault is about, and all is afterwards as it was.
func whatIsSaidOnceIsLost(p *place) {
	js := p.hub()
	before := p.settings(js)
	for fault, lost := range map[string]struct {
		of   []string // what is changed
		word string   // that they do not say any more
	}{
		"lost-republishes": {streams.ChatStreams(), "republish"},
		"lost-advisories":  {[]string{streams.StreamAdvisories}, "MSG_TERMINATED"},
	} {
		l := some(p, p.Levers(), fault, "hub")[0]
		if err := l.Begin(p.ctx); err != nil {
			p.t.Fatalf("%s: %v", fault, err)
		}
		during := p.settings(js)
		for _, name := range lost.of {
			if !strings.Contains(before[name], lost.word) || strings.Contains(during[name], lost.word) {
				p.t.Errorf("%s: %s was %s, and is %s", fault, name, before[name], during[name])
			}
		}
		if fault == "lost-advisories" { // what the persisters have noted is lost too
			p.until("the rubbish is noted", func() bool {
				stream, err := js.Stream(p.ctx, streams.StreamAdvisories)
				return err == nil && stream.CachedInfo().State.Msgs > 0
			})
		}
		for range 2 { // to mend it twice is no mistake
			if err := l.End(p.ctx); err != nil {
				p.t.Fatalf("%s: %v", fault, err)
			}
		}
		if after := p.settings(js); !maps.Equal(after, before) {
			p.t.Errorf("%s: the hub was %v, and is %v", fault, before, after)
		}
	}
}

// What was lost above is found.
func whatNobodyWasToldOfIsFound(p *place) {
	js := p.hub()
	p.until("a dead letter says that nobody told of it", func() bool {
		dead, err := js.Stream(p.ctx, streams.StreamDLQ)
		for next := uint64(1); err == nil; next++ {
			var m *jetstream.RawStreamMsg
			if m, err = dead.GetMsg(p.ctx, next); err == nil && m.Header.Get(streams.HeaderDeadFound) == dlq.FoundReconciliation {
				return true
			}
		}
		return false
	})
}

// A node of the hub that finds its disk full is as if it were away: what is said meanwhile is kept, and it has that when there is room again.
func aNodeWithoutRoomIsStartedAgain(p *place) {
	ctx, cancel := context.WithTimeout(p.ctx, time.Minute)
	defer cancel()
	if err := disk.Able(ctx, p.t.TempDir()); err != nil {
		for _, l := range p.Levers() {
			if strings.HasPrefix(l.Fault, "disk-") {
				p.t.Errorf("%s %s is offered", l.Fault, l.Tier)
			}
		}
		p.t.Skip(err)
	}
	in := p.login(p.spaces[0].People[0])
	l := some(p, p.Levers(), "disk-full", "hub")[0]
	if err := l.Begin(p.ctx); err != nil {
		p.t.Fatal(err)
	}
	during := p.says(in, "there is no room")
	if err := l.End(p.ctx); err != nil {
		p.t.Fatal(err)
	}
	slow := some(p, p.Levers(), "disk-slow", "hub")[0]
	if err := slow.Begin(p.ctx); err != nil {
		p.t.Fatal(err)
	}
	slowly := p.says(in, "slowly")
	if err := slow.End(p.ctx); err != nil {
		p.t.Fatal(err)
	}
	page, err := in.History(p.ctx, chat.ChannelID(p.spaces[0].Channels[0].ID), client.Page{Limit: 100})
	if err != nil {
		p.t.Fatal(err)
	}
	for _, seq := range []chat.Seq{during, slowly} {
		found := false
		for _, m := range page.Messages {
			found = found || m.Seq == seq
		}
		if !found {
			p.t.Errorf("%d is lost", seq)
		}
	}
}
