package messages_test

import (
	"slices"
	"testing"
	"time"

	"github.com/canopychat/canopy/ops/verify/check/sample"
	"github.com/canopychat/canopy/ops/verify/record"
)

// drop takes out what a conn was told at a seq.
func drop(r *record.Record, conn string, seq int64) {
	r.Told = slices.DeleteFunc(r.Told, func(t record.Told) bool { return t.Conn == conn && t.Seq == seq })
}

// told is what a conn was told at a seq; of a hello, its first, at 0.
func told(r *record.Record, conn string, seq int64) *record.Told {
	i := slices.IndexFunc(r.Told, func(t record.Told) bool { return t.Conn == conn && t.Seq == seq })
	return &r.Told[i]
}

// tell tells a conn something right after it was told a seq.
func tell(r *record.Record, conn string, after int64, t record.Told) {
	i := slices.IndexFunc(r.Told, func(t record.Told) bool { return t.Conn == conn && t.Seq == after })
	t.Conn, t.Who, t.Time = conn, r.Told[i].Who, r.Told[i].Time
	r.Told = slices.Insert(r.Told, i+1, t)
}

// repeat tells a conn what somebody was told at a seq, right after another one.
func repeat(r *record.Record, conn string, after int64, from string, seq int64) {
	tell(r, conn, after, *told(r, from, seq))
}

// swap lets a conn be told two in turn.
func swap(r *record.Record, conn string, a, b int64) {
	x, y := told(r, conn, a), told(r, conn, b)
	*x, *y = *y, *x
}

// events changes what sources have at a seq. No name means all.
func events(r *record.Record, source string, seq int64, change func(*record.Event)) {
	for i := range r.Events {
		if e := &r.Events[i]; e.Seq == seq && (source == "" || e.Source == source) {
			change(e)
		}
	}
}

// lack takes events out of sources.
func lack(r *record.Record, source string, seq int64) {
	r.Events = slices.DeleteFunc(r.Events, func(e record.Event) bool { return e.Seq == seq && (source == "" || e.Source == source) })
}

// add adds an event to all sources.
func add(r *record.Record, e record.Event) {
	e.Epoch = 1
	for _, e.Source = range sample.Sources {
		r.Events = append(r.Events, e)
	}
}

// kept is a row of a view.
func kept(r *record.Record, view string, seq int64) *record.Kept {
	i := slices.IndexFunc(r.Kept, func(k record.Kept) bool { return k.View == view && k.Seq == seq })
	return &r.Kept[i]
}

// miss takes a row out of a view.
func miss(r *record.Record, view string, seq int64) {
	r.Kept = slices.DeleteFunc(r.Kept, func(k record.Kept) bool { return k.View == view && k.Seq == seq })
}

// op is the first that fits.
func op(r *record.Record, f record.F, who string, seq int64) *record.Op {
	i := slices.IndexFunc(r.Ops, func(op record.Op) bool { return op.F == f && op.Who == who && op.Seq == seq })
	return &r.Ops[i]
}

// did adds an op at the end.
func did(r *record.Record, op record.Op) {
	op.N, op.Start = int64(len(r.Ops)+1), r.End.Time
	op.End, op.Device = op.Start+time.Millisecond, op.Who+"/1"
	if op.Outcome == "" {
		op.Outcome = record.OK
	}
	op.Workspace = sample.Space
	r.Ops = append(r.Ops, op)
}

const (
	historyOfAnn = "history of ann at api-eu"
	replayOfBea  = "replay of bea at gateway-us-1"
)

// spoiling differs from what is sound in one thing.
type spoiling struct {
	name      string
	spoil     func(r *record.Record)
	invariant int
	rule      string
	seqs      []int64
}

var spoilings = []spoiling{
	{"an ack, and nothing in the log", func(r *record.Record) {
		did(r, record.Op{F: record.Send, Who: "ann", Channel: sample.General, ID: "a9", Body: "ann-a9", Seq: 60})
	}, 1, "what was acknowledged is in the log", []int64{60}},
	{"an ack of another message's seq", func(r *record.Record) { op(r, record.Send, "ann", 27).Seq = 31 }, 1, "an acknowledgement names what was stored", []int64{31}},
	{"the log lost one in the middle", func(r *record.Record) { lack(r, "", 27) }, 1, "what was acknowledged is in the log", []int64{27}},
	{"a text is erased that nobody deleted", func(r *record.Record) {
		events(r, "", 27, func(e *record.Event) {
			*e = record.Event{Source: e.Source, Space: e.Space, Epoch: 1, Seq: 27, Erased: true}
		})
	}, 1, "what was acknowledged is in the log", []int64{27}},
	{"a history lacks one", func(r *record.Record) { miss(r, historyOfAnn, 31) }, 1, "every stored message is in every history", []int64{31}},
	{"a history lacks what was deleted", func(r *record.Record) { miss(r, historyOfAnn, 21) }, 1, "every stored message is in every history", []int64{21}},
	{"a replay lacks one", func(r *record.Record) { miss(r, replayOfBea, 24) }, 1, "every stored message is in every replay", []int64{24}},

	{"a socket tells what nobody sent", func(r *record.Record) { told(r, sample.Ann, 27).Body = "forged" }, 2, "what is shown was sent", []int64{27}},
	{"in the name of another", func(r *record.Record) { told(r, sample.Ann, 27).Sender = "ubea" }, 2, "what is shown was sent", []int64{27}},
	{"in another channel", func(r *record.Record) { told(r, sample.Ann, 27).Channel = sample.Direct }, 2, "what is shown was sent", []int64{27}},
	{"a page has another text", func(r *record.Record) {
		r.Ops[slices.IndexFunc(r.Ops, func(o record.Op) bool { return o.F == record.Page })].Messages[0].Body = "bea-b2 "
	}, 2, "what is shown was sent", []int64{25}},
	{"a history has another text", func(r *record.Record) { kept(r, historyOfAnn, 33).Body = "ann-a8" }, 2, "what is shown was sent", []int64{33}},
	{"the log has what nobody sent", func(r *record.Record) {
		add(r, record.Event{Space: sample.Space, Seq: 50, Kind: "message.posted", Channel: sample.General, Sender: "uann", ID: "x", Body: "x"})
	}, 2, "what is shown was sent", []int64{50}},
	{"the log has a reaction that nobody gave", func(r *record.Record) { events(r, "", 38, func(e *record.Event) { e.Emoji = "-1" }) }, 2, "what is shown was sent", []int64{38}},
	{"the log has an edit that nobody made", func(r *record.Record) { events(r, "", 22, func(e *record.Event) { e.Body = "made up" }) }, 2, "what is shown was sent", []int64{22}},

	{"what was refused is in the log", func(r *record.Record) {
		add(r, record.Event{Space: sample.Space, Seq: 50, Kind: "message.posted", Channel: sample.General, Sender: "ubea", ID: "b9", Body: "bea-b9"})
	}, 3, "what was refused is never seen", []int64{50}},
	{"what was refused is told", func(r *record.Record) {
		tell(r, sample.Ann, 38, record.Told{T: record.Posted, Channel: sample.General, Seq: 50, Prev: -1, Sender: "ubea", ID: "b9", Body: "bea-b9"})
	}, 3, "what was refused is never seen", []int64{50}},
	{"another body of an id is shown", func(r *record.Record) { kept(r, historyOfAnn, 25).Body = "bea-other" }, 3, "what was refused is never seen", []int64{25}},
	{"an edit that was refused is shown", func(r *record.Record) {
		did(r, record.Op{F: record.Edit, Who: "ann", Channel: sample.General, Message: 33, Body: "ann-e9", Outcome: record.Refused, Code: "rate_limited"})
		kept(r, historyOfAnn, 33).Body = "ann-e9"
	}, 3, "what was refused is never seen", []int64{33}},
	{"what is unknown is there twice", func(r *record.Record) {
		for _, seq := range []int64{50, 51} {
			add(r, record.Event{Space: sample.Space, Seq: seq, Kind: "message.posted", Channel: sample.General, Sender: "ucid", ID: "n9", Body: "cid-n9"})
		}
	}, 3, "what is of unknown outcome is seen once", []int64{50, 51}},

	{"a conn goes back", func(r *record.Record) { repeat(r, sample.Ann, 27, sample.Ann, 25) }, 4, "a reader sees rising seqs", []int64{27, 25}},
	{"a conn is told one twice", func(r *record.Record) { repeat(r, sample.Ann, 27, sample.Ann, 27) }, 4, "a reader sees rising seqs", []int64{27, 27}},
	{"two in turn", func(r *record.Record) { swap(r, sample.Two, 31, 32) }, 4, "a reader sees rising seqs", []int64{32, 31}},
	{"another content of a seq", func(r *record.Record) { told(r, sample.Ann, 23).Emoji = "-1" }, 4, "a seq is the same for all", []int64{23}},
	{"what is told is not in the log", func(r *record.Record) { told(r, sample.Ann, 38).Seq = 40 }, 4, "what is told is in the log", []int64{40}},
	{"a replica has another event at a seq", func(r *record.Record) { events(r, "hub-1", 31, func(e *record.Event) { e.Body = "ann-a7" }) }, 4, "a seq is never used twice", []int64{31}},
	{"a replica has a seq twice", func(r *record.Record) {
		events(r, "hub-2", 32, func(e *record.Event) { e.Seq = 31 })
	}, 4, "a seq is never used twice", []int64{31, 31}},
	{"a view lists out of order", func(r *record.Record) {
		a, b := kept(r, historyOfAnn, 31), kept(r, historyOfAnn, 32)
		*a, *b = *b, *a
	}, 4, "a view lists in order", []int64{32, 31}},
	{"a view has another sender", func(r *record.Record) { kept(r, "cassandra 1", 31).Sender = "ubea" }, 4, "a seq is the same for all", []int64{31}},

	{"a conn misses one", func(r *record.Record) { drop(r, sample.Ann, 27) }, 5, "a reader misses nothing", []int64{27, 28}},
	{"a conn misses the first", func(r *record.Record) { drop(r, sample.Cid, 20) }, 5, "a reader misses nothing", []int64{20, 21}},
	{"a conn misses what was erased later", func(r *record.Record) { drop(r, sample.Cid, 21) }, 5, "a reader misses nothing", []int64{21, 22}},
	{"a conn misses the first after a resync", func(r *record.Record) { drop(r, sample.Cid, 33) }, 5, "a reader misses nothing", []int64{33, 34}},
	{"a conn misses one's own removal", func(r *record.Record) { drop(r, sample.Two, 29) }, 5, "a reader misses nothing", []int64{29, 31}},
	{"a client finds a gap", func(r *record.Record) {
		tell(r, sample.Ann, 27, record.Told{T: record.Gap, Channel: sample.General, Seq: 28})
	}, 5, "a client finds no gap", []int64{27, 28}},
	{"a prev hides one", func(r *record.Record) { told(r, sample.Ann, 33).Prev = 31 }, 5, "prev is the event before it in the channel", []int64{31, 32, 33}},

	{"a resend is answered another seq", func(r *record.Record) {
		r.Ops = append(r.Ops, *op(r, record.Send, "bea", 25))
		r.Ops[len(r.Ops)-1].Seq = 32
	}, 6, "an id is answered with one seq for ever", []int64{25, 32}},
	{"an id is in the log twice", func(r *record.Record) {
		add(r, record.Event{Space: sample.Space, Seq: 50, Kind: "message.posted", Channel: sample.General, Sender: "ubea", ID: "b2", Body: "bea-b2"})
	}, 6, "an id is stored once", []int64{25, 50}},
	{"another body is taken", func(r *record.Record) {
		did(r, record.Op{F: record.Send, Who: "ann", Channel: sample.General, ID: "a4", Body: "ann-new", Again: true, Seq: 27})
	}, 6, "an id with another body is refused", []int64{27}},
	{"the same body is a conflict", func(r *record.Record) {
		did(r, record.Op{F: record.Send, Who: "ann", Channel: sample.General, ID: "a4", Body: "ann-a4", Again: true, Outcome: record.Refused, Code: "conflict"})
	}, 6, "an id with the same body is answered its seq", []int64{27}},

	{"a later send is earlier in the log", func(r *record.Record) {
		a, b := op(r, record.Send, "ann", 31), op(r, record.Send, "ann", 33)
		a.Seq, b.Seq = b.Seq, a.Seq
	}, 7, "a sender's own sends keep their order", []int64{33, 31}},
	{"sends that waited together change places", func(r *record.Record) {
		a, b := op(r, record.Send, "ann", 33), op(r, record.Send, "ann", 35)
		a.Seq, b.Seq = b.Seq, a.Seq
		a.Start, a.End = time.Second, 9*time.Second
		b.Start, b.End = 2*time.Second, 9*time.Second
	}, 7, "a sender's own sends keep their order", []int64{35, 33}},
	{"an edit is earlier than the send before it", func(r *record.Record) { op(r, record.Edit, "ann", 22).Seq = 19 }, 7, "a sender's own sends keep their order", []int64{20, 19}},
	{"a reply before its root", func(r *record.Record) { events(r, "", 32, func(e *record.Event) { e.Thread = 33 }) }, 7, "a reply never precedes its root", []int64{33, 32}},
	{"a reply is told before its root", func(r *record.Record) { swap(r, sample.Ann, 20, 21) }, 7, "a root is told before what replies to it", []int64{20, 21}},

	{"a view has another state", func(r *record.Record) { kept(r, "cassandra 2", 20).Edited = false }, 8, "every view has what the log has", []int64{20}},
	{"a view lacks a reaction", func(r *record.Record) { kept(r, historyOfAnn, 35).Reactions = nil }, 8, "every view has what the log has", []int64{35}},
	{"a view has more", func(r *record.Record) { kept(r, "cassandra 2", 35).Seq = 36 }, 8, "no view has what the log has not", []int64{36}},
	{"a replay has another state", func(r *record.Record) { kept(r, replayOfBea, 20).Body = "ann-a1" }, 8, "every view has what the log has", []int64{20}},
	{"a whole channel is missing", func(r *record.Record) { miss(r, "cassandra 1", 26) }, 8, "every view has what the log has", []int64{26}},
	{"a replica lacks one", func(r *record.Record) { lack(r, "hub-1", 31) }, 8, "every replica has the log", []int64{31}},
	{"a replica has more", func(r *record.Record) { lack(r, "stream", 38) }, 8, "every replica has the log", []int64{38}},
	{"a replica still has what was erased", func(r *record.Record) {
		events(r, "hub-2", 21, func(e *record.Event) {
			*e = record.Event{Source: "hub-2", Space: sample.Space, Epoch: 1, Seq: 21, Kind: "message.posted", Channel: sample.General, Sender: "ubea", ID: "b1", Body: "bea-b1", Thread: 20}
		})
	}, 8, "what is erased from the log is so in every replica", []int64{21}},

	{"a resume leaves one out", func(r *record.Record) { drop(r, sample.Two, 27) }, 11, "a resume delivers everything after the cursor", []int64{27, 28}},
	{"a resume has a hole at its seam", func(r *record.Record) { drop(r, sample.Two, 29) }, 11, "a resume delivers everything after the cursor", []int64{29, 31}},
	{"a resume delivers one again", func(r *record.Record) { repeat(r, sample.Two, 0, sample.Bea, 26) }, 11, "a resume delivers it once and in order", []int64{26, 26}},
	{"a resume delivers in turn", func(r *record.Record) { swap(r, sample.Two, 27, 28) }, 11, "a resume delivers it once and in order", []int64{28, 27}},
	{"a conn begins anew and says nothing", func(r *record.Record) {
		tell(r, sample.Ann, 27, record.Told{T: record.Hello, Space: sample.Space, Cursor: "1.28"})
		drop(r, sample.Ann, 28)
	}, 11, "a socket that does not resume says resync", []int64{28, 29}},

	{"a post of a channel after the removal", func(r *record.Record) { repeat(r, sample.Two, 29, sample.Ann, 30) }, 14, "nothing is told to one who was not a member at the seq", []int64{30}},
	{"a direct message of others", func(r *record.Record) { repeat(r, sample.Cid, 25, sample.Ann, 26) }, 14, "nothing is told to one who was not a member at the seq", []int64{26}},
	{"a post while one was out", func(r *record.Record) { repeat(r, sample.Cid, 34, sample.Ann, 35) }, 14, "nothing is told to one who was not a member at the seq", []int64{35}},
	{"typing after the removal", func(r *record.Record) {
		tell(r, sample.Two, 29, record.Told{T: record.Typed, Channel: sample.Secret, User: "uann"})
	}, 14, "typing is told to members", []int64{29}},
	{"a page after the removal", func(r *record.Record) {
		did(r, record.Op{F: record.Page, Who: "bea", Channel: sample.Secret, Messages: []record.Message{{Seq: 24, Sender: "uann", ID: "a2", Body: "ann-a2"}}})
	}, 14, "history is not shown to who is not in the channel", []int64{24}},
	{"a search finds what others wrote", func(r *record.Record) {
		did(r, record.Op{F: record.Search, Who: "cid", Messages: []record.Message{{Seq: 26, Sender: "uann", ID: "a3", Body: "ann-a3"}}})
	}, 14, "history is not shown to who is not in the channel", []int64{26}},
	{"a history of a channel that one is not in", func(r *record.Record) {
		k := *kept(r, historyOfAnn, 24)
		k.View, k.Who = "history of bea at api-us", "bea"
		r.Kept = append(r.Kept, k)
	}, 14, "views show what their reader may see", []int64{24}},
	{"a replay of what came after the removal", func(r *record.Record) {
		k := *kept(r, "replay of ann at gateway-eu-1", 30)
		k.View, k.Who = replayOfBea, "bea"
		r.Kept = append(r.Kept, k)
	}, 14, "views show what their reader may see", []int64{30}},
	{"a notice to who was out", func(r *record.Record) {
		did(r, record.Op{F: record.Notify, Who: "cid", Channel: sample.General, Message: 35})
	}, 14, "a notice of a message goes to who was there", []int64{35}},
}

// Each is found under its invariant, and shown with the seqs that it is about.
func TestWhatIsBrokenIsFound(t *testing.T) {
	count := map[int]int{}
	for _, s := range spoilings {
		count[s.invariant]++
		t.Run(s.name, func(t *testing.T) {
			r := sample.Sound()
			s.spoil(r)
			v := of(t, check(r), s.invariant)
			for _, b := range v.Shown {
				if b.Rule == s.rule && slices.Equal(b.Seqs, s.seqs) && len(b.History) > 0 {
					return
				}
			}
			t.Errorf("%d: found %d: %v, want %q with %v", s.invariant, v.Broken, v.Shown, s.rule, s.seqs)
		})
	}
	for _, v := range check(sample.Sound()) {
		if count[v.Invariant] < 3 {
			t.Errorf("%d is spoiled in %d ways", v.Invariant, count[v.Invariant])
		}
	}
}
