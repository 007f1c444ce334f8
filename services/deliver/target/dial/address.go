package dial

import (
	"errors"
	"net/netip"
	"slices"
)

// errHidden says that an address is none of the public Internet's.
var errHidden = errors.New("the address is not one of the public Internet, and not in a network that is allowed")

// never is where clouds tell a machine its secrets: nobody sends there, whatever the operator allows.
var never = prefixes(
	"169.254.0.0/16",     // AWS, Google, Azure and most others; link-local
	"100.100.100.200/32", // Alibaba
	"168.63.129.16/32",   // Azure's WireServer, an address that looks public
	"192.0.0.192/32",     // Oracle
	"fd00:ec2::/32",      // AWS
	"fd20:ce::254/128",   // Google
)

// special are the addresses that are not reachable from the whole Internet, or mean another one: the IANA IPv4 and IPv6
// Special-Purpose Address Registries (RFC 6890), and multicast (RFC 5771). Of IPv6, what is outside global is refused as
// a whole, so that these are what is inside.
var special = prefixes(
	"0.0.0.0/8",       // this network
	"10.0.0.0/8",      // private
	"100.64.0.0/10",   // carrier-grade NAT
	"127.0.0.0/8",     // loopback
	"169.254.0.0/16",  // link-local
	"172.16.0.0/12",   // private
	"192.0.0.0/24",    // IETF protocols
	"192.0.2.0/24",    // documentation
	"192.88.99.0/24",  // 6to4 relays, deprecated
	"192.168.0.0/16",  // private
	"198.18.0.0/15",   // benchmarks
	"198.51.100.0/24", // documentation
	"203.0.113.0/24",  // documentation
	"224.0.0.0/4",     // multicast
	"240.0.0.0/4",     // reserved, and broadcast
	"2001::/23",       // IETF protocols: Teredo, ORCHID, benchmarks
	"2001:db8::/32",   // documentation
	"2002::/16",       // 6to4: an IPv4 address in disguise
	"3fff::/20",       // documentation
)

var (
	global = netip.MustParsePrefix("2000::/3")     // the IPv6 addresses that IANA hands out at all
	nat64  = netip.MustParsePrefix("64:ff9b::/96") // an IPv4 address behind a translator (RFC 6052)
)

func prefixes(all ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(all))
	for i, p := range all {
		list[i] = netip.MustParsePrefix(p)
	}
	return list
}

// reach says whether an address may be dialled; private: because the operator allows its network.
func reach(addr netip.Addr, allowed []netip.Prefix) (private bool, err error) {
	addr = meant(addr)
	switch {
	case holds(never, addr):
		return false, errHidden
	case holds(allowed, addr):
		return true, nil
	case holds(special, addr), addr.Is6() && !global.Contains(addr), !addr.IsValid():
		return false, errHidden
	}
	return false, nil
}

// meant is the address that a packet ends at: those that carry an IPv4 address stand for it.
func meant(addr netip.Addr) netip.Addr {
	addr = addr.WithZone("").Unmap()
	if nat64.Contains(addr) {
		b := addr.As16()
		return netip.AddrFrom4([4]byte(b[12:]))
	}
	return addr
}

func holds(list []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(addr) })
}
