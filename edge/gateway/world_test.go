package gateway_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/canopychat/canopy/edge/fanout"
	"github.com/canopychat/canopy/edge/gateway"
	"github.com/canopychat/canopy/schemas/chat"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must happen.
const patience = time.Minute

// driver is a way for bytes to come to a gateway.
type driver struct {
	name string
	wrap func(net.Listener) net.Listener
	tls  bool
}

var (
	epoll    = driver{name: "epoll", wrap: func(l net.Listener) net.Listener { return l }}
	onStream = driver{name: "stream", wrap: func(l net.Listener) net.Listener { return opaqueListener{l} }}
	overTLS  = driver{name: "tls", wrap: epoll.wrap, tls: true}
	drivers  = []driver{epoll, onStream, overTLS}
)

// opaque hides that a connection is TCP, so that epoll cannot serve it.
type opaque struct{ net.Conn }

func (o opaque) CloseWrite() error { return o.Conn.(*net.TCPConn).CloseWrite() }

type opaqueListener struct{ net.Listener }

func (l opaqueListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return opaque{c}, nil
}

// narrowListener has sockets that are soon full: what a server's socket holds, the kernel makes larger as it is used, and a client's
// only while it reads.
type narrowListener struct{ net.Listener }

func (l narrowListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return c, c.(*net.TCPConn).SetWriteBuffer(32 << 10)
}

// world is a gateway that runs, with everything behind it.
type world struct {
	*hub
	t      testing.TB
	gw     *gateway.Gateway
	feeds  *feeds
	addr   string
	driver driver
	narrow bool
	pool   *tls.Config // of clients

	stopGateway func() // returns when Run has
}

// options are of a world; zero values are a test's defaults.
type options struct {
	driver driver
	narrow bool // sockets hold little: for clients that do not read
	gw     gateway.Config
	ring   fanout.Config
	to     func(h *hub, n *gateway.Neighbours) // more of them, before the gateway is made
}

// on runs a test on every driver.
func on(t *testing.T, o options, test func(t *testing.T, w *world)) {
	t.Helper()
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel() // they wait a lot
			o := o
			o.driver = d
			test(t, start(t, o))
		})
	}
}

func start(t testing.TB, o options) *world {
	t.Helper()
	if o.driver.wrap == nil {
		o.driver = epoll
	}
	if o.ring.ProveEvery == 0 {
		o.ring.ProveEvery = time.Hour
	}
	if o.gw.Loops == 0 {
		o.gw.Loops = 2
	}
	w := &world{hub: newHub(), t: t, driver: o.driver, narrow: o.narrow}
	w.feeds = &feeds{Feeds: fanout.New(w.hub, w.hub, o.ring)}
	var err error
	to := gateway.Neighbours{Verifier: w.hub, Directory: w.hub, Feeds: w.feeds, Submitter: w.hub}
	if o.to != nil {
		o.to(w.hub, &to)
	}
	w.gw, err = gateway.New(o.gw, to)
	if err != nil {
		t.Fatal(err)
	}
	stopFeeds := running(t, w.feeds.Run)
	w.stopGateway = running(t, w.gw.Run)
	w.eventually("the feeds run", func() bool {
		f, err := w.feeds.Acquire(context.Background(), fanout.Place{WorkspaceID: "w0", Shard: shard, Epoch: epoch})
		if err == nil {
			w.feeds.Release(f)
		}
		return err == nil
	})
	stopServer := w.serve()
	t.Cleanup(func() {
		w.stopGateway()
		stopServer()
		// The server does not wait for a request whose connection it gave away: one that comes in as the gateway ends is turned
		// away a moment later.
		w.eventually("no socket is counted, and all feeds are given back", func() bool { return w.gw.Sockets() == 0 && w.feeds.balance() == 0 })
		if l, behind := w.gw.Load(), w.gw.Counters().BehindNow.Load(); l != (gateway.Load{}) || behind != 0 {
			t.Errorf("after the end %+v are counted, and %d behind", l, behind)
		}
		stopFeeds()
		if n := w.subscribers(); n != 0 {
			t.Errorf("%d subscriptions are left", n)
		}
	})
	return w
}

// running runs something until stop, which may be called more than once.
func running(t testing.TB, run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(patience):
			t.Error("Run does not return")
		}
	})
}

// serve listens as ops/app does.
func (w *world) serve() (stop func()) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	w.addr = l.Addr().String()
	mux := http.NewServeMux()
	mux.Handle("GET /socket", w.gw)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: patience, ReadTimeout: patience, MaxHeaderBytes: 16 << 10}
	server.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){}
	if w.narrow {
		l = narrowListener{l}
	}
	l = w.driver.wrap(l)
	if w.driver.tls {
		borrowed := httptest.NewUnstartedServer(nil) // for its certificate
		borrowed.StartTLS()
		server.TLSConfig = &tls.Config{Certificates: borrowed.TLS.Certificates}
		w.pool = borrowed.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
		w.pool.ServerName = "example.com"
		borrowed.Close()
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if w.driver.tls {
			_ = server.ServeTLS(l, "", "") // it is closed below
			return
		}
		_ = server.Serve(l) // as above
	}()
	return func() {
		if err := server.Close(); err != nil {
			w.t.Error(err)
		}
		<-ended
	}
}

func (w *world) eventually(what string, cond func() bool) {
	w.t.Helper()
	for end := time.Now().Add(patience); !cond(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("not in time: %s", what)
		}
	}
}

// crowd makes users u0 … of w1, all in the channels.
func (w *world) crowd(n int, channels ...chat.ChannelID) {
	for i := range n {
		w.member(chat.UserID(fmt.Sprint("u", i)), channels...)
	}
}
