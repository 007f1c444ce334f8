package local_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/ops/local"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/streams"
)

// A workspace that is made in eu lies in the shard that eu's tag names, on hub servers of eu, and gateways of us serve it as
// their own. Each shard has one copy here: three want three servers with the tag.
func TestPlacement(t *testing.T) {
	o := sharedStores(t) // then each region has an api of its own, which knows where it stands
	o.Settings = []string{"streams.replicas=1", "streams.placement=3=region:eu,1=region:us"}
	s := start(t, o)
	for shard, hubs := range map[int][]string{3: {"hub-1", "hub-3"}, 1: {"hub-2"}} { // regions in turn
		var lies *local.Process
		s.awaits("the shard has a place", func() bool {
			var err error
			lies, err = s.StreamLeader(s.ctx, shard)
			return err == nil && lies != nil
		})
		if !slices.Contains(hubs, lies.Name) {
			t.Errorf("shard %d lies on %s, want one of %s", shard, lies.Name, strings.Join(hubs, ", "))
		}
	}
	ada := s.talks("ada", "", chat.Cursor{}).online()
	for _, g := range s.Gateways["us"] {
		bob := s.talks("bob", s.Socket(g), chat.Cursor{}).online()
		first := bob.says("from " + g.Name)
		if m := ada.hears("from " + g.Name).Message; m.Seq != first {
			t.Errorf("ada has it as %d, bob as %d", m.Seq, first)
		}
		ada.says("to " + g.Name)
		bob.hears("to " + g.Name)
		bob.leave()
	}
	ada.leave()
	if n := s.storedIn(3); n == 0 {
		t.Error("the shard of eu has nothing of the workspace")
	}
}

// storedIn is how many events of the workspace a shard holds.
func (s *site) storedIn(shard streams.Shard) (n int) {
	s.t.Helper()
	nc, err := s.Operator()
	if err != nil {
		s.t.Fatal(err)
	}
	defer nc.Close()
	filter, err := streams.ChatWorkspaceFilter(shard, s.town.Workspace)
	if err != nil {
		s.t.Fatal(err)
	}
	js, err := jetstream.NewWithDomain(nc, streams.HubDomain)
	if err != nil {
		s.t.Fatal(err)
	}
	stream, err := js.Stream(s.ctx, streams.ChatStream(shard))
	if err != nil {
		s.t.Fatal(err)
	}
	info, err := stream.Info(s.ctx, jetstream.WithSubjectFilter(filter))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, events := range info.State.Subjects {
		n += int(events)
	}
	return n
}
