package stranger_test

import (
	"context"
	"strings"
	"testing"

	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/ops/verify/stranger"
)

// Nothing that is hostile is let in, and each attempt is answered for good.
func TestProbesAreRefused(t *testing.T) {
	p := up(t)
	p.channels()
	alice, bob := p.hand("alice", "alice/1"), p.hand("bob", "bob/1")
	var there struct{ ID string }
	p.setup("alice", "POST", "/workspaces", `{"name":"elsewhere"}`, &there)
	var secret struct{ ID string }
	p.setup("alice", "POST", "/workspaces/"+there.ID+"/channels", `{"name":"secret"}`, &secret)
	p.open(alice, "alice/1/1", "")
	for i, name := range stranger.Probes {
		if len(bob.Open()) == 0 {
			p.open(bob, "bob/1/"+string(rune('a'+i%26)), "")
		}
		target := secret.ID
		if strings.Contains(name, "workspace") {
			target = there.ID
		}
		op := record.Op{F: record.Probe, Body: name, Conn: bob.Open()[0], Channel: p.general, Target: target}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		bob.Do(ctx, &op)
		cancel()
		if op.Outcome != record.Refused || op.Code == "" {
			t.Errorf("%s: %s %q", name, op.Outcome, op.Code)
		}
		t.Logf("%s: %s %s", name, op.Outcome, op.Code)
	}
	if len(bob.Open()) == 0 {
		p.open(bob, "bob/1/last", "")
	}
	conn := bob.Open()[0]
	literal := func(over, body string) record.Op {
		return record.Op{F: record.Probe, Over: over, Body: body, Conn: conn}
	}
	p.ends(bob, record.Refused, "not_found", literal(record.REST, "GET /channels/"+secret.ID+"/messages"))
	p.ends(bob, record.Refused, "not_found", literal(record.REST, `POST /channels/*/messages {"body":"y","client_msg_id":"z"}`))
	p.ends(bob, record.Refused, "invalid", literal(record.REST, `POST /channels/`+p.general+`/messages {"body":`))
	p.ends(bob, record.Refused, "not_found", literal(record.Socket, `{"type":"message.send","channel_id":"`+secret.ID+`","body":"y","client_msg_id":"z"}`))
	p.ends(bob, record.Refused, "not_found", literal(record.Socket, `{"type":"message.delete","channel_id":"*","seq":1,"ref":7}`))
	p.ends(bob, record.Refused, "not_found", literal("connect", "workspace="+there.ID+"&cursor=1.1"))
	p.do(bob, literal(record.REST, "GET /me")) // it is let in, so a probe of it is ok
	p.do(bob, literal(record.Socket, `{"type":"ping","ref":"x"}`))
	p.do(bob, literal("connect", "workspace="+p.run.Workspace.ID))
	p.ends(bob, record.Unknown, `there is no probe "none"`, record.Op{F: record.Probe, Body: "none"})
}
