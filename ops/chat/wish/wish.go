// Package wish is what a person at the terminal wants to be woken for: their commands as changes of their preferences, and
// what they have wished in words. But for ZoneName, which asks the machine, it is pure.
package wish

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/canopychat/canopy/ops/chat/line"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rest"
)

// ErrNoZone says that hours mean nothing, since nobody knows by which clock.
var ErrNoZone = errors.New("this machine does not say what its time zone is called: set TZ, such as TZ=Europe/Berlin")

// Apply is p after /mute or /unmute in a channel, or /quiet, by the clocks of a zone of the IANA database. The error is
// line.Hours', or ErrNoZone.
func Apply(p rest.Preferences, c line.Command, here chat.ChannelID, zone string) (rest.Preferences, error) {
	others := slices.DeleteFunc(slices.Clone(p.Muted), func(id chat.ChannelID) bool { return id == here })
	switch c.Name {
	case "mute":
		p.Muted = append(others, here)
	case "unmute":
		p.Muted = others
	case "quiet":
		from, to, err := line.Hours(c.Word)
		switch {
		case err != nil:
			return p, err
		case from == "":
			p.Quiet = nil
		case zone == "":
			return p, ErrNoZone
		default:
			p.Quiet = &rest.Quiet{From: from, To: to, Zone: zone}
		}
	}
	return p, nil
}

// Said is p in words, as far as it is about a channel and about hours.
func Said(p rest.Preferences, here chat.ChannelID) string {
	said := "what is for you wakes you"
	if slices.Contains(p.Muted, here) {
		said = "nothing in this channel wakes you"
	}
	if q := p.Quiet; q != nil && q.From != "" {
		said += fmt.Sprintf("; nothing at all does from %s to %s (%s)", q.From, q.To, q.Zone)
	}
	return said
}

// ZoneName is what the IANA database calls a zone; empty: nobody knows.
func ZoneName(zone *time.Location) string {
	if zone != time.Local {
		return zone.String()
	}
	if name := os.Getenv("TZ"); name != "" {
		return strings.TrimPrefix(name, ":")
	}
	link, err := os.Readlink("/etc/localtime")
	_, name, named := strings.Cut(link, "zoneinfo/")
	if err != nil || !named {
		return ""
	}
	return name
}
