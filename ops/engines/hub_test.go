//go:build linux

package engines_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/canopychat/canopy/ops/engines"
)

// Three processes make one hub: what is stored with one of them is read at another, also when one is gone, and after
// all of them have been away.
func TestAHubOfThree(t *testing.T) {
	t.Setenv(asCanopy, "yes")
	o := engines.Options{Dir: folder(t), Hub: 3}
	e := start(t, o)
	before := e.Addresses().Hub
	js := jetStream(t, before[0].URL)
	if _, err := js.AddStream(&nats.StreamConfig{Name: "kept", Subjects: []string{"kept"}, Replicas: 3}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish("kept", []byte("one"), nats.AckWait(patience)); err != nil {
		t.Fatal(err)
	}
	if info, err := js.StreamInfo("CHAT_0"); err != nil || info.Config.Replicas != 3 {
		t.Errorf("Canopy's streams are not there three times: %+v %v", info, err)
	}

	e.Hub[0].Kill()
	stored(t, before[1].URL, 1)
	if _, err := jetStream(t, before[2].URL).Publish("kept", []byte("two"), nats.AckWait(patience)); err != nil {
		t.Error(err)
	}
	if err := e.Hub[0].Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	stored(t, before[0].URL, 2)
	if err := e.Stop(); err != nil {
		t.Fatal(err)
	}
	again := start(t, o)
	for i, after := range again.Addresses().Hub {
		if after.URL != before[i].URL {
			t.Errorf("the next run has another URL: %s and %s", before[i].URL, after.URL)
		}
		stored(t, after.URL, 2)
	}
}

func jetStream(t *testing.T, url string) nats.JetStreamContext {
	t.Helper()
	nc, err := nats.Connect(url, nats.MaxReconnects(-1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := nc.JetStream(nats.Domain("hub"))
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// stored waits until the stream has that many messages: it may have no leader for a moment.
func stored(t *testing.T, url string, want uint64) {
	t.Helper()
	js := jetStream(t, url)
	deadline := time.Now().Add(patience)
	for {
		info, err := js.StreamInfo("kept")
		if err == nil && info.State.Msgs == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %+v %v", url[strings.Index(url, "@"):], info, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}
