package absent_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/ops/app/stores"
	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/schemas/chat"
	schema "github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/schemas/token"
	"github.com/canopychat/canopy/services/deliver/notice"
	"github.com/canopychat/canopy/services/deliver/target/pushtest"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/rpc"
)

const (
	online    = 200       // of the crowd, whose devices confirm
	returning = crowd / 2 // of the crowd, who come back
)

// masses is a channel with a crowd in it.
type masses struct {
	*town
	people   []chat.UserID // in order, without alice
	messages store.Messages
}

// One message to ten thousand (fewer under the race detector): who is online gets nothing more, everybody else one notice. Of a crowd that comes back nobody is tried.
func TestOneMessageToTenThousand(t *testing.T) {
	t.Parallel()
	cfg := settings(t)
	run, _ := launch(t, cfg)
	w := assemble(t, found(t, run), cfg)
	hooks := pushtest.StartHooks(t)
	w.webhook(hooks)

	began := time.Now()
	first := cursorOf(t, w.says(w.alice, "@channel the soup is ready").ServerMsgID)
	w.confirm(w.people[:online], first) // within the grace
	until(t, "everybody else was told", func() (bool, string) {
		n := hooks.Asked()
		return n >= crowd-online, fmt.Sprint(n)
	})
	w.noJobs()
	t.Logf("%d were told within %v", hooks.Asked(), time.Since(began).Round(100*time.Millisecond))
	w.checkTold(hooks.Taken(), first, w.people[online:])
	w.checkStates(first.Seq, map[chat.DeliveryStatus]int{chat.DeliveryDelivered: crowd - online})
	w.checkLedger(first.Seq)

	w.comeBack(hooks)
	if dead := w.letters(); len(dead) > 0 {
		t.Errorf("%d dead letters: %+v", len(dead), dead[0])
	}
}

// comeBack has a crowd come back to a message that no receiver takes yet.
func (w *masses) comeBack(hooks *pushtest.Hooks) {
	t := w.t
	told, began := len(hooks.Taken()), time.Now()
	hooks.Be(pushtest.Mood{Down: true})
	second := cursorOf(t, w.says(w.alice, "@channel it gets cold").ServerMsgID)
	until(t, "everybody is owed it", func() (bool, string) {
		floor := w.consumer(streams.ChatStream(w.shard()), streams.ConsumerDeliver).AckFloor.Stream
		return floor >= uint64(second.Seq), fmt.Sprint(floor)
	})
	t.Logf("all are owed the second within %v", time.Since(began).Round(100*time.Millisecond))
	before, _ := w.attempts(second.Seq)
	untouched := slices.DeleteFunc(slices.Clone(w.people), func(u chat.UserID) bool { return before[u] > 0 })
	if len(before) != crowd || len(untouched) < crowd*9/10 {
		t.Fatalf("of %d, %d were tried while the receiver was down: its breaker spares nobody", len(before), crowd-len(untouched))
	}
	back := untouched[:returning]
	w.confirm(back, second)
	w.drained() // whatever was looked at before they came back
	before, tried := w.attempts(second.Seq)
	hooks.Be(pushtest.Mood{})
	began = time.Now()
	w.noJobs()
	t.Logf("%d attempts while the receiver was down; after it was back all %d ended within %v", tried, crowd, time.Since(began).Round(time.Second))
	left := slices.DeleteFunc(slices.Clone(w.people), func(u chat.UserID) bool { _, came := slices.BinarySearch(back, u); return came })
	w.checkTold(hooks.Taken()[told:], second, left)
	w.checkStates(second.Seq, map[chat.DeliveryStatus]int{chat.DeliveryDelivered: crowd})
	untried := 0
	for _, s := range w.states(second.Seq) {
		if _, came := slices.BinarySearch(back, s.UserID); !came {
			continue
		}
		if len(s.Attempts) != before[s.UserID] || s.Reason != "device "+string(deviceOf(s.UserID)) {
			t.Fatalf("who came back was tried: %+v", s)
		}
		if len(s.Attempts) == 0 {
			untried++
		}
	}
	if untried < returning-3 { // somebody may have asked for all whether the receiver is back, before they came
		t.Errorf("%d of %d who came back were never tried", untried, returning)
	}
}

// attempts are how often each of the crowd was tried for a message, and all of them together.
func (w *masses) attempts(seq chat.Seq) (of map[chat.UserID]int, sum int) {
	w.t.Helper()
	of = make(map[chat.UserID]int, crowd)
	for _, s := range w.states(seq) {
		of[s.UserID] = len(s.Attempts)
		sum += len(s.Attempts)
	}
	return of, sum
}

// drained waits until all jobs that were handed out by now are dealt with.
func (w *masses) drained() {
	w.t.Helper()
	out := w.consumer(streams.StreamDelivery, streams.ConsumerPush).Delivered.Consumer
	until(w.t, "the jobs that are handed out are dealt with", func() (bool, string) {
		c := w.consumer(streams.StreamDelivery, streams.ConsumerPush)
		return c.AckFloor.Consumer >= out || c.NumAckPending == 0, fmt.Sprintf("%+v, want %d", c.AckFloor, out)
	})
}

func (w *masses) consumer(stream, name string) *jetstream.ConsumerInfo {
	w.t.Helper()
	c, err := w.js.Consumer(w.t.Context(), stream, name)
	if err != nil {
		w.t.Fatal(err)
	}
	return c.CachedInfo()
}

// assemble puts the crowd into a channel, past REST.
func assemble(t *testing.T, w *town, cfg config.Config) *masses {
	t.Helper()
	ctx, quiet := t.Context(), slog.New(slog.DiscardHandler)
	directory, closeDirectory, err := stores.Directory(ctx, cfg, quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := closeDirectory(); err != nil {
			t.Error(err)
		}
	}()
	messages, closeMessages, err := stores.Messages(ctx, cfg, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := closeMessages(); err != nil {
			t.Error(err)
		}
	})
	m := &masses{town: w, messages: messages}
	now := time.Now().UTC()
	for some := range crowd / 1000 {
		var users []store.NewUser
		var members []chat.Member
		for i := range 1000 {
			id := chat.UserID(fmt.Sprintf("u%05d", some*1000+i))
			m.people = append(m.people, id)
			users = append(users, store.NewUser{User: chat.User{ID: id, Login: string(id), DisplayName: string(id), CreatedAt: now}})
			members = append(members, chat.Member{WorkspaceID: w.workspace, UserID: id, Role: chat.RoleMember})
		}
		if err := directory.CreateUsers(ctx, users); err != nil {
			t.Fatal(err)
		}
		if err := directory.AddMembers(ctx, w.alice.id, members); err != nil {
			t.Fatal(err)
		}
	}
	c := chat.Channel{ID: "everybody", WorkspaceID: w.workspace, Name: "everybody", Type: chat.ChannelPublic, CreatorID: w.alice.id, CreatedAt: now}
	if err := directory.CreateChannel(ctx, c, append([]chat.UserID{w.alice.id}, m.people...)); err != nil {
		t.Fatal(err)
	}
	w.channel = c.ID
	began := time.Now()
	until(t, "the log knows of everybody", func() (bool, string) {
		owed, err := directory.Owed(ctx, w.workspace)
		return err == nil && owed == 0, fmt.Sprint(owed, err)
	})
	t.Logf("the log knows of %d people after %v", crowd, time.Since(began).Round(100*time.Millisecond))
	return m
}

func deviceOf(u chat.UserID) token.SignInID { return token.SignInID("d" + string(u)) }

// confirm is what a gateway says when devices have got everything up to a place.
func (w *masses) confirm(people []chat.UserID, at chat.Cursor) {
	w.t.Helper()
	for some := range slices.Chunk(people, schema.MaxDelivered) {
		var req schema.DeliveredRequest
		for _, u := range some {
			req.Cursors = append(req.Cursors, schema.DeviceCursor{
				WorkspaceID: w.workspace, UserID: u, DeviceID: deviceOf(u), Epoch: at.Epoch, Seq: at.Seq, At: time.Now().UTC(),
			})
		}
		if _, err := rpc.Call[schema.DeliveredReply](w.t.Context(), w.nc, rpc.Method{Service: streams.ServiceCursors, Method: streams.CursorsDelivered}, req); err != nil {
			w.t.Fatal(err)
		}
	}
}

// states are those of a message, as the store has them.
func (w *masses) states(seq chat.Seq) []chat.Delivery {
	w.t.Helper()
	q := store.DeliveryQuery{MessageKey: store.MessageKey{WorkspaceID: w.workspace, Seq: seq}, Limit: chat.MaxPageSize}
	var all []chat.Delivery
	for {
		some, err := w.messages.DeliveriesOf(context.Background(), q)
		if err != nil {
			w.t.Fatal(err)
		}
		all = append(all, some...)
		if len(some) < q.Limit {
			return all
		}
		q.After = some[len(some)-1].UserID
	}
}

func (w *masses) checkStates(seq chat.Seq, want map[chat.DeliveryStatus]int) {
	w.t.Helper()
	got := map[chat.DeliveryStatus]int{}
	for _, s := range w.states(seq) {
		got[s.Status]++
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		w.t.Errorf("the states of %d are %v, want %v", seq, got, want)
	}
}

// checkTold fails unless a receiver was told of a message once for each of some people, and for nobody else.
func (w *masses) checkTold(calls []pushtest.Call, at chat.Cursor, people []chat.UserID) {
	w.t.Helper()
	times := make(map[string]int, len(calls))
	for _, c := range calls {
		times[c.ID]++
	}
	for _, u := range people {
		id := notice.IDOf(w.workspace, at, u)
		if times[id] != 1 {
			w.t.Errorf("%s was told %d times", u, times[id])
		}
		delete(times, id)
	}
	if len(times) > 0 || len(calls) != len(people) {
		w.t.Errorf("%d were told, want %d; %d of them by mistake: %.200v", len(calls), len(people), len(times), times)
	}
}

// checkLedger fails unless canopy delivery show accounts for everybody.
func (w *masses) checkLedger(seq chat.Seq) {
	w.t.Helper()
	by := map[string]int{}
	for _, r := range w.all(seq) {
		how := string(r.Status)
		if r.UserID == w.alice.id {
			how = "sender"
		} else if r.DeviceID != "" {
			how += " to a device"
		}
		if by[how]++; r.UserID != w.alice.id && r.Why != chat.OwedChannel {
			w.t.Errorf("%+v", r)
		}
	}
	if by["sender"] != 1 || by["delivered to a device"] != online || by["delivered"] != crowd-online || len(by) != 3 {
		w.t.Errorf("the ledger accounts for %v", by)
	}
}
