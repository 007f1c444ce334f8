package wire_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/canopychat/canopy/schemas/wire"
	"github.com/canopychat/canopy/schemas/wire/wiretest"
)

func openAsyncAPI(t *testing.T) *wiretest.Document {
	t.Helper()
	d, err := wiretest.Open()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestTheAsyncAPIDocumentHasEveryFrame(t *testing.T) {
	d := openAsyncAPI(t)
	for way, direction := range map[wiretest.Direction]string{wiretest.FromClient: "client", wiretest.FromGateway: "server"} {
		if diff := cmp.Diff(types(t, direction), slices.Sorted(slices.Values(d.Types(way)))); diff != "" {
			t.Errorf("%s (- schema.json, + asyncapi.json):\n%s", direction, diff)
		}
	}
}

func TestGoldenFramesAreMessagesOfTheAsyncAPIDocument(t *testing.T) {
	d := openAsyncAPI(t)
	for name := range outbound(t) {
		frame := goldenFrame(t, name)
		if err := d.Check(wiretest.FromGateway, frame); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if (d.Check(wiretest.FromClient, frame) == nil) != strings.HasPrefix(name, bothWays) {
			t.Errorf("%s passes for a client's, or should", name)
		}
	}
	for _, tt := range inbound {
		if err := d.Check(wiretest.FromClient, []byte(tt.data)); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	for _, bad := range []string{
		``, `{}`, `{"type":"hello"}`, `{"type":"message.burn"}`, `{"type":"ack","seq":0}`, `{"type":"typing","channel_id":"*","user_id":"u1","expires_s":6}`,
		`{"type":"presence.update","user_id":"u1","status":"dancing"}`,
	} {
		if d.Check(wiretest.FromGateway, []byte(bad)) == nil {
			t.Errorf("%s passes", bad)
		}
	}
}

func TestTheAsyncAPIDocumentIsWhole(t *testing.T) {
	var doc map[string]any
	if err := json.Unmarshal([]byte(wire.AsyncAPI()), &doc); err != nil {
		t.Fatal(err)
	}
	if doc["asyncapi"] != "3.0.0" {
		t.Errorf("it is of AsyncAPI %v", doc["asyncapi"])
	}
	everyRef(doc, func(ref string) {
		path, ours := strings.CutPrefix(ref, "#/")
		if !ours {
			return // to the schema: wiretest.Open compiles it
		}
		var at any = doc
		for _, key := range strings.Split(path, "/") {
			object, ok := at.(map[string]any)
			if !ok || object[key] == nil {
				t.Errorf("%s leads nowhere", ref)
				return
			}
			at = object[key]
		}
	})
	for id, o := range doc["operations"].(map[string]any) {
		o := o.(map[string]any)
		if action := o["action"]; action != "send" && action != "receive" || o["summary"] == "" || len(o["messages"].([]any)) != 1 {
			t.Errorf("the operation %s is %v", id, o)
		}
	}
}

func everyRef(v any, f func(string)) {
	switch v := v.(type) {
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok {
			f(ref)
		}
		for _, child := range v {
			everyRef(child, f)
		}
	case []any:
		for _, child := range v {
			everyRef(child, f)
		}
	}
}
