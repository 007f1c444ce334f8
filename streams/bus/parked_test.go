package bus_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
)

// As nats-server 2.15 sends them.
const (
	maxDeliver = `{"type":"io.nats.jetstream.advisory.v1.max_deliver","id":"8Vd2","timestamp":"2026-11-22T08:01:02.123456789Z",` +
		`"stream":"CHAT_3","consumer":"persist","stream_seq":4711,"deliveries":8,"domain":"hub"}`
	terminated = `{"type":"io.nats.jetstream.advisory.v1.terminated","id":"8Vd3","timestamp":"2026-11-22T08:01:02Z",` +
		`"stream":"DELIVERY","consumer":"push","consumer_seq":12,"stream_seq":9,"deliveries":1,"reason":"no job","domain":"hub"}`
)

func TestAnAdvisoryIsRead(t *testing.T) {
	at := time.Date(2026, 11, 22, 8, 1, 2, 123456789, time.UTC)
	for said, want := range map[string]bus.Parked{
		maxDeliver: {Stream: "CHAT_3", Consumer: "persist", Seq: 4711, Deliveries: 8, Reason: "gave up after 8 deliveries", At: at},
		terminated: {Stream: "DELIVERY", Consumer: "push", Seq: 9, Deliveries: 1, Reason: "no job", At: at.Truncate(time.Second)},
	} {
		if got, err := bus.ParseAdvisory([]byte(said)); err != nil || got != want {
			t.Errorf("%s is read as %+v, %v", said, got, err)
		}
	}
	for name, said := range map[string]string{
		"of a leaf":             strings.Replace(maxDeliver, `"hub"`, `"eu1"`, 1),
		"of no domain":          strings.Replace(maxDeliver, `,"domain":"hub"`, "", 1),
		"another advisory":      strings.Replace(maxDeliver, "max_deliver", "nak", 1),
		"another stream":        strings.Replace(maxDeliver, "CHAT_3", "CHAT_99", 1),
		"another consumer":      strings.Replace(maxDeliver, "persist", "push", 1),
		"no seq":                strings.Replace(maxDeliver, "4711", "0", 1),
		"a seq that cannot be":  strings.Replace(maxDeliver, "4711", "281474976710656", 1),
		"a text for the number": strings.Replace(maxDeliver, "4711", `"4711"`, 1),
		"no time":               strings.Replace(maxDeliver, "timestamp", "time", 1),
		"a note":                `{"stream":"CHAT_3","consumer":"persist","stream_seq":1,"timestamp":"2026-11-22T08:01:02Z"}`,
		"no JSON":               "max_deliver", "nothing": "",
	} {
		if got, err := bus.ParseAdvisory([]byte(said)); !errors.Is(err, bus.ErrNotParked) {
			t.Errorf("%s is read as %+v, %v", name, got, err)
		}
	}
}

func TestANoteIsReadAsItWasWritten(t *testing.T) {
	want := bus.Parked{Stream: "SCHED", Consumer: "due", Seq: 5, Deliveries: 3, Reason: "it says: “no”", At: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)}
	note, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if golden := `{"stream":"SCHED","consumer":"due","stream_seq":5,"deliveries":3,"reason":"it says: “no”","timestamp":"2026-01-02T03:04:05.000000006Z"}`; string(note) != golden {
		t.Errorf("the note is %s", note)
	}
	if got, err := bus.ParseParked(note); err != nil || got != want {
		t.Errorf("it is read as %+v, %v", got, err)
	}
	for name, change := range map[string]func(*bus.Parked){
		"no stream":           func(p *bus.Parked) { p.Stream = "" },
		"a stream of nobody":  func(p *bus.Parked) { p.Stream = "PROBE" },
		"another consumer":    func(p *bus.Parked) { p.Consumer = "persist" },
		"no seq":              func(p *bus.Parked) { p.Seq = 0 },
		"too high a seq":      func(p *bus.Parked) { p.Seq = chat.MaxSeq + 1 },
		"negative deliveries": func(p *bus.Parked) { p.Deliveries = -1 },
		"no time":             func(p *bus.Parked) { p.At = time.Time{} },
	} {
		other := want
		change(&other)
		note, err := other.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := bus.ParseParked(note); !errors.Is(err, bus.ErrNotParked) {
			t.Errorf("%s: it is read as %+v, %v", name, got, err)
		}
	}
}

func TestAReasonIsOneLineThatCanBeShown(t *testing.T) {
	for given, want := range map[string]string{
		"":                             "",
		"plain":                        "plain",
		"it is not JSON: é\xff":        "it is not JSON: é?",
		" two\r\nlines\tand a tab ":    "two  lines and a tab",
		"\x1b[31mred\u202e\u2028\x00.": "[31mred   .",
		strings.Repeat("a", 9000):      strings.Repeat("a", bus.MaxReason),
		strings.Repeat("é", 9000):      strings.Repeat("é", bus.MaxReason/2),
		"x" + strings.Repeat("é", 900): "x" + strings.Repeat("é", bus.MaxReason/2-1),
	} {
		if got := bus.PrintableReason(given); got != want {
			t.Errorf("%.60q becomes %.60q", given, got)
		}
	}
	if got := bus.GaveUp(8, "a database is down"); got != "gave up after 8 deliveries: a database is down" {
		t.Error(got)
	}
}

// What is taken tells of a consumer of ours and can be written again; its reason is one short line.
func FuzzParseParked(f *testing.F) {
	for _, s := range []string{maxDeliver, terminated, `{"stream":"CHAT_0","consumer":"deliver","stream_seq":1,"deliveries":1,"reason":"\u0000\n","timestamp":"2026-11-22T08:01:02+02:00"}`, "", "{}", "[]", "null"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for name, parse := range map[string]func([]byte) (bus.Parked, error){"ParseParked": bus.ParseParked, "ParseAdvisory": bus.ParseAdvisory} {
			p, err := parse(b)
			if err != nil {
				if !errors.Is(err, bus.ErrNotParked) || p != (bus.Parked{}) {
					t.Errorf("%s: %+v, %v", name, p, err)
				}
				continue
			}
			if _, err := streams.DeadMsgID(p.Stream, p.Consumer, p.Seq); err != nil || p.Seq == 0 || p.Seq > chat.MaxSeq || p.Deliveries < 0 || p.At.Location() != time.UTC {
				t.Errorf("%s took %+v: %v", name, p, err)
			}
			if len(p.Reason) > bus.MaxReason || !utf8.ValidString(p.Reason) || strings.ContainsFunc(p.Reason, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("%s: the reason is %q", name, p.Reason)
			}
			if note, err := json.Marshal(p); err == nil {
				if again, err := bus.ParseParked(note); err != nil || again != p {
					t.Errorf("%s: %+v is read again as %+v, %v", name, p, again, err)
				}
			}
		}
	})
}
