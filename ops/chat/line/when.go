package line

import (
	"errors"
	"strings"
	"time"
)

// When is a moment as a person writes it, seen from now: a duration from now, or a date and a time of now's zone.
func When(word string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(word); err == nil && d > 0 {
		return now.Add(d), nil
	}
	if at, err := time.ParseInLocation("2006-01-02T15:04", word, now.Location()); err == nil {
		return at, nil
	}
	return time.Time{}, errors.New("a time is missing, such as 10m, 2h30m or 2026-12-01T09:00")
}

// Hours are two times of day as a person writes them, 22:00-07:30; both empty for off.
func Hours(word string) (from, to string, err error) {
	if word == "off" {
		return "", "", nil
	}
	from, to, _ = strings.Cut(word, "-")
	for _, at := range []string{from, to} {
		if _, err := time.Parse("15:04", at); err != nil || len(at) != len("15:04") {
			return "", "", errors.New("two times of day are missing, or off")
		}
	}
	return from, to, nil
}
