package workload_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/ops/verify/workload"
	"github.com/canopychat/canopy/ops/verify/workload/burst"
	"github.com/canopychat/canopy/ops/verify/workload/capacity"
	"github.com/canopychat/canopy/ops/verify/workload/device"
	"github.com/canopychat/canopy/ops/verify/workload/phrase"
)

// settle makes two workspaces: of ann, who owns hers, bob, cid, the absent dan and the doomed eve; and of zed.
func settle(busyFor time.Duration) (*town, []workload.Person) {
	t := &town{
		rec: record.NewRecorder(io.Discard), busyFor: busyFor, members: map[string]map[string]bool{}, log: map[int64]stored{},
		ids: map[string]int64{}, banned: map[string]bool{}, revoked: map[string]bool{},
	}
	var people []workload.Person
	for space, logins := range map[string][]string{"w1": {"ann", "bob", "cid", "dan", "eve"}, "w2": {"zed"}} {
		w := record.Workspace{ID: space}
		for _, c := range []struct{ name, is string }{{"a", "public"}, {"b", "public"}, {"s", "private"}, {"d", "dm"}} {
			id := space + c.name
			w.Channels = append(w.Channels, record.Channel{ID: id, Name: c.name, Type: c.is})
			t.members[id] = map[string]bool{}
			for i, l := range logins {
				t.members[id][l] = c.is == "public" || i < 2
			}
		}
		for _, l := range logins {
			w.People = append(w.People, record.Person{Login: l, ID: "u" + l, Region: "eu", Hand: "crew"})
		}
		t.spaces = append(t.spaces, w)
	}
	slices.SortFunc(t.spaces, func(a, b record.Workspace) int { return strings.Compare(a.ID, b.ID) })
	for _, w := range t.spaces {
		for i, p := range w.People {
			one := workload.Person{Person: p, Workspace: w, Owner: i == 0, Absent: p.Login == "dan", Doomed: p.Login == "eve"}
			one.Open = func(device string) (workload.Hand, error) { return &hand{t: t, p: p, name: device, space: w}, nil }
			people = append(people, one)
		}
	}
	return t, people
}

// works has people work for some time, in a bubble.
func works(t *testing.T, town *town, o workload.Config, last time.Duration) *workload.Workload {
	t.Helper()
	o.Gateways = []string{"g1", "g2"}
	w, err := workload.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), last)
	defer cancel()
	if err := w.Run(ctx); err != nil {
		t.Error(err)
	}
	if town.doing != 0 {
		t.Errorf("%d ops are on their way after the end", town.doing)
	}
	return w
}

// chosen is what somebody chose, in the order in which it was begun, without when.
func chosen(ops []record.Op) (all []string) {
	slices.SortFunc(ops, func(a, b record.Op) int { return int(a.N - b.N) })
	for _, op := range ops {
		op.N, op.Start, op.End = 0, 0, 0
		all = append(all, fmt.Sprintf("%+v", op))
	}
	slices.Sort(all) // several that begin in one moment do so in any order
	return all
}

func TestTheSameSeedChoosesTheSame(t *testing.T) {
	run := func(seed uint64) []string {
		var ops []record.Op
		synctest.Test(t, func(t *testing.T) {
			town, people := settle(0)
			zed := people[slices.IndexFunc(people, func(p workload.Person) bool { return p.Login == "zed" })]
			zed.Open = func(device string) (workload.Hand, error) { return &sure{t: town, name: device}, nil }
			works(t, town, workload.Config{Seed: seed, Rate: 5, People: []workload.Person{zed}}, 2*time.Minute)
			ops = town.ops
		})
		return chosen(ops)
	}
	one, same, other := run(1), run(1), run(2)
	if len(one) < 300 || len(one) != len(same) || slices.Equal(one, other) {
		t.Fatalf("%d things, %d with the same seed, and %d with another", len(one), len(same), len(other))
	}
	for i := range one {
		if one[i] != same[i] {
			t.Fatalf("the same seed: %s and then %s", one[i], same[i])
		}
	}
}

func TestEverythingOccurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		town, people := settle(10 * time.Millisecond)
		works(t, town, workload.Config{Seed: 3, Rate: 20, People: people}, 15*time.Minute)
		seen := map[string]int{}
		bodies := map[string]string{}
		at := map[string]bool{}
		for _, op := range town.ops {
			seen[string(op.F)+" "+string(op.Outcome)]++
			if op.F == record.Send {
				count(seen, op)
			}
			if id, again := bodies[op.Body]; again && op.F == record.Send && len(op.Body) > 5 && id != op.Who+" "+op.ID {
				t.Fatalf("two sends have the body %s", op.Body)
			}
			bodies[op.Body] = op.Who + " " + op.ID
			if op.Who == "dan" && (op.Conn != "" || op.F == record.Connect || op.Over == device.Connecting) {
				t.Fatalf("who is not there did %+v", op)
			}
			if op.F == record.Ban && op.Target != "eve" {
				t.Fatalf("%s is to be banned", op.Target)
			}
			if op.F == record.Connect {
				at[op.At] = true
				seen["with a cursor"] += len(op.Cursor)
			}
		}
		for _, f := range []record.F{
			record.Send, record.Edit, record.Delete, record.React, record.Unreact, record.Join, record.Leave, record.Add, record.Kick, record.Page,
			record.Mark, record.Marks, record.Connect, record.Close, record.Stall, record.Login, record.Logout, record.Revoke, record.Ban,
			record.Typing, record.Status,
		} {
			if seen[string(f)+" ok"] == 0 {
				t.Errorf("nobody did %s", f)
			}
		}
		for _, what := range []string{
			"send refused", "send unknown", "edit refused", "delete refused", "kick refused", "probe refused", "login refused", "again ok", "again rest",
			"again socket", "conflict", "invalid", "too_large", "not_found", "thread", "mention of dan", "with a cursor",
		} {
			if seen[what] == 0 {
				t.Errorf("there was no %s: %v", what, seen)
			}
		}
		if !reflect.DeepEqual(at, map[string]bool{"": true, "g1": true, "g2": true}) {
			t.Errorf("connected at %v", at)
		}
		if !town.banned["eve"] || town.ops[len(town.ops)-1].Who == "eve" {
			t.Error("eve is still there")
		}
	})
}

func count(seen map[string]int, op record.Op) {
	if op.Again {
		seen["again "+string(op.Outcome)]++
		seen["again "+op.Over]++
	}
	if op.Thread > 0 {
		seen["thread"]++
	}
	if strings.HasSuffix(op.Body, " @dan") {
		seen["mention of dan"]++
	}
	seen[op.Code]++
}

// A town that does not answer gets so many ops of each person and no more, and Run ends all the same.
func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		town, people := settle(0)
		o := workload.Config{Seed: 1, Rate: 100, People: people, Answers: time.Minute}
		w, err := workload.New(o)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Arrive(t.Context()); err != nil {
			t.Fatal(err)
		}
		town.busyFor = time.Hour
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		if err := w.Run(ctx); err == nil {
			t.Error("nobody missed the answers")
		}
		if took := time.Since(began); took != 2*time.Minute {
			t.Errorf("Run took %s", took)
		}
		if town.most != 48*len(people) || w.Busy() == 0 || town.doing != 0 {
			t.Errorf("%d ops at once, %d found no room, %d go on", town.most, w.Busy(), town.doing)
		}
	})
}

func TestTheLastWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		town, people := settle(time.Millisecond)
		w := works(t, town, workload.Config{Seed: 5, Rate: 10, People: people}, time.Minute)
		before, conns := town.seq, w.Conns()
		if len(conns) < 5 || !slices.IsSorted(conns) {
			t.Errorf("open are %v", conns)
		}
		w.LastWord(t.Context())
		listening := w.Listening()
		if len(listening) != len(conns) || town.seq <= before {
			t.Errorf("of %v listen %+v", conns, listening)
		}
		words := 0
		for _, l := range listening {
			if l.Word == 0 {
				continue // who is in no channel any more says nothing
			}
			if words++; l.Word <= before || l.Told != town.seq || !slices.Contains(conns, l.Conn) {
				t.Errorf("the log went from %d to %d, and %+v", before, town.seq, l)
			}
		}
		if words < 4 {
			t.Errorf("%d of %v had to be told a last word", words, listening)
		}
		w.Leave(t.Context())
		if left := w.Conns(); len(left) > 0 {
			t.Errorf("open are still %v", left)
		}
	})
}

// A short run has something of everything that a check needs.
func TestAShortRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		town, people := settle(10 * time.Millisecond)
		works(t, town, workload.Config{Seed: 11, Rate: 16, People: people}, 20*time.Second)
		seen, on := map[string]int{}, map[string]bool{}
		cleared := ""
		slices.SortFunc(town.ops, func(a, b record.Op) int { return int(a.N - b.N) })
		for _, op := range town.ops {
			seen[string(op.F)+" "+string(op.Outcome)]++
			count(seen, op)
			switch {
			case op.F == record.Connect:
				on[op.Device] = true
			case op.F == record.Logout && on[op.Device], op.F == record.Revoke && on[op.Target]:
				seen["signed out with a socket"]++
			case op.F == record.Ban && op.Outcome == record.OK && (op.Start < 5*time.Second || op.Start > 15*time.Second):
				t.Errorf("the ban is after %s", op.Start)
			case op.F == record.Kick && op.Outcome == record.OK:
				cleared = op.Who + op.Channel
			case op.F == record.Send && op.Who+op.Channel == cleared:
				seen["talk after a kick"]++
			}
			if op.Outcome == record.Refused && op.Code == "unauthenticated" && op.F == record.Page {
				seen["page when signed out"]++
			}
		}
		for _, what := range []string{
			"logout ok", "revoke ok", "ban ok", "kick ok", "leave ok", "edit ok", "delete ok", "react ok", "mark ok", "marks ok", "stall ok", "page ok",
			"again ok", "conflict", "invalid", "not_found", "mention of dan", "signed out with a socket", "talk after a kick", "page when signed out",
			"probe refused",
		} {
			if seen[what] == 0 {
				t.Errorf("there was no %s: %v", what, seen)
			}
		}
	})
}

// When all is quiet everybody looks at all of it, on every device; and who has signed out is refused.
func TestLookBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		town, people := settle(time.Millisecond)
		w := works(t, town, workload.Config{Seed: 5, Rate: 16, People: people}, 20*time.Second)
		before := len(town.ops)
		w.LookBack(t.Context())
		marks, pages, refused := map[string]bool{}, map[string]bool{}, 0
		for _, op := range town.ops[before:] {
			switch {
			case op.F == record.Marks && op.Over == record.REST && op.Outcome == record.OK:
				marks[op.Device] = true
			case op.F == record.Page && op.Over == record.REST && op.Before+op.After == 0 && op.Outcome == record.OK:
				pages[op.Device+op.Channel] = true
			case op.F == record.Page && op.Code == "unauthenticated":
				refused++
			case op.Code != "not_found" && op.Code != "unauthenticated":
				t.Errorf("somebody did %+v", op)
			}
		}
		if len(marks) < 5 || len(pages) < len(marks) || refused == 0 {
			t.Errorf("%d devices, %d pages, %d refused", len(marks), len(pages), refused)
		}
		over, cancel := context.WithCancel(t.Context())
		cancel()
		before = len(town.ops)
		if w.LookBack(over); len(town.ops)-before > len(people) {
			t.Errorf("%d looks when it was over", len(town.ops)-before)
		}
	})
}

// A town that stores 100 a second and refuses what is more does so at twice the load, too.
func TestCapacity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		town, people := settle(time.Millisecond)
		w, err := workload.New(workload.Config{Seed: 5, People: people})
		if err != nil {
			t.Fatal(err)
		}
		if m := w.Capacity(t.Context(), time.Second, time.Second); m != (capacity.Measured{}) {
			t.Errorf("without conns it is %+v", m)
		}
		if err := w.Arrive(t.Context()); err != nil {
			t.Fatal(err)
		}
		town.busyFor = 100 * time.Millisecond
		m := w.Capacity(t.Context(), 10*time.Second, 10*time.Second)
		if m.Speakers != 10 || m.Peak < 790 || m.Peak > 810 || m.Double < 1500 || m.NotOffered != 0 || m.Offered < 15000 {
			t.Errorf("80 at a time of 100 ms are %+v", m)
		}
		phases := map[string]int64{}
		for _, op := range town.ops {
			phases[op.Phase]++
		}
		if phases[capacity.Double] != m.Offered || phases[capacity.Peak] < 8000 || phases[capacity.Peak] > 8160 {
			t.Errorf("%v of %+v", phases, m)
		}
		town.busyFor = 10 * time.Second
		if m = w.Capacity(t.Context(), time.Minute, time.Minute); m.Offered+m.NotOffered == 0 || town.most > 2048 {
			t.Errorf("a slow town: %+v, %d at once", m, town.most)
		}
	})
}

// One person of each kind sends more at once than one may. What is refused they send again under its id, and no sooner than they were told.
func TestABurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		town, people := settle(time.Millisecond)
		people[slices.IndexFunc(people, func(p workload.Person) bool { return p.Login == "bob" })].Hand = "stranger"
		w, err := workload.New(workload.Config{Seed: 5, People: people})
		if err != nil {
			t.Fatal(err)
		}
		if seen := w.Burst(t.Context()); seen != (burst.Seen{}) {
			t.Errorf("without conns it is %+v", seen)
		}
		if err := w.Arrive(t.Context()); err != nil {
			t.Fatal(err)
		}
		town.limits = map[string]time.Time{}
		began, first := time.Now(), len(town.ops)
		seen := w.Burst(t.Context())
		if took := time.Since(began); took > 20*time.Second || seen.Refused < 500 || seen.Sent != 800 || seen.Stored != 800 {
			t.Errorf("%+v in %s", seen, took)
		}
		senders, before := map[string]bool{}, map[string]record.Op{}
		slices.SortFunc(town.ops, func(a, b record.Op) int { return int(a.N - b.N) })
		for _, op := range town.ops[first:] {
			last, again := before[op.ID]
			if op.F != record.Send || op.Phase != burst.Phase || op.Again != again {
				t.Fatalf("somebody did %+v", op)
			}
			if again && (last.Outcome == record.OK || op.Body != last.Body || op.Channel != last.Channel || op.Start < last.End+last.RetryIn) {
				t.Fatalf("%+v and then %+v", last, op)
			}
			senders[op.Who], before[op.ID] = true, op
		}
		if len(senders) != 2 || !senders["bob"] || len(before) != 800 {
			t.Errorf("%v sent %d messages", senders, len(before))
		}
	})
}

// A town that takes nothing is not asked for ever.
func TestABurstHasAnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		town, people := settle(time.Millisecond)
		w, err := workload.New(workload.Config{Seed: 5, People: people})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Arrive(t.Context()); err != nil {
			t.Fatal(err)
		}
		town.limits = map[string]time.Time{}
		for _, p := range people {
			town.limits[p.Login] = time.Now().Add(time.Hour)
		}
		began := time.Now()
		if seen := w.Burst(t.Context()); seen.Stored != 0 || seen.Refused != seen.Sent || time.Since(began) > time.Minute {
			t.Errorf("%+v in %s", seen, time.Since(began))
		}
	})
}

func TestNobodyActsWithoutDevices(t *testing.T) {
	_, people := settle(0)
	none := errors.New("sold out")
	people[0].Open = func(string) (workload.Hand, error) { return nil, none }
	w, err := workload.New(workload.Config{People: people})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Run(t.Context()); !errors.Is(err, none) {
		t.Errorf("it ended with %v", err)
	}
	if _, err := workload.New(workload.Config{}); err == nil {
		t.Error("nobody is enough")
	}
}

func TestProbesAreWhatAHandKnows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		town, people := settle(time.Millisecond)
		for i := range people {
			people[i].Probes = []string{"one", "other"}
		}
		works(t, town, workload.Config{Seed: 5, Rate: 20, People: people}, 2*time.Minute)
		n, tried := 0, map[string]bool{}
		for _, op := range town.ops {
			switch {
			case op.F != record.Probe:
			case op.Over == record.REST: // it stands for itself, and every hand knows what it means
				_, tail, _ := strings.Cut(op.Body, "s/") // channels/ or workspaces/
				if !strings.HasPrefix(tail, "w") || strings.HasPrefix(tail, op.Workspace) {
					t.Fatalf("a trespass is %+v", op)
				}
				_, what, _ := strings.Cut(tail, "/")
				tried[what] = true
			default:
				n++
				if (op.Body != "one" && op.Body != "other") || !strings.HasPrefix(op.Target, "w") || strings.HasPrefix(op.Target, op.Workspace) {
					t.Fatalf("a probe is %+v", op)
				}
			}
		}
		if n == 0 {
			t.Error("there was none")
		}
		if len(tried) < 10 {
			t.Errorf("nobody came further than %v", slices.Collect(maps.Keys(tried)))
		}
	})
}

func TestBodiesSayWhoseTheyAre(t *testing.T) {
	a, b := phrase.Body("ann", 7, "id1"), phrase.Body("ann", 7, "id2")
	if !strings.HasPrefix(a, "ann-7-") || a == b || a != phrase.Body("ann", 7, "id1") {
		t.Errorf("%s and %s", a, b)
	}
}
