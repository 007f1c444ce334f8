// Package provision brings the hub's streams and consumers into agreement with the JSON files of
// package streams: it plans what differs, shows it, and creates or updates what can be changed without
// losing anything. It never deletes and never recreates by itself; where only that would help, it stops with
// the difference and changes nothing. Renew does it, for an operator who knows that what the hub holds is lost.
//
// Load reads the files and adapts them with Options. Plan compares, Apply performs, Render shows a plan
// to a person. Any number of processes may do this at once and in any order: a creation that another
// was faster at counts as done if the result is what was wanted.
//
// CheckNotEmptied compares the ends of the streams with the last ones that were seen, so that an
// emptied or replaced hub is noticed before anything is written to it. Ensure does all of it in order.
//
// It knows streams and consumers as configurations only: nothing of events.
package provision
