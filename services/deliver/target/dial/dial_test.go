package dial_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/deliver/target/dial"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestWhichAddressesAreReached(t *testing.T) {
	for addr, want := range map[string]bool{
		"93.184.215.14": true, "1.1.1.1": true, "2606:4700:4700::1111": true, "2a00:1450:4001:81b::200e": true, "172.15.255.255": true,
		"172.32.0.0": true, "100.63.255.255": true, "100.128.0.0": true, "223.255.255.255": true, "64:ff9b::1.1.1.1": true, "::ffff:1.1.1.1": true,

		"0.0.0.0": false, "0.1.2.3": false, "127.0.0.1": false, "127.255.255.254": false, "10.0.0.1": false, "172.16.0.1": false,
		"172.31.255.255": false, "192.168.1.1": false, "169.254.169.254": false, "100.64.0.1": false, "100.127.255.255": false,
		"192.0.0.8": false, "192.0.2.1": false, "192.88.99.1": false, "198.18.0.1": false, "198.19.255.255": false, "198.51.100.7": false,
		"203.0.113.9": false, "224.0.0.1": false, "239.255.255.255": false, "240.0.0.1": false, "255.255.255.255": false,
		"100.100.100.200": false, "168.63.129.16": false, "192.0.0.192": false,
		"::": false, "::1": false, "::7f00:1": false, "::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::ffff:169.254.169.254": false,
		"64:ff9b::127.0.0.1": false, "64:ff9b::a9fe:a9fe": false, "64:ff9b:1::1": false, "100::1": false, "fe80::1": false, "fe80::1%eth0": false,
		"fc00::1": false, "fd00:ec2::254": false, "fd12:3456::1": false, "fec0::1": false, "ff02::1": false, "2001::1": false,
		"2001:db8::1": false, "2002:7f00:1::": false, "2002:a00:1::1": false, "3fff::1": false, "4000::1": false, "5f00::1": false,
	} {
		if got := dial.Reaches(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s is reached: %v", addr, got)
		}
	}
	if dial.Reaches(netip.Addr{}) {
		t.Error("no address is reached")
	}
}

func TestAllowedNetworksAreReachedButNotTheSecretsOfClouds(t *testing.T) {
	all := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
	ten := netip.MustParsePrefix("10.1.0.0/16")
	for addr, want := range map[string]bool{"10.1.2.3": true, "::ffff:10.1.2.3": true, "64:ff9b::10.1.2.3": true, "10.2.0.1": false, "127.0.0.1": false} {
		if got := dial.Reaches(netip.MustParseAddr(addr), ten); got != want {
			t.Errorf("%s is reached where %s is allowed: %v", addr, ten, got)
		}
	}
	for addr, want := range map[string]bool{
		"127.0.0.1": true, "::1": true, "fd12::1": true, "169.254.169.254": false, "::ffff:169.254.169.254": false, "64:ff9b::a9fe:a9fe": false,
		"fd00:ec2::254": false, "100.100.100.200": false, "168.63.129.16": false,
	} {
		if got := dial.Reaches(netip.MustParseAddr(addr), all...); got != want {
			t.Errorf("%s is reached where everything is allowed: %v", addr, got)
		}
	}
}

func TestParse(t *testing.T) {
	for _, good := range []string{
		"https://push.example.org/send/x?y=z", "http://example.org", "HTTPS://EXAMPLE.ORG/", "https://example.org:8443/", "https://example.org./",
		"https://1.2.3.4/", "https://[2606:4700::1]:443/", "https://3com.example.org/", "https://0x7f.example/", "https://bücher.example/",
	} {
		if _, err := dial.Parse(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "example.org", "//example.org/", "/path", "https:", "https://", "https:///path", "https:example.org", "ftp://example.org/", "file:///etc/passwd",
		"gopher://example.org/", "unix:///run/x.sock", "javascript:alert(1)", "https://user@example.org/", "https://user:secret@example.org/",
		"https://:80/", "https://example.org:0/", "https://example.org:65536/", "https://example.org:-1/", "https://exa mple.org/", "https://example.org\n/",
		"http://2130706433/", "http://0x7f000001/", "http://0x7f.1/", "http://0177.0.0.1/", "http://127.1/", "http://127.0.0.1.2/", "http://1/", "http://127.0.0.1./",
		"http://[::1/", "http://example.0x/", "https://example.org/" + strings.Repeat("a", chat.MaxHookURL),
	} {
		if u, err := dial.Parse(bad); err == nil || !fault.Is(err, fault.Invalid) {
			t.Errorf("%.60q is %v: %v", bad, u, err)
		}
	}
	u, err := dial.Parse("https://Example.org/a#secret")
	if err != nil || u.Fragment != "" || dial.Origin(u) != "https://example.org:443" {
		t.Errorf("%v: %v", u, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"https://example.org:443/a?b#c", "http://[::ffff:7f00:1]:80", "http://0x7f.1", "https://a@b", "http://[fe80::1%25en0]/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := dial.Parse(s)
		if err != nil {
			return
		}
		again, err := dial.Parse(u.String())
		if err != nil || dial.Origin(again) != dial.Origin(u) {
			t.Errorf("%q is read as %q, which is %v: %v", s, u, again, err)
		}
		if u.User != nil || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https") {
			t.Errorf("%q was taken", s)
		}
	})
}

// listen counts who connects to the loopback address.
func listen(t *testing.T, host string) (port string, connected *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Skipf("this machine has no %s: %v", host, err)
	}
	connected = new(atomic.Int64)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			connected.Add(1)
			c.Close()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port, connected
}

func send(t *testing.T, c *dial.Client, address string) error {
	t.Helper()
	u, err := dial.Parse(address)
	if err != nil {
		return err
	}
	req, err := dial.Post(t.Context(), u, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	return c.Do(req)
}

// Whatever a name or an address looks like, nobody gets a connection to this machine by it.
func TestNothingIsSentToThisMachine(t *testing.T) {
	port, connected := listen(t, "127.0.0.1")
	c := dial.New(dial.Config{Timeout: 30 * time.Second})
	defer c.Close()
	for _, host := range []string{
		"127.0.0.1", "127.0.0.2", "localhost", "LOCALHOST", "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
		"[0:0:0:0:0:ffff:127.0.0.1]", "[64:ff9b::127.0.0.1]", "[::127.0.0.1]", "[2002:7f00:1::]",
	} {
		err := send(t, c, "http://"+host+":"+port+"/secret-path")
		if !fault.Is(err, fault.Forbidden) || !errors.Is(err, dial.ErrRefused) {
			t.Errorf("%s: %v", host, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret-path") {
			t.Errorf("%s: the error tells the path: %v", host, err)
		}
	}
	if err := send(t, c, "http://localhost.:"+port+"/"); err == nil { // not every resolver knows it
		t.Error("localhost. was asked")
	}
	for _, address := range []string{
		"http://2130706433:", "http://0x7f000001:", "http://0177.0.0.1:", "http://127.1:", "http://0:", "http://user@127.0.0.1:", "gopher://127.0.0.1:",
	} {
		if err := send(t, c, address+port+"/"); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", address, err)
		}
	}
	if n := connected.Load(); n != 0 {
		t.Errorf("%d connections were made", n)
	}
}

// The port is a matter of the public Internet only. Nobody is dialled here: the address is of nobody, and the rule is asked before.
func TestOnlyThePortsOfTheWeb(t *testing.T) {
	c := dial.New(dial.Config{Timeout: 30 * time.Second})
	defer c.Close()
	for _, port := range []string{"22", "25", "6379", "8080"} {
		if err := send(t, c, "http://1.1.1.1:"+port+"/"); !errors.Is(err, dial.ErrRefused) || !strings.Contains(err.Error(), "port") {
			t.Errorf("port %s: %v", port, err)
		}
	}
}

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

func TestNoRedirectIsFollowed(t *testing.T) {
	port, connected := listen(t, "127.0.0.1")
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://127.0.0.1:"+port+"/", http.StatusTemporaryRedirect)
	}))
	defer s.Close()
	c := dial.New(dial.Config{AllowPrivate: loopback})
	defer c.Close()
	if err := send(t, c, s.URL); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "redirects are not followed") {
		t.Errorf("a redirect: %v", err)
	}
	if n := connected.Load(); n != 0 {
		t.Errorf("%d connections were made", n)
	}
}

func TestAProxyOfTheEnvironmentIsNotUsed(t *testing.T) {
	port, connected := listen(t, "127.0.0.1")
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:"+port)
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:"+port)
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	c := dial.New(dial.Config{AllowPrivate: loopback})
	defer c.Close()
	if err := send(t, c, s.URL); err != nil {
		t.Error(err)
	}
	if err := send(t, c, "http://10.9.9.9/"); !errors.Is(err, dial.ErrRefused) {
		t.Errorf("a private address: %v", err)
	}
	if n := connected.Load(); n != 0 {
		t.Errorf("%d connections were made to the proxy", n)
	}
}

func TestWhatAnAnswerMeans(t *testing.T) {
	for _, c := range []struct {
		status     int
		retryAfter string
		kind       fault.Kind
		after      time.Duration
	}{
		{200, "", "", 0}, {201, "", "", 0}, {202, "", "", 0}, {204, "", "", 0},
		{404, "", fault.NotFound, 0}, {410, "", fault.NotFound, 0}, {413, "", fault.TooLarge, 0}, {400, "", fault.Invalid, 0},
		{429, "17", fault.RateLimited, 17 * time.Second}, {503, "120", fault.Unavailable, 2 * time.Minute}, {500, "", fault.Unavailable, 0},
		{503, "999999999", fault.Unavailable, 24 * time.Hour},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", c.retryAfter)
			w.WriteHeader(c.status)
		}))
		client := dial.New(dial.Config{AllowPrivate: loopback})
		err := send(t, client, s.URL+"/a-secret-path")
		var f *fault.Error
		errors.As(err, &f)
		if fault.KindOf(err) != c.kind || (f != nil && f.RetryAfter != c.after) {
			t.Errorf("%d: %v, after %v", c.status, err, f)
		}
		if f != nil && (!strings.Contains(f.Message, fmt.Sprint(c.status)) || strings.Contains(f.Error(), "secret")) {
			t.Errorf("%d is told as %v", c.status, f)
		}
		client.Close()
		s.Close()
	}
}

func TestTimeAndAnswerAreBounded(t *testing.T) {
	release := make(chan struct{})
	var wrote atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/silent":
			io.Copy(io.Discard, r.Body)
			select {
			case <-release:
			case <-r.Context().Done():
			}
		case "/endless":
			w.WriteHeader(http.StatusInternalServerError)
			for r.Context().Err() == nil {
				n, err := io.WriteString(w, strings.Repeat("x", 64<<10))
				wrote.Add(int64(n))
				if err != nil {
					return
				}
			}
		case "/header":
			w.Header().Set("X-Long", strings.Repeat("x", 1<<20))
		case "/drip":
			w.WriteHeader(http.StatusBadGateway)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}
	}))
	defer s.Close()
	defer close(release)
	quick := dial.New(dial.Config{AllowPrivate: loopback, Timeout: 100 * time.Millisecond})
	defer quick.Close()
	patient := dial.New(dial.Config{AllowPrivate: loopback, Timeout: time.Minute})
	defer patient.Close()
	if err := send(t, quick, s.URL+"/silent"); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "in time") {
		t.Errorf("a server that says nothing: %v", err)
	}
	if err := send(t, quick, s.URL+"/drip"); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "502") {
		t.Errorf("a body that never ends: %v", err)
	}
	if err := send(t, patient, s.URL+"/endless"); !fault.Is(err, fault.Unavailable) || len([]rune(err.Error())) > 320 {
		t.Errorf("an endless answer: %v", err)
	}
	if err := send(t, patient, s.URL+"/header"); !fault.Is(err, fault.Unavailable) {
		t.Errorf("an endless header: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	u, _ := dial.Parse(s.URL + "/silent")
	req, _ := dial.Post(ctx, u, strings.NewReader(""))
	if err := patient.Do(req); !errors.Is(err, context.Canceled) {
		t.Errorf("an asking that was broken off: %v", err)
	}
}

func TestAServerWithoutACertificateIsNotTrusted(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	defer s.Close()
	c := dial.New(dial.Config{AllowPrivate: loopback})
	defer c.Close()
	if err := send(t, c, s.URL); !fault.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a certificate of its own: %v", err)
	}
}

func TestWhatIsToldOfAnAnswer(t *testing.T) {
	u, err := url.Parse("https://push.example.org/send/dGhlLXNlY3JldA/v2?token=hunter2hunter2&x=1")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"":                                       "",
		"no such subscription":                   "no such subscription",
		"line one\r\n\t line \x1b[31mtwo\x00":    "line one line [31mtwo",
		"gone: /send/dGhlLXNlY3JldA/v2 is gone":  "gone: … is gone",
		`{"token":"dGhlLXNlY3JldA"}`:             `{"token":"…"}`,
		"hunter2hunter2":                         "…",
		"bad utf8 \xff\xfe":                      "bad utf8 ?",
		strings.Repeat("é", 300):                 strings.Repeat("é", 200),
		u.String():                               "https://push.example.org…",
		"/send/dGhlLXNlY3JldA/v2?token=hunter2h": "…?token=hunter2h",
	} {
		if got := dial.Excerpt(u, text); got != want {
			t.Errorf("%.60q is told as %q, want %q", text, got, want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "soon": 0, "-5": 0, "0": 0, " 30 ": 30 * time.Second, "99999999999999999999": 0, "Sun, 22 Nov 2026 08:01:00 GMT": time.Minute,
		"Sun, 22 Nov 2026 07:00:00 GMT": 0, "Sun, 22 Nov 2099 07:00:00 GMT": 24 * time.Hour, "1000000": 24 * time.Hour,
	} {
		if got := dial.RetryAfter(value, now); got != want {
			t.Errorf("%q is %v", value, got)
		}
	}
}
