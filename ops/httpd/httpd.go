// Package httpd is the HTTP servers of a process: an address is taken before anything else starts, and served when everything
// has, with bounds on every request's head and time. It knows no address of ours and no handler.
package httpd

import (
	"context"
	"crypto/tls"
	"errors"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/canopychat/canopy/ops/config"
)

// Bounds of a request's head, for REST and for the upgrade of sockets alike.
const (
	headTimeout  = 10 * time.Second // until it has come whole: silent connections cost a goroutine for so long
	headBytes    = 16 << 10
	bodyTimeout  = 30 * time.Second
	idleTimeout  = 2 * time.Minute
	closeTimeout = 3 * time.Second // for requests that are being answered when the process stops
)

// Listener is an address that was taken. The zero one is none.
type Listener struct {
	net.Listener
	tls *tls.Config
}

// Listen takes an address. With cert and key, PEM files, it speaks TLS. The error is a *config.Problem.
func Listen(address, cert, key string) (Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) {
			err = op.Err
		}
		var sys *os.SyscallError
		if errors.As(err, &sys) {
			err = sys.Err
		}
		return Listener{}, config.Problemf("cannot listen on %s: %v", address, err)
	}
	if cert == "" {
		return Listener{Listener: l}, nil
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		_ = l.Close() // nothing was served
		return Listener{}, config.Problemf("the TLS certificate: %v", err)
	}
	return Listener{l, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}}, nil
}

// URL is where it is served.
func (l Listener) URL() string {
	scheme := "http"
	if l.tls != nil {
		scheme = "https"
	}
	return scheme + "://" + l.Addr().String()
}

// Close gives the address back. To do it twice is no error.
func (l Listener) Close() error { return unlessClosed(l.Listener.Close()) }

// Serve answers requests until ctx ends, and then gives those that are being answered closeTimeout. Connections that
// were taken over by a handler are the handler's.
func (l Listener) Serve(ctx context.Context, handler http.Handler, log *slog.Logger) error {
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: headTimeout, ReadTimeout: bodyTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: headBytes,
		TLSConfig: l.tls, TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}, // HTTP/2 has no upgrade
		ErrorLog: quiet(log),
	}
	served := make(chan error, 1)
	go func() {
		if l.tls != nil {
			served <- server.ServeTLS(l.Listener, "", "")
			return
		}
		served <- server.Serve(l.Listener)
	}()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	err := server.Shutdown(closing)
	if err != nil {
		err = server.Close()
	}
	<-served
	return unlessClosed(err)
}

// Reachable is a URL of this machine that a client on it can use: what listens everywhere does so on the loopback.
func Reachable(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return raw
	}
	host, port, err := net.SplitHostPort(u.Host)
	if ip := net.ParseIP(host); err == nil && (host == "" || (ip != nil && ip.IsUnspecified())) {
		u.Host = net.JoinHostPort("127.0.0.1", port)
	}
	return u.String()
}

// unlessClosed is err, unless it says that something was closed already.
func unlessClosed(err error) error {
	if errors.Is(err, net.ErrClosed) || errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// quiet takes what net/http logs (clients that speak TLS badly, headers that never come): of use only to who
// looks for it.
func quiet(to *slog.Logger) *log.Logger { return slog.NewLogLogger(to.Handler(), slog.LevelDebug) }
