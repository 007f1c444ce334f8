package registry

import (
	"cmp"
	"context"
	"slices"

	"github.com/canopychat/canopy/schemas/rpc"
	"github.com/canopychat/canopy/streams/kv"
)

// Lister is what List needs of a kv.Bucket.
type Lister interface {
	List(ctx context.Context, filters ...string) ([]kv.Entry, error)
}

// List asks once who lives, by role and id: for a command that ends. The error is Unavailable.
func List(ctx context.Context, from Lister) ([]rpc.Process, error) {
	entries, err := from.List(ctx)
	if err != nil {
		return nil, err
	}
	processes := make([]rpc.Process, 0, len(entries))
	for _, e := range entries {
		if p, err := read(e); err == nil { // else somebody put it there by hand
			processes = append(processes, p)
		}
	}
	slices.SortFunc(processes, func(a, b rpc.Process) int { return cmp.Or(cmp.Compare(a.Role, b.Role), cmp.Compare(a.ID, b.ID)) })
	return processes, nil
}
