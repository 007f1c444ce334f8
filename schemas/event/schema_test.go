package event_test

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/event"
)

func compiled(t testing.TB) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(event.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	id := doc.(map[string]any)["$id"].(string)
	if !strings.HasPrefix(id, "https://canopychat.github.io/schemas/") {
		t.Errorf("its id is %s", id)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(id, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(id) // against the meta-schema of its $schema too
	if err != nil {
		t.Fatal(err)
	}
	if s.DraftVersion != 2020 {
		t.Errorf("it is of draft %d", s.DraftVersion)
	}
	return s
}

func validate(t testing.TB, s *jsonschema.Schema, payload []byte) error {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(payload)))
	if err != nil {
		t.Fatalf("%s: %v", payload, err)
	}
	return s.Validate(doc)
}

func TestGoldenEventsAreOfTheSchema(t *testing.T) {
	s := compiled(t)
	for name := range golden {
		if err := validate(t, s, goldenBytes(t, name)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBadEventsAreBadForTheSchemaToo(t *testing.T) {
	s := compiled(t)
	for name, payload := range badForTheSchema {
		if validate(t, s, []byte(payload)) == nil {
			t.Errorf("%s is taken: %.200s", name, payload)
		}
	}
}

func TestTheSchemaIsOpen(t *testing.T) {
	s := compiled(t)
	for _, payload := range []string{
		`{` + posted + `,"body":"hi","priority":{"seq":1}}`,
		`{` + foreign + `,"body":{"question":"when?"}}`,
		`{` + later + `,"body":["a"],"message_seq":-1}`,
	} {
		if err := validate(t, s, []byte(payload)); err != nil {
			t.Errorf("%s: %v", payload, err)
		}
	}
}

// definition is what the tests below read of a schema.
type definition struct {
	Required   []string                   `json:"required"`
	Properties map[string]json.RawMessage `json:"properties"`
}

func definitions(t *testing.T) map[string]definition {
	t.Helper()
	var doc struct {
		Defs map[string]definition `json:"$defs"`
	}
	if err := json.Unmarshal([]byte(event.Schema()), &doc); err != nil {
		t.Fatal(err)
	}
	return doc.Defs
}

// fieldsOf is the JSON names of a struct, sorted, and of those that are written also when they are empty.
func fieldsOf[T any]() (all, always []string) {
	for f := range reflect.TypeFor[T]().Fields() {
		name, option, _ := strings.Cut(f.Tag.Get("json"), ",")
		all = append(all, name)
		if option != "omitempty" {
			always = append(always, name)
		}
	}
	slices.Sort(all)
	slices.Sort(always)
	return all, always
}

func same(t *testing.T, what string, want, got []string) {
	t.Helper()
	slices.Sort(got)
	if diff := cmp.Diff(want, slices.Compact(got)); diff != "" {
		t.Errorf("%s (- Go, + schema):\n%s", what, diff)
	}
}

func TestTheSchemaHasTheFieldsOfTheStructs(t *testing.T) {
	defs := definitions(t)
	names := slices.Collect(maps.Keys(defs["event"].Properties))
	for _, k := range kinds {
		def, ok := defs[string(k)]
		if !ok {
			t.Errorf("the schema does not define %s", k)
		}
		names = slices.AppendSeq(names, maps.Keys(def.Properties))
	}
	all, always := fieldsOf[event.Event]()
	same(t, "Event", all, names)
	same(t, "fields of Event that are always there", always, defs["event"].Required)

	all, _ = fieldsOf[event.ChannelState]()
	same(t, "ChannelState", all, slices.Collect(maps.Keys(defs["channel_state"].Properties)))
	all, _ = fieldsOf[event.UserState]()
	same(t, "UserState", all, slices.Collect(maps.Keys(defs["user_state"].Properties)))
	all, always = fieldsOf[event.PostState]()
	same(t, "PostState", all, slices.Collect(maps.Keys(defs["post_state"].Properties)))
	same(t, "fields of PostState that are always there", always, defs["post_state"].Required)
	all, _ = fieldsOf[chat.Attachment]()
	same(t, "Attachment", all, slices.Collect(maps.Keys(defs["attachment"].Properties)))
}

// What is stored of a kind is what its definition names, all of it, and nothing else.
func TestADefinitionNamesWhatItsKindHolds(t *testing.T) {
	defs := definitions(t)
	stored := map[event.Kind]map[string]bool{}
	for name, e := range golden {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(goldenBytes(t, name), &fields); err != nil {
			t.Fatal(err)
		}
		if stored[e.Kind] == nil {
			stored[e.Kind] = map[string]bool{}
		}
		for f := range fields {
			stored[e.Kind][f] = true
		}
	}
	for _, k := range kinds {
		for f := range defs["event"].Properties {
			delete(stored[k], f)
		}
		got := slices.Sorted(maps.Keys(stored[k]))
		same(t, string(k), got, slices.Collect(maps.Keys(defs[string(k)].Properties)))
	}
}

func TestTheSchemaHasTheLimitsOfChat(t *testing.T) {
	s := compiled(t)
	for _, tt := range []struct {
		name string
		with func(*event.Event)
	}{
		{"the longest body", func(e *event.Event) { e.Body = strings.Repeat("a", chat.MaxBody) }},
		{"the longest client_msg_id", func(e *event.Event) { e.ClientMsgID = chat.ClientMsgID(strings.Repeat("a", chat.MaxClientMsgID)) }},
		{"the longest ids", func(e *event.Event) {
			e.ChannelID = chat.ChannelID(strings.Repeat("z", chat.MaxIDLength))
			e.SenderID = chat.UserID(e.ChannelID)
		}},
		{"the most files", func(e *event.Event) {
			e.Attachments = slices.Repeat([]chat.Attachment{{ID: "f"}}, chat.MaxAttachments)
		}},
		{"the last epoch and seq", func(e *event.Event) { e.Epoch, e.Thread = chat.MaxEpoch, chat.MaxSeq }},
		{"the longest emoji", func(e *event.Event) {
			*e = golden["reaction.added"]
			e.Emoji = strings.Repeat("a", chat.MaxEmoji)
		}},
	} {
		e := golden["message.posted"]
		tt.with(&e)
		payload, err := event.Encode(e)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if err := validate(t, s, payload); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
