// Package entry is what every request of the REST API goes through before its handler and after it: an id and a
// trace, the address that it came from, limits of time, size and rate, who asks, the keys that make a request happen
// once, the reading of what it says and the writing of what it is answered.
//
// It owns the headers and the form of failures (rest.Problem). It promises that a failure says no more than
// schemas/fault lets it, that no body, token or text of a panic is logged or told, and that nothing of an answer leaves
// before it is kept when the request has an Idempotency-Key. It knows no call of the API and keeps nothing itself.
package entry
