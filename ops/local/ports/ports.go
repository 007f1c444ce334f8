// Package ports finds free ports on this machine for servers that are to be started. It knows nothing of them.
package ports

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Host is where everything listens: the certificates of a deployment on one machine are for it.
const Host = "127.0.0.1"

// Ports that are found lie below those that systems give to whoever takes any: between the look at one and its use,
// nobody gets it by chance.
const (
	firstPort   = 10_000
	lastPort    = 32_000
	portGuesses = 1000
)

// Free is free ports. The zero value has none yet; one goroutine uses it.
type Free struct {
	taken []net.Listener // held until all are found, so that no two are the same
}

// Next is a free host:port.
func (a *Free) Next() (string, error) {
	var err error
	for range portGuesses {
		port := firstPort + rand.IntN(lastPort-firstPort)
		var l net.Listener
		if l, err = net.Listen("tcp", net.JoinHostPort(Host, strconv.Itoa(port))); err == nil {
			a.taken = append(a.taken, l)
			return l.Addr().String(), nil
		}
	}
	return "", fmt.Errorf("no port is free on %s: %w", Host, err)
}

// Release gives the ports to who is to listen there.
func (a *Free) Release() error {
	var errs []error
	for _, l := range a.taken {
		errs = append(errs, l.Close())
	}
	a.taken = nil
	return errors.Join(errs...)
}
