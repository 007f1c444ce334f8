package wire

import _ "embed" // asyncapi.json

//go:embed asyncapi.json
var asyncAPI string

// AsyncAPI is the AsyncAPI 3.0 document of the socket: every frame as a message. It refers to Schema.
func AsyncAPI() string { return asyncAPI }
