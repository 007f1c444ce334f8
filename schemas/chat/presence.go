package chat

import "errors"

// Status is whether a person can be reached.
type Status string

// The statuses, from the most to the least reachable. Of a person's devices the most reachable one counts.
const (
	StatusOnline  Status = "online"
	StatusAway    Status = "away"    // somebody is signed in, and not at their device
	StatusOffline Status = "offline" // no device is connected, or the person wants to look so
)

// Valid reports whether s is one of the three.
func (s Status) Valid() bool { return s == StatusOnline || s == StatusAway || s == StatusOffline }

// Presence is a person's status in a workspace, with the text that they gave it.
type Presence struct {
	Status Status
	Text   string // at most MaxStatusText characters; may be empty
}

// ErrBadStatusText says that a presence's text cannot be shown safely.
var ErrBadStatusText = errors.New("a status text is at most 100 printable characters")

// CheckStatusText says whether s may be a presence's text; it may be empty. The error is ErrBadStatusText.
func CheckStatusText(s string) error {
	if !printable(s, MaxStatusText) {
		return ErrBadStatusText
	}
	return nil
}

// ErrBadDevice says that a device's name cannot be shown safely.
var ErrBadDevice = errors.New("a device is at most 80 printable characters")

// CheckDevice says whether s may be the name of a device; it may be empty. The error is ErrBadDevice.
func CheckDevice(s string) error {
	if !printable(s, MaxDevice) {
		return ErrBadDevice
	}
	return nil
}
