package publish_test

import (
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/streams/publish"
)

// No answer is taken for an ack that does not name our stream, the hub and a seq.
func FuzzJudgeAnswer(f *testing.F) {
	f.Add([]byte(`{"stream":"CHAT_1","domain":"hub","seq":7,"duplicate":true}`), "")
	f.Add([]byte(`{"stream":"CHAT_1","error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"}}`), "")
	f.Add([]byte(`{"stream":"CHAT_1","domain":"hub","seq":-1}`), "")
	f.Add([]byte(`{"error":{}}`), "")
	f.Add([]byte(nil), "503")
	f.Fuzz(func(t *testing.T, data []byte, status string) {
		m := nats.NewMsg("x")
		m.Data = data
		m.Header.Set("Status", status)
		ack, stored, refused, err := publish.JudgeAnswer(m, "CHAT_1")
		if stored && (ack.Stream != "CHAT_1" || ack.Domain != "hub" || ack.Seq == 0 || ack.Seq > chat.MaxSeq || err != nil) {
			t.Fatalf("taken: %+v, %v", ack, err)
		}
		if refused && fault.KindOf(err) == "" {
			t.Fatal("refused without a reason")
		}
	})
}
