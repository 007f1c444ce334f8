package obs

import (
	"sync"
	"sync/atomic"

	"github.com/canopychat/canopy/schemas/fault"
)

// refusal is what one counter is of.
type refusal struct {
	on   Surface
	code fault.Kind
}

// refusals counts what was refused. There are as many counters as surfaces times kinds.
type refusals struct {
	by sync.Map // refusal → *atomic.Uint64
}

func (r *refusals) note(on Surface, kind fault.Kind) {
	key := refusal{on, known(kind)}
	n, ok := r.by.Load(key)
	if !ok {
		n, _ = r.by.LoadOrStore(key, new(atomic.Uint64))
	}
	n.(*atomic.Uint64).Add(1)
}

// counts adds up what was pushed here and what the gateway counted by itself.
func (r *refusals) counts(socket map[string]uint64) map[refusal]uint64 {
	sum := make(map[refusal]uint64)
	r.by.Range(func(key, n any) bool {
		sum[key.(refusal)] = n.(*atomic.Uint64).Load()
		return true
	})
	for code, n := range socket {
		sum[refusal{Socket, known(fault.Kind(code))}] += n
	}
	return sum
}

// known is the kind, or Internal when the error table does not have it: a label comes from a closed list.
func known(k fault.Kind) fault.Kind { return fault.KindOf(&fault.Error{Kind: k}) }
