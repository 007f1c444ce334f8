package ring

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/gocql/gocql"
)

// WithLockTTL is c with another time after which a lock lapses whose holder died.
func (c Config) WithLockTTL(d time.Duration) Config {
	c.lockTTL = d
	return c
}

// CheckRing is checkRing of nodes that have these schemas; one without does not answer.
func CheckRing(schemas map[string]string) error {
	var ring []peer
	for address, schema := range schemas {
		p := peer{address: address, schema: schema}
		if schema == "" {
			p.down = errors.New("connection refused")
		}
		ring = append(ring, p)
	}
	slices.SortFunc(ring, func(a, b peer) int { return strings.Compare(a.address, b.address) })
	return checkRing(ring)
}

// Copies is copies for a ring with a node in each of these datacenters.
func Copies(datacenters []string, datacenter string, wanted int) int {
	var ring []peer
	for _, dc := range datacenters {
		ring = append(ring, peer{datacenter: dc})
	}
	return copies(ring, datacenter, wanted)
}

// Alone runs do with the lock for migrations of a keyspace that is there.
func Alone(ctx context.Context, c Config, do func(ctx context.Context) error) error {
	c, err := c.checked()
	if err != nil {
		return err
	}
	n, err := dial(ctx, c, c.Hosts[0], c.Keyspace)
	if err != nil {
		return err
	}
	defer n.Close()
	return n.alone(ctx, do)
}

// ReasonOf and Failure are reasonOf and failed.
func ReasonOf(err error) Reason          { return reasonOf(err) }
func Failure(err error, op string) error { return failed(err, op) }

// NextOfNone is who is asked for a partition when the driver knows nodes and, for a moment, none of their partitions.
func NextOfNone(nodes ...*gocql.HostInfo) gocql.SelectedHost {
	n := newNearest("")
	for _, node := range nodes {
		n.any.AddHost(node)
	}
	n.HostSelectionPolicy = ofNone{n.any}
	return n.Pick(nil)()
}

// ofNone does what the driver's policy does then.
type ofNone struct{ gocql.HostSelectionPolicy }

func (n ofNone) Pick(gocql.ExecutableQuery) gocql.NextHost {
	return func() gocql.SelectedHost {
		var none *gocql.HostInfo
		n.IsLocal(none)
		panic(errors.New("the driver does not fall over a node that is none any more"))
	}
}
