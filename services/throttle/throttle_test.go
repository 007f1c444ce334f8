package throttle_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/throttle"
)

// clock is Logins in a time that the test says.
type clock struct {
	*throttle.Logins
	t   *testing.T
	now time.Time
}

func newClock(t *testing.T, cfg throttle.Config) *clock {
	return &clock{throttle.New(cfg), t, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
}

// wait is how long a login at an address has to wait now; 0: an attempt was made, and is wrong.
func (c *clock) wait(login, address string) time.Duration {
	c.t.Helper()
	_, _, err := c.Begin(login, address, c.now)
	if err == nil {
		return 0
	}
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != fault.RateLimited || f.RetryAfter <= 0 {
		c.t.Fatalf("Begin: %v", err)
	}
	return f.RetryAfter
}

// mustTry makes wrong attempts, all of which are let through.
func (c *clock) mustTry(n int, login, address string) {
	c.t.Helper()
	for i := range n {
		if d := c.wait(login, address); d != 0 {
			c.t.Fatalf("attempt %d of %s from %s has to wait %v", i+1, login, address, d)
		}
	}
}

func (c *clock) right(login, address string) {
	c.t.Helper()
	right, _, err := c.Begin(login, address, c.now)
	if err != nil {
		c.t.Fatal(err)
	}
	right(c.now)
}

func TestThePauseGrowsAfterFiveWrongPasswords(t *testing.T) {
	c := newClock(t, throttle.Config{})
	c.mustTry(5, "alice", "192.0.2.1")
	for _, want := range []time.Duration{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900} {
		want *= time.Second
		if got := c.wait("alice", "192.0.2.1"); got != want {
			t.Fatalf("the pause is %v, want %v", got, want)
		}
		c.now = c.now.Add(want - time.Nanosecond)
		if got := c.wait("alice", "192.0.2.1"); got != time.Nanosecond {
			t.Fatalf("a nanosecond before its end: %v", got)
		}
		c.now = c.now.Add(time.Nanosecond)
		c.mustTry(1, "alice", "192.0.2.1")
	}
	if c.wait("bob", "192.0.2.1") != 0 || c.wait("alice", "192.0.2.2") != 0 {
		t.Error("another login, or another address, waits too")
	}
}

func TestADayOfGuessingFromOneAddressIsAHundredGuesses(t *testing.T) {
	c := newClock(t, throttle.Config{})
	guesses := 0
	for end := c.now.Add(24 * time.Hour); c.now.Before(end); {
		if wait := c.wait("alice", "192.0.2.1"); wait > 0 {
			c.now = c.now.Add(wait)
			continue
		}
		guesses++
	}
	if guesses < 90 || guesses > 115 {
		t.Errorf("%d guesses in a day", guesses)
	}
}

func TestWrongPasswordsAreForgottenOneByOne(t *testing.T) {
	c := newClock(t, throttle.Config{})
	c.mustTry(5, "alice", "192.0.2.1")
	c.now = c.now.Add(time.Hour)
	c.mustTry(1, "alice", "192.0.2.1")
	if got := c.wait("alice", "192.0.2.1"); got != time.Second {
		t.Errorf("four and one: %v", got)
	}
	c.now = c.now.Add(24 * time.Hour)
	c.mustTry(5, "alice", "192.0.2.1")
}

func TestManyAttemptsAtOnceGainNothing(t *testing.T) {
	c := newClock(t, throttle.Config{})
	let := 0
	for range 200 { // none of them has ended
		if c.wait("alice", "192.0.2.1") == 0 {
			let++
		}
	}
	if let != 5 {
		t.Errorf("%d passwords are checked at once", let)
	}
}

func TestARightPasswordForgetsTheWrongOnes(t *testing.T) {
	c := newClock(t, throttle.Config{})
	c.mustTry(4, "alice", "192.0.2.1")
	c.right("alice", "192.0.2.1")
	c.mustTry(5, "alice", "192.0.2.1")
	if got := c.wait("alice", "192.0.2.1"); got != time.Second {
		t.Errorf("after five more: %v", got)
	}
}

func TestAnAttemptThatWasNotCheckedDoesNotCount(t *testing.T) {
	c := newClock(t, throttle.Config{})
	c.mustTry(5, "alice", "192.0.2.1")
	c.now = c.now.Add(time.Second)
	for range 50 {
		_, undo, err := c.Begin("alice", "192.0.2.1", c.now)
		if err != nil {
			t.Fatal(err)
		}
		undo(c.now)
	}
	c.mustTry(1, "alice", "192.0.2.1")
	if got := c.wait("alice", "192.0.2.1"); got != 2*time.Second {
		t.Errorf("the sixth wrong one is followed by %v", got)
	}
	c.now = c.now.Add(2 * time.Second)
	for range 50 { // at the longest pause nobody gets below it by going away
		if wait := c.wait("alice", "192.0.2.1"); wait > 0 {
			c.now = c.now.Add(wait)
		}
	}
	c.now = c.now.Add(15 * time.Minute)
	for range 50 {
		_, undo, err := c.Begin("alice", "192.0.2.1", c.now)
		if err != nil {
			t.Fatal(err)
		}
		undo(c.now)
	}
	c.mustTry(1, "alice", "192.0.2.1")
	if got := c.wait("alice", "192.0.2.1"); got != 15*time.Minute {
		t.Errorf("after going away 50 times: %v", got)
	}
	fresh := newClock(t, throttle.Config{})
	for range 200 {
		_, undo, err := fresh.Begin("bob", "192.0.2.9", fresh.now)
		if err != nil {
			t.Fatal(err)
		}
		undo(fresh.now)
	}
	fresh.mustTry(5, "bob", "192.0.2.9")
}

func TestAnAddressThatTriesManyLoginsIsSlowedDown(t *testing.T) {
	c := newClock(t, throttle.Config{})
	for i := range 100 {
		c.mustTry(1, fmt.Sprintf("user%d", i), "192.0.2.1")
	}
	if got := c.wait("another", "192.0.2.1"); got != time.Second {
		t.Errorf("after 100 logins: %v", got)
	}
	c.mustTry(1, "another", "192.0.2.2")
	// Who has an account cannot clear the address with it.
	attacker := newClock(t, throttle.Config{})
	guesses := 0
	for i := range 400 {
		attacker.now = attacker.now.Add(time.Second / 10)
		if i%2 == 0 {
			if right, _, err := attacker.Begin("mallory", "192.0.2.1", attacker.now); err == nil {
				right(attacker.now)
			}
		} else if attacker.wait(fmt.Sprintf("user%d", i), "192.0.2.1") == 0 {
			guesses++
		}
	}
	if guesses > 110 {
		t.Errorf("%d guesses in 40 s beside right passwords", guesses)
	}
}

func TestAnOfficeInTheMorningIsNotSlowedDown(t *testing.T) {
	c := newClock(t, throttle.Config{})
	for i := range 1000 {
		c.right(fmt.Sprintf("user%d", i), "192.0.2.1")
	}
	c.mustTry(1, "new", "192.0.2.1")
}

func TestNobodyIsLockedOutForLongFromElsewhere(t *testing.T) {
	c := newClock(t, throttle.Config{})
	c.right("alice", "192.0.2.1")
	for i := range 20 {
		c.mustTry(1, "alice", fmt.Sprintf("198.51.100.%d", i))
	}
	if got := c.wait("alice", "203.0.113.1"); got != time.Second {
		t.Errorf("from the 21st address: %v", got)
	}
	worst := time.Duration(0)
	for i := range 500 { // a botnet, as fast as it may
		address := fmt.Sprintf("2001:db8:%x::1", i)
		if got := c.wait("alice", address); got > 0 {
			worst = max(worst, got)
			c.now = c.now.Add(got)
			c.mustTry(1, "alice", address)
		}
	}
	if worst > time.Minute {
		t.Errorf("Alice on a new device waits %v", worst)
	}
	if got := c.wait("alice", "203.0.113.2"); got == 0 {
		t.Error("the botnet does not wait")
	}
	c.right("alice", "192.0.2.1") // where she came in before
	c.mustTry(1, "alice", "203.0.113.2")
}

func TestWhoIsKnownAtAnAddressIsNotKeptOutByTheirNeighbours(t *testing.T) {
	c := newClock(t, throttle.Config{})
	c.Known("alice", "192.0.2.1", c.now)
	for i := range 100 {
		c.mustTry(1, fmt.Sprintf("user%d", i), "192.0.2.1")
	}
	if c.wait("bob", "192.0.2.1") == 0 {
		t.Error("the address is not slowed down")
	}
	c.mustTry(5, "alice", "192.0.2.1")
	if got := c.wait("alice", "192.0.2.1"); got != time.Second {
		t.Errorf("but she has five tries as everybody: %v", got)
	}
	c.now = c.now.Add(100 * 24 * time.Hour)
	for i := range 100 {
		c.mustTry(1, fmt.Sprintf("user%d", i), "192.0.2.1")
	}
	if c.wait("alice", "192.0.2.1") == 0 {
		t.Error("she is known for ever")
	}
}

func TestWhatCountsAsOneAddress(t *testing.T) {
	for _, same := range [][2]string{
		{"2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"},
		{"192.0.2.1", "::ffff:192.0.2.1"},
		{"fe80::1%eth0", "fe80::2%eth1"},
		{"", "not an address"},
	} {
		c := newClock(t, throttle.Config{})
		c.mustTry(5, "alice", same[0])
		if c.wait("alice", same[1]) == 0 {
			t.Errorf("%q and %q are two", same[0], same[1])
		}
	}
	for _, two := range [][2]string{{"2001:db8:1:2::1", "2001:db8:1:3::1"}, {"192.0.2.1", "192.0.2.2"}, {"", "0.0.0.0"}, {"::", "0.0.0.0"}} {
		c := newClock(t, throttle.Config{})
		c.mustTry(5, "alice", two[0])
		if c.wait("alice", two[1]) != 0 {
			t.Errorf("%q and %q are one", two[0], two[1])
		}
	}
}

func TestACrowdOfAddressesWashesNothingAway(t *testing.T) {
	c := newClock(t, throttle.Config{Entries: 100})
	c.mustTry(5, "alice", "192.0.2.1")
	c.Known("carol", "192.0.2.7", c.now)
	for i := range 10_000 {
		c.mustTry(1, fmt.Sprintf("user%d", i), fmt.Sprintf("2001:db8:0:%x::1", i))
	}
	if got := c.wait("alice", "192.0.2.1"); got != time.Second {
		t.Errorf("of five wrong ones it is remembered: a pause of %v", got)
	}
	c.now = c.now.Add(time.Hour)
	for i := range 200 { // of those who are known, the one who came in longest ago goes first
		c.now = c.now.Add(time.Second)
		c.Known("carol", "192.0.2.7", c.now)
		c.Known(fmt.Sprintf("user%d", i), "192.0.2.8", c.now)
	}
	for i := range 20 {
		c.mustTry(1, "carol", fmt.Sprintf("198.51.100.%d", i))
	}
	c.mustTry(1, "carol", "192.0.2.7")
}

func TestBoundsAreSettings(t *testing.T) {
	c := newClock(t, throttle.Config{Pair: throttle.Bound{Free: 1, First: 3 * time.Second, Longest: 5 * time.Second}})
	c.mustTry(1, "alice", "")
	for _, want := range []time.Duration{3 * time.Second, 5 * time.Second, 5 * time.Second} {
		if got := c.wait("alice", ""); got != want {
			t.Fatalf("%v, want %v", got, want)
		}
		c.now = c.now.Add(want)
		c.mustTry(1, "alice", "")
	}
}
