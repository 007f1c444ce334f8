// Package wiretest holds the frames of a socket against the AsyncAPI document, in tests of whoever has sockets.
//
// It promises that a frame which passes is of a message of the document, in the direction that it was seen in, and
// valid by the schema that the document refers to. It knows no socket: who has one hands the frames over.
package wiretest

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/canopychat/canopy/schemas/event"
	"github.com/canopychat/canopy/schemas/wire"
)

// Direction is where a frame goes.
type Direction string

// The two directions, as the document's operations call them from where the gateway is.
const (
	FromClient  Direction = "receive"
	FromGateway Direction = "send"
)

// Document is the AsyncAPI document, ready to hold frames against.
type Document struct {
	messages map[Direction]map[string]*jsonschema.Schema // by the frame's type
}

// asyncAPI is what is read of the document.
type asyncAPI struct {
	Channels map[string]struct {
		Messages map[string]reference `json:"messages"`
	} `json:"channels"`
	Operations map[string]struct {
		Action   Direction   `json:"action"`
		Channel  reference   `json:"channel"`
		Messages []reference `json:"messages"`
	} `json:"operations"`
	Components struct {
		Messages map[string]struct {
			Name string `json:"name"`
		} `json:"messages"`
	} `json:"components"`
}

type reference struct {
	To string `json:"$ref"`
}

// address is where the document stands among the schemas that it refers to.
const address = "https://canopychat.github.io/schemas/wire/asyncapi.json"

// Open reads the document of this build.
func Open() (*Document, error) {
	var doc asyncAPI
	if err := json.Unmarshal([]byte(wire.AsyncAPI()), &doc); err != nil {
		return nil, fmt.Errorf("asyncapi.json: %w", err)
	}
	compiler, err := compilerOf(event.Schema(), wire.Schema())
	if err != nil {
		return nil, err
	}
	d := &Document{messages: map[Direction]map[string]*jsonschema.Schema{FromClient: {}, FromGateway: {}}}
	for id, o := range doc.Operations {
		if d.messages[o.Action] == nil {
			return nil, fmt.Errorf("operation %s: no action is called %q", id, o.Action)
		}
		for _, ref := range o.Messages {
			key, ok := strings.CutPrefix(ref.To, o.Channel.To+"/messages/")
			if !ok {
				return nil, fmt.Errorf("operation %s: %s is no message of its channel", id, ref.To)
			}
			component, ok := strings.CutPrefix(doc.Channels["socket"].Messages[key].To, "#/components/messages/")
			if !ok {
				return nil, fmt.Errorf("operation %s: the channel has no message %s", id, key)
			}
			schema, err := compiler.Compile(address + "#/components/messages/" + component + "/payload")
			if err != nil {
				return nil, fmt.Errorf("message %s: %w", component, err)
			}
			d.messages[o.Action][doc.Components.Messages[component].Name] = schema
		}
	}
	return d, nil
}

// compilerOf knows the document and the schemas that it refers to, each at its own id.
func compilerOf(schemas ...string) (*jsonschema.Compiler, error) {
	compiler := jsonschema.NewCompiler()
	for _, text := range append(schemas, wire.AsyncAPI()) {
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err != nil {
			return nil, err
		}
		id, ok := doc.(map[string]any)["$id"].(string)
		if !ok {
			id = address
		}
		if err := compiler.AddResource(id, doc); err != nil {
			return nil, err
		}
	}
	return compiler, nil
}

// Types is the frames of a direction.
func (d *Document) Types(way Direction) []string {
	var all []string
	for name := range d.messages[way] {
		all = append(all, name)
	}
	return all
}

// Check says what is wrong with a frame that was seen in a direction.
func (d *Document) Check(way Direction, frame []byte) error {
	var head struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(frame, &head); err != nil {
		return fmt.Errorf("the frame %.200s: %w", frame, err)
	}
	schema := d.messages[way][head.Type]
	if schema == nil {
		return fmt.Errorf("the document has no frame of type %q in the direction %q: %.200s", head.Type, way, frame)
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(string(frame)))
	if err != nil {
		return err
	}
	if err := schema.Validate(value); err != nil {
		return fmt.Errorf("%.500s: %w", frame, err)
	}
	return nil
}
