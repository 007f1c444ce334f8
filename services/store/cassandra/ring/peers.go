package ring

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/canopychat/canopy/schemas/fault"
)

// peer is a node of the ring.
type peer struct {
	address    string
	datacenter string
	schema     string // the version of its schema, from itself
	down       error  // why it does not answer; nil: it does
}

const (
	asking     = 16                     // peers that are asked at a time
	agreeWait  = 10 * time.Second       // for nodes that are up and whose schemas differ
	agreeEvery = 500 * time.Millisecond // they are asked meanwhile
)

// noAgreement says that the driver waited for all nodes to have the same schema, which they have not.
type noAgreement struct{ error }

func (e noAgreement) Unwrap() error { return e.error }

// whole refuses with Unavailable unless every node of the ring answers and all have the same schema. Nothing is begun on another ring:
// a node that misses a change of the schema takes part in no quorum of the new tables until somebody repairs it.
func (n *node) whole(ctx context.Context) ([]peer, error) {
	ctx, cancel := context.WithTimeout(ctx, agreeWait+setupTimeout)
	defer cancel()
	for began := time.Now(); ; {
		ring, err := n.ask(ctx)
		if err != nil {
			return nil, err
		}
		err = checkRing(ring)
		if !errors.Is(err, errDiffer) || time.Since(began) > agreeWait || !pause(ctx, agreeEvery) {
			return ring, err
		}
	}
}

// ask connects to every node of the ring for a moment.
func (n *node) ask(ctx context.Context) ([]peer, error) {
	peers, err := n.peers(ctx)
	if err != nil {
		return nil, err
	}
	ring := append(peers, peer{address: n.address})
	var asked sync.WaitGroup
	places := make(chan struct{}, asking)
	for i := range ring {
		places <- struct{}{}
		asked.Go(func() {
			defer func() { <-places }()
			p := &ring[i]
			at, err := dial(ctx, n.config, p.address, "")
			if err != nil {
				p.down = err
				return
			}
			p.schema, p.datacenter = at.schema, at.datacenter
			at.Close()
		})
	}
	asked.Wait()
	return ring, nil
}

// errDiffer says that the schemas of nodes differ.
var errDiffer = errors.New("their schemas differ")

// checkRing refuses with Unavailable a ring that must not be migrated now, and names the nodes.
func checkRing(ring []peer) error {
	var down []string
	var why []error
	versions := map[string][]string{}
	for _, p := range ring {
		if p.down != nil {
			down = append(down, p.address)
			why = append(why, p.down)
			continue
		}
		versions[p.schema] = append(versions[p.schema], p.address)
	}
	switch {
	case len(down) > 0:
		err := fmt.Errorf("cassandra: nothing was migrated, because the schema changes only while every node is up, and %s does not answer: %w",
			strings.Join(down, ", "), errors.Join(why...))
		return fault.Wrap(fault.Unavailable, err, "The database is not complete.").After(comeBack)
	case len(versions) > 1:
		err := fmt.Errorf("cassandra: nothing was migrated, because the nodes do not agree: %w: %v", errDiffer, versions)
		return fault.Wrap(fault.Unavailable, err, "The database is not complete.").After(comeBack)
	}
	return nil
}

// copies is how many copies of each row a datacenter gets: at most one for each node.
func copies(ring []peer, datacenter string, wanted int) int {
	nodes := 0
	for _, p := range ring {
		if p.datacenter == datacenter {
			nodes++
		}
	}
	return max(1, min(wanted, nodes))
}
