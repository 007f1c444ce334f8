// Package person is one of the people of a workload: what they choose to do next and how often (weights.go), what
// they do for certain early in a run (deal.go), and what they do when all is quiet (quiet.go). A Hand does it, and writes it down.
//
// What a person knows of messages is in package memory, what they know of sockets in package device.
package person
