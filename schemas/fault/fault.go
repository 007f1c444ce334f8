// Package fault holds the one table of errors: what a kind of failure means as an HTTP status, as
// a code on the wire, as a WebSocket close code and as the outcome of a consumed event.
//
// Nobody else writes a status code. A failure that a user may read is made with New or Wrap; an
// error without a Kind is Internal, and its text goes to the log, never to a user.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Kind is what sort of failure it is. Its text is the code on the wire, and never changes.
type Kind string

// The kinds. The list is frozen: a client branches on them.
const (
	Invalid         Kind = "invalid"         // the request is malformed; sending it again is useless
	Unauthenticated Kind = "unauthenticated" // who asks is not known, or no longer
	Forbidden       Kind = "forbidden"       // it can be seen, and may not be done
	NotFound        Kind = "not_found"       // it is not there, or one may not see it
	NotAllowed      Kind = "not_allowed"     // this address does not take that method
	Conflict        Kind = "conflict"        // it contradicts what is there: a name taken, an id with another body
	TooLarge        Kind = "too_large"       // a frame, message or body over its limit
	Unsupported     Kind = "unsupported"     // a frame or feature that this server does not have
	RateLimited     Kind = "rate_limited"    // too much from one side; try again after RetryAfter
	Unavailable     Kind = "unavailable"     // something it needs does not answer; try again after RetryAfter
	SlowReader      Kind = "slow_reader"     // the client does not take its answers
	Silent          Kind = "silent"          // the client did not answer two pings, or did not finish its frame
	Moving          Kind = "moving"          // this gateway is draining; connect again, to any
	Protocol        Kind = "protocol_error"  // bytes that are not WebSocket
	NotText         Kind = "not_text"        // a text that is not UTF-8, or a binary message
	Internal        Kind = "internal"        // our fault
)

// Outcome is what a consumer does with an event whose handling failed.
type Outcome uint8

// The two outcomes of a failure.
const (
	Retry Outcome = iota // deliver it again on the consumer's backoff
	Park                 // put it aside, with its reason: it can never succeed
)

// row is one line of the table.
type row struct {
	status  int // of HTTP, RFC 9110
	close   int // of WebSocket, RFC 6455 §7.4; see Reconnect
	outcome Outcome
	title   string // for a person, the same for every failure of the kind (RFC 9457 §3.1.3)
}

// table maps a kind to everything that leaves the process. Close codes of 4000–4499 and 1001, 1006,
// 1011, 1012 and 1013 ask the client to come back with its cursor; the others ask it not to.
var table = map[Kind]row{
	Invalid:         {400, 4500, Park, "The request is not valid"},
	Unauthenticated: {401, 4501, Park, "Sign in first"},
	Forbidden:       {403, 4503, Park, "You may not do this"},
	NotFound:        {404, 4504, Park, "There is no such thing, or it is not yours to see"},
	NotAllowed:      {405, 4505, Park, "This address does not take that method"},
	Conflict:        {409, 4509, Park, "It contradicts what is there"},
	TooLarge:        {413, 1009, Park, "It is larger than the limit"},
	Unsupported:     {501, 1003, Park, "This server cannot do that"},
	RateLimited:     {429, 4429, Retry, "Too much at once"},
	Unavailable:     {503, 1013, Retry, "A part of the service does not answer"},
	SlowReader:      {503, 4408, Retry, "The client does not read its answers"},
	Silent:          {408, 4409, Retry, "The client fell silent"},
	Moving:          {503, 1012, Retry, "The gateway is restarting"},
	Protocol:        {400, 1002, Park, "Not the WebSocket protocol"},
	NotText:         {400, 1007, Park, "Not text"},
	Internal:        {500, 1011, Retry, "Something went wrong here"},
}

// Close codes that are not failures (RFC 6455 §7.4.1).
const (
	CloseNormal    = 1000
	CloseGoingAway = 1001
)

// Status is the HTTP status of k.
func (k Kind) Status() int { return k.row().status }

// CloseCode is the WebSocket close code of k.
func (k Kind) CloseCode() int { return k.row().close }

// Outcome is what a consumer does with an event that failed with k.
func (k Kind) Outcome() Outcome { return k.row().outcome }

// Title says k to a person.
func (k Kind) Title() string { return k.row().title }

func (k Kind) known() bool { _, ok := table[k]; return ok }

func (k Kind) row() row {
	if r, ok := table[k]; ok {
		return r
	}
	return table[Internal]
}

// Reconnect reports whether a client that was closed with code should come back with its cursor
// (after a pause that grows) rather than tell its user.
func Reconnect(code int) bool {
	switch code {
	case 1001, 1006, 1011, 1012, 1013:
		return true
	}
	return code >= 4000 && code < 4500
}

// Error is a failure that a user may read.
type Error struct {
	Kind       Kind
	Message    string        // for the user: what to do about it; no ids of others, no internals
	RetryAfter time.Duration // with RateLimited and Unavailable: when it is worth trying again; 0: not said
	Err        error         // the cause, for the log; may be nil
}

// Error is the text for the log.
func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %s: %v", e.Kind, e.Message, e.Err)
	}
	return fmt.Sprintf("%s: %s", e.Kind, e.Message)
}

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Err }

// New is a failure of kind k that says message to the user.
func New(k Kind, format string, args ...any) *Error {
	return &Error{Kind: k, Message: fmt.Sprintf(format, args...)}
}

// Wrap is a failure of kind k because of err, whose text is for the log only.
func Wrap(k Kind, err error, format string, args ...any) *Error {
	return &Error{Kind: k, Message: fmt.Sprintf(format, args...), Err: err}
}

// After says when it is worth trying again, and returns e.
func (e *Error) After(d time.Duration) *Error { e.RetryAfter = d; return e }

// KindOf is the kind of err: Internal when it carries none of the table, and empty for nil.
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) && e.Kind.known() {
		return e.Kind
	}
	return Internal
}

// Is reports whether err is of kind k.
func Is(err error, k Kind) bool { return KindOf(err) == k }

// Public is what a user may read of err: the Error itself, or Internal without its text. A kind that is not in
// the table, which another process may have sent, is Internal too.
func Public(err error) *Error {
	var e *Error
	if errors.As(err, &e) && e.Kind != Internal && e.Kind.known() {
		return &Error{Kind: e.Kind, Message: e.Message, RetryAfter: e.RetryAfter}
	}
	return &Error{Kind: Internal, Message: Internal.Title()}
}
