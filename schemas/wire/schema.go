package wire

import _ "embed" // schema.json

//go:embed schema.json
var schema string

// Schema is the JSON Schema (draft 2020-12) of the frames of both directions. It refers to event.Schema.
func Schema() string { return schema }
