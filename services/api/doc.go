// Package api is the REST API: it turns requests into calls of the parts behind it, and what they say into
// answers. The bodies are schemas/rest's, where every call is listed.
//
// It owns addresses; it has no state and decides nothing but whether a setup code is the one that was printed. It
// promises that every id is parsed before anything else sees it, and that its calls are those of the OpenAPI document.
// What every request goes through, and the writing of failures, is services/api/entry's. The calls about what waits for
// people are services/api/notify's, which is mounted here.
package api
