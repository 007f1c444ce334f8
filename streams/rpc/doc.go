// Package rpc carries the questions of schemas/rpc over NATS request/reply: Serve registers a service
// (nats.go micro, so `nats service ls|info|stats` shows it) and Call asks one.
//
// It owns the carrying: JSON both ways, faults that keep their kind, a deadline on every call, the trace
// context in the header. It promises that an answer is the service's own or a *fault.Error: Unavailable
// when nobody answers in time. It does not know what is asked.
package rpc
