package reach

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
)

// checkURL says whether something may be sent to an address, as far as its text tells. It is kept as it is: nothing is
// rewritten. The error is Invalid and names the field.
func (s *Service) checkURL(field, address string) error {
	if len(address) > chat.MaxHookURL {
		return fault.New(fault.Invalid, "%s has at most %d bytes", field, chat.MaxHookURL)
	}
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Opaque != "" || u.Hostname() == "" || strings.TrimSpace(address) != address:
		return fault.Wrap(fault.Invalid, err, "%s is an address that begins with https://", field)
	case u.Scheme != "https" && (u.Scheme != "http" || !s.cfg.AllowInsecure):
		return fault.New(fault.Invalid, "%s is an address that begins with https://", field)
	case u.User != nil || strings.Contains(address, "#"):
		return fault.New(fault.Invalid, "%s has no user, no password and no # in it", field)
	case !isPort(u):
		return fault.New(fault.Invalid, "%s has a port that is none", field)
	case !s.cfg.AllowInsecure && !isPublic(u.Hostname()):
		return fault.New(fault.Invalid, "%s is not in the public Internet", field)
	}
	return nil
}

// isPort reports whether u has a port that there is, or none.
func isPort(u *url.URL) bool {
	if u.Port() == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	n, err := strconv.ParseUint(u.Port(), 10, 16)
	return err == nil && n != 0
}

// local are the ends of names that mean something else in every network (RFC 6761, RFC 6762, RFC 8375, and ICANN's .internal).
var local = []string{"localhost", "local", "internal", "home.arpa", "lan", "intranet", "corp"}

// shared are addresses that a provider gives out inside of its own network (RFC 6598).
var shared = netip.MustParsePrefix("100.64.0.0/10")

// isPublic reports whether a host may be one of the public Internet: a name of two parts and more, or such an address. It
// is for people who mistake something. What a name resolves to, and the ranges that are kept for special uses, are
// looked at by who connects.
func isPublic(host string) bool {
	if address, err := netip.ParseAddr(host); err == nil {
		address = address.Unmap()
		return address.Zone() == "" && address.IsGlobalUnicast() && !address.IsPrivate() && !shared.Contains(address)
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	for _, end := range local {
		if name == end || strings.HasSuffix(name, "."+end) {
			return false
		}
	}
	last := strings.LastIndexByte(name, '.')
	return last > 0 && !isNumber(name[last+1:])
}

// isNumber reports whether the last part of a name is one, so that some resolvers read the name as an address (127.1, 10.0x1).
func isNumber(part string) bool {
	digits := "0123456789"
	if hex, is := strings.CutPrefix(part, "0x"); is {
		part, digits = hex, digits+"abcdef"
	}
	return strings.Trim(part, digits) == ""
}
