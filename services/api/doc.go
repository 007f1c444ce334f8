// Package api is the REST API: it turns requests into calls of the parts behind it, and what they say into
// answers. The bodies are schemas/rest's, where every call is listed.
//
// It owns addresses, the reading of requests and the writing of failures; it has no state and decides
// nothing. It promises that every id is parsed before anything else sees it, that a failure says no more
// than schemas/fault lets it, and that no body or token is logged.
package api
