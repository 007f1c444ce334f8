package wire_test

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/wire"
)

// schemas is the schema of a direction, or of both.
func schemas(t *testing.T) (client, server, both *jsonschema.Schema) {
	t.Helper()
	c := jsonschema.NewCompiler()
	var id string
	for _, text := range []string{event.Schema(), wire.Schema()} {
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		id = doc.(map[string]any)["$id"].(string)
		if !strings.HasPrefix(id, "https://canopychat.github.io/schemas/") {
			t.Errorf("its id is %s", id)
		}
		if err := c.AddResource(id, doc); err != nil {
			t.Fatal(err)
		}
	}
	var compiled [3]*jsonschema.Schema
	for i, part := range []string{"#/$defs/client", "#/$defs/server", ""} {
		s, err := c.Compile(id + part)
		if err != nil {
			t.Fatal(err)
		}
		compiled[i] = s
	}
	return compiled[0], compiled[1], compiled[2]
}

func validate(t *testing.T, s *jsonschema.Schema, frame string) error {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(frame))
	if err != nil {
		t.Fatalf("%s: %v", frame, err)
	}
	return s.Validate(doc)
}

// bothWays is the one frame that goes in both directions, and means the same in both.
const bothWays = "cursor.read"

func TestFramesOfAGatewayAreOfTheSchema(t *testing.T) {
	client, server, both := schemas(t)
	seen := map[string]bool{}
	for name := range outbound(t) {
		frame := string(goldenFrame(t, name))
		if err := validate(t, server, frame); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var head struct{ Type string }
		if err := json.Unmarshal([]byte(frame), &head); err != nil {
			t.Fatal(err)
		}
		if validate(t, both, frame) != nil || (validate(t, client, frame) == nil) != (head.Type == bothWays) {
			t.Errorf("%s is not told from a client's frame", name)
		}
		seen[head.Type] = true
	}
	if diff := cmp.Diff(types(t, "server"), slices.Sorted(maps.Keys(seen))); diff != "" {
		t.Errorf("types of the schema, and of the golden frames:\n%s", diff)
	}
}

func TestFramesOfAClientAreOfTheSchema(t *testing.T) {
	client, server, both := schemas(t)
	for _, tt := range inbound {
		if err := validate(t, client, tt.data); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if validate(t, both, tt.data) != nil || (validate(t, server, tt.data) == nil) != (string(tt.want.Type) == bothWays) {
			t.Errorf("%s is not told from a gateway's frame", tt.name)
		}
	}
}

// Every type that the schema has for clients is one that Parse knows.
func TestTypesOfClients(t *testing.T) {
	for _, typ := range types(t, "client") {
		in, err := wire.Parse([]byte(`{"type":"` + typ + `","channel_id":"c1","client_msg_id":"m1","seq":1,"status":"away"}`))
		if err != nil {
			t.Errorf("%s: %+v, %v", typ, in, err)
		}
	}
}

func TestBadFramesAreBadForTheSchemaToo(t *testing.T) {
	client, server, _ := schemas(t)
	const edit = `{"type":"message.edit","channel_id":"c1","body":"hi"`
	for _, frame := range []string{
		`{}`, `[]`, `null`, `"ping"`, `{"type":5}`, `{"type":"message.burn"}`, `{"type":"Ping"}`,
		edit + `}`, edit + `,"seq":0}`, edit + `,"seq":-1}`, edit + `,"seq":"5"}`, edit + `,"seq":281474976710656}`,
		`{"type":"message.edit","channel_id":"*","body":"hi","seq":1}`, `{"type":"message.edit","body":"hi","seq":1}`,
		`{"type":"message.send","channel_id":"c1","body":"hi"}`, `{"type":"message.send","channel_id":"c1","body":"hi","client_msg_id":"a.b"}`,
		`{"type":"message.send","channel_id":"c1","body":5,"client_msg_id":"m1"}`,
		`{"type":"message.send","channel_id":"c1","body":"hi","client_msg_id":"m1","attachments":{}}`,
		`{"type":"typing.start"}`, `{"type":"presence.set"}`, `{"type":"presence.set","status":"dancing"}`, `{"type":"presence.query","user_ids":["*"]}`,
		`{"type":"cursor.read","channel_id":"c1"}`, `{"type":"cursor.read","channel_id":"c1","seq":0}`, `{"type":"cursor.read","seq":1}`, `{"type":"cursor.delivered"}`, `{"type":"cursor.delivered","seq":0}`,
		`{"type":"cursor.stale"}`,
		`{"type":"ping","ref":true}`, `{"type":"ping","ref":{}}`, `{"type":"ping","ref":"` + strings.Repeat("r", 63) + `"}`,
	} {
		if _, err := wire.Parse([]byte(frame)); err == nil || validate(t, client, frame) == nil {
			t.Errorf("%s: Parse says %v, the schema %v", frame, err, validate(t, client, frame))
		}
	}
	for _, frame := range []string{
		`{"type":"hello"}`, `{"type":"cursor.read","channel_id":"c1"}`, `{"type":"cursor.read","channel_id":"*","seq":1}`, `{"type":"resync","reason":"bored","head":1}`, `{"type":"error","code":"teapot","message":"x"}`, `{"type":"ack","seq":0}`,
		`{"type":"event","seq":1,"prev":0,"ts":"2026-03-01T12:30:45Z","v":1,"kind":"poll.opened","epoch":1,"sender_id":"u"}`,
		`{"type":"event","seq":1,"prev":0,"ts":"2026-03-01T12:30:45.000Z","v":1,"kind":"pin.added","epoch":1,"sender_id":"u"}`,
	} {
		if validate(t, server, frame) == nil {
			t.Errorf("%s is taken", frame)
		}
	}
}

// document is what the tests below read of the schema.
type document struct {
	Defs map[string]struct {
		Properties map[string]struct {
			Enum []string `json:"enum"`
		} `json:"properties"`
	} `json:"$defs"`
}

func read(t *testing.T) document {
	t.Helper()
	var doc document
	if err := json.Unmarshal([]byte(wire.Schema()), &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// types is the frames of a direction, each of which has a definition.
func types(t *testing.T, direction string) []string {
	t.Helper()
	doc := read(t)
	names := doc.Defs[direction].Properties["type"].Enum
	for _, name := range names {
		if doc.Defs[name].Properties == nil {
			t.Errorf("%s is not defined", name)
		}
	}
	return slices.Sorted(slices.Values(names))
}

func TestTheSchemaHasTheFieldsOfInbound(t *testing.T) {
	doc := read(t)
	got := map[string]bool{"type": true}
	for _, typ := range types(t, "client") {
		for name := range doc.Defs[typ].Properties {
			got[name] = true
		}
	}
	var want []string
	for f := range reflect.TypeFor[wire.Inbound]().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		want = append(want, name)
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(got))); diff != "" {
		t.Errorf("(- Go, + schema):\n%s", diff)
	}
}

// The codes of an error frame are the kinds of the one table, all of them.
func TestTheSchemaHasTheCodesOfTheTable(t *testing.T) {
	_, server, _ := schemas(t)
	codes := read(t).Defs["error"].Properties["code"].Enum
	for _, code := range codes {
		if k := fault.Kind(code); k != fault.Internal && k.Title() == fault.Internal.Title() {
			t.Errorf("%s is not in the table", code)
		}
	}
	for _, k := range []fault.Kind{
		fault.Invalid, fault.Unauthenticated, fault.Forbidden, fault.NotFound, fault.NotAllowed, fault.Conflict, fault.TooLarge, fault.Unsupported,
		fault.RateLimited, fault.Unavailable, fault.SlowReader, fault.Silent, fault.Moving, fault.Protocol, fault.NotText, fault.Internal,
	} {
		if err := validate(t, server, string(wire.AppendError(nil, fault.New(k, "x"), nil))); err != nil {
			t.Errorf("%s: %v", k, err)
		}
	}
}
