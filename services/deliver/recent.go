package deliver

import "sync"

// recent remembers what was used lately, at most twice its size: when the young ones are full they become the old ones, and
// the old ones go. What is used moves to the young ones. It may be used by any number of goroutines.
type recent[K comparable, V any] struct {
	size int

	mu         sync.Mutex // guards what follows
	young, old map[K]V
}

func newRecent[K comparable, V any](size int) *recent[K, V] {
	return &recent[K, V]{size: size, young: map[K]V{}}
}

func (r *recent[K, V]) find(k K) (v V, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if v, ok = r.young[k]; ok {
		return v, true
	}
	if v, ok = r.old[k]; ok {
		r.putLocked(k, v)
	}
	return v, ok
}

func (r *recent[K, V]) put(k K, v V) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.putLocked(k, v)
}

func (r *recent[K, V]) putLocked(k K, v V) {
	if len(r.young) >= r.size {
		r.young, r.old = map[K]V{}, r.young
	}
	r.young[k] = v
}
