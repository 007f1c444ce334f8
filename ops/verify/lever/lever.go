// Package lever is one thing that can be broken and mended: what a site offers, and what a plan of faults pulls.
package lever

import "context"

// Lever breaks one part of a site in one way. Begin and End are called in turn, never at once. End mends what Begin broke, also where
// Begin failed half-way, and returns when what it had taken down is ready again. Both may be called again after that.
type Lever struct {
	Fault  string // the way: kill, pause, restart, cut, hold-up, hold-down, slow, …
	Tier   string // what kind of part: client, gateway, leaf, hub, api, persist, deliver, cassandra, postgres, or «gateway-leaf» for what lies between
	Target string // which: hub-1, leaf-eu, "leaf-eu hub-2"
	Of     int    // how many targets the site has of this tier
	Most   int    // so many of them may be broken in this way at once: all of them, or as many as the promises bear
	Alone  bool   // while it is pulled, nothing else is: the promises bear no second fault beside it
	Last   bool   // it takes as long as many others together, so that a plan has it after all others

	Begin func(ctx context.Context) error
	End   func(ctx context.Context) error
}
