package entry

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
)

// Address is where a request comes from: the peer of its connection, or, when that is one of the deployment's own
// proxies, whom the proxies say it comes from. Nobody else is believed: the header is anybody's to write.
func (in *Entry) Address(c echo.Context) netip.Addr { return in.addressOf(c.Request()) }

// addressOf walks from the nearest hop to the farthest, as far as the proxies vouch for it. Of what cannot be read
// it takes the hop before. The zero Addr stands for a peer without an address.
func (in *Entry) addressOf(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	at := plain(peer.Addr())
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		if !in.isProxy(at) {
			break
		}
		before, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			break
		}
		at = plain(before)
	}
	return at
}

func (in *Entry) isProxy(at netip.Addr) bool {
	return slices.ContainsFunc(in.cfg.Proxies, func(p netip.Prefix) bool { return p.Contains(at) })
}

// plain is the one form of an address: limits are counted by it.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }
