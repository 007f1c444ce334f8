package dial

import (
	"net/netip"
	"net/url"
	"time"
)

// Reaches asks the rule of addresses.
func Reaches(addr netip.Addr, allowed ...netip.Prefix) bool {
	_, err := reach(addr, allowed)
	return err == nil
}

// Excerpt is what is told of an answer.
func Excerpt(u *url.URL, text string) string { return excerpt(u, text) }

// RetryAfter reads a header.
func RetryAfter(value string, now time.Time) time.Duration { return retryAfter(value, now) }
