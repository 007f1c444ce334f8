package socket_test

import (
	"fmt"
	"testing"

	"github.com/canopychat/canopy/ops/verify/stranger/socket"
)

// posted is a message.deliver.
func posted(seq, prev int64) string {
	return fmt.Sprintf(`{"type":"message.deliver","channel_id":"c","seq":%d,"prev":%d,"message":`+
		`{"seq":%d,"server_msg_id":"2.%d","channel_id":"c","sender_id":"bob0","body":"b","client_msg_id":"i"}}`, seq, prev, seq, seq)
}

// No bytes of a server break the reading of frames.
func FuzzParseFrame(f *testing.F) {
	for _, text := range []string{
		posted(3, 2), `{"type":"hello","user_id":"u","workspace_id":"w","epoch":1,"head":0,"resumed":false}`,
		`{"type":"event","kind":"member.left","channel_id":"c","user_id":"me","seq":5,"prev":4}`,
		`{"type":"error","code":"invalid","message":"no","ref":1e400,"retry_after":-1}`,
		`{"type":"message.ack","status":"stored","seq":1,"server_msg_id":"1.1"}`, `{"type":"message.deliver","message":null}`,
		`{"type":"error","message":{}}`, `null`, `[]`, "", `{"type":"resync","head":-1}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(_ *testing.T, text []byte) {
		if err := socket.ParseFrame(text); err != nil {
			return
		}
	})
}

// A frame that is not as it is documented is none.
func TestFramesThatAreNone(t *testing.T) {
	for _, text := range []string{
		"", "[]", "{}", `{"type":"hello"}`, `{"type":"event","kind":"x.y","seq":3}`, `{"type":"error","code":"","message":"x"}`,
		`{"type":"error","code":"invalid","message":{}}`, `{"type":"message.deliver","channel_id":"c","seq":3,"prev":0,"message":{"seq":4,"channel_id":"c"}}`,
		`{"type":"message.ack","seq":3,"server_msg_id":"1.3","status":"queued"}`, `{"type":"message.ack","seq":3,"server_msg_id":"1.4","status":"stored"}`,
	} {
		if err := socket.ParseFrame([]byte(text)); err == nil {
			t.Errorf("%s is taken for a frame", text)
		}
	}
	for _, text := range []string{posted(3, 2), `{"type":"one.of.a.later.server"}`, `{"type":"pong"}`, `{"type":"ack","seq":2,"ref":null}`} {
		if err := socket.ParseFrame([]byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}
