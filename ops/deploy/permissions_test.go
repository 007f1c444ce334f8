package deploy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/natsd"
)

// end is a subject that an edge may send and hear: whatever was under way before it has come when it comes.
const end = "eph.w1.typing.end"

// edgeMaySend is what an edge says to the hub, one subject of each kind.
var edgeMaySend = []string{
	"chat.0.w1.c1", "chat.3.w1.c1",
	"eph.w1.typing.c1", "eph.w1.presence.u1", "eph.w1.ask.eu", "eph.-.lease.eu.g1",
	"probe.p1", "$JS.hub.API.INFO", "$JS.hub.API.DIRECT.GET.PROBE",
	"$JS.hub.API.DIRECT.GET.CHAT_0", "$JS.hub.API.DIRECT.GET.CHAT_1", "$JS.hub.API.DIRECT.GET.CHAT_2", "$JS.hub.API.DIRECT.GET.CHAT_3",
	"$JS.hub.API.STREAM.MSG.GET.CHAT_0", "$JS.hub.API.STREAM.MSG.GET.CHAT_3", "$JS.hub.API.STREAM.INFO.CHAT_0", "$JS.hub.API.STREAM.INFO.CHAT_3",
	"$JS.hub.API.$KV.registry.gateway.g1", "$JS.hub.API.$KV.registry.leaf.l1",
	"$JS.hub.API.CONSUMER.CREATE.KV_revocations.x1", "$JS.hub.API.CONSUMER.DELETE.KV_revocations.x1", "$JS.FC.KV_revocations.x1.abc",
	"rpc.directory.session", "rpc.directory.keys", "rpc.directory.ticket", "rpc.history.send", "rpc.history.message", "rpc.cursors.read", "rpc.cursors.delivered",
	"_INBOX.abc.def",
}

// edgeMayNotSend is what would let an edge speak for others.
var edgeMayNotSend = []string{
	"fan.0.w9.c9", "fan.0.w9.-", "fan.x", // not what the log says of the events above
	"chat.0.w1.-", // who belongs to a workspace
	"$JS.hub.API.STREAM.CREATE.X", "$JS.hub.API.STREAM.UPDATE.CHAT_0", "$JS.hub.API.STREAM.DELETE.CHAT_0", "$JS.hub.API.STREAM.PURGE.CHAT_0",
	"$JS.hub.API.STREAM.MSG.DELETE.CHAT_0", "$JS.hub.API.STREAM.SNAPSHOT.CHAT_0", "$JS.hub.API.STREAM.RESTORE.CHAT_0",
	"$JS.hub.API.STREAM.NAMES", "$JS.hub.API.STREAM.LIST", "$JS.hub.API.STREAM.PEER.REMOVE.CHAT_0", "$JS.hub.API.STREAM.LEADER.STEPDOWN.CHAT_0",
	"$JS.hub.API.CONSUMER.CREATE.CHAT_0.x1", "$JS.hub.API.CONSUMER.CREATE.CHAT_0.x1.chat.0.w1.c1", "$JS.hub.API.CONSUMER.DURABLE.CREATE.CHAT_0.x1",
	"$JS.hub.API.CONSUMER.CREATE.KV_revocations", "$JS.hub.API.CONSUMER.DURABLE.CREATE.KV_revocations.x1", "$JS.hub.API.CONSUMER.CREATE.KV_registry.x1",
	"$JS.hub.API.CONSUMER.NAMES.KV_revocations", "$JS.hub.API.CONSUMER.LIST.CHAT_0", "$JS.hub.API.CONSUMER.INFO.CHAT_0.persist",
	"$JS.hub.API.CONSUMER.DELETE.CHAT_0.persist", "$JS.hub.API.CONSUMER.PAUSE.CHAT_0.persist", "$JS.hub.API.CONSUMER.MSG.NEXT.CHAT_0.persist",
	"$JS.hub.API.DIRECT.GET.ADVISORIES", "$JS.hub.API.DIRECT.GET.KV_registry", "$JS.hub.API.STREAM.MSG.GET.KV_registry",
	"$JS.hub.API.$KV.revocations.s1", "$JS.hub.API.$KV.registry.api.a1", "$JS.hub.API.$KV.registry.persist.a1",
	"$JS.hub.API.META.LEADER.STEPDOWN", "$JS.hub.API.SERVER.REMOVE", "$JS.hub.API.ACCOUNT.PURGE.CANOPY",
	"$JS.API.INFO", "$JS.API.STREAM.DELETE.CHAT_0", "$KV.registry.gateway.g1", "$KV.revocations.s1",
	"rpc.admin.users", "rpc.admin.token", "rpc.directory.import", "rpc.deadletter.retry", "rpc.ledger.show",
	"dlq.CHAT_0.persist", "parked.CHAT_0.persist", "delivery.w1.u1", "delivery.w1.u1.7", "sched.w1.u1.s1", "due.w1.u1.s1",
	"$SRV.PING", "$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED.CHAT_0", "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.CHAT_0.persist",
	"$JS.FC.CHAT_0.x1.abc", "$SYS.REQ.SERVER.PING", "anything.else",
}

// edgeMayHear is what the hub tells an edge, edgeMayNotHear what it must not.
var edgeMayHear = []string{
	"fan.0.w1.c1", "fan.3.w1.-", "eph.w1.typing.c1", "eph.-.lease.us.g1",
	"$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED.CHAT_0", "$SRV.PING", "$SRV.INFO.gateway.g1", "_INBOX.abc.def",
}

var edgeMayNotHear = []string{
	"rpc.directory.session", "rpc.admin.token", "rpc.cursors.read", "dlq.CHAT_0.persist", "delivery.w1.u1", "due.w1.u1.s1",
	"$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.CHAT_0.persist", "$JS.EVENT.ADVISORY.API", "$JS.byhand.API.INFO", "anything.else",
}

func (s *site) region(t *testing.T) *rawLeaf {
	t.Helper()
	cfg, err := clientTLS(s.tls, true)
	if err != nil {
		t.Fatal(err)
	}
	l, err := openLeaf(t, s.leafs[0], "eu", euPassword, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (s *site) testDoors(t *testing.T) {
	with, err := clientTLS(s.tls, true)
	if err != nil {
		t.Fatal(err)
	}
	without, err := clientTLS(s.tls, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openLeaf(t, s.leafs[0], "eu", euPassword, with); err != nil {
		t.Fatalf("the region itself: %v", err)
	}
	if _, err := openLeaf(t, s.leafs[0], "eu", euPassword, without); err == nil {
		t.Error("a leaf without a certificate gets in")
	}
	for user, password := range map[string]string{"eu": "wrong", "canopy": appPassword, "sys": sysPassword, "": ""} {
		if _, err := openLeaf(t, s.leafs[0], user, password, with); err == nil || !strings.Contains(err.Error(), "Authorization") {
			t.Errorf("a leaf as %q: %v", user, err)
		}
	}
	at := strings.TrimPrefix(s.hubs[0].ClientURL(), "nats://")
	at = at[strings.LastIndex(at, "@")+1:]
	for user, password := range map[string]string{"eu": euPassword, "canopy": "wrong", "": ""} {
		if nc, err := nats.Connect("nats://"+at, nats.UserInfo(user, password)); err == nil {
			nc.Close()
			t.Errorf("a client as %q gets in", user)
		}
	}
}

// heard are the subjects that come to a subscription, up to end.
func heard(t *testing.T, sub *nats.Subscription) []string {
	t.Helper()
	var subjects []string
	for {
		m, err := sub.NextMsg(wait)
		if err != nil {
			t.Fatalf("after %v: %v", subjects, err)
		}
		if m.Subject == end {
			return subjects
		}
		subjects = append(subjects, m.Subject)
	}
}

// mapped is how a subject of a domain's API is called inside a server of that domain.
func mapped(domain, subject string) string {
	rest, ok := strings.CutPrefix(subject, "$JS."+domain+".API.")
	switch {
	case !ok:
		return subject
	case strings.HasPrefix(rest, "$KV."):
		return rest
	}
	return "$JS.API." + rest
}

func (s *site) testRegionSends(t *testing.T) {
	l := s.region(t)
	nc := s.services()
	all, err := nc.SubscribeSync(">")
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	for _, subject := range append(slices.Clone(edgeMaySend), end) {
		if err := l.publish(subject); err != nil {
			t.Fatal(err)
		}
	}
	times := map[string]int{} // the hub has one name for $JS.hub.API.INFO, which is allowed, and $JS.API.INFO
	for _, subject := range heard(t, all) {
		times[subject]++
	}
	for _, subject := range edgeMaySend {
		if times[mapped(streams.HubDomain, subject)] == 0 {
			t.Errorf("%s does not arrive at the hub", subject)
		}
	}
	for _, subject := range edgeMayNotSend { // each by a connection of its own, for the hub cuts it
		insists := s.region(t)
		if err := insists.publish(subject); err != nil {
			t.Fatal(err)
		}
		if err := insists.synced(); err == nil {
			t.Errorf("the hub takes %s", subject)
		}
	}
	if err := nc.Publish(end, nil); err != nil {
		t.Fatal(err)
	}
	got := heard(t, all)
	for _, subject := range edgeMayNotSend {
		if slices.Contains(got, mapped(streams.HubDomain, subject)) {
			t.Errorf("%s arrives at the hub", subject)
		}
	}
}

func (s *site) testRegionHears(t *testing.T) {
	l := s.region(t)
	nc := s.services()
	subjects := append(slices.Concat(edgeMayHear, edgeMayNotHear), end)
	// A subscription to everything is no crime; it is sent what is allowed.
	subscriptions := "LS+ >\r\n"
	for _, subject := range edgeMayHear {
		subscriptions += "LS+ " + subject + "\r\n"
	}
	if err := l.write(subscriptions); err != nil {
		t.Fatal(err)
	}
	if err := l.synced(); err != nil {
		t.Fatal(err)
	}
	for _, subject := range subjects {
		if err := nc.Publish(subject, nil); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for {
		line, subject, err := l.next()
		if err != nil {
			t.Fatalf("after %v: %v", got, err)
		}
		if subject == end {
			break
		}
		if strings.HasPrefix(line, "LMSG") {
			got = append(got, subject)
		}
	}
	for _, subject := range edgeMayHear {
		if !slices.Contains(got, subject) {
			t.Errorf("%s does not arrive at the edge", subject)
		}
	}
	for _, subject := range edgeMayNotHear {
		if slices.Contains(got, subject) {
			t.Errorf("%s arrives at the edge", subject)
		}
		insists := s.region(t)
		if err := insists.write("LS+ " + subject + "\r\n"); err != nil {
			t.Fatal(err)
		}
		if err := insists.synced(); err == nil {
			t.Errorf("the hub takes a subscription to %s", subject)
		}
	}
}

// testGateway tries what the leaf lets its own clients do.
func (s *site) testGateway(t *testing.T, eu *natsd.Leaf) {
	const last = "not.allowed.either"
	refused := make(chan string, 1000)
	nc := dial(t, eu.ClientURL(), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err.Error() }))
	own := []string{
		"$JS.eu.API.STREAM.INFO.KV_presence", "$JS.eu.API.STREAM.CREATE.KV_presence", "$JS.eu.API.STREAM.UPDATE.KV_presence",
		"$JS.eu.API.CONSUMER.CREATE.KV_presence.x1", "$JS.eu.API.CONSUMER.DELETE.KV_presence.x1", "$JS.FC.KV_presence.x1.abc",
		"$JS.eu.API.STREAM.MSG.GET.KV_presence", "$JS.eu.API.DIRECT.GET.KV_presence", "$JS.eu.API.$KV.presence.eu.g1",
	}
	notOwn := []string{
		"$JS.eu.API.STREAM.DELETE.KV_presence", "$JS.eu.API.STREAM.PURGE.KV_presence", "$JS.eu.API.STREAM.CREATE.X",
		"$JS.eu.API.STREAM.NAMES", "$JS.eu.API.META.LEADER.STEPDOWN", "$JS.eu.API.$KV.other.x", "$JS.us.API.STREAM.DELETE.KV_presence",
	}
	for _, subject := range slices.Concat(edgeMaySend, own, edgeMayNotSend, notOwn, []string{last}) {
		if err := nc.Publish(subject, []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	got := refusals(t, refused, last)
	for _, subject := range slices.Concat(edgeMaySend, own) {
		if slices.Contains(got, mapped("eu", subject)) {
			t.Errorf("a gateway may not send %s", subject)
		}
	}
	for _, subject := range slices.Concat(edgeMayNotSend, notOwn) {
		if !slices.Contains(got, mapped("eu", subject)) {
			t.Errorf("a gateway may send %s", subject)
		}
	}

	for _, subject := range append(slices.Concat(edgeMayHear, edgeMayNotHear, []string{">", "$SYS.>", "chat.>", "rpc.>"}), last) {
		if _, err := nc.SubscribeSync(subject); err != nil {
			t.Fatal(err)
		}
	}
	got = refusals(t, refused, last)
	for _, subject := range edgeMayHear {
		if slices.Contains(got, subject) {
			t.Errorf("a gateway may not hear %s", subject)
		}
	}
	for _, subject := range append(edgeMayNotHear, ">", "$SYS.>", "chat.>", "rpc.>") {
		if !slices.Contains(got, subject) {
			t.Errorf("a gateway may hear %s", subject)
		}
	}
}

// refusals are the subjects that a server refused, up to last.
func refusals(t *testing.T, from <-chan string, last string) []string {
	t.Helper()
	var subjects []string
	for {
		text := <-from // the test's own limit of time bounds it
		parts := strings.Split(text, `"`)
		if len(parts) < 2 {
			t.Fatalf("not a refusal: %s", text)
		}
		if parts[1] == last {
			return subjects
		}
		subjects = append(subjects, parts[1])
	}
}

// The lists name every stream that there is, so that a new one is thought about.
func TestTheFilesKnowEveryShard(t *testing.T) {
	for _, stream := range streams.ChatStreams() {
		for _, api := range []string{"DIRECT.GET.", "STREAM.MSG.GET.", "STREAM.INFO."} {
			subject := fmt.Sprintf("%q", "$JS.hub.API."+api+stream)
			for name, file := range shipped {
				if strings.Count(file, subject) != 1 {
					t.Errorf("%s does not have %s", name, subject)
				}
			}
		}
	}
}
