package event

import _ "embed" // schema.json

//go:embed schema.json
var schema string

// Schema is the JSON Schema (draft 2020-12) of a stored event, for other people's tools: what Parse takes of
// a known kind is valid by it. It cannot say everything that Parse asks for: bytes of UTF-8, one spelling of a key.
func Schema() string { return schema }
