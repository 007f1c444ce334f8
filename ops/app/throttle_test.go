package app_test

import (
	"net/http"
	"testing"
	"time"
)

// login tries a password, and answers the status and how long to wait.
func (u *user) login(login, password string) (status int, retryAfter float64) {
	u.d.t.Helper()
	status, text := u.call("POST", "/login", map[string]any{"login": login, "password": password})
	var p struct {
		Code       string
		RetryAfter float64 `json:"retry_after"` // with it comes the header Retry-After: the document says so
	}
	mustJSON(u.d.t, string(text), &p)
	if (status == http.StatusTooManyRequests) != (p.RetryAfter > 0) || (status == http.StatusTooManyRequests) != (p.Code == "rate_limited") {
		u.d.t.Errorf("a login is answered %d %s", status, text)
	}
	return status, p.RetryAfter
}

// freeGuesses are the wrong passwords of one login from one address that nobody waits after (services/throttle).
const freeGuesses = 5

// guess guesses with try, which answers wrong to a wrong password, until the pause is long beside what an answer takes here:
// each pause is twice as long as the one before.
func guess(t *testing.T, wrong int, try func() (status int, retryAfter float64)) {
	t.Helper()
	for looked := 0; looked < 2*freeGuesses; {
		began := time.Now()
		status, retry := try()
		switch {
		case status == wrong:
			looked++
		case status != http.StatusTooManyRequests || looked < freeGuesses:
			t.Fatalf("after %d wrong passwords: %d", looked, status)
		case retry > 20*time.Since(began).Seconds():
			return
		default:
			wait(t, "the next guess", retry)
		}
	}
	t.Fatalf("nobody stops %d guesses", 2*freeGuesses)
}

// Who guesses a password waits, also with the right one; the owner, at another address, comes in meanwhile. Guesses at a
// login that does not exist are answered the same.
func TestWhoGuessesWaits(t *testing.T) {
	cfg := testConfig(t)
	cfg.Empty, cfg.TrustedProxies = true, []string{"127.0.0.0/8"}
	d := up(t, cfg)
	ada, _ := d.found("ada")
	thief, owner := d.nobody().with("X-Forwarded-For", "203.0.113.7"), d.nobody().with("X-Forwarded-For", "198.51.100.9")
	for _, login := range []string{"nobody", "ada"} {
		guess(t, http.StatusUnauthorized, func() (int, float64) { return thief.login(login, "wrong horse") })
		if status, _ := thief.login(login, "correct horse"); status != http.StatusTooManyRequests {
			t.Errorf("the right password of %s in the pause: %d", login, status)
		}
		// What the client says in front of what the proxy says does not count.
		if status, _ := d.nobody().with("X-Forwarded-For", "198.51.100.9, 203.0.113.7").login(login, "correct horse"); status != http.StatusTooManyRequests {
			t.Errorf("with an address of its own making: %d", status)
		}
	}
	if status, _ := owner.login("ada", "correct horse"); status != http.StatusOK {
		t.Errorf("the owner elsewhere: %d", status)
	}
	status, retry := thief.login("ada", "correct horse")
	for status == http.StatusTooManyRequests { // the clocks may differ by a moment
		wait(t, "a login", retry)
		status, retry = thief.login("ada", "correct horse")
	}
	if status != http.StatusOK {
		t.Errorf("after the pause the right one: %d", status)
	}

	// The old password is guarded as that of a login is.
	change := ada.with("X-Forwarded-For", "192.0.2.5")
	guess(t, http.StatusForbidden, func() (int, float64) {
		status, text := change.call("PUT", "/me/password", map[string]any{"old": "wrong horse", "new": "another horse"})
		var p struct {
			RetryAfter float64 `json:"retry_after"`
		}
		mustJSON(t, string(text), &p)
		return status, p.RetryAfter
	})
}
