package cassandra_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/token"
	"github.com/canopychat/canopy/services/store"
	"github.com/canopychat/canopy/services/store/cassandra"
	"github.com/canopychat/canopy/services/store/cassandra/ring"
)

// book is a database that notes what it is asked for. replace changes writes on their way.
type book struct {
	cassandra.Database
	replace func(ring.Write) ring.Write

	mu      sync.Mutex
	batches [][]ring.Write
	others  int // reads and conditions
}

func (b *book) Batch(ctx context.Context, writes []ring.Write) error {
	if b.replace != nil {
		writes = slices.Clone(writes)
		for i, w := range writes {
			writes[i] = b.replace(w)
		}
	}
	b.mu.Lock()
	b.batches = append(b.batches, writes)
	b.mu.Unlock()
	return b.Database.Batch(ctx, writes)
}

func (b *book) ExecIf(ctx context.Context, w ring.Write) (bool, error) {
	b.note()
	return b.Database.ExecIf(ctx, w)
}

func (b *book) Rows(ctx context.Context, q ring.Read, scan func(ring.Row) (any, error)) ([]any, error) {
	b.note()
	return b.Database.Rows(ctx, q, scan)
}

func (b *book) note() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.others++
}

// noted is a Messages whose writes are noted and, unless replace is nil, replaced.
func noted(t testing.TB, replace func(ring.Write) ring.Write) (*cassandra.Messages, *book) {
	t.Helper()
	b := &book{replace: replace}
	return cassandra.Through(onRing(t), 0, func(d cassandra.Database) cassandra.Database {
		b.Database = d
		return b
	}), b
}

func aDevice() store.DeviceCursor {
	return store.DeviceCursor{WorkspaceID: chat.WorkspaceID(newChannel()), UserID: "ann", DeviceID: "phone",
		Cursor: chat.Cursor{Epoch: 1, Seq: 10}, At: dawn}
}

// TestWhoGotWhatIsWrittenInBoundedBatchesOfOnePartition also says that nothing is read before it is written, and that no
// condition is asked.
func TestWhoGotWhatIsWrittenInBoundedBatchesOfOnePartition(t *testing.T) {
	t.Parallel()
	m, b := noted(t, nil)
	workspace := chat.WorkspaceID(newChannel())
	var states []chat.Delivery
	var cursors []store.DeviceCursor
	for i := range 600 {
		d := chat.Delivery{WorkspaceID: workspace, Seq: chat.Seq(1 + i%2), UserID: chat.UserID(fmt.Sprintf("user-%d", i)), Status: chat.DeliveryDead,
			Reason: strings.Repeat("x", []int{10, 1_000, 40_000}[min(2, i%100/45)*min(1, i%7)])}
		states = append(states, d)
		cursors = append(cursors, store.DeviceCursor{WorkspaceID: workspace, UserID: chat.UserID(fmt.Sprintf("user-%d", i%3)),
			DeviceID: token.SignInID(fmt.Sprint(i)), Cursor: chat.Cursor{Epoch: 1, Seq: 1}})
	}
	ok(t, m.SetDeliveries(t.Context(), states))
	ok(t, m.SetDelivered(t.Context(), cursors))
	ok(t, m.ForgetDevices(t.Context(), time.Now()))
	if b.others != 0 {
		t.Errorf("there were %d reads and conditions", b.others)
	}
	rows := 0
	for _, writes := range b.batches {
		bytes := 0
		for _, w := range writes {
			rows++
			if strings.Contains(string(w.Statement), "deliveries_by_message") {
				bytes += len(w.Args[1].(string))
				if w.Args[3] != writes[0].Args[3] {
					t.Fatalf("a batch is of the messages %v and %v", w.Args[3], writes[0].Args[3])
				}
			} else if w.Args[3] != writes[0].Args[3] {
				t.Fatalf("a batch is of the devices of %v and of %v", w.Args[3], writes[0].Args[3])
			}
		}
		if len(writes) > 1 && bytes > cassandra.BatchBytes {
			t.Errorf("a batch of %d rows has %d bytes", len(writes), bytes)
		}
	}
	if want := len(states) + len(cursors); rows != want || len(b.batches) > want/5 {
		t.Errorf("%d rows were written in %d batches; want %d rows", rows, len(b.batches), want)
	}
}

// TestRowsExpireAsLateAsTheContractSays compares the tables with the constants, and looks at what a write got.
func TestRowsExpireAsLateAsTheContractSays(t *testing.T) {
	t.Parallel()
	m, d := onRing(t), aDevice()
	ok(t, m.SetDelivered(t.Context(), []store.DeviceCursor{d}))
	ok(t, m.SetDeliveries(t.Context(), []chat.Delivery{{WorkspaceID: d.WorkspaceID, Seq: 1, UserID: "ann", Status: chat.DeliveryDead}}))
	for table, want := range map[string]time.Duration{"device_cursors": store.DeviceLife, "deliveries_by_message": store.DeliveryLife} {
		found, err := ring.List(t.Context(), home.ring, ring.Read{Statement: `SELECT default_time_to_live FROM system_schema.tables ` +
			`WHERE keyspace_name = ? AND table_name = ?`, Args: []any{home.keyspace, table}}, scanInt)
		if err != nil || len(found) != 1 || time.Duration(found[0])*time.Second != want {
			t.Errorf("rows of %s live for %v s, %v; want %v", table, found, err, want)
		}
	}
	left, err := ring.List(t.Context(), home.ring, ring.Read{Statement: `SELECT ttl(state) FROM deliveries_by_message WHERE workspace_id = ? AND seq = 1`,
		Args: []any{string(d.WorkspaceID)}}, scanInt)
	if err != nil || len(left) != 1 || time.Duration(left[0])*time.Second < store.DeliveryLife-time.Hour {
		t.Errorf("a state has %v s to live, %v", left, err)
	}
}

func scanInt(r ring.Row) (n int, err error) { return n, r.Scan(&n) }

// TestTheEarliestTimeOfAPlaceCountsThoughALaterOneExpiresLater stands for two writes with seconds between them: of cells that
// expire and have one timestamp, Cassandra keeps the one that expires later, whatever is in it.
func TestTheEarliestTimeOfAPlaceCountsThoughALaterOneExpiresLater(t *testing.T) {
	t.Parallel()
	const later = `UPDATE device_cursors USING TIMESTAMP ? AND TTL 8000000 SET places = ? WHERE workspace_id = ? AND user_id = ? AND device_id = ?`
	for _, after := range []time.Duration{time.Second, -time.Second} {
		m, b := noted(t, nil)
		first := aDevice()
		second := first
		second.At = first.At.Add(after)
		ok(t, m.SetDelivered(t.Context(), []store.DeviceCursor{first}))
		b.replace = func(w ring.Write) ring.Write { return ring.Write{Statement: later, Args: w.Args} }
		ok(t, m.SetDelivered(t.Context(), []store.DeviceCursor{second}))
		want := first
		if after < 0 {
			want = second
		}
		hasDevice(t, m, want)
	}
}

func hasDevice(t testing.TB, m *cassandra.Messages, want store.DeviceCursor) {
	t.Helper()
	got, err := m.DevicesOf(t.Context(), want.WorkspaceID, []chat.UserID{want.UserID})
	if err != nil || !slices.Equal(got, []store.DeviceCursor{want}) {
		t.Errorf("the cursors are %+v, %v; want %+v", got, err, want)
	}
}

// TestADevicesOldPlaces looks at what a write leaves of the places before it, and reads over one that is left.
func TestADevicesOldPlaces(t *testing.T) {
	t.Parallel()
	m, d := onRing(t), aDevice()
	for seq := range chat.Seq(20) {
		d.Cursor.Seq = 10 + seq
		ok(t, m.SetDelivered(t.Context(), []store.DeviceCursor{d}))
	}
	places, err := ring.List(t.Context(), home.ring, ring.Read{Statement: `SELECT places FROM device_cursors WHERE workspace_id = ? AND user_id = 'ann'`,
		Args: []any{string(d.WorkspaceID)}}, func(r ring.Row) (all []string, err error) { return all, r.Scan(&all) })
	if err != nil || len(places) != 1 || len(places[0]) != 1 {
		t.Errorf("after 20 writes there are the places %v, %v", places, err)
	}
	add := func(place string) {
		t.Helper()
		v := int64(chat.VersionOf(d.Cursor.Epoch, d.Cursor.Seq))
		ok(t, home.ring.Exec(t.Context(), ring.Write{Statement: `UPDATE device_cursors USING TIMESTAMP ? SET places = places + ? ` +
			`WHERE workspace_id = ? AND user_id = 'ann' AND device_id = 'phone'`, Args: []any{v, []string{place}, string(d.WorkspaceID)}}))
	}
	add(fmt.Sprintf("%d/1", chat.VersionOf(1, 9)))
	hasDevice(t, m, d)
	add("no place")
	if got, err := m.DevicesOf(t.Context(), d.WorkspaceID, []chat.UserID{"ann"}); err == nil || !strings.Contains(err.Error(), "phone") {
		t.Errorf("a place that is none is read as %+v, %v", got, err)
	}
}

// withoutSenders writes replies as the version before did.
func withoutSenders(w ring.Write) ring.Write {
	if !strings.HasPrefix(string(w.Statement), "INSERT INTO replies_by_thread") {
		return w
	}
	return ring.Write{Statement: `INSERT INTO replies_by_thread (channel_id, thread, seq) VALUES (?, ?, ?) USING TIMESTAMP ?`,
		Args: append(slices.Clone(w.Args[:3]), w.Args[4:]...)}
}

func replies(root event.Stored, from chat.Seq, senders ...chat.UserID) (all []event.Stored) {
	for i, sender := range senders {
		e := aPost(root.ChannelID, from+chat.Seq(i), "a reply")
		e.Thread, e.SenderID = root.Seq, sender
		all = append(all, e)
	}
	return all
}

// TestRepliesOfTheVersionBefore are in a thread beside those of this one, while both versions run and after.
func TestRepliesOfTheVersionBefore(t *testing.T) {
	t.Parallel()
	m := onRing(t)
	before, _ := noted(t, withoutSenders)
	root := aPost(newChannel(), 1, "root")
	ok(t, before.Apply(t.Context(), append(replies(root, 2, "bob", "cid", "bob"), root)))
	isIn(t, m, root, "bob", "cid", "ann")
	ok(t, m.Apply(t.Context(), replies(root, 5, "dan", "cid")))
	ok(t, before.Apply(t.Context(), replies(root, 7, "eve")))
	isIn(t, m, root, "eve", "cid", "dan", "bob", "ann")
	ok(t, m.Apply(t.Context(), replies(root, 2, "bob", "cid", "bob"))) // as a history that is rebuilt does
	isIn(t, m, root, "eve", "cid", "dan", "bob", "ann")

	root = aPost(newChannel(), 1, "root of many")
	senders := append([]chat.UserID{"first", "second"}, slices.Repeat([]chat.UserID{"bob"}, cassandra.UnnamedAtMost-1)...)
	ok(t, before.Apply(t.Context(), append(replies(root, 2, senders...), root)))
	isIn(t, m, root, "bob", "second", "ann")
}

func isIn(t testing.TB, m *cassandra.Messages, root event.Stored, want ...chat.UserID) {
	t.Helper()
	got, err := m.Participants(t.Context(), root.ChannelID, root.Seq)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("in the thread are %v, %v; want %v", got, err, want)
	}
}

// TestAThreadThatNeverEnds has more replies than who is in it is read from.
func TestAThreadThatNeverEnds(t *testing.T) {
	t.Parallel()
	m := onRing(t)
	root := aPost(newChannel(), 1, "root")
	ok(t, m.Apply(t.Context(), []event.Stored{root}))
	var writes []ring.Write
	for i := range store.MaxThreadRead + 1 {
		sender := "bob"
		if i < 2 {
			sender = []string{"first", "second"}[i]
		}
		writes = append(writes, ring.Write{Statement: `INSERT INTO replies_by_thread (channel_id, thread, seq, sender_id) VALUES (?, 1, ?, ?)`,
			Args: []any{string(root.ChannelID), 2 + i, sender}})
	}
	for batch := range slices.Chunk(writes, 250) {
		ok(t, home.ring.Batch(t.Context(), batch))
	}
	isIn(t, m, root, "bob", "second", "ann")
}
