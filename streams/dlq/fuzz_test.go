package dlq

import (
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/nats-io/nats.go"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/streams"
)

// FuzzHeaders: whatever the original's header says, a letter's headers say the same of where it came from, order the server about nothing, and are lines
// that a terminal can show.
func FuzzHeaders(f *testing.F) {
	for _, seed := range [][2]string{{"Nats-Rollup", "all"}, {"nats-ttl", "1s"}, {"Canopy-Dead-Seq", "9"}, {"X", "a\r\nNats-Rollup: all"}, {"a b", "\xff"}, {"", ""}, {"Nats-Msg-Id", "x"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, key, value string) {
		r, err := Letter{
			Stream: "CHAT_0", Consumer: "persist", Subject: value, Seq: 7, Reason: value, MsgID: value, TraceParent: value, Found: FoundNote,
			Header: nats.Header{key: {value, value}},
		}.record()
		if err != nil {
			t.Fatal(err)
		}
		for name, values := range r.Header {
			if hasPrefixFold(name, natsPrefix) && name != streams.HeaderMsgID && name != streams.HeaderExpectedLast {
				t.Errorf("%q orders the server about", name)
			}
			for _, v := range values {
				if strings.ContainsFunc(v, func(r rune) bool { return !unicode.IsPrint(r) }) {
					t.Errorf("%q: %q", name, v)
				}
			}
		}
		sent := &nats.Msg{Subject: r.Subject, Header: r.Header, Data: []byte("x")}
		l := letterOf(message{seq: chat.Seq(1), subject: sent.Subject, at: time.Unix(1, 0), header: sent.Header, data: sent.Data})
		if l.Stream != "CHAT_0" || l.Consumer != "persist" || l.Seq != 7 || l.Found != FoundNote {
			t.Errorf("%+v", l)
		}
	})
}

// FuzzMatchSubject: a filter without wildcards matches itself alone, and what matches has as many tokens, unless > ends it.
func FuzzMatchSubject(f *testing.F) {
	f.Add("chat.*.w1.>", "chat.0.w1.c1")
	f.Add("a.b", "a.b.c")
	f.Add(">", "")
	f.Fuzz(func(t *testing.T, filter, subject string) {
		got := matchSubject(filter, subject)
		if !strings.ContainsAny(filter, "*>") && got && filter != subject {
			t.Errorf("%q matches %q", filter, subject)
		}
		if got && !strings.HasSuffix(filter, ">") && strings.Count(filter, ".") != strings.Count(subject, ".") {
			t.Errorf("%q matches %q", filter, subject)
		}
	})
}
