package ring

import (
	"runtime"

	"github.com/gocql/gocql"
)

// nearest is the order in which nodes are asked: those that have the partition first, then any of the datacenter.
//
// When the address of a node changes, gocql 1.7.0 knows no node for a moment, chooses that as one, and falls over it (policies.go,
// tokenAwareHostPolicy.Pick: the host of an empty ring is nil). A ring of one is such a ring. The question then goes to any node.
type nearest struct {
	gocql.HostSelectionPolicy                           // token aware, with any as its fallback
	any                       gocql.HostSelectionPolicy // is told of nodes by it
}

func newNearest(datacenter string) nearest {
	any := gocql.DCAwareRoundRobinPolicy(datacenter)
	return nearest{gocql.TokenAwareHostPolicy(any, gocql.ShuffleReplicas()), any}
}

// Pick implements gocql.HostSelectionPolicy.
func (n nearest) Pick(q gocql.ExecutableQuery) gocql.NextHost {
	next, otherwise := n.HostSelectionPolicy.Pick(q), gocql.NextHost(nil)
	return func() gocql.SelectedHost {
		if otherwise == nil {
			if host, whole := upright(next); whole {
				return host
			}
			otherwise = n.any.Pick(q)
		}
		return otherwise()
	}
}

// upright is the next node; false: the driver has fallen over none. Whatever else it falls over is no matter of ours.
func upright(next gocql.NextHost) (host gocql.SelectedHost, whole bool) {
	defer func() {
		switch fell := recover().(type) {
		case nil:
		case runtime.Error:
			host, whole = nil, false
		default:
			panic(fell)
		}
	}()
	return next(), true
}
