package rest_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/schemas/rest"
	"github.com/canopychat/canopy/schemas/rest/resttest"
)

// Bodies of requests and of answers. TestEveryBodyIsInTheDocument finds one that is in neither list.
var (
	requests = []any{
		rest.Setup{}, rest.Login{}, rest.Refresh{}, rest.NewPassword{}, rest.EditMe{}, rest.NewWorkspace{}, rest.EditWorkspace{}, rest.EditMember{},
		rest.NewInvite{}, rest.AcceptInvite{}, rest.NewChannel{}, rest.EditChannel{}, rest.NewDirect{}, rest.AddMembers{}, rest.EditChannelMember{},
		rest.MarkRead{}, rest.NewMessage{}, rest.EditMessage{}, rest.NewSubscription{}, rest.SubscriptionKeys{}, rest.NewWebhook{}, rest.NewScheduled{}, rest.NewReminder{},
	}
	answers = []any{
		rest.Problem{}, rest.SetupState{}, rest.SignedIn{}, rest.Tokens{}, rest.Ticket{}, rest.Session{}, rest.SessionList{}, rest.Gateway{}, rest.GatewayList{},
		rest.User{}, rest.Me{}, rest.Workspace{}, rest.WorkspaceList{}, rest.Member{}, rest.MemberList{}, rest.Invite{}, rest.InviteList{}, rest.InviteState{},
		rest.Channel{}, rest.ChannelList{}, rest.ReadCursor{}, rest.ReadState{}, rest.UnreadMessage{}, rest.ReadCursorList{}, rest.Ack{}, rest.Stored{}, rest.Message{}, rest.MessageList{},
		rest.Preferences{}, rest.Quiet{}, rest.PushKey{}, rest.Subscription{}, rest.SubscriptionList{}, rest.Webhook{}, rest.WebhookList{},
		rest.Scheduled{}, rest.ScheduledList{}, rest.Delivery{}, rest.Recipient{}, rest.Step{}, chat.Reaction{}, chat.Attachment{},
	}
)

// openAPI is what the tests below read of the document.
type openAPI struct {
	Version    string `json:"openapi"`
	Paths      map[string]map[string]operation
	Components struct {
		Schemas    map[string]schema
		Responses  map[string]json.RawMessage
		Parameters map[string]json.RawMessage
	}
}

type operation struct {
	ID         string `json:"operationId"`
	Summary    string
	Parameters []struct {
		Ref string `json:"$ref"`
	}
	Responses map[string]struct {
		Ref         string `json:"$ref"`
		Description string
		Content     map[string]struct{ Schema *schema }
	}
}

type schema struct {
	Ref         string `json:"$ref"`
	Description string
	Type        any
	Const       any
	Enum        []string
	AnyOf       []schema
	Items       *schema
	Properties  map[string]schema
	Required    []string
	MaxLength   int
	MaxItems    int
	Maximum     float64
}

func document(t *testing.T) openAPI {
	t.Helper()
	var doc openAPI
	if err := json.Unmarshal([]byte(rest.OpenAPI()), &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestTheDocumentIsWhole(t *testing.T) {
	doc := document(t)
	if doc.Version != "3.1.0" {
		t.Errorf("it is of OpenAPI %s", doc.Version)
	}
	var tree any
	if err := json.Unmarshal([]byte(rest.OpenAPI()), &tree); err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	everyRef(tree, func(ref string) {
		used[ref] = true
		if follow(tree, ref) == nil {
			t.Errorf("%s leads nowhere", ref)
		}
	})
	for kind, names := range map[string][]string{
		"schemas": slices.Collect(maps.Keys(doc.Components.Schemas)), "responses": slices.Collect(maps.Keys(doc.Components.Responses)),
		"parameters": slices.Collect(maps.Keys(doc.Components.Parameters)),
	} {
		for _, name := range names {
			if !used["#/components/"+kind+"/"+name] {
				t.Errorf("nothing uses %s %s", kind, name)
			}
		}
	}
	ids := map[string]bool{}
	for path, methods := range doc.Paths {
		for method, o := range methods {
			if ids[o.ID] || o.ID == "" || o.Summary == "" {
				t.Errorf("%s %s has the operationId %q, which is empty or another's, or no summary", method, path, o.ID)
			}
			ids[o.ID] = true
			for status, r := range o.Responses {
				described := r.Ref != "" || r.Description != ""
				if bare := status == "204" || status == "304"; !described || r.Ref == "" && bare == (len(r.Content) > 0) {
					t.Errorf("%s %s: the answer %s says nothing, or has a body where there is none", method, path, status)
				}
				for media, content := range r.Content {
					if content.Schema == nil {
						t.Errorf("%s %s: the answer %s in %s has no schema", method, path, status, media)
					}
				}
			}
			for _, name := range regexp.MustCompile(`\{(\w+)\}`).FindAllStringSubmatch(path, -1) {
				if !slices.ContainsFunc(o.Parameters, func(p struct {
					Ref string `json:"$ref"`
				}) bool {
					return p.Ref == "#/components/parameters/"+name[1]
				}) {
					t.Errorf("%s %s does not say what %s is", method, path, name[1])
				}
			}
		}
	}
	if _, err := resttest.Open(); err != nil { // every schema compiles
		t.Error(err)
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

// follow is what a reference leads to.
func follow(tree any, ref string) any {
	path, ok := strings.CutPrefix(ref, "#/")
	if !ok {
		return nil
	}
	for _, key := range strings.Split(path, "/") {
		object, ok := tree.(map[string]any)
		if !ok {
			return nil
		}
		tree = object[strings.NewReplacer("~1", "/", "~0", "~").Replace(key)]
	}
	return tree
}

// calls is a line of the table in doc.go: methods and an address.
var calls = regexp.MustCompile(`(?m)^//\t((?:[A-Z]+, )?[A-Z]+)\s+(/\S*)`)

func TestTheDocumentHasTheTableOfCalls(t *testing.T) {
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, row := range calls.FindAllStringSubmatch(string(text), -1) {
		for method := range strings.SplitSeq(row[1], ", ") {
			want = append(want, method+" "+anyID(row[2]))
		}
	}
	for path, methods := range document(t).Paths {
		for method := range methods {
			if path != "/" && !strings.HasSuffix(path, ".json") {
				got = append(got, strings.ToUpper(method)+" "+anyID(path))
			}
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(- doc.go, + openapi.json):\n%s", diff)
	}
}

// anyID is an address in which it does not matter what a part is called.
func anyID(path string) string { return regexp.MustCompile(`\{\w+\}`).ReplaceAllString(path, "{}") }

func TestEveryBodyIsInTheDocument(t *testing.T) {
	known := map[string]bool{}
	for _, v := range slices.Concat(requests, answers) {
		known[reflect.TypeOf(v).Name()] = true
	}
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok && spec.Name.IsExported() {
				if _, ok := spec.Type.(*ast.StructType); ok && !known[spec.Name.Name] {
					t.Errorf("%s is in neither list of this test", spec.Name.Name)
				}
			}
			return true
		})
	}
}

func TestSchemasHaveTheFieldsOfTheirStructs(t *testing.T) {
	doc := document(t)
	for _, v := range requests {
		compare(t, doc, reflect.TypeOf(v), false)
	}
	for _, v := range answers {
		compare(t, doc, reflect.TypeOf(v), true)
	}
}

// compare holds a struct against the schema of its name. Of an answer, what may be left out is what need not be there.
func compare(t *testing.T, doc openAPI, typ reflect.Type, isAnswer bool) {
	t.Helper()
	s, ok := doc.Components.Schemas[typ.Name()]
	if !ok || s.Description == "" {
		t.Errorf("the document has no schema %s, or does not say what it is", typ.Name())
		return
	}
	fields := map[string]string{}
	var always []string
	for _, f := range reflect.VisibleFields(typ) {
		if f.Anonymous {
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		fields[name] = kindOf(f.Type)
		if options != "omitempty" {
			always = append(always, name)
		}
	}
	properties := map[string]string{}
	for name, p := range s.Properties {
		properties[name] = doc.kind(p)
	}
	if diff := cmp.Diff(fields, properties); diff != "" {
		t.Errorf("%s (- Go, + schema):\n%s", typ.Name(), diff)
	}
	slices.Sort(always)
	if diff := cmp.Diff(always, slices.Sorted(slices.Values(s.Required))); isAnswer && diff != "" {
		t.Errorf("what %s always has (- Go, + schema):\n%s", typ.Name(), diff)
	}
}

// kindOf is the JSON type of a Go type, with the schema's name for structs.
func kindOf(typ reflect.Type) string {
	switch {
	case typ == reflect.TypeFor[rest.Time]():
		return "string"
	case typ.Kind() == reflect.Pointer:
		return kindOf(typ.Elem())
	case typ.Kind() == reflect.Slice:
		return "array of " + kindOf(typ.Elem())
	case typ.Kind() == reflect.Struct:
		return typ.Name()
	case typ.Kind() == reflect.Bool:
		return "boolean"
	case typ.Kind() == reflect.Float64:
		return "number"
	case typ.Kind() == reflect.String:
		return "string"
	}
	return "integer"
}

func (doc openAPI) kind(s schema) string {
	name := strings.TrimPrefix(s.Ref, "#/components/schemas/")
	switch {
	case name != "" && len(doc.Components.Schemas[name].Properties) > 0:
		return name
	case name != "":
		return doc.kind(doc.Components.Schemas[name])
	case len(s.AnyOf) > 0:
		return doc.kind(s.AnyOf[0])
	case len(s.Enum) > 0, s.Const != nil:
		return "string"
	case s.Items != nil:
		return "array of " + doc.kind(*s.Items)
	}
	kind, _ := s.Type.(string)
	return kind
}

// The limits of the document are those of schemas/chat.
func TestTheDocumentHasTheLimits(t *testing.T) {
	s := document(t).Components.Schemas
	for name, pair := range map[string][2]int{
		"Name": {s["Name"].MaxLength, chat.MaxName}, "ChannelName": {s["ChannelName"].MaxLength, chat.MaxName}, "Topic": {s["Topic"].MaxLength, chat.MaxTopic},
		"Password": {s["Password"].MaxLength, chat.MaxPassword}, "Device": {s["Device"].MaxLength, chat.MaxDevice}, "Emoji": {s["Emoji"].MaxLength, chat.MaxEmoji},
		"Body": {s["Body"].MaxLength, chat.MaxBody}, "Seq": {int(s["Seq"].Maximum), int(chat.MaxSeq)},
		"sessions": {s["SessionList"].Properties["sessions"].MaxItems, chat.MaxSignIns}, "members": {s["MemberList"].Properties["members"].MaxItems, chat.MaxPageSize},
		"messages": {s["MessageList"].Properties["messages"].MaxItems, chat.MaxPageSize}, "attachments": {s["Message"].Properties["attachments"].MaxItems, chat.MaxAttachments},
		"expires_in": {int(s["NewInvite"].Properties["expires_in"].AnyOf[0].Maximum), int(chat.MaxInviteLife.Seconds())},
		"unread":     {int(s["ReadState"].Properties["unread"].Maximum), chat.MaxUnread}, "mentions": {int(s["ReadState"].Properties["mentions"].Maximum), chat.MaxUnread},
		"unread messages": {s["ReadState"].Properties["messages"].MaxItems, chat.MaxUnread}, "muted_channels": {s["Preferences"].Properties["muted_channels"].MaxItems, chat.MaxMuted},
		"keywords": {s["Preferences"].Properties["keywords"].MaxItems, chat.MaxKeywords}, "subscriptions": {s["SubscriptionList"].Properties["subscriptions"].MaxItems, chat.MaxSubscriptions},
		"webhooks": {s["WebhookList"].Properties["webhooks"].MaxItems, chat.MaxWebhooks},
		"Address":  {s["Address"].MaxLength, chat.MaxHookURL}, "recipients": {s["Delivery"].Properties["recipients"].MaxItems, chat.MaxPageSize},
		"max_uses": {int(s["NewInvite"].Properties["max_uses"].AnyOf[0].Maximum), chat.MaxInviteUses},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is at most %d in the document, and %d in Go", name, pair[0], pair[1])
		}
	}
	for _, code := range s["Problem"].Properties["code"].Enum {
		if k := fault.Kind(code); k != fault.Internal && k.Title() == fault.Internal.Title() {
			t.Errorf("%s is not in the error table", code)
		}
	}
}
