package audit_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/services/store/cassandra"
	"github.com/canopychat/canopy/services/store/cassandra/ring"
	"github.com/canopychat/canopy/services/store/storetest"
)

// slow is how long a node may take that has much else to do.
const slow = 20 * time.Second

// TestRows reads what lies in Cassandra through each of its nodes, and makes no keyspace where there is none.
func TestRows(t *testing.T) {
	hosts := strings.Split(storetest.Server(t, storetest.Cassandra), ",")
	w := newTown(t)
	id := strings.ReplaceAll(uuid.NewString(), "-", "")
	keyspace, channel := "canopy_test_"+id[:12], chat.ChannelID("c"+id[:24])
	w.space, w.channels = chat.WorkspaceID("w"+id[:24]), []chat.ChannelID{channel}
	w.config.Cassandra, w.config.Keyspace, w.config.Patience = hosts, keyspace, time.Minute
	missing := w.audit()
	missing.Rows(w.ctx)
	if unmet := missing.Unmet(); len(unmet) != len(hosts) {
		t.Errorf("of a keyspace that is not there the audit says %q", unmet)
	}

	db, err := cassandra.Open(w.ctx, cassandra.Config{Hosts: hosts, Keyspace: keyspace, Timeout: slow})
	w.must(err)
	t.Cleanup(func() { drop(t, hosts, keyspace) })
	var all []event.Stored
	for seq := chat.Seq(1); seq <= chat.MaxPageSize+10; seq++ {
		all = append(all, event.Stored{WorkspaceID: w.space, Seq: seq, At: time.Now().UTC(), Event: event.Event{
			V: event.Version, Kind: event.MessagePosted, Epoch: 1, ChannelID: channel, SenderID: "ann", ClientMsgID: chat.ClientMsgID(uuid.NewString()), Body: "hello",
		}})
	}
	all = append(all, event.Stored{WorkspaceID: w.space, Seq: chat.MaxPageSize + 11, At: time.Now().UTC(), Event: event.Event{
		V: event.Version, Kind: event.MessageDeleted, Epoch: 1, ChannelID: channel, SenderID: "ann", MessageSeq: 3,
	}})
	w.must(db.Apply(w.ctx, all))
	w.must(db.Close())

	w.text.Reset()
	a := w.audit()
	a.Rows(w.ctx)
	if unmet := a.Unmet(); len(unmet) > 0 {
		t.Errorf("the audit misses %q", unmet)
	}
	by := views(w.recorded())
	for _, host := range hosts {
		kept := by["cassandra "+host]
		if len(kept) != chat.MaxPageSize+10 {
			t.Errorf("%s has %d messages", host, len(kept))
		}
		for seq, k := range kept {
			want := record.Message{Seq: seq, Sender: "ann", ID: k.ID, Body: "hello"}
			if seq == 3 {
				want.Body, want.Deleted = "", true
			}
			if k.Body != want.Body || k.Deleted != want.Deleted || k.Sender != want.Sender || k.ID == "" || k.Channel != string(channel) || k.Who != "" {
				t.Errorf("%s has %d as %+v", host, seq, k)
			}
		}
	}
}

func drop(t *testing.T, hosts []string, keyspace string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r, err := ring.Open(ctx, ring.Config{Hosts: hosts, Keyspace: keyspace, Timeout: slow})
	if err != nil {
		t.Error(err)
		return
	}
	if err := r.DropKeyspace(ctx); err != nil {
		t.Error(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}
