package throttle

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"github.com/canopychat/canopy/schemas/fault"
)

// Bound says how many wrong passwords are let through before there are pauses, and how long those are. A field that
// is zero has the default of its place in Config.
type Bound struct {
	Free    int           // wrong ones before the first pause
	First   time.Duration // the first pause; each next one is twice as long
	Longest time.Duration // of the pauses
	Forget  time.Duration // in which one wrong one is forgotten
}

// Config is what Logins are made of. All fields may be zero.
type Config struct {
	// Pair is of one login from one address. By default 5 are free, then 1 s, 2 s, 4 s … 15 min; one is forgotten in an
	// hour. So one who guesses from one address has some 100 guesses a day.
	Pair Bound
	// Address is of one address over all logins, and wide: behind it may be an office. By default 100 are free, then 1 s,
	// 2 s, 4 s … 1 min; one is forgotten in 10 s.
	Address Bound
	// Login is of one login over all addresses. Its pauses are short, so that nobody can lock out a person for long from
	// elsewhere. By default 20 are free, then 1 s, 2 s, 4 s … 1 min; one is forgotten in a minute.
	Login Bound
	// Entries is how many pairs, addresses, logins and known pairs are remembered, of each; 0: 65,536, which take some
	// 30 MiB in all.
	Entries int
}

var defaultBounds = Config{
	Pair:    Bound{Free: 5, First: time.Second, Longest: 15 * time.Minute, Forget: time.Hour},
	Address: Bound{Free: 100, First: time.Second, Longest: time.Minute, Forget: 10 * time.Second},
	Login:   Bound{Free: 20, First: time.Second, Longest: time.Minute, Forget: time.Minute},
	Entries: 1 << 16,
}

// knownFor is how long a pair is known after it came in.
const knownFor = 90 * 24 * time.Hour

// Logins are the logins and addresses that had wrong passwords of late. It may be used from many goroutines.
type Logins struct {
	seed maphash.Seed // immutable after New

	mu        sync.Mutex // guards what follows
	pairs     bound
	addresses bound
	logins    bound
	known     lapsing[uint64, struct{}]
}

// New makes Logins that know of nobody.
func New(cfg Config) *Logins {
	if cfg.Entries <= 0 {
		cfg.Entries = defaultBounds.Entries
	}
	return &Logins{
		seed:      maphash.MakeSeed(),
		pairs:     newBound(cfg.Pair, defaultBounds.Pair, cfg.Entries),
		addresses: newBound(cfg.Address, defaultBounds.Address, cfg.Entries),
		logins:    newBound(cfg.Login, defaultBounds.Login, cfg.Entries),
		known:     newLapsing[uint64, struct{}](cfg.Entries),
	}
}

// attempt is a password that is being checked.
type attempt struct {
	pair, address, login uint64
	traces               [3]trace // that it left in the rows of the pair, the address and the login
}

// Begin asks whether a password may be checked now, and counts it as wrong. address is an IP address; all that are
// not count as one. RateLimited, with the exact time until the next one: not yet. Whoever finds that the password is
// right calls right, and whoever could not check it calls undo; who finds it wrong calls neither.
func (t *Logins) Begin(login, address string, now time.Time) (right, undo func(now time.Time), err error) {
	a := t.attempt(login, address)
	t.mu.Lock()
	defer t.mu.Unlock()
	open := t.pairs.open(a.pair, now)
	if t.known.get(a.pair, now) == nil {
		for _, other := range []time.Time{t.addresses.open(a.address, now), t.logins.open(a.login, now)} {
			if other.After(open) {
				open = other
			}
		}
	}
	if open.After(now) {
		return nil, nil, fault.New(fault.RateLimited, "too many wrong passwords: wait before the next try").After(open.Sub(now))
	}
	a.traces = [3]trace{t.pairs.count(a.pair, now), t.addresses.count(a.address, now), t.logins.count(a.login, now)}
	return func(now time.Time) { t.right(a, now) }, func(now time.Time) { t.undo(a, now) }, nil
}

func (t *Logins) undo(a attempt, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pairs.undo(a.pair, a.traces[0], now)
	t.addresses.undo(a.address, a.traces[1], now)
	t.logins.undo(a.login, a.traces[2], now)
}

func (t *Logins) right(a attempt, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pairs.rows.remove(a.pair)
	t.logins.rows.remove(a.login)
	t.addresses.undo(a.address, a.traces[1], now)
	t.known.put(a.pair, struct{}{}, now.Add(knownFor), now)
}

// Known says that somebody is at an address who came in by other means than a password.
func (t *Logins) Known(login, address string, now time.Time) {
	a := t.attempt(login, address)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.known.put(a.pair, struct{}{}, now.Add(knownFor), now)
}

// attempt is one of a login from an address. Collisions of hashes only matter to who can make them, and nobody
// outside knows the seed.
func (t *Logins) attempt(login, address string) attempt {
	from := network(address)
	return attempt{
		pair: maphash.Comparable(t.seed, struct {
			login string
			from  netip.Prefix
		}{login, from}),
		address: maphash.Comparable(t.seed, from),
		login:   maphash.String(t.seed, login),
	}
}

// network is what counts as one address: an IPv4 address, or the /64 of an IPv6 one, which is what one customer has.
// The zero Prefix is for what is no address.
func network(address string) netip.Prefix {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Prefix{}
	}
	ip = ip.Unmap().WithZone("")
	bits := 64
	if ip.Is4() {
		bits = 32
	}
	return netip.PrefixFrom(ip, bits).Masked()
}

// bound is the rows of one Bound. A row lapses when its last wrong password is forgotten; its value is when the last
// attempt was. So until − value, counted in Forget, is how many there were that counted then.
type bound struct {
	Bound
	most int // that are remembered: as many as the longest pause takes
	rows lapsing[uint64, time.Time]
}

// trace is what an attempt changed in a row.
type trace struct {
	at, before time.Time     // when it was, and when the one before it was
	added      time.Duration // by how much longer the row lasts
}

func newBound(b, usual Bound, entries int) bound {
	if b.Free <= 0 {
		b.Free = usual.Free
	}
	if b.First <= 0 {
		b.First = usual.First
	}
	if b.Longest <= 0 {
		b.Longest = usual.Longest
	}
	if b.Forget <= 0 {
		b.Forget = usual.Forget
	}
	most := b.Free
	for pause := b.First; pause < b.Longest; pause *= 2 {
		most++
	}
	return bound{Bound: b, most: most, rows: newLapsing[uint64, time.Time](entries)}
}

// open is from when on the next attempt is let through.
func (b *bound) open(key uint64, now time.Time) time.Time {
	row := b.rows.get(key, now)
	if row == nil {
		return time.Time{}
	}
	return row.value.Add(b.pause(int((row.until.Sub(row.value) + b.Forget - 1) / b.Forget)))
}

// pause is what follows so many wrong ones.
func (b *bound) pause(wrong int) time.Duration {
	switch {
	case wrong < b.Free:
		return 0
	case wrong >= b.most:
		return b.Longest
	}
	return b.First << (wrong - b.Free)
}

// count adds an attempt.
func (b *bound) count(key uint64, now time.Time) trace {
	left := trace{at: now}
	until := now
	if row := b.rows.get(key, now); row != nil {
		left.before, until = row.value, row.until
	}
	longer := until.Add(b.Forget)
	if end := now.Add(time.Duration(b.most) * b.Forget); longer.After(end) {
		longer = end
	}
	left.added = longer.Sub(until)
	b.rows.put(key, now, longer, now)
	return left
}

// undo takes away what an attempt changed, and no more.
func (b *bound) undo(key uint64, left trace, now time.Time) {
	row := b.rows.get(key, now)
	if row == nil {
		return
	}
	last, until := row.value, row.until.Add(-left.added)
	if last.Equal(left.at) {
		last = left.before
	}
	if !until.After(now) || !until.After(last) {
		b.rows.remove(key)
		return
	}
	b.rows.put(key, last, until, now)
}
