package deploy_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/canopychat/canopy/ops/deploy/certs"
)

// rawLeaf speaks the protocol of leaf nodes by hand. A server of a region keeps to what the hub told it that it may;
// one that somebody broke into need not, so it is the hub that is tried here.
type rawLeaf struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func clientTLS(set certs.Set, withCert bool) (*tls.Config, error) {
	pem, err := os.ReadFile(set.CA)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("no certificate in " + set.CA)
	}
	cfg := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}
	if withCert {
		pair, err := tls.LoadX509KeyPair(set.Cert, set.Key)
		if err != nil {
			return nil, err
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg, nil
}

// openLeaf logs in at a port for leaf nodes, and waits for the hub's answer to a ping.
func openLeaf(t *testing.T, at, user, password string, cfg *tls.Config) (*rawLeaf, error) {
	t.Helper()
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: wait}, "tcp", at, cfg)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = conn.Close() }) // the test is over
	if err := conn.SetDeadline(time.Now().Add(wait)); err != nil {
		return nil, err
	}
	l := &rawLeaf{t: t, conn: conn, in: bufio.NewReader(conn)}
	hello, err := json.Marshal(map[string]any{
		"user": user, "pass": password, "name": "by hand", "server_id": "BYHAND", "version": "2.15.2", "domain": "byhand",
		"jetstream": true, "headers": true,
	})
	if err != nil {
		return nil, err
	}
	if err := l.write("CONNECT " + string(hello) + "\r\n"); err != nil {
		return nil, err
	}
	return l, l.synced()
}

func (l *rawLeaf) write(text string) error {
	_, err := l.conn.Write([]byte(text))
	return err
}

func (l *rawLeaf) publish(subject string) error { return l.write("LMSG " + subject + " 2\r\n{}\r\n") }

// next is the next line of the hub, and the subject of a message if it is one.
func (l *rawLeaf) next() (line, subject string, err error) {
	line, err = l.in.ReadString('\n')
	if err != nil {
		return "", "", err
	}
	line = strings.TrimSuffix(line, "\r\n")
	op, rest, _ := strings.Cut(line, " ")
	switch op {
	case "-ERR":
		return line, "", errors.New(line)
	case "PING":
		return line, "", l.write("PONG\r\n")
	case "LMSG", "HMSG":
		fields := strings.Fields(rest)
		size, err := strconv.Atoi(fields[len(fields)-1])
		if err != nil {
			return line, "", fmt.Errorf("%q: %w", line, err)
		}
		_, err = l.in.Discard(size + 2)
		return line, fields[0], err
	}
	return line, "", nil
}

// synced waits until the hub has seen everything that was written.
func (l *rawLeaf) synced() error {
	if err := l.write("PING\r\n"); err != nil {
		return err
	}
	for {
		line, _, err := l.next()
		if err != nil || line == "PONG" {
			return err
		}
	}
}
