package throttle

import (
	"container/heap"
	"time"
)

// lapsing is a bounded table of what counts until a time. When it is full, what lapses soonest makes room: it is
// what has the least left to say. It has no lock and no clock: its owner has both.
type lapsing[K comparable, V any] struct {
	limit int
	byKey map[K]*lapse[K, V]
	queue lapseQueue[K, V] // the same ones, a heap by until
}

// lapse is one row.
type lapse[K comparable, V any] struct {
	key   K
	value V
	until time.Time
	place int // in the queue
}

func newLapsing[K comparable, V any](limit int) lapsing[K, V] {
	return lapsing[K, V]{limit: limit, byKey: make(map[K]*lapse[K, V])}
}

// get is the row of a key; nil when there is none, or it has lapsed.
func (t *lapsing[K, V]) get(key K, now time.Time) *lapse[K, V] {
	row := t.byKey[key]
	if row == nil || !now.Before(row.until) {
		return nil
	}
	return row
}

// put keeps a value until a time, and forgets what has lapsed. The row that is dropped to make room may be this one.
func (t *lapsing[K, V]) put(key K, value V, until, now time.Time) {
	for len(t.queue) > 0 && !now.Before(t.queue[0].until) {
		t.drop(t.queue[0])
	}
	if row := t.byKey[key]; row != nil {
		row.value, row.until = value, until
		heap.Fix(&t.queue, row.place)
		return
	}
	row := &lapse[K, V]{key: key, value: value, until: until}
	t.byKey[key] = row
	heap.Push(&t.queue, row)
	if len(t.queue) > t.limit {
		t.drop(t.queue[0])
	}
}

func (t *lapsing[K, V]) remove(key K) {
	if row := t.byKey[key]; row != nil {
		t.drop(row)
	}
}

func (t *lapsing[K, V]) drop(row *lapse[K, V]) {
	delete(t.byKey, row.key)
	heap.Remove(&t.queue, row.place)
}

// lapseQueue is a heap for container/heap, which calls its methods.
type lapseQueue[K comparable, V any] []*lapse[K, V]

func (q lapseQueue[K, V]) Len() int           { return len(q) }
func (q lapseQueue[K, V]) Less(i, j int) bool { return q[i].until.Before(q[j].until) }
func (q lapseQueue[K, V]) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

func (q *lapseQueue[K, V]) Push(x any) {
	row := x.(*lapse[K, V])
	row.place = len(*q)
	*q = append(*q, row)
}

func (q *lapseQueue[K, V]) Pop() any {
	last := len(*q) - 1
	row := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return row
}
