package probe

import (
	"strings"

	"github.com/canopychat/canopy/ops/verify/stranger/socket"
)

// thrown is the ref and the client_msg_id of frames that are thrown: who answers it has let one in.
const thrown = "thrown"

// badFrame is a message that is wrong by its form. If it could be read it would be answered by its ref.
type badFrame struct {
	what   string
	binary bool
	parts  []string // fragments
}

func text(what string, parts ...string) badFrame { return badFrame{what: what, parts: parts} }

var badFrames = []badFrame{
	{what: "binary", binary: true, parts: []string{`{"type":"ping","ref":"thrown"}`}},
	text("fragments of a wrong id", `{"type":"message.edit","ref":"thr`, `own","channel_id":"*","se`, `q":1,"body":"hostile"}`),
	text("wrong utf-8", "{\"type\":\"ping\",\"ref\":\"thrown\",\"x\":\"\xff\xfe\"}"),
	text("wrong utf-8 in fragments", "{\"type\":\"ping\",\"ref\":\"thrown\",\"x\":\"\xe2", "\"}"),
	text("unknown type", `{"type":"message.steal","ref":"thrown","channel_id":"a"}`),
	text("no json", "hello"),
	text("empty", ""),
	text("a list", `[{"type":"ping","ref":"thrown"}]`),
	text("deep nesting", nested(30<<10)),
	text("the same key twice", `{"type":"ping","ref":"thrown","type":"message.send"}`),
	text("a lone surrogate", `{"type":"ping","ref":"thrown","x":"\ud800"}`),
	text("a number without bounds", `{"type":"message.delete","ref":"thrown","channel_id":"a","seq":1e9999}`),
	text("a text to the limit", wide(64<<10)),
	text("beyond the limit", wide(64<<10+1)),
	text("far beyond the limit", wide(1<<20)),
}

// bytes are the message as it goes out.
func (b badFrame) bytes() socket.Bytes {
	out := socket.Bytes{Binary: b.binary, Names: []socket.Name{socket.ByRef(`"` + thrown + `"`), socket.ByID(thrown)}}
	for _, part := range b.parts {
		out.Parts = append(out.Parts, []byte(part))
	}
	return out
}

// nested is a frame with a list in a list, and so on.
func nested(deep int) string {
	return `{"type":"ping","ref":"thrown","x":` + strings.Repeat("[", deep) + strings.Repeat("]", deep) + "}"
}

// wide is a frame of some bytes, most of which are one text: more than a body may have.
func wide(size int) string {
	front, end := `{"type":"message.send","ref":"thrown","channel_id":"a","client_msg_id":"thrown","body":"`, `"}`
	return front + strings.Repeat("a", size-len(front)-len(end)) + end
}
