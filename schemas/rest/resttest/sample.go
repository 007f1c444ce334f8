package resttest

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
)

// samples are right for the components of bodies that a type does not say enough of.
var samples = map[string]string{
	"ID": `"` + nowhere + `"`, "Name": `"Sample"`, "ChannelName": `"sample"`, "LoginName": `"sample"`, "Password": `"correct horse"`,
	"Device": `"laptop"`, "Topic": `"what next"`, "Body": `"sample"`, "ClientMsgID": `"sample"`, "Role": `"member"`, "ChannelRole": `"member"`,
	"email": `"sample@example.org"`, "Moment": quoted(time.Now().Add(24 * time.Hour)), "TimeOfDay": `"22:00"`, "time_zone": `"UTC"`,
	"Address": `"https://sample.example.org/here"`, "auth": `"c2l4dGVlbi1ieXRlcy0xNg"`,
	// The base point of P-256 (SEC 2, 2.4.2), which anybody may call their key.
	"p256dh": `"BGsX0fLhLEJH-Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"`,
}

// quoted is a moment as JSON.
func quoted(at time.Time) string { return at.UTC().Format(`"` + time.RFC3339 + `"`) }

// sample is a body that is right: the fields that it must have, or all when it must have none.
func (d *Document) sample(name string) []byte {
	return object(d.fields(name))
}

// fields are the fields of a sample, as JSON.
func (d *Document) fields(name string) map[string]string { return d.fieldsOf(d.schemas[name]) }

func (d *Document) fieldsOf(s property) map[string]string {
	fields := make(map[string]string)
	for field, p := range s.Properties {
		if len(s.Required) == 0 || slices.Contains(s.Required, field) {
			fields[field] = d.value(field, p)
		}
	}
	return fields
}

// value is a right value of a field.
func (d *Document) value(field string, p property) string {
	if known, ok := samples[field]; ok {
		return known
	}
	if name, ok := strings.CutPrefix(p.Ref, inSchemas); ok {
		if known, ok := samples[name]; ok {
			return known
		}
		return d.value(field, d.schemas[name])
	}
	if len(p.AnyOf) > 0 {
		return d.value(field, p.AnyOf[0])
	}
	if len(p.Enum) > 0 {
		text, err := json.Marshal(p.Enum[len(p.Enum)-1])
		if err != nil {
			panic(err) // it was JSON
		}
		return string(text)
	}
	switch p.Type {
	case "object":
		return string(object(d.fieldsOf(p)))
	case "integer":
		return "1"
	case "boolean":
		return "true"
	case "array":
		return "[" + d.value(field, *p.Items) + "]"
	}
	return `"sample"`
}

// kind is the JSON type of a field.
func (d *Document) kind(p property) string {
	switch {
	case p.Ref != "":
		return d.kind(d.schemas[strings.TrimPrefix(p.Ref, inSchemas)])
	case len(p.AnyOf) > 0:
		return d.kind(p.AnyOf[0])
	case len(p.Enum) > 0:
		return "string"
	}
	kind, _ := p.Type.(string)
	return kind
}

// ofIDs reports whether a field is an array of ids.
func (d *Document) ofIDs(p property) bool {
	return len(p.AnyOf) > 0 && d.ofIDs(p.AnyOf[0]) || p.Items != nil && p.Items.Ref == inSchemas+"ID"
}

// object writes an object of fields that are JSON already.
func object(fields map[string]string) []byte {
	var b strings.Builder
	b.WriteByte('{')
	for i, name := range slices.Sorted(maps.Keys(fields)) {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`"` + name + `":` + fields[name])
	}
	b.WriteByte('}')
	return []byte(b.String())
}

// notOfKind are values that a field of a type cannot have.
var notOfKind = map[string][]string{
	"string":  {"7", "1.5", "true", "{}", "[]", `["x"]`},
	"integer": {`"1"`, "1.5", "-1", "1e400", "18446744073709551616", "-9223372036854775809", "true", "{}", "[1]"},
	"boolean": {`"true"`, "1", "0", "{}", "[true]"},
	"array":   {`"x"`, "7", "{}", "[1]", "[[]]", "[{}]", `[""]`},
	"object":  {`"x"`, "7", "true", "[]", "[{}]"},
	"ids":     {`["*"]`, `["a.b"]`, `["a b"]`, `["A"]`}, // of arrays of ids, besides
}

// hostileBodies are bodies that are wrong: no I-JSON at all, and right but for one field.
func (d *Document) hostileBodies(name string) [][]byte {
	right := d.fields(name)
	whole := string(object(right))
	more := strings.TrimSuffix(whole, "}")
	nested := strings.Repeat("[", 40) + strings.Repeat("]", 40)
	var all [][]byte
	for _, body := range []string{
		"", " ", "null", "[]", `"x"`, "1", "{", "{}x", "{} {}", "\x00", "\ufeff" + whole, whole + whole, whole + "]", more, whole[1:], strings.ReplaceAll(whole, `"`, "'"),
		"a=x&b=y", strings.Repeat("[", 90_000), strings.Repeat(`{"a":`, 15_000), more + `,"deep":` + nested + "}", more + `,"big":1e999` + "\xff}",
		more + `,"half":"\ud83d"}`, more + ",\"bytes\":\"\xff\"}", more + `,"twice":1,"twice":2}`, more + ",\"a\x00\":1}", more + `,"n":01}`, more + `,"n":NaN}`,
	} {
		all = append(all, []byte(body))
	}
	for field, p := range d.schemas[name].Properties {
		wrongs := notOfKind[d.kind(p)]
		if d.ofIDs(p) {
			wrongs = slices.Concat(wrongs, notOfKind["ids"])
		}
		for _, wrong := range wrongs {
			fields := maps.Clone(right)
			fields[field] = wrong
			all = append(all, object(fields))
		}
		all = append(all, []byte(strings.TrimSuffix(string(object(map[string]string{field: d.value(field, p)})), "}")+","+strings.TrimPrefix(string(object(map[string]string{field: d.value(field, p)})), "{")))
	}
	return all
}
