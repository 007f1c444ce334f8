package storetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/token"
	"github.com/canopychat/canopy/services/store"
)

func aDevice() store.DeviceCursor {
	return store.DeviceCursor{WorkspaceID: newID[chat.WorkspaceID](), UserID: newID[chat.UserID](), DeviceID: newID[token.SignInID](),
		Cursor: chat.Cursor{Epoch: 1, Seq: 10}, At: dawn}
}

// hasDevice expects that a user has one cursor in a workspace.
func hasDevice(t testing.TB, what string, s store.Messages, want store.DeviceCursor) {
	t.Helper()
	got, err := s.DevicesOf(within(t), want.WorkspaceID, []chat.UserID{want.UserID})
	ok(t, err)
	same(t, what, []store.DeviceCursor{want}, got)
}

func byDevice(cursors []store.DeviceCursor) []store.DeviceCursor {
	return slices.SortedFunc(slices.Values(cursors), func(a, b store.DeviceCursor) int {
		return strings.Compare(fmt.Sprint(a.WorkspaceID, a.UserID, a.DeviceID), fmt.Sprint(b.WorkspaceID, b.UserID, b.DeviceID))
	})
}

func deviceCursors(t *testing.T, s store.Messages) {
	d := aDevice()
	step := func(what string, want store.DeviceCursor, cursors ...store.DeviceCursor) {
		t.Helper()
		ok(t, s.SetDelivered(within(t), cursors))
		hasDevice(t, what, s, want)
	}
	none, err := s.DevicesOf(within(t), d.WorkspaceID, []chat.UserID{d.UserID})
	ok(t, err)
	same(t, "before there is one", []store.DeviceCursor{}, none)
	ok(t, s.SetDelivered(within(t), nil))
	given := d
	given.At = d.At.In(time.FixedZone("", 3600))
	step("in UTC, to the nanosecond", d, given)
	older := d
	older.Cursor.Seq, older.At = 9, dawn.Add(-time.Hour)
	step("an older place", d, older)
	again := d
	again.At = dawn.Add(time.Nanosecond)
	step("the same place, later", d, again, d)
	early := d
	early.At = dawn.Add(-time.Nanosecond)
	step("the same place, earlier", early, again, early, again)
	further := d
	further.Cursor.Seq, further.At = 11, dawn.Add(-time.Minute) // clocks go wrong, logs do not
	step("further", further, d, further, older)
	epoch := d
	epoch.Cursor, epoch.At = chat.Cursor{Epoch: 2, Seq: 0}, dawn.Add(time.Hour)
	step("a new epoch", epoch, epoch, further)
	last := epoch
	last.Cursor, last.At = chat.Cursor{Epoch: chat.MaxEpoch, Seq: chat.MaxSeq}, time.Time{}
	step("the furthest that there is, at no time that is known", last, epoch, last, d)

	for _, c := range []chat.Cursor{{}, {Seq: 1}, {Epoch: chat.MaxEpoch + 1}, {Epoch: 1, Seq: chat.MaxSeq + 1}} {
		bad, other := d, d
		bad.Cursor, other.DeviceID = c, newID[token.SignInID]()
		isKind(t, "a cursor of no log", s.SetDelivered(within(t), []store.DeviceCursor{other, bad}), fault.Invalid)
	}
	hasDevice(t, "after what was refused", s, last)
}

// oddTexts are no ids, but nobody but the borders of the system says so.
var oddTexts = []string{"'", `"; DROP TABLE messages; --`, "%_*", "$1", "?1", ":x", "a/b", "a", "A", "ä", "🙂", "\x00", "{}", "[1]", "\\u0000", " ", "\n"}

func deviceCursorsApart(t *testing.T, s store.Messages) {
	d := aDevice()
	all := []store.DeviceCursor{d}
	var users []chat.UserID
	for i, odd := range oddTexts {
		theirs, second := d, d
		theirs.UserID, theirs.DeviceID = chat.UserID(odd), token.SignInID(odd)
		second.DeviceID, second.Cursor.Seq = token.SignInID(odd), chat.Seq(100+i)
		elsewhere := theirs
		elsewhere.WorkspaceID = chat.WorkspaceID(string(d.WorkspaceID) + odd)
		all = append(all, theirs, second, elsewhere)
		users = append(users, theirs.UserID)
	}
	ok(t, s.SetDelivered(within(t), all))
	of := func(workspace chat.WorkspaceID, users ...chat.UserID) (want []store.DeviceCursor) {
		for _, c := range all {
			if c.WorkspaceID == workspace && slices.Contains(users, c.UserID) {
				want = append(want, c)
			}
		}
		return byDevice(want)
	}
	everybody := append(slices.Clone(users), d.UserID, newID[chat.UserID](), d.UserID) // one of them has none, one is named twice
	for _, q := range []struct {
		what      string
		workspace chat.WorkspaceID
		users     []chat.UserID
	}{
		{"several devices of one", d.WorkspaceID, []chat.UserID{d.UserID}},
		{"of one with a quote", d.WorkspaceID, users[:1]},
		{"of everybody", d.WorkspaceID, everybody},
		{"of everybody elsewhere", all[3].WorkspaceID, everybody},
		{"of nobody", d.WorkspaceID, nil},
	} {
		got, err := s.DevicesOf(within(t), q.workspace, q.users)
		ok(t, err)
		same(t, q.what, of(q.workspace, q.users...), byDevice(got))
	}
	_, err := s.DevicesOf(within(t), d.WorkspaceID, make([]chat.UserID, chat.MaxPageSize))
	ok(t, err)
	_, err = s.DevicesOf(within(t), d.WorkspaceID, make([]chat.UserID, chat.MaxPageSize+1))
	isKind(t, "more users than a question is about", err, fault.Invalid)
}

// deviceCursorsRace lets many move the cursors of some people's devices at once, in any order and some twice.
func deviceCursorsRace(t *testing.T, s store.Messages) {
	r := rand.New(rand.NewPCG(2, 1))
	var devices, all []store.DeviceCursor
	d := aDevice()
	for range 10 {
		d.UserID, d.DeviceID = newID[chat.UserID](), newID[token.SignInID]()
		devices = append(devices, d)
	}
	want := make([]store.DeviceCursor, len(devices))
	for i, d := range devices {
		for range 50 {
			d.Cursor = chat.Cursor{Epoch: chat.Epoch(1 + r.IntN(2)), Seq: chat.Seq(r.IntN(30))}
			d.At = dawn.Add(time.Duration(r.IntN(1000)))
			all = append(all, d)
			v, w := chat.VersionOf(d.Cursor.Epoch, d.Cursor.Seq), chat.VersionOf(want[i].Cursor.Epoch, want[i].Cursor.Seq)
			if v > w || v == w && d.At.Before(want[i].At) {
				want[i] = d
			}
		}
	}
	all = append(all, all[:100]...)
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	part := len(all) / writers
	for _, err := range together(writers, func(i int) error {
		for some := range slices.Chunk(all[i*part:(i+1)*part], 1+7*i) {
			if err := s.SetDelivered(within(t), some); err != nil {
				return err
			}
		}
		return nil
	}) {
		ok(t, err)
	}
	var users []chat.UserID
	for _, d := range devices {
		users = append(users, d.UserID)
	}
	got, err := s.DevicesOf(within(t), d.WorkspaceID, users)
	ok(t, err)
	same(t, "the furthest of each, and the earliest time of that", byDevice(want), byDevice(got))
}

// forgetDevices looks at what must stay: what must go is not said.
func forgetDevices(t *testing.T, s store.Messages) {
	old, young := aDevice(), aDevice()
	renewed := aDevice()
	young.At = dawn.Add(time.Hour)
	later := renewed
	later.At = young.At
	state := aDelivery()
	state.At = atMilli.Add(store.DeviceLife - store.DeliveryLife).Add(time.Hour)
	ok(t, s.SetDelivered(within(t), []store.DeviceCursor{old, young, renewed, later}))
	ok(t, s.SetDeliveries(within(t), []chat.Delivery{state}))
	ok(t, s.ForgetDevices(within(t), dawn.Add(time.Minute)))
	hasDevice(t, "heard of since", s, young)
	hasDevice(t, "heard of since, at the same place", s, renewed)
	hasState(t, "a delivery that is not old enough", s, state)
	got, err := s.DevicesOf(within(t), old.WorkspaceID, []chat.UserID{old.UserID})
	ok(t, err)
	if len(got) > 0 {
		same(t, "what may stay is as it was", []store.DeviceCursor{old}, got)
	}
}
