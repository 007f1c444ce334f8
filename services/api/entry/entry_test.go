package entry_test

import (
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/labstack/echo/v4"

	"github.com/canopychat/canopy/services/api/entry"
)

// Whatever a client writes, and whatever its proxy makes of it: an address is the peer's or one that a proxy named.
func FuzzAddress(f *testing.F) {
	f.Add("127.0.0.1:1", "1.2.3.4, 10.0.0.1")
	f.Add("[::1]:1", "::ffff:1.2.3.4")
	f.Add("8.8.8.8:1", "1.2.3.4")
	f.Add("pipe", ",,fe80::1%eth0,")
	in := entry.New(entry.Config{Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}})
	f.Fuzz(func(t *testing.T, peer, forwarded string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = peer
		r.Header.Set("X-Forwarded-For", forwarded)
		got := in.Address(echo.New().NewContext(r, httptest.NewRecorder()))
		from, err := netip.ParseAddrPort(peer)
		if err != nil {
			if got.IsValid() {
				t.Errorf("a peer without an address is %s", got)
			}
			return
		}
		if got.Zone() != "" || got.Is4In6() || !got.IsValid() {
			t.Errorf("%q by %q is %s, which is not the one form of an address", forwarded, peer, got)
		}
		proxy := from.Addr().Unmap().Is4() && (from.Addr().Unmap().As4()[0] == 127 || from.Addr().Unmap().As4()[0] == 10)
		if !proxy && got != from.Addr().Unmap().WithZone("") {
			t.Errorf("%q by %q, who is no proxy, is %s", forwarded, peer, got)
		}
	})
}
