package rest

import _ "embed" // openapi.json

//go:embed openapi.json
var openAPI string

// OpenAPI is the OpenAPI 3.1 document of all calls, for other people's tools. It stands alone: it refers to nothing.
func OpenAPI() string { return openAPI }
