package door

import (
	"net/netip"
	"slices"
	"strings"
)

// Address is the client's address: the connection's, unless that is a proxy's whom we trust. A proxy adds whom it
// speaks for at the end of X-Forwarded-For, so of what stands there the last one that is no trusted proxy counts; what is
// before it is what the client wrote. It is not valid when remote is no address, as with a Unix socket.
func Address(remote string, forwarded []string, trusted []netip.Prefix) netip.Addr {
	addr := parseAddr(remote)
	if !addr.IsValid() || !contains(trusted, addr) {
		return addr
	}
	for _, line := range slices.Backward(forwarded) {
		for _, hop := range slices.Backward(strings.Split(line, ",")) {
			next := parseAddr(strings.TrimSpace(hop))
			if !next.IsValid() {
				return addr // nobody whom we trust wrote that
			}
			if addr = next; !contains(trusted, addr) {
				return addr
			}
		}
	}
	return addr
}

func contains(prefixes []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// parseAddr reads an address with or without a port. IPv4 in IPv6 is IPv4, and no zone is kept: one address has one form.
func parseAddr(s string) netip.Addr {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone("")
	}
	addr, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}
