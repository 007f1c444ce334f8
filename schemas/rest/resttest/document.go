package resttest

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/canopychat/canopy/schemas/rest"
)

// Document is the OpenAPI document, ready to hold traffic against.
type Document struct {
	operations []*Operation
	schemas    map[string]property
}

// Operation is one call of the document.
type Operation struct {
	ID       string
	Method   string
	Path     string // with {name} for a part that differs
	Token    bool   // it takes who has a token
	Stranger bool   // it takes who has none
	BodyName string // the schema of its body; empty: it takes none

	shape      *regexp.Regexp // of paths
	literals   int            // how much of the path is fixed: of two that match the more fixed one counts
	names      []string       // of the parts of the path
	parameters []parameter
	body       *jsonschema.Schema
	answers    map[int]answer
}

type parameter struct {
	Name     string `json:"name"`
	In       string `json:"in"`
	Required bool   `json:"required"`
	schema   *jsonschema.Schema
	number   bool
}

// answer is what the document says of a status.
type answer struct {
	media   string // empty: there is no body
	schema  *jsonschema.Schema
	headers []string // that must be there
}

// property is what is read of a schema by itself.
type property struct {
	Ref        string              `json:"$ref"`
	Type       any                 `json:"type"`
	AnyOf      []property          `json:"anyOf"`
	Enum       []any               `json:"enum"`
	Items      *property           `json:"items"`
	Properties map[string]property `json:"properties"`
	Required   []string            `json:"required"`
}

type openAPI struct {
	Security   []map[string][]string           `json:"security"`
	Paths      map[string]map[string]operation `json:"paths"`
	Components struct {
		Parameters map[string]json.RawMessage `json:"parameters"`
		Responses  map[string]response        `json:"responses"`
		Schemas    map[string]property        `json:"schemas"`
	} `json:"components"`
}

type operation struct {
	ID         string                 `json:"operationId"`
	Security   *[]map[string][]string `json:"security"`
	Parameters []struct {
		Ref string `json:"$ref"`
	} `json:"parameters"`
	Body *struct {
		Content map[string]struct {
			Schema property `json:"schema"`
		} `json:"content"`
	} `json:"requestBody"`
	Responses map[string]response `json:"responses"`
}

type response struct {
	Ref     string `json:"$ref"`
	Headers map[string]struct {
		Required bool `json:"required"`
	} `json:"headers"`
	Content map[string]json.RawMessage `json:"content"`
}

const (
	address       = "https://canopychat.github.io/schemas/rest/openapi.json"
	inParameters  = "#/components/parameters/"
	inResponses   = "#/components/responses/"
	inSchemas     = "#/components/schemas/"
	jsonMedia     = "application/json"
	pathParameter = `\{(\w+)\}`
)

// Open reads the document of this build.
func Open() (*Document, error) {
	var doc openAPI
	if err := json.Unmarshal([]byte(rest.OpenAPI()), &doc); err != nil {
		return nil, fmt.Errorf("openapi.json: %w", err)
	}
	whole, err := jsonschema.UnmarshalJSON(strings.NewReader(rest.OpenAPI()))
	if err != nil {
		return nil, err
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource(address, whole); err != nil {
		return nil, err
	}
	d := &Document{schemas: doc.Components.Schemas}
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(doc.Paths[path])) {
			r := reader{doc: &doc, compiler: compiler, at: "#/paths/" + escape(path) + "/" + method}
			o, err := r.operation(method, path, doc.Paths[path][method])
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", method, path, err)
			}
			d.operations = append(d.operations, o)
		}
	}
	return d, nil
}

// Operations is all calls, by path and method.
func (d *Document) Operations() []*Operation { return slices.Clone(d.operations) }

// escape writes a key as a part of a JSON pointer in a URL's fragment.
func escape(key string) string {
	return strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(key)
}

// reader makes one operation out of the document.
type reader struct {
	doc      *openAPI
	compiler *jsonschema.Compiler
	at       string // a JSON pointer
}

func (r reader) operation(method, path string, in operation) (*Operation, error) {
	o := &Operation{ID: in.ID, Method: strings.ToUpper(method), Path: path, answers: map[int]answer{}}
	security := r.doc.Security
	if in.Security != nil {
		security = *in.Security
	}
	o.Stranger = len(security) == 0 || slices.ContainsFunc(security, func(s map[string][]string) bool { return len(s) == 0 })
	o.Token = slices.ContainsFunc(security, func(s map[string][]string) bool { return len(s) > 0 })
	parts := regexp.MustCompile(pathParameter)
	for _, found := range parts.FindAllStringSubmatch(path, -1) {
		o.names = append(o.names, found[1])
	}
	fixed := parts.ReplaceAllString(path, "\x00")
	o.literals = len(strings.ReplaceAll(fixed, "\x00", ""))
	o.shape = regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(fixed), "\x00", "([^/]+)") + "$")
	for _, ref := range in.Parameters {
		p, err := r.parameter(ref.Ref)
		if err != nil {
			return nil, err
		}
		o.parameters = append(o.parameters, p)
	}
	if in.Body != nil {
		o.BodyName = strings.TrimPrefix(in.Body.Content[jsonMedia].Schema.Ref, inSchemas)
		var err error
		if o.body, err = r.compiler.Compile(address + r.at + "/requestBody/content/" + escape(jsonMedia) + "/schema"); err != nil {
			return nil, err
		}
	}
	for status, response := range in.Responses {
		code, err := strconv.Atoi(status)
		if err != nil {
			return nil, fmt.Errorf("the status %s: %w", status, err)
		}
		if o.answers[code], err = r.answer(r.at+"/responses/"+status, response); err != nil {
			return nil, fmt.Errorf("the status %s: %w", status, err)
		}
	}
	return o, nil
}

func (r reader) parameter(ref string) (parameter, error) {
	name, ok := strings.CutPrefix(ref, inParameters)
	raw := r.doc.Components.Parameters[name]
	if !ok || raw == nil {
		return parameter{}, fmt.Errorf("there is no parameter %s", ref)
	}
	var p parameter
	if err := json.Unmarshal(raw, &p); err != nil {
		return parameter{}, err
	}
	var shape struct {
		Schema property `json:"schema"`
	}
	if err := json.Unmarshal(raw, &shape); err != nil {
		return parameter{}, err
	}
	of := shape.Schema
	if of.Ref != "" {
		of = r.doc.Components.Schemas[strings.TrimPrefix(of.Ref, inSchemas)]
	}
	p.number = of.Type == "integer"
	var err error
	p.schema, err = r.compiler.Compile(address + ref + "/schema")
	return p, err
}

func (r reader) answer(at string, in response) (answer, error) {
	if in.Ref != "" {
		name, ok := strings.CutPrefix(in.Ref, inResponses)
		if in = r.doc.Components.Responses[name]; !ok || in.Content == nil {
			return answer{}, fmt.Errorf("there is no response %s", name)
		}
		at = inResponses + name
	}
	var a answer
	for name, header := range in.Headers {
		if header.Required {
			a.headers = append(a.headers, name)
		}
	}
	for media := range in.Content {
		if a.media != "" {
			return answer{}, fmt.Errorf("it has two media types")
		}
		a.media = media
		var err error
		if a.schema, err = r.compiler.Compile(address + at + "/content/" + escape(media) + "/schema"); err != nil {
			return answer{}, err
		}
	}
	return a, nil
}
