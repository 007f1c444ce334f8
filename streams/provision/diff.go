package provision

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// serverMetadata is the prefix of what the server adds itself, such as its version.
const serverMetadata = "_nats."

// keepForeign adds to want the metadata that others put there, an operator or a tool: it is theirs.
// What the server added stays out, for it adds it again; so does what Options take away.
func keepForeign(want, has map[string]string) map[string]string {
	merged := map[string]string{}
	for key, value := range has {
		if !strings.HasPrefix(key, serverMetadata) && !strings.HasPrefix(key, peerMetadata) {
			merged[key] = value
		}
	}
	for key, value := range want {
		merged[key] = value
	}
	return merged
}

// diff compares two configurations of one type as the JSON that the server reads, so that a setting that
// is left out and one that is set to its zero value are the same.
func diff(want, has any) ([]Field, error) {
	to, err := flatten(want)
	if err != nil {
		return nil, err
	}
	from, err := flatten(has)
	if err != nil {
		return nil, err
	}
	var fields []Field
	for name, value := range to {
		if from[name] != value {
			fields = append(fields, Field{Name: name, From: from[name], To: value})
		}
	}
	for name, value := range from {
		if _, ok := to[name]; !ok {
			fields = append(fields, Field{Name: name, From: value})
		}
	}
	slices.SortFunc(fields, func(a, b Field) int { return strings.Compare(a.Name, b.Name) })
	return fields, nil
}

// flatten writes a configuration as name → JSON value, objects opened, zero values and the server's own
// metadata left out.
func flatten(config any) (map[string]string, error) {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false) // a subject is shown as it is written
	if err := e.Encode(config); err != nil {
		return nil, err
	}
	flat := map[string]string{}
	return flat, flattenInto(flat, "", text.Bytes())
}

func flattenInto(flat map[string]string, prefix string, text []byte) error {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(text, &object); err != nil {
		return err
	}
	for name, value := range object {
		name = prefix + name
		switch s := string(value); {
		case s == "null" || s == "0" || s == "false" || s == `""` || strings.HasPrefix(name, "metadata."+serverMetadata):
		case s[0] == '{':
			if err := flattenInto(flat, name+".", value); err != nil {
				return err
			}
		default:
			flat[name] = s
		}
	}
	return nil
}
