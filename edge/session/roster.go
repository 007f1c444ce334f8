package session

// A Roster is who is where: lists of T by a key. A place nobody is in costs nothing.
type Roster[K, T comparable] struct{ by map[K][]T }

// Join puts who into the list of a key. It must not be there.
func (r *Roster[K, T]) Join(k K, who T) {
	if r.by == nil {
		r.by = make(map[K][]T)
	}
	r.by[k] = append(r.by[k], who)
}

// Part takes who out of the list of a key; the last of the list takes its place.
func (r *Roster[K, T]) Part(k K, who T) {
	list := r.by[k]
	for i, other := range list {
		if other != who {
			continue
		}
		var none T
		last := len(list) - 1
		list[i], list[last] = list[last], none
		if last == 0 {
			delete(r.by, k)
		} else {
			r.by[k] = list[:last]
		}
		return
	}
}

// At is the list of a key. Walk it backwards when members of it may part meanwhile.
func (r *Roster[K, T]) At(k K) []T { return r.by[k] }
