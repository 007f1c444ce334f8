package event_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
)

// The parts that the cases below are put together from.
const (
	head    = `"v":1,"epoch":1,"channel_id":"c1","sender_id":"u1"`
	posted  = head + `,"kind":"message.posted","client_msg_id":"m1"`
	deleted = head + `,"kind":"message.deleted","message_seq":41`
	created = head + `,"kind":"channel.created"`
	foreign = head + `,"kind":"poll.opened"`
	later   = `"v":2,"kind":"message.posted","epoch":1,"channel_id":"c1","sender_id":"u1"`
)

// A newer writer may add a field; nobody who reads v 1 is disturbed, and the bytes carry it on.
func TestUnknownFieldsAreIgnored(t *testing.T) {
	want := event.Event{V: 1, Kind: event.MessagePosted, Epoch: 1, ChannelID: "c1", SenderID: "u1", ClientMsgID: "m1", Body: "hi"}
	for _, more := range []string{
		``, `,"priority":"high"`, `,"x-y":null`, `,"newField":{"seq":1,"BODY":[]}`, `,"meta":[[[1]]]`, `,"":0`, `,"bodies":"x"`, `,"sequence":1`, `,"日本":1`,
	} {
		got, err := event.Parse([]byte(`{` + posted + `,"body":"hi"` + more + `}`))
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", more, err, diff)
		}
	}
}

// What this build does not know is carried, with what routes it.
func TestOtherKindsAndVersionsAreCarried(t *testing.T) {
	for name, payload := range map[string]string{
		"an unknown kind":                      `{` + foreign + `}`,
		"one that gives a field another type":  `{` + foreign + `,"body":{"question":"when?"},"user":"u2","thread":"t"}`,
		"one that gives a known field null":    `{` + foreign + `,"thread":null}`,
		"one with ids of another form":         `{` + foreign + `,"user_id":"U-2"}`,
		"a later version":                      `{` + later + `}`,
		"a later version with other types":     `{` + later + `,"body":["a","b"],"message_seq":-1,"attachments":{}}`,
		"a later version without what v 1 has": `{"v":9,"kind":"user.updated","epoch":1,"sender_id":"u1"}`,
	} {
		e, err := event.Parse([]byte(payload))
		if err != nil || e.Known() || e.SenderID != "u1" || e.Epoch != 1 || e.Kind == "" {
			t.Errorf("%s: %+v, %v", name, e, err)
		}
	}
}

// refused is what Parse must not take. Those that a schema can tell are in TestBadEventsAreBadForTheSchemaToo.
var refused = map[string]string{
	"nothing":                  ``,
	"white space":              ` `,
	"white space before it":    ` {` + deleted + `}`,
	"a byte order mark":        "\ufeff{" + deleted + `}`,
	"no JSON":                  `hello`,
	"half an object":           `{` + deleted,
	"something after it":       `{` + deleted + `}{}`,
	"a comma at the end":       `{` + deleted + `,}`,
	"an array":                 `[{` + deleted + `}]`,
	"a string":                 `"{` + `}"`,
	"null":                     `null`,
	"a comment":                `{` + deleted + `/**/}`,
	"a control character":      `{` + posted + ",\"body\":\"a\nb\"}",
	"too deep to be forwarded": `{` + deleted + `,"x":` + strings.Repeat("[", event.MaxDepth) + strings.Repeat("]", event.MaxDepth) + `}`,
	"deep":                     `{` + deleted + `,"x":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + `}`,
	"too deep for anybody":     `{` + deleted + `,"x":` + strings.Repeat(`{"a":`, 12000),
	"larger than the log's":    `{` + posted + `,"body":"hi","x":"` + strings.Repeat("x", chat.MaxStoredEvent) + `"}`,

	"bytes that are no UTF-8":               `{` + posted + ",\"body\":\"a\xffb\"}",
	"no UTF-8 in an unknown field":          `{` + deleted + ",\"x\":\"\xc0\xaf\"}",
	"no UTF-8 in a key":                     `{` + deleted + ",\"\xff\":1}",
	"no UTF-8 in an unknown kind":           `{` + foreign + ",\"x\":\"\xff\"}",
	"half a surrogate pair":                 `{` + posted + `,"body":"\ud83d"}`,
	"half a pair in an unknown field":       `{` + deleted + `,"x":"\ude00"}`,
	"a number that no double holds":         `{` + deleted + `,"x":1e999}`,
	"a known key twice":                     `{` + posted + `,"body":"a","body":"b"}`,
	"the kind twice":                        `{` + deleted + `,"kind":"message.deleted"}`,
	"the version twice":                     `{"v":2,` + deleted + `}`,
	"the sender twice, once with an escape": `{` + deleted + `,"sender\u005fid":"u2"}`,
	"an unknown key twice":                  `{` + deleted + `,"x":1,"x":1}`,
	"a key twice in a channel":              `{` + created + `,"channel":{"type":"dm","type":"dm","creator_id":"u1"}}`,
	"a key twice in an unknown field":       `{` + deleted + `,"x":{"y":1,"y":2}}`,
	"a known key in capitals":               `{` + posted + `,"BODY":"a"}`,
	"two spellings of a key":                `{` + posted + `,"body":"a","Body":"b"}`,
	"capitals in an unknown kind":           `{` + foreign + `,"Sender_ID":"u2"}`,
	"a channel's key in capitals":           `{` + created + `,"channel":{"Type":"dm","creator_id":"u1"}}`,
	"a file's key in capitals":              `{` + posted + `,"attachments":[{"ID":"f1"}]}`,
	"a key with the Kelvin sign":            `{` + deleted + ",\"\u212aind\":\"pin.added\"}",
	"seq in capitals":                       `{` + deleted + `,"SEQ":5}`,
	"Seq":                                   `{` + deleted + `,"Seq":5}`,
	"seq with the long s":                   `{` + deleted + ",\"\u017feq\":5}",
	"TS":                                    `{` + deleted + `,"TS":""}`,
	"seq with an escape":                    `{` + deleted + `,"\u0073eq":5}`,
	"seq in an unknown kind in capitals":    `{` + foreign + `,"SEQ":5}`,
	"white space only":                      `{` + posted + `,"body":" \n\u3000"}`,
	"NUL in a body":                         `{` + posted + `,"body":"a\u0000b"}`,
	"a body over its bytes":                 `{` + posted + `,"body":"` + strings.Repeat("é", chat.MaxBody/2+1) + `"}`,
	"an emoji that is white space":          `{` + head + `,"kind":"reaction.added","message_seq":1,"emoji":"\u2003"}`,
	"an emoji over its bytes":               `{` + head + `,"kind":"reaction.added","message_seq":1,"emoji":"` + strings.Repeat("👍", 17) + `"}`,
	"message_seq 1.0":                       `{` + head + `,"kind":"pin.added","message_seq":1.0}`,
	"message_seq 1e3":                       `{` + head + `,"kind":"pin.added","message_seq":1e3}`,
	"v 1.0":                                 `{"v":1.0,"kind":"member.left","epoch":1,"sender_id":"u1","user_id":"u1"}`,
	"v over its bits":                       `{"v":9223372036854775808,"kind":"member.left","epoch":1,"sender_id":"u1","user_id":"u1"}`,
	"an unwanted field of another type":     `{` + deleted + `,"body":5}`,
	"an unwanted field that is null":        `{` + deleted + `,"body":null}`,
	"a null in a channel":                   `{` + created + `,"channel":{"type":"dm","creator_id":"u1","topic":null}}`,
	"an empty channel_id of a post":         `{"v":1,"kind":"message.posted","epoch":1,"channel_id":"","sender_id":"u1","client_msg_id":"m1","body":"hi"}`,
}

// badForTheSchema is what neither Parse nor the schema takes.
var badForTheSchema = map[string]string{
	"an empty object":          `{}`,
	"no v":                     `{"kind":"message.deleted","epoch":1,"channel_id":"c1","sender_id":"u1","message_seq":1}`,
	"v 0":                      `{"v":0,"kind":"message.deleted","epoch":1,"channel_id":"c1","sender_id":"u1","message_seq":1}`,
	"v as a string":            `{"v":"1","kind":"message.deleted","epoch":1,"channel_id":"c1","sender_id":"u1","message_seq":1}`,
	"no kind":                  `{` + head + `}`,
	"kind of another shape":    `{` + head + `,"kind":"Message.Posted"}`,
	"kind of three words":      `{` + head + `,"kind":"a.b.c"}`,
	"kind with a line break":   `{` + head + `,"kind":"poll.opened\n"}`,
	"kind without an end":      `{` + head + `,"kind":"a.` + strings.Repeat("b", 33) + `"}`,
	"kind as a number":         `{` + head + `,"kind":5}`,
	"no epoch":                 `{"v":1,"kind":"message.deleted","channel_id":"c1","sender_id":"u1","message_seq":1}`,
	"epoch 0":                  `{"v":1,"kind":"poll.opened","epoch":0,"sender_id":"u1"}`,
	"epoch over 14 bits":       `{"v":1,"kind":"poll.opened","epoch":16384,"sender_id":"u1"}`,
	"epoch over 16 bits":       `{"v":1,"kind":"poll.opened","epoch":65537,"sender_id":"u1"}`,
	"a negative epoch":         `{"v":1,"kind":"poll.opened","epoch":-1,"sender_id":"u1"}`,
	"no sender":                `{"v":1,"kind":"poll.opened","epoch":1}`,
	"a sender that is no id":   `{"v":1,"kind":"poll.opened","epoch":1,"sender_id":"*"}`,
	"a sender with NUL":        `{"v":1,"kind":"poll.opened","epoch":1,"sender_id":"a\u0000"}`,
	"a channel that is no id":  `{"v":1,"kind":"poll.opened","epoch":1,"sender_id":"u1","channel_id":"c.>"}`,
	"a later v, a bad channel": `{"v":2,"kind":"message.posted","epoch":1,"sender_id":"u1","channel_id":"..","body":[]}`,
	"type":                     `{` + deleted + `,"type":"hello"}`,
	"seq":                      `{` + deleted + `,"seq":5}`,
	"seq that is null":         `{` + deleted + `,"seq":null}`,
	"ts":                       `{` + deleted + `,"ts":"2026-01-01T00:00:00.000Z"}`,
	"prev":                     `{` + deleted + `,"prev":0}`,
	"server_msg_id":            `{` + deleted + `,"server_msg_id":"1.5"}`,
	"seq in an unknown kind":   `{` + foreign + `,"seq":5}`,
	"type in a later version":  `{` + later + `,"body":[],"type":"hello"}`,

	"a post without a channel":       `{"v":1,"kind":"message.posted","epoch":1,"sender_id":"u1","client_msg_id":"m1","body":"hi"}`,
	"a post without a body":          `{` + posted + `}`,
	"a post with an empty body":      `{` + posted + `,"body":""}`,
	"a post with no file":            `{` + posted + `,"body":"","attachments":[]}`,
	"a post whose body is null":      `{` + posted + `,"body":null}`,
	"a post whose body is a number":  `{` + posted + `,"body":5}`,
	"a post without client_msg_id":   `{` + head + `,"kind":"message.posted","body":"hi"}`,
	"a client_msg_id with a dot":     `{` + head + `,"kind":"message.posted","body":"hi","client_msg_id":"a.b"}`,
	"a body of too many letters":     `{` + posted + `,"body":"` + strings.Repeat("a", chat.MaxBody+1) + `"}`,
	"a thread over 48 bits":          `{` + posted + `,"body":"hi","thread":281474976710656}`,
	"a negative thread":              `{` + posted + `,"body":"hi","thread":-1}`,
	"a file without an id":           `{` + posted + `,"attachments":[{"name":"a"}]}`,
	"a file that is null":            `{` + posted + `,"attachments":[null]}`,
	"a file of negative size":        `{` + posted + `,"attachments":[{"id":"f","size":-1}]}`,
	"eleven files":                   `{` + posted + `,"body":"hi","attachments":[` + strings.Repeat(`{"id":"f"},`, 10) + `{"id":"f"}]}`,
	"an edit of nothing":             `{` + head + `,"kind":"message.edited","body":"hi"}`,
	"an edit of message 0":           `{` + head + `,"kind":"message.edited","message_seq":0,"body":"hi"}`,
	"an edit without a text":         `{` + head + `,"kind":"message.edited","message_seq":1}`,
	"a delete over 48 bits":          `{` + head + `,"kind":"message.deleted","message_seq":281474976710656}`,
	"a delete of 2^64":               `{` + head + `,"kind":"message.deleted","message_seq":18446744073709551616}`,
	"a negative delete":              `{` + head + `,"kind":"message.deleted","message_seq":-1}`,
	"a delete of a string":           `{` + head + `,"kind":"message.deleted","message_seq":"1"}`,
	"a delete in no channel":         `{"v":1,"kind":"message.deleted","epoch":1,"sender_id":"u1","message_seq":1}`,
	"a delete whose post is null":    `{` + deleted + `,"post":null}`,
	"a delete of nobody's post":      `{` + deleted + `,"post":{"epoch":1,"client_msg_id":"m1","ts":"2026-03-01T12:30:45Z"}}`,
	"a delete of a post of no epoch": `{` + deleted + `,"post":{"sender_id":"u1","client_msg_id":"m1","ts":"2026-03-01T12:30:45Z"}}`,
	"a delete of a post of no name":  `{` + deleted + `,"post":{"epoch":1,"sender_id":"u1","ts":"2026-03-01T12:30:45Z"}}`,
	"a delete of a post at no time":  `{` + deleted + `,"post":{"epoch":1,"sender_id":"u1","client_msg_id":"m1"}}`,
	"a delete of a far thread":       `{` + deleted + `,"post":{"epoch":1,"sender_id":"u1","client_msg_id":"m1","ts":"2026-03-01T12:30:45Z","thread":281474976710656}}`,
	"a reaction without an emoji":    `{` + head + `,"kind":"reaction.added","message_seq":1}`,
	"a reaction with a slash":        `{` + head + `,"kind":"reaction.added","message_seq":1,"emoji":"a/b"}`,
	"a reaction of two dots":         `{` + head + `,"kind":"reaction.removed","message_seq":1,"emoji":".."}`,
	"a pin of nothing":               `{` + head + `,"kind":"pin.added"}`,
	"a join of nobody":               `{` + head + `,"kind":"member.joined","role":"member"}`,
	"a join of no id":                `{` + head + `,"kind":"member.joined","role":"member","user_id":"U"}`,
	"a join in no role":              `{` + head + `,"kind":"member.joined","user_id":"u2"}`,
	"a join as a king":               `{` + head + `,"kind":"member.joined","user_id":"u2","role":"king"}`,
	"a leave of nobody":              `{` + head + `,"kind":"member.left"}`,
	"a channel without its state":    `{` + created + `}`,
	"a channel that is null":         `{` + created + `,"channel":null}`,
	"a channel of no type":           `{` + created + `,"channel":{"name":"a","creator_id":"u1"}}`,
	"a channel of another type":      `{` + created + `,"channel":{"name":"a","type":"secret","creator_id":"u1"}}`,
	"a channel of nobody":            `{` + created + `,"channel":{"name":"a","type":"public"}}`,
	"a channel without channel_id":   `{"v":1,"kind":"channel.updated","epoch":1,"sender_id":"u1","channel":{"type":"public","creator_id":"u1"}}`,
	"a user without a state":         `{` + head + `,"kind":"user.updated","user_id":"u1"}`,
	"a user who is a list":           `{` + head + `,"kind":"user.updated","user_id":"u1","user":[]}`,
	"a state of nobody":              `{` + head + `,"kind":"user.updated","user":{"login":"a"}}`,
	"a user whose name is a number":  `{` + head + `,"kind":"user.updated","user_id":"u1","user":{"display_name":5}}`,
	"a user deactivated by a string": `{` + head + `,"kind":"user.updated","user_id":"u1","user":{"deactivated":"no"}}`,
}

func TestParseRefuses(t *testing.T) {
	for _, cases := range []map[string]string{refused, badForTheSchema} {
		for name, payload := range cases {
			t.Run(name, func(t *testing.T) {
				e, err := event.Parse([]byte(payload))
				if !errors.Is(err, event.ErrMalformed) {
					t.Fatalf("%.200s is %+v, %v", payload, e, err)
				}
				if diff := cmp.Diff(event.Event{}, e); diff != "" {
					t.Errorf("an event beside the error:\n%s", diff)
				}
				if len(err.Error()) > 300 {
					t.Errorf("a reason of %d bytes", len(err.Error()))
				}
			})
		}
	}
}

// A reason is kept with a parked event: it says which field, and does not carry the value.
func TestAReasonIsShortAndSaysTheField(t *testing.T) {
	_, err := event.Parse([]byte(`{` + head + `,"kind":"message.deleted","message_seq":` + strings.Repeat("9", 30_000) + `}`))
	if err == nil || len(err.Error()) > 200 || !strings.Contains(err.Error(), "message_seq") {
		t.Errorf("%.300v", err)
	}
}

// What a frame is made of must not change under it: an event holds nothing of the bytes that it was read from.
func TestAnEventHoldsNothingOfItsBytes(t *testing.T) {
	for name := range golden {
		payload := goldenBytes(t, name)
		want, err := event.Parse(goldenBytes(t, name))
		if err != nil {
			t.Fatal(err)
		}
		got, err := event.Parse(payload)
		for i := range payload {
			payload[i] = 'x'
		}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", name, err, diff)
		}
	}
}
