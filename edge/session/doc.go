// Package session is what one socket is in a workspace: a position in its log and the channels it may
// see there. It is pure: no clock, no lock, no I/O. A loop of edge/gateway owns each session and performs
// what it decides.
//
// A session reads entries in the order of the log, whether they are live, resumed, caught up with or read
// late by a slow socket: all of these are one thing, a cursor at the head or behind it. Joins and leaves are
// entries too, so at every position the session sees exactly what its user was a member of there.
//
// Channels are numbered per workspace and gateway (Channels), so that a session costs four bytes for each.
package session
