package rpc

import "time"

// Process is what a process says of itself in the bucket registry, every few seconds and when it changes. An entry
// that is not said again ends.
type Process struct {
	ID         string    `json:"id"`              // an id of its own, new at each start
	Role       string    `json:"role"`            // such as gateway
	Region     string    `json:"region"`          // where it runs
	URL        string    `json:"url,omitempty"`   // of a gateway: where clients connect
	Admin      string    `json:"admin,omitempty"` // host:port of its health, metrics and profiles
	Version    string    `json:"version"`         // of the program
	StartedAt  time.Time `json:"started_at"`
	Sockets    int       `json:"sockets"`                     // of a gateway: open ones
	MaxSockets int       `json:"max_sockets,omitempty"`       // 0: no limit
	Workspaces int       `json:"workspaces_served,omitempty"` // of a gateway: that have somebody online here
	Draining   bool      `json:"draining,omitempty"`          // it takes nobody new, and sends those who are there away
	Healthy    bool      `json:"healthy"`
	Detail     string    `json:"detail,omitempty"` // for an operator: what is wrong, or what it does
}

// Full reports whether a gateway has no room for another socket.
func (p Process) Full() bool { return p.MaxSockets > 0 && p.Sockets >= p.MaxSockets }
