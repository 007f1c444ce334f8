package ijson_test

import (
	"testing"

	"github.com/canopychat/canopy/schemas/ijson"
)

func BenchmarkCheck(b *testing.B) {
	data := []byte(`{"v":1,"kind":"message.posted","epoch":1,"channel_id":"069mz9tyc5w00n2k8q4r6s7w1x","sender_id":"069mz9tyc5w00a11ce00000000",` +
		`"client_msg_id":"01936b2e-7c00-7000-8000-000000000001","body":"hello"}`)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if err := ijson.Check(data, rules); err != nil {
			b.Fatal(err)
		}
	}
}
