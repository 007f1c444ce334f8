package running_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/canopychat/canopy/ops/verify/check/ledger"
	"github.com/canopychat/canopy/ops/verify/check/running"
	"github.com/canopychat/canopy/ops/verify/check/sample"
	"github.com/canopychat/canopy/ops/verify/check/verdict"
	"github.com/canopychat/canopy/ops/verify/record"
)

// Where things are in the record that sound makes.
const (
	calm   = 10 * time.Second  // sends with nothing broken
	broken = 30 * time.Second  // while Cassandra is down
	stall  = 60 * time.Second  // ann's socket is not read
	load   = 100 * time.Second // capacity is measured: a second at the peak, a second at twice the load
	beyond = 120 * time.Second // ann sends more than one may
	ended  = 300 * time.Second
)

// listening is a socket of bea's that is told of what ann sends.
const listening = "bea/3/1"

// sound is the sound record, and after it a run that broke Cassandra, did not read a socket, measured capacity, and sent more than one may.
func sound() *record.Record {
	r := sample.Sound()
	n := int64(1000)
	do := func(at, took time.Duration, op record.Op) {
		n++
		op.N, op.Start, op.End, op.Workspace = n, at, at+took, sample.Space
		if op.Who == "" {
			op.Who, op.Device = "ann", "ann/1"
		}
		if op.Outcome == "" {
			op.Outcome = record.OK
		}
		r.Ops = append(r.Ops, op)
	}
	figure := func(at time.Duration, process, name string, value float64, when string) {
		r.Samples = append(r.Samples, record.Sample{Time: at, Process: process, Name: name, Value: value, When: when})
	}
	r.Told = append(r.Told, record.Told{Conn: listening, Who: "bea", Time: calm - time.Second, T: record.Hello, Space: sample.Space})
	for i := range 20 {
		step := time.Duration(i) * 100 * time.Millisecond
		send := record.Op{F: record.Send, Over: record.Socket, Channel: sample.General}
		for n, at := range []time.Duration{calm + step, broken + step} {
			send.Seq = int64(1000 + 2*i + n)
			do(at, 15*time.Millisecond, send)
			r.Told = append(r.Told, record.Told{Conn: listening, Who: "bea", Time: at + 20*time.Millisecond, T: record.Posted, Channel: sample.General, Seq: send.Seq})
		}
		send.Seq = 0
		do(calm+step, time.Millisecond, record.Op{F: record.Typing, Channel: sample.General})
		do(calm+4*time.Second+step, 10*time.Millisecond, send)
		do(broken+step, 15*time.Millisecond, record.Op{F: record.Connect})
	}
	for i := range 100 {
		step := time.Duration(i) * 10 * time.Millisecond
		do(load+step, 10*time.Millisecond, record.Op{F: record.Send, Phase: "peak"})
		do(load+10*time.Second+step, 10*time.Millisecond, record.Op{F: record.Send, Phase: "double"})
		do(load+10*time.Second+step, 10*time.Millisecond, record.Op{F: record.Send, Phase: "double", Outcome: record.Refused, Code: "rate_limited", RetryIn: time.Second})
	}
	for range 3 {
		do(beyond, 10*time.Millisecond, record.Op{F: record.Send, Phase: "burst", Outcome: record.Refused, Code: "rate_limited", RetryIn: time.Second})
	}
	do(calm, time.Millisecond, record.Op{F: record.Status, Body: "at lunch"})
	r.Faults = append(r.Faults, record.Fault{Name: "pause", Tier: "cassandra", Targets: []string{"cassandra-1"}, Begin: broken, End: broken + 5*time.Second})
	post := record.Event{Source: "stream", Space: sample.Space, Epoch: 1, Seq: 60, Channel: sample.General, Kind: "message.posted", Sender: "ubea", Body: "bea-b60"}
	r.Events = append(r.Events, post)
	do(stall, 5*time.Second, record.Op{F: record.Stall, Conn: sample.Ann, At: "gateway-eu-1"})
	do(stall+time.Second, time.Second, record.Op{Who: "bea", F: record.Send, Channel: sample.General, Seq: 60, Body: "bea-b60"})
	told := sample.Telling(post)
	told.Conn, told.Who, told.Time = sample.Ann, "ann", stall+6*time.Second
	r.Told = append(r.Told, told)
	for _, p := range []string{"gateway-eu-1", "api-eu"} {
		figure(0, p, record.Goroutines, 100, "before")
		figure(0, p, record.Descriptors, 50, "before")
		figure(stall-time.Second, p, record.Resident, 100<<20, "")
		figure(stall+3*time.Second, p, record.Resident, 120<<20, "")
		figure(ended, p, record.Goroutines, 120, "quiet")
		figure(ended, p, record.Descriptors, 60, "quiet")
	}
	figure(ended, "CHAT_0 persist", record.Pending, 0, "quiet")
	for i, state := range []string{"pending", "dead", "delivered"} {
		r.Jobs = append(r.Jobs, record.Job{Time: time.Duration(i), Space: sample.Space, Channel: sample.General, Message: 32, Who: "ann", State: state, Reason: "why", Last: i == 2})
	}
	r.End.Time, r.End.Open = ended, 3
	return r
}

func verdictOf(t *testing.T, r *record.Record, n int) verdict.Verdict {
	t.Helper()
	all := running.Check(r, ledger.Of(r))
	i := slices.IndexFunc(all, func(v verdict.Verdict) bool { return v.Invariant == n })
	if i < 0 {
		t.Fatalf("there is no verdict of %d", n)
	}
	return all[i]
}

func TestASoundRecordHolds(t *testing.T) {
	r := sound()
	for _, v := range running.Check(r, ledger.Of(r)) {
		if !v.Holds() {
			t.Errorf("%d, %s: %d cases, %v", v.Invariant, v.Title, v.Cases, v.Shown)
		}
	}
}

// each changes the ops of a kind in a time.
func each(r *record.Record, f record.F, from time.Duration, change func(op *record.Op)) {
	for i := range r.Ops {
		if op := &r.Ops[i]; op.F == f && op.Start >= from && op.Start < from+5*time.Second {
			change(op)
		}
	}
}

func one(r *record.Record, f record.F, from time.Duration, change func(op *record.Op)) {
	done := false
	each(r, f, from, func(op *record.Op) {
		if !done {
			change(op)
		}
		done = true
	})
}

func sampleOf(r *record.Record, name, when string) *record.Sample {
	i := slices.IndexFunc(r.Samples, func(s record.Sample) bool { return s.Name == name && s.When == when })
	return &r.Samples[i]
}

func toldOf60(r *record.Record) int {
	return slices.IndexFunc(r.Told, func(t record.Told) bool { return t.Seq == 60 })
}

// poisoned puts into the log what nobody can read, and gives the letter that there must be of it.
func poisoned(r *record.Record) record.Letter {
	r.End.Letters = true
	r.Events = append(r.Events, record.Event{Source: ledger.Stream, Space: sample.Space, Seq: 90, Channel: sample.General, Kind: record.Unreadable})
	return record.Letter{Space: sample.Space, Consumer: "persist", Seq: 90, Found: "reconciliation"}
}

// Each way of breaking a promise is found, by the rule that it breaks.
func TestABrokenPromiseIsFound(t *testing.T) {
	job := func(state, reason string, last bool) func(*record.Record) {
		return func(r *record.Record) {
			r.Jobs = append(r.Jobs, record.Job{Space: sample.Space, Message: 32, Who: "ann", State: state, Reason: reason, Last: last})
		}
	}
	notify := func(who string, message int64, id string) func(*record.Record) {
		return func(r *record.Record) {
			r.Ops = append(r.Ops, record.Op{Who: who, F: record.Notify, Message: message, ID: id, Outcome: record.OK})
		}
	}
	for _, c := range []struct {
		n     int
		rule  string
		spoil func(r *record.Record)
	}{
		{17, "never moves backwards", job("pending", "", false)},
		{17, "every job ends", func(r *record.Record) { r.Jobs = nil; job("pending", "", true)(r) }},
		{17, "a dead job says why", func(r *record.Record) { r.Jobs = nil; job("dead", "", true)(r) }},
		{17, "told twice", notify("ann", 32, "another")},
		{17, "only who is owed", notify("cid", 32, "")},
		{17, "only who is owed", notify("cid", 35, "")},
		{18, "becomes quiet", func(r *record.Record) { r.End.Unmet = []string{"a leader"} }},
		{18, "silent", func(r *record.Record) { r.End.Silent = []string{sample.Ann} }},
		{18, "consumers catch up", func(r *record.Record) { sampleOf(r, record.Pending, "quiet").Value = 3 }},
		{18, "is a dead letter, once", func(r *record.Record) { poisoned(r) }},
		{18, "is a dead letter, once", func(r *record.Record) {
			l := poisoned(r)
			r.Letters = append(r.Letters, l, l)
		}},
		{18, "is a dead letter, once", func(r *record.Record) {
			l := poisoned(r)
			l.Consumer = "deliver"
			r.Letters = append(r.Letters, l)
		}},
		{18, "is no dead letter", func(r *record.Record) {
			r.End.Letters = true
			r.Ops = slices.DeleteFunc(r.Ops, func(op record.Op) bool { return op.F == record.Logout || op.F == record.Revoke || op.F == record.Ban })
			r.Letters = append(r.Letters, record.Letter{Space: sample.Space, Consumer: "deliver", Seq: 31, Found: "reconciliation"})
		}},
		{18, "is no dead letter", func(r *record.Record) {
			l := poisoned(r)
			r.Letters = append(r.Letters, l)
			l.Seq = 20
			r.Letters = append(r.Letters, l)
		}},
		{19, "send goes on", func(r *record.Record) {
			one(r, record.Send, broken, func(op *record.Op) { op.Outcome, op.Code = record.Refused, "unavailable" })
		}},
		{19, "connect goes on", func(r *record.Record) {
			one(r, record.Connect, broken, func(op *record.Op) { op.Outcome, op.Code = record.Unknown, "timeout" })
		}},
		{19, "send goes on", func(r *record.Record) {
			one(r, record.Send, broken, func(op *record.Op) { op.Outcome, op.Code = record.Refused, "unauthenticated" })
		}},
		{19, "send goes on", func(r *record.Record) { // the store's fault took the socket
			one(r, record.Send, broken+time.Second, func(op *record.Op) { op.Conn, op.Outcome, op.Code = sample.Ann, record.Unknown, "the conn has ended" })
			r.Told = append(r.Told, record.Told{Conn: sample.Ann, Who: "ann", Time: broken, T: record.Offline, Code: "reset"})
		}},
		{19, "send goes on", func(r *record.Record) { // the socket is open again
			one(r, record.Send, broken+time.Second, func(op *record.Op) { op.Conn, op.Outcome, op.Code = sample.Ann, record.Unknown, "the conn has ended" })
			lostBefore(r)
			r.Told = append(r.Told, record.Told{Conn: sample.Ann, Who: "ann", Time: broken, T: record.Hello})
		}},
		{19, "send keeps its latency", func(r *record.Record) {
			each(r, record.Send, broken, func(op *record.Op) { op.End = op.Start + time.Second })
		}},
		{19, "delivery keeps its latency", func(r *record.Record) {
			for i := range r.Told {
				if told := &r.Told[i]; told.Conn == listening && told.Time > broken {
					told.Time += time.Second
				}
			}
		}},
		{20, "goroutines are bounded", func(r *record.Record) { sampleOf(r, record.Goroutines, "quiet").Value = 1000 }},
		{20, "descriptors are bounded", func(r *record.Record) { sampleOf(r, record.Descriptors, "quiet").Value = 1000 }},
		{20, "a slow reader is told what it missed", func(r *record.Record) {
			r.Told = slices.Delete(r.Told, toldOf60(r), toldOf60(r)+1)
		}},
		{20, "a slow reader is told in order", func(r *record.Record) {
			again := r.Told[toldOf60(r)]
			again.Seq = 35
			r.Told = append(r.Told, again)
		}},
		{20, "costs a pointer", func(r *record.Record) {
			for i := range r.Samples {
				if s := &r.Samples[i]; s.Name == record.Resident && s.Time > stall {
					s.Value = 400 << 20
				}
			}
		}},
		{21, "says when", func(r *record.Record) {
			each(r, record.Send, load+10*time.Second, func(op *record.Op) { op.RetryIn = 0 })
		}},
		{21, "says when", func(r *record.Record) {
			one(r, record.Send, beyond, func(op *record.Op) { op.RetryIn = 0 })
		}},
		{21, "explicit", func(r *record.Record) {
			one(r, record.Send, beyond, func(op *record.Op) { op.Outcome, op.Code = record.Unknown, "no answer" })
		}},
		{21, "is too much", func(r *record.Record) {
			each(r, record.Send, load+10*time.Second, func(op *record.Op) { op.Outcome, op.Code = record.Refused, "internal" })
		}},
		{21, "explicit", func(r *record.Record) {
			one(r, record.Send, load+10*time.Second, func(op *record.Op) { op.Outcome, op.Code = record.Unknown, "timeout" })
		}},
		{21, "useful work", func(r *record.Record) {
			n := 0
			each(r, record.Send, load+10*time.Second, func(op *record.Op) {
				if n++; n%4 == 0 {
					op.Outcome, op.Code, op.RetryIn = record.Refused, "rate_limited", time.Second
				} else if n%2 == 1 && n%8 > 2 {
					op.Outcome, op.Code, op.RetryIn = record.Refused, "rate_limited", time.Second
				}
			})
		}},
		{22, "never enter the log", func(r *record.Record) {
			r.Events = append(r.Events, record.Event{Source: "hub-1", Space: sample.Space, Seq: 90, Kind: "typing"})
		}},
		{22, "never enter history", func(r *record.Record) {
			r.Kept = append(r.Kept, record.Kept{View: "cassandra 1", Space: sample.Space, Message: record.Message{Seq: 90, Body: "at lunch"}})
		}},
		{22, "to and from members", func(r *record.Record) {
			r.Told = append(r.Told, record.Told{Conn: sample.Cid, Who: "cid", Time: ended, T: record.Typed, Channel: sample.Secret, User: "uann"})
		}},
		{22, "beside typing", func(r *record.Record) {
			each(r, record.Send, calm, func(op *record.Op) {
				if op.Start < calm+3*time.Second {
					op.End = op.Start + time.Second
				}
			})
		}},
	} {
		r := sound()
		c.spoil(r)
		v := verdictOf(t, r, c.n)
		i := slices.IndexFunc(v.Shown, func(b verdict.Violation) bool { return strings.Contains(b.Rule, c.rule) })
		if i < 0 {
			t.Errorf("%d, %s: found %v", c.n, c.rule, v.Shown)
		} else if len(v.Shown[i].History) > 3 {
			t.Errorf("%d, %s: shown in %d lines", c.n, c.rule, len(v.Shown[i].History))
		}
	}
}

// What is allowed is no violation.
// lostBefore has ann's socket reset by a fault that is over when the store breaks.
func lostBefore(r *record.Record) {
	r.Faults = append(r.Faults, record.Fault{Name: "reset", Tier: "client-gateway", Begin: broken - 9*time.Second, End: broken - 8*time.Second})
	r.Told = append(r.Told, record.Told{Conn: sample.Ann, Who: "ann", Time: broken - 8*time.Second, T: record.Offline, Code: "reset"})
}

func TestWhatIsAllowedHolds(t *testing.T) {
	for name, c := range map[string]struct {
		n     int
		allow func(r *record.Record)
	}{
		"a push that comes twice under one id": {17, func(r *record.Record) {
			r.Ops = append(r.Ops, record.Op{Who: "ann", F: record.Notify, Message: 32, Outcome: record.OK})
		}},
		"a job whose next attempt is to come": {17, func(r *record.Record) {
			r.Jobs = append(r.Jobs, record.Job{Space: sample.Space, Channel: sample.General, Message: 61, Who: "bea", State: "pending", Waits: true, Last: true})
		}},
		"a send that is wrong on purpose": {19, func(r *record.Record) {
			one(r, record.Send, broken, func(op *record.Op) { op.Outcome, op.Code = record.Refused, "invalid" })
		}},
		"a hub that is down beside the store": {19, func(r *record.Record) {
			one(r, record.Send, broken, func(op *record.Op) { op.Outcome, op.Code = record.Refused, "unavailable" })
			r.Faults = append(r.Faults, record.Fault{Tier: "hub", Begin: broken, End: broken + time.Second})
		}},
		"a socket that its client has not opened again": {19, func(r *record.Record) {
			one(r, record.Send, broken+time.Second, func(op *record.Op) { op.Conn, op.Outcome, op.Code = sample.Ann, record.Unknown, "the conn has ended" })
			lostBefore(r)
		}},
		"a reader who pauses": {19, func(r *record.Record) {
			for i := range r.Told {
				if told := &r.Told[i]; told.Conn == listening && told.Time > broken {
					told.Time += time.Second
				}
			}
			r.Ops = append(r.Ops, record.Op{Who: "bea", F: record.Stall, Conn: listening, Start: broken, End: broken + 5*time.Second, Outcome: record.OK})
		}},
		"a process that was restarted": {20, func(r *record.Record) {
			s := sampleOf(r, record.Goroutines, "quiet")
			s.Value = 1000
			r.Samples = append(r.Samples, record.Sample{Time: 201 * time.Second, Process: s.Process, Name: s.Name, Value: 900})
			r.Faults = append(r.Faults, record.Fault{Name: "kill", Tier: "gateway", Targets: []string{s.Process}, Begin: 199 * time.Second, End: 200 * time.Second})
			slices.SortFunc(r.Samples, func(a, b record.Sample) int { return int(a.Time - b.Time) })
		}},
		"a dead letter of what nobody can read": {18, func(r *record.Record) {
			r.Letters = append(r.Letters, poisoned(r))
		}},
		"a message whose reader has signed out since": {18, func(r *record.Record) {
			r.End.Letters = true
			r.Letters = append(r.Letters, record.Letter{Space: sample.Space, Consumer: "deliver", Seq: 31, Found: "reconciliation"})
			r.Ops = append(r.Ops, record.Op{Who: "bea", Device: "bea/1", F: record.Logout, Start: ended, End: ended, Outcome: record.OK})
		}},
		"letters that nobody has looked at": {18, func(r *record.Record) {
			poisoned(r)
			r.End.Letters = false
		}},
		"a slow reader that is told to resync": {20, func(r *record.Record) {
			r.Told[toldOf60(r)].T = record.Resync
		}},
	} {
		r := sound()
		c.allow(r)
		if v := verdictOf(t, r, c.n); v.Broken > 0 {
			t.Errorf("%s: %v", name, v.Shown)
		}
	}
}

// What one person is refused is counted, and is no useful work that went missing.
func TestABurstIsNoRoundOfCapacity(t *testing.T) {
	v := verdictOf(t, sound(), 21)
	if want := "100/s at the peak, 100/s at twice the load; 100 refused; in bursts 3 of 3 refused"; v.Cases != 203 || v.Notes != want {
		t.Errorf("%d cases, %s", v.Cases, v.Notes)
	}
	r := sound()
	r.Ops = slices.DeleteFunc(r.Ops, func(op record.Op) bool { return op.Phase == "peak" || op.Phase == "double" })
	if v := verdictOf(t, r, 21); v.Cases != 3 || v.Notes != "capacity was not measured; in bursts 3 of 3 refused" {
		t.Errorf("a burst alone: %d cases, %s", v.Cases, v.Notes)
	}
}

// Whatever a record says, it is judged.
func FuzzCheck(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 1, 7, 4, 4, 0xf0, 2, 3, 4})
	f.Fuzz(func(t *testing.T, program []byte) {
		r := sound()
		sample.Spoil(r, program)
		if got := running.Check(r, ledger.Of(r)); len(got) != 6 {
			t.Errorf("%d verdicts", len(got))
		}
		r.Run = record.Run{}
		if got := running.Check(r, ledger.Of(r)); len(got) != 6 {
			t.Errorf("of nobody: %d verdicts", len(got))
		}
	})
}
