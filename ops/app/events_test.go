package app_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// happened is what a test knows of an event: its seq when the answer told it.
type happened struct {
	kind    string
	channel string
	seq     uint64 // 0: not told
}

func (h happened) String() string { return fmt.Sprintf("%s in %.8s at %d", h.kind, h.channel, h.seq) }

// kindOf is the kind of event that a frame shows.
func kindOf(f frame) string {
	if f.Type == "message.deliver" {
		return "message.posted"
	}
	return f.Kind
}

// checkFrames compares frames with what happened.
func checkFrames(t *testing.T, who string, got []frame, want []happened) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(want):
			t.Errorf("%s: %s was not expected", who, got[i].raw)
		case i >= len(got):
			t.Errorf("%s: %s is missing", who, want[i])
		case kindOf(got[i]) != want[i].kind || got[i].ChannelID != want[i].channel || (want[i].seq != 0 && got[i].Seq != want[i].seq):
			t.Fatalf("%s: frame %d is %s, want %s", who, i, got[i].raw, want[i])
		}
	}
}

// talk is a conversation with an event of every kind that people can cause, and what happened in it.
type talk struct {
	alice, bob       *user
	a, b             *socket
	general          string
	root, reply      uint64
	edited, restEdit uint64
	gone             []uint64 // deleted messages
	dm               string   // how it begins is seen by each from their own joining on
	public           []happened
}

func (k *talk) did(kind, channel string, seq uint64) {
	k.public = append(k.public, happened{kind, channel, seq})
}

// pathOf is the path of a message.
func pathOf(channel string, seq uint64) string {
	return fmt.Sprintf("/channels/%s/messages/%d", channel, seq)
}

// chat makes the events of messages: over the socket and over REST.
func (k *talk) chat() {
	g := k.general
	k.root = k.a.say(g, "the root")
	k.did("message.posted", g, k.root)
	k.reply = k.bob.post(g, map[string]any{"body": "a reply", "thread": k.root}).Seq
	k.did("message.posted", g, k.reply)
	k.edited = k.a.do("message.edit", map[string]any{"channel_id": g, "seq": k.root, "body": "the root, edited"})
	k.did("message.edited", g, k.edited)
	k.restEdit = k.bob.store(http.StatusOK, "PATCH", pathOf(g, k.reply), map[string]any{"body": "a reply, edited"}).Seq
	k.did("message.edited", g, k.restEdit)
	k.did("reaction.added", g, k.a.do("reaction.add", map[string]any{"channel_id": g, "seq": k.reply, "emoji": "🎉"}))
	k.did("reaction.added", g, k.b.do("reaction.add", map[string]any{"channel_id": g, "seq": k.reply, "emoji": "🎉"}))
	k.did("reaction.removed", g, k.a.do("reaction.remove", map[string]any{"channel_id": g, "seq": k.reply, "emoji": "🎉"}))
	thumb := pathOf(g, k.root) + "/reactions/" + url.PathEscape("👍")
	k.did("reaction.added", g, k.bob.store(http.StatusOK, "PUT", thumb, nil).Seq)
	k.did("reaction.removed", g, k.bob.store(http.StatusOK, "DELETE", thumb, nil).Seq)
	k.did("reaction.added", g, k.alice.store(http.StatusOK, "PUT", thumb, nil).Seq)
	for _, by := range []string{"socket", "REST"} {
		seq := k.a.say(g, "to be deleted over "+by)
		k.did("message.posted", g, seq)
		k.gone = append(k.gone, seq)
		if by == "socket" {
			k.did("message.deleted", g, k.a.do("message.delete", map[string]any{"channel_id": g, "seq": seq}))
		} else {
			k.did("message.deleted", g, k.alice.store(http.StatusOK, "DELETE", pathOf(g, seq), nil).Seq)
		}
	}
	pin := fmt.Sprintf("/channels/%s/pins/", g)
	k.did("pin.added", g, k.bob.store(http.StatusOK, "PUT", fmt.Sprint(pin, k.root), nil).Seq)
	k.did("pin.added", g, k.bob.store(http.StatusOK, "PUT", fmt.Sprint(pin, k.reply), nil).Seq)
	k.did("pin.removed", g, k.alice.store(http.StatusOK, "DELETE", fmt.Sprint(pin, k.root), nil).Seq)
}

// people makes the events of channels and their members that both people see.
func (k *talk) people() {
	open := k.alice.create("open", "public")
	k.did("channel.created", open, 0)
	// Bob is not in it yet: alice alone sees that she joined it.
	k.bob.must(http.StatusOK, "POST", "/channels/"+open+"/join", nil, nil)
	k.did("member.joined", open, 0)
	k.a.joined(open) // what the log said comes to a gateway a moment after REST has answered
	k.did("message.posted", open, k.a.say(open, "welcome"))
	k.bob.must(http.StatusNoContent, "POST", "/channels/"+open+"/leave", nil, nil)
	k.did("member.left", open, 0)
	var dm struct{ ID, Type string }
	k.alice.must(http.StatusCreated, "POST", k.alice.workspace("/dms"), map[string]any{"user_ids": []string{k.bob.id}}, &dm)
	if dm.Type != "dm" {
		k.a.t.Errorf("a direct message is of type %q", dm.Type)
	}
	k.dm = dm.ID
	k.b.joined(dm.ID)
	k.did("message.posted", dm.ID, k.b.say(dm.ID, "between us"))
}

// Everything that people do travels the whole way: socket or REST, log, live frame, frame of a resume, store,
// history. It does so from the ring and from pages of the log.
func TestEveryKindTravelsTheWholeWay(t *testing.T) {
	t.Parallel()
	for name, ring := range map[string]int{"ring": 2048, "pages of the log": 2} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig(t)
			cfg.Edge.RingEntries = ring
			d := up(t, cfg)
			k := &talk{alice: d.signIn("alice"), bob: d.signIn("bob")}
			k.general = k.alice.channel("general")
			k.a, k.b = k.alice.open(), k.bob.open()
			silentA, silentB := k.alice.open(), k.bob.open() // they only listen
			k.chat()
			k.people()
			k.did("message.posted", k.general, k.a.say(k.general, "the end"))
			end := k.public[len(k.public)-1].seq

			bobs := silentB.until(end)
			checkOrder(t, "bob", k.bob.id, bobs)
			checkFrames(t, "bob", k.withoutDM(t, k.bob, bobs), k.public)
			alices := silentA.until(end)
			checkOrder(t, "alice", k.alice.id, alices)
			k.checkAlice(t, alices)
			k.checkShapes(t, bobs)
			k.checkResumed(t, bobs, k.bob.open(k.b.hello.Head).until(end))
			k.checkHistory(t)
			d.settled()
			k.checkHistory(t)
		})
	}
}

// checkAlice compares alice's frames with bob's: she sees in addition that she joined the channel that she made.
func (k *talk) checkAlice(t *testing.T, frames []frame) {
	t.Helper()
	var rest []frame
	extra := 0
	frames = k.withoutDM(t, k.alice, frames)
	for i, f := range frames {
		if f.Kind == "member.joined" && f.UserID == k.alice.id && i > 0 && frames[i-1].Kind == "channel.created" && extra == 0 {
			extra++
			continue
		}
		rest = append(rest, f)
	}
	if extra != 1 {
		t.Errorf("alice did not see herself join the channel that she made")
	}
	checkFrames(t, "alice", rest, k.public)
}

// withoutDM is frames without the beginning of the direct message, of which each sees their own joining at least.
func (k *talk) withoutDM(t *testing.T, who *user, frames []frame) []frame {
	t.Helper()
	joined := false
	rest := slices.DeleteFunc(slices.Clone(frames), func(f frame) bool {
		joined = joined || f.Kind == "member.joined" && f.ChannelID == k.dm && f.UserID == who.id
		return f.ChannelID == k.dm && f.Type == "event"
	})
	if !joined {
		t.Errorf("%s did not hear of the direct message", who.id)
	}
	return rest
}

// checkShapes looks into frames for what DESIGN §9 promises of them.
func (k *talk) checkShapes(t *testing.T, frames []frame) {
	t.Helper()
	for _, f := range frames {
		if at, err := time.Parse("2006-01-02T15:04:05.000Z", f.TS); err != nil || time.Since(at) > time.Hour {
			t.Errorf("the time of %s", f.raw)
		}
		switch f.Type {
		case "message.deliver":
			m := f.Message
			if m.Seq != f.Seq || m.ServerMsgID != fmt.Sprintf("1.%d", f.Seq) || m.TS != f.TS || m.SenderID == "" || m.ClientMsgID == "" {
				t.Errorf("a message: %s", f.raw)
			}
		case "event":
			if f.SenderID == "" {
				t.Errorf("nobody did %s", f.raw)
			}
		}
		about := map[uint64]uint64{k.edited: k.root, k.restEdit: k.reply}
		if want, ok := about[f.Seq]; ok && f.MessageSeq != want {
			t.Errorf("an edit of %d: %s", want, f.raw)
		}
	}
}

// checkResumed compares the frames of a resume with those that came live. A message that was deleted since may be
// shown without its text, or not at all when the log has erased it.
func (k *talk) checkResumed(t *testing.T, live, resumed []frame) {
	t.Helper()
	deleted := func(f frame) bool { return slices.Contains(k.gone, f.Seq) }
	for _, f := range resumed {
		if deleted(f) && f.Message != nil && f.Message.Body != "" {
			t.Errorf("a resume shows what was deleted: %s", f.raw)
		}
	}
	live, resumed = slices.DeleteFunc(slices.Clone(live), deleted), slices.DeleteFunc(resumed, deleted)
	for i := range max(len(live), len(resumed)) {
		switch {
		case i >= len(resumed):
			t.Errorf("the resume lacks %s", live[i].raw)
		case i >= len(live):
			t.Errorf("the resume has %s besides", resumed[i].raw)
		case live[i].raw != resumed[i].raw && !slices.Contains(k.gone, live[i].Prev):
			t.Fatalf("live    %s\nresumed %s", live[i].raw, resumed[i].raw)
		}
	}
}

// checkHistory compares what REST reads with what was done.
func (k *talk) checkHistory(t *testing.T) {
	t.Helper()
	all, complete := k.bob.history(k.general)
	if end := k.public[len(k.public)-1].seq; complete < end {
		t.Errorf("history is complete through %d, the log through %d", complete, end)
	}
	bySeq := make(map[uint64]message)
	for i, m := range all {
		bySeq[m.Seq] = m
		if i > 0 && m.Seq <= all[i-1].Seq {
			t.Errorf("history has %d after %d", m.Seq, all[i-1].Seq)
		}
	}
	root, reply := bySeq[k.root], bySeq[k.reply]
	if root.Body != "the root, edited" || root.EditedAt == "" || root.SenderID != k.alice.id {
		t.Errorf("the root: %+v", root)
	}
	if len(root.Reactions) != 1 || root.Reactions[0].Emoji != "👍" || !slices.Equal(root.Reactions[0].UserIDs, []string{k.alice.id}) {
		t.Errorf("the root's reactions: %+v", root.Reactions)
	}
	if reply.Body != "a reply, edited" || reply.Thread != k.root || len(reply.Reactions) != 1 || !slices.Equal(reply.Reactions[0].UserIDs, []string{k.bob.id}) {
		t.Errorf("the reply: %+v", reply)
	}
	for _, seq := range k.gone {
		if m := bySeq[seq]; !m.Deleted || m.Body != "" {
			t.Errorf("a deleted message: %+v", m)
		}
	}
	replies := k.alice.list(pathOf(k.general, k.root) + "/replies")
	if len(replies.Messages) != 1 || replies.Messages[0].Seq != k.reply {
		t.Errorf("replies: %+v", replies)
	}
	pins := k.alice.list("/channels/" + k.general + "/pins")
	if len(pins.Messages) != 1 || pins.Messages[0].Seq != k.reply || pins.Messages[0].Body != "a reply, edited" {
		t.Errorf("pins: %+v", pins)
	}
}

// hub is a connection to the hub, as an operator has one with the nats command.
func (d *deployment) hub() *nats.Conn {
	d.t.Helper()
	nc, err := nats.Connect(d.run.Hub)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(nc.Close)
	return nc
}

func (d *deployment) jetStream() jetstream.JetStream {
	d.t.Helper()
	js, err := jetstream.NewWithDomain(d.hub(), "hub")
	if err != nil {
		d.t.Fatal(err)
	}
	return js
}

// settled waits until the persister has taken everything that the logs hold.
func (d *deployment) settled() {
	d.t.Helper()
	js := d.jetStream()
	ctx, cancel := context.WithTimeout(d.t.Context(), patience)
	defer cancel()
	for shard := range 4 {
		name := fmt.Sprintf("CHAT_%d", shard)
		for {
			c, err := js.Consumer(ctx, name, "persist")
			if err != nil {
				d.t.Fatalf("the persister of %s: %v", name, err)
			}
			if i := c.CachedInfo(); i.NumPending == 0 && i.NumAckPending == 0 {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}
