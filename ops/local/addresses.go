package local

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// host is where everything listens: the certificates of a deployment on one machine are for it.
const host = "127.0.0.1"

// Ports that are found lie below those that systems give to whoever takes any: between the look at one and its use,
// nobody gets it by chance.
const (
	firstPort   = 10_000
	lastPort    = 32_000
	portGuesses = 1000
)

// addresses are free ports.
type addresses struct {
	taken []net.Listener // held until all are found, so that no two are the same
}

// next is a free host:port.
func (a *addresses) next() (string, error) {
	var err error
	for range portGuesses {
		port := firstPort + rand.IntN(lastPort-firstPort)
		var l net.Listener
		if l, err = net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port))); err == nil {
			a.taken = append(a.taken, l)
			return l.Addr().String(), nil
		}
	}
	return "", fmt.Errorf("no port is free on %s: %w", host, err)
}

// release gives the ports to who is to listen there.
func (a *addresses) release() error {
	var errs []error
	for _, l := range a.taken {
		errs = append(errs, l.Close())
	}
	a.taken = nil
	return errors.Join(errs...)
}
