package ring_test

import (
	"net"
	"testing"

	"github.com/gocql/gocql"

	"github.com/canopychat/canopy/services/store/cassandra/ring"
)

// While the address of a node changes, the driver chooses a node that is none. Somebody is asked all the same.
func TestANodeThatIsNoneIsPassedOver(t *testing.T) {
	var node gocql.HostInfo
	node.SetConnectAddress(net.IPv4(127, 0, 0, 1)).SetHostID("one")
	next := ring.NextOfNone(&node)
	if next == nil || next.Info().HostID() != "one" {
		t.Errorf("%v is asked", next)
	}
	if next := ring.NextOfNone(); next != nil {
		t.Errorf("of no node at all, %v is asked", next)
	}
}
