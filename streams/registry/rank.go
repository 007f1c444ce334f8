package registry

import (
	"cmp"
	"slices"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/streams"
)

// Rank is the gateways among entries in the order in which a client of ws in region should try them: those that can
// take it before those that are full, draining or unhealthy; among each, those of the region before the others; then
// by rendezvous hashing, so that the sockets of a workspace gather on few gateways. Everybody with the same entries
// gets the same order, and a gateway that comes or goes moves only the workspaces that it wins or won. Entries stays as it is.
func Rank(ws chat.WorkspaceID, region string, entries []rpc.Process) []rpc.Process {
	type ranked struct {
		rpc.Process
		class  int // smaller is better
		weight uint64
	}
	all := make([]ranked, 0, len(entries))
	for _, p := range entries {
		if p.Role != string(streams.ServiceGateway) {
			continue
		}
		r := ranked{Process: p, weight: weight(ws, p.ID)}
		if p.Region != region {
			r.class++
		}
		if p.Full() || p.Draining || !p.Healthy {
			r.class += 2
		}
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(a.class, b.class), cmp.Compare(b.weight, a.weight), cmp.Compare(a.ID, b.ID))
	})
	gateways := make([]rpc.Process, len(all))
	for i, r := range all {
		gateways[i] = r.Process
	}
	return gateways
}

// weight is how much a gateway wants a workspace: FNV-1a over both, mixed so that ids that differ in one character
// are far apart (the finalizer of MurmurHash3). It must stay as it is: processes of two versions must agree.
func weight(ws chat.WorkspaceID, gateway string) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for i := range len(ws) {
		h = (h ^ uint64(ws[i])) * prime
	}
	h *= prime // a zero byte between the two: no id has one
	for i := range len(gateway) {
		h = (h ^ uint64(gateway[i])) * prime
	}
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// Gateways ranks those of a view, for whoever asks in a region.
type Gateways struct {
	View   *View
	Region string // of who asks and does not say
}

// Gateways is Rank of those that live now.
func (g Gateways) Gateways(ws chat.WorkspaceID, region string) []rpc.Process {
	if region == "" {
		region = g.Region
	}
	return Rank(ws, region, g.View.Entries())
}
