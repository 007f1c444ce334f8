package reach_test

import (
	"context"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/reach"
	"github.com/canopychat/canopy/services/store"
)

// public are addresses that everybody takes.
var public = []string{
	"https://hooks.example/a", "https://hooks.example", "https://hooks.example.:8443/a?b=c%20d", "HTTPS://Hooks.Example/", "https://bücher.example/x",
	"https://93.184.216.34/", "https://[2606:2800:220:1:248:1893:25c8:1946]/x", "https://1.2.3.4.example/", "https://hooks.example:443/",
	"https://updates.push.services.example/wpush/v2/gAAAA-_", "https://notlocalhost.example/", "https://mylocal.example/",
	"https://hooks.example/" + strings.Repeat("a", chat.MaxHookURL-len("https://hooks.example/")),
}

// private are addresses that only a deployment takes which says so.
var private = []string{
	"http://hooks.example/a", "https://localhost/", "https://LOCALHOST./", "https://a.localhost:8080/", "https://printer.local/", "https://vault.internal/",
	"https://box.home.arpa/", "https://intranet/", "https://127.0.0.1/", "https://127.1/", "https://2130706433/", "https://0x7f000001/", "https://10.0x1/", "https://0.0.0.0/", "https://0/",
	"https://10.1.2.3/", "https://172.16.0.1/", "https://192.168.1.1/", "https://169.254.169.254/latest/meta-data", "https://100.64.0.1/", "https://224.0.0.1/", "https://255.255.255.255/",
	"https://[::1]/", "https://[::]/", "https://[fe80::1]/", "https://[fe80::1%25eth0]/", "https://[fd00::1]/", "https://[ff02::1]/", "https://[::ffff:127.0.0.1]/", "https://[::ffff:10.0.0.1]/",
}

// never are no addresses that anything can be sent to.
var never = []string{
	"", " ", "hooks.example/a", "//hooks.example/a", "/a", "https:", "https://", "https:///a", "https://:443/", "https:hooks.example", "ftp://hooks.example/", "file:///etc/passwd", "javascript:alert(1)",
	"gopher://hooks.example/", "https://user@hooks.example/", "https://user:password@hooks.example/", "https://@hooks.example/", "https://hooks.example/#part", "https://hooks.example/#",
	" https://hooks.example/", "https://hooks.example/ ", "https://hooks.example/\n", "https://hooks.example/\x00", "https://hooks .example/", "https://hooks.example:0/", "https://hooks.example:65536/",
	"https://hooks.example:port/", "https://hooks.example:/", "https://[::1/", "https://hooks.example/%zz",
	"https://hooks.example/" + strings.Repeat("a", chat.MaxHookURL),
}

func TestAddressesAreOfThePublicInternet(t *testing.T) {
	w := newTown(t, nil)
	for _, a := range public {
		w.must(w.take(a))
		w.must(w.RemoveWebhook(t.Context(), alice, ws, w.last()))
	}
	for _, a := range append(append([]string{}, private...), never...) {
		w.refused(a, w.take(a), fault.Invalid)
		_, err := w.Subscribe(t.Context(), browser(t, bob, a))
		w.refused(a+" of a browser", err, fault.Invalid)
	}
}

func TestAnInsecureDeploymentTakesItsOwnAddresses(t *testing.T) {
	w := newTown(t, func(c *reach.Config) { c.AllowInsecure = true })
	for _, a := range append(append([]string{}, private...), public...) {
		w.must(w.take(a))
		w.must(w.RemoveWebhook(t.Context(), alice, ws, w.last()))
	}
	for _, a := range never {
		w.refused(a, w.take(a), fault.Invalid)
	}
}

// take adds a webhook to the workspace, which has none.
func (w town) take(address string) error {
	_, err := w.AddWebhook(w.t.Context(), alice, ws, address)
	return err
}

// last is the id of the only webhook, which has the address it was given.
func (w town) last() string {
	w.t.Helper()
	all, err := w.Webhooks(w.t.Context(), alice, ws)
	if err != nil || len(all) != 1 {
		w.t.Fatal(len(all), err)
	}
	return all[0].ID
}

// takers keep every subscription.
type takers struct{ store.Reach }

func (takers) AddSubscription(context.Context, store.Subscription) error { return nil }

func FuzzAddresses(f *testing.F) {
	for _, list := range [][]string{public[:10], private, never} {
		for _, a := range list {
			f.Add(a)
		}
	}
	s, err := reach.New(reach.Config{Store: takers{}, Members: takers{}, Channels: takers{}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, address string) {
		n := browser(t, bob, address)
		got, err := s.Subscribe(t.Context(), n)
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Fatalf("%q: %v", address, err)
			}
			return
		}
		u, err := url.Parse(got.Endpoint)
		if err != nil || got.Endpoint != address || len(address) > chat.MaxHookURL || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
			t.Fatalf("%q is kept as %q: %v", address, got.Endpoint, err)
		}
		if ip, err := netip.ParseAddr(u.Hostname()); err == nil && (ip.IsLoopback() || ip.Unmap().IsPrivate() || ip.Unmap().IsLoopback() || ip.IsUnspecified()) {
			t.Fatalf("%q is taken", address)
		}
	})
}

func (takers) Member(context.Context, chat.WorkspaceID, chat.UserID) (chat.Member, error) {
	return chat.Member{}, nil
}

func (takers) Channel(context.Context, chat.UserID, chat.ChannelID) (chat.Channel, chat.Standing, error) {
	return chat.Channel{}, chat.Standing{}, nil
}
