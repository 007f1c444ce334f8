package gateway_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/canopychat/canopy/edge/fanout"
	"github.com/canopychat/canopy/edge/gateway"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/streamstest"
)

// everybody is a Directory in which all are in the channel c1.
type everybody struct{ *hub }

func (everybody) Session(context.Context, rpc.SessionRequest) (rpc.SessionReply, error) {
	return rpc.SessionReply{
		WorkspaceID: ws, Shard: int(shard), Epoch: epoch, Role: chat.RoleMember,
		Tenures: []rpc.Tenure{{ChannelID: "c1", Type: chat.ChannelPublic, JoinedSeq: 1}},
	}, nil
}

// jetStream is a Submitter that stores in the real log.
type jetStream struct{ cluster *streamstest.Cluster }

func (j jetStream) Submit(ctx context.Context, c event.Change) (event.Receipt, error) {
	subject, err := streams.ChatSubject(shard, ws, c.ChannelID)
	if err != nil {
		return event.Receipt{}, err
	}
	payload, err := event.Encode(event.Event{
		Kind: c.Kind, Epoch: epoch, ChannelID: c.ChannelID, SenderID: c.UserID, ClientMsgID: c.ClientMsgID, Body: c.Body,
	})
	if err != nil {
		return event.Receipt{}, err
	}
	ack, err := j.cluster.HubJS.Publish(ctx, subject, payload)
	if err != nil {
		return event.Receipt{}, err
	}
	return event.Receipt{Seq: chat.Seq(ack.Sequence), At: time.Now()}, nil
}

// Over a real hub and leaf: sockets talk, the link between them is cut, and what was said meanwhile comes, once, in
// order, to those who stayed and to one who resumes.
func TestOverARealLog(t *testing.T) {
	cluster := streamstest.Start(t)
	bound, err := bus.Dial(bus.DialConfig{URL: cluster.LeafURL(), Role: "test", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bound.Close)
	w := &world{hub: newHub(), t: t, driver: epoll}
	w.feeds = &feeds{Feeds: fanout.New(bound, bus.NewLog(bound), fanout.Config{RingEntries: 16})}
	submitter := jetStream{cluster}
	first := event.Change{Kind: event.MessagePosted, ChannelID: "c1", UserID: "carol", ClientMsgID: "c", Body: "the tenures begin here"}
	if _, err := submitter.Submit(cluster.Context(), first); err != nil {
		t.Fatal(err)
	}
	w.gw, err = gateway.New(gateway.Config{}, gateway.Neighbours{
		Verifier: w.hub, Directory: everybody{w.hub}, Feeds: w.feeds, Submitter: submitter,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(running(t, w.feeds.Run))
	t.Cleanup(running(t, w.gw.Run))
	t.Cleanup(w.serve())

	var alice *client
	w.eventually("a session opens", func() bool {
		alice, err = w.tryOpen("alice", "")
		return err == nil
	})
	defer alice.nc.Close()
	bob := w.open("bob")
	var said []chat.Seq
	for i := range 40 {
		alice.write(post(fmt.Sprint("m", i), "c1", "over the socket"))
		ack, _ := alice.until("message.ack")
		said = append(said, ack.Seq)
	}
	last := said[len(said)-1]
	if got := bob.collect(last); fmt.Sprint(got) != fmt.Sprint(said) {
		t.Fatal(firstDifference(got, said))
	}
	cluster.Link.Cut()
	cluster.WaitUnlinked()
	missed := []chat.Seq{}
	for i := range 40 {
		receipt, err := submitter.Submit(cluster.Context(), event.Change{
			Kind: event.MessagePosted, ChannelID: "c1", UserID: "carol", ClientMsgID: chat.ClientMsgID(fmt.Sprint("c", i)), Body: "over the cut",
		})
		if err != nil {
			t.Fatal(err)
		}
		missed = append(missed, receipt.Seq)
	}
	cluster.Link.Restore()
	if got := bob.collect(missed[len(missed)-1]); fmt.Sprint(got) != fmt.Sprint(missed) {
		t.Fatal(firstDifference(got, missed))
	}
	resumed := w.resume("bob", at(last))
	if got := resumed.collect(missed[len(missed)-1]); fmt.Sprint(got) != fmt.Sprint(missed) {
		t.Fatal(firstDifference(got, missed))
	}
}
