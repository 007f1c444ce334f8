package chat

import (
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Preferences are what a user wants to be woken for in a workspace. The zero value is what everybody begins with:
// everything that is owed, at any time, and no keywords.
type Preferences struct {
	Muted    []ChannelID `json:"muted_channels,omitempty"` // nothing of them is owed; at most MaxMuted
	Keywords []string    `json:"keywords,omitempty"`       // words whose messages are owed; at most MaxKeywords
	Quiet    *Quiet      `json:"do_not_disturb,omitempty"` // nil: never
}

// Quiet is when a user is not to be disturbed: what is owed then is tried after it. Times of day are those of the clocks of
// its zone, whenever they are set.
type Quiet struct {
	Until time.Time `json:"until,omitzero"`      // once, up to then
	From  string    `json:"from,omitempty"`      // every day from this time of day, "22:00",
	To    string    `json:"to,omitempty"`        // to this one, "07:30"; both or none
	Zone  string    `json:"time_zone,omitempty"` // of From and To: a name of the IANA database; empty: UTC
}

// ErrBadPreferences says that preferences cannot be kept.
var ErrBadPreferences = errors.New("muted_channels are at most 500 ids, keywords at most 30 words of 2 to 40 characters, and do_not_disturb has from and to as 15:04 with a time_zone that is known")

// Check says whether p can be kept. The error is ErrBadPreferences.
func (p Preferences) Check() error {
	if len(p.Muted) > MaxMuted || len(p.Keywords) > MaxKeywords {
		return ErrBadPreferences
	}
	for _, ch := range p.Muted {
		if !IsID(string(ch)) {
			return ErrBadPreferences
		}
	}
	for _, k := range p.Keywords {
		if n := utf8.RuneCountInString(k); n < 2 || n > 40 || !utf8.ValidString(k) || strings.TrimSpace(k) != k || strings.ContainsRune(k, 0) {
			return ErrBadPreferences
		}
	}
	return p.Quiet.check()
}

// Mutes reports whether the user wants nothing of a channel.
func (p Preferences) Mutes(ch ChannelID) bool { return slices.Contains(p.Muted, ch) }

// Watches reports whether body holds one of the keywords, as a whole word or words, in whatever case.
func (p Preferences) Watches(body string) bool {
	lower := strings.ToLower(body)
	return slices.ContainsFunc(p.Keywords, func(k string) bool { return holdsWord(lower, strings.ToLower(k)) })
}

// QuietUntil is when a user who is not to be disturbed at a moment may be disturbed again; zero: now. It is after that
// moment, and nothing of p holds then. Where clocks are set forward over the end of the daily time, it ends with that.
func (p Preferences) QuietUntil(at time.Time) time.Time {
	if p.Quiet == nil {
		return time.Time{}
	}
	end := at
	for { // what begins before the other one ends goes on
		next := end
		if p.Quiet.Until.After(next) {
			next = p.Quiet.Until
		}
		if next = p.Quiet.dailyEnd(next); !next.After(end) {
			break
		}
		end = next
	}
	if !end.After(at) {
		return time.Time{}
	}
	return end
}

// check says whether q can be kept.
func (q *Quiet) check() error {
	if q == nil {
		return nil
	}
	if year := q.Until.UTC().Year(); year < 0 || year > 9999 { // RFC 3339 cannot write it
		return ErrBadPreferences
	}
	_, _, err := q.daily()
	if err == nil {
		_, err = q.zone()
	}
	return err
}

// daily are From and To as times since midnight; both the same: it has none.
func (q *Quiet) daily() (from, to time.Duration, err error) {
	if q.From == "" && q.To == "" {
		return 0, 0, nil
	}
	parse := func(s string) time.Duration {
		t, bad := time.Parse("15:04", s)
		if bad != nil || len(s) != len("15:04") {
			err = ErrBadPreferences
		}
		return sinceMidnight(t)
	}
	return parse(q.From), parse(q.To), err
}

// zone is where the daily time is. The server's own zone has no name: it is nobody's wish.
func (q *Quiet) zone() (*time.Location, error) {
	if len(q.Zone) > maxZone || q.Zone == "Local" || q.Zone == "localtime" {
		return nil, ErrBadPreferences
	}
	zone, err := time.LoadLocation(q.Zone)
	if err != nil {
		return nil, ErrBadPreferences
	}
	return zone, nil
}

const (
	maxZone  = 64            // bytes of a time zone's name
	clockSet = 3 * time.Hour // more than any clock is set forward or back at once
)

// dailyEnd is the first full minute after at that does not lie in the daily time; at itself when at does not. Clocks may be
// set in between, and a time of day may come twice or never, so near the end it looks at each minute. Where clocks that are
// set back show for a moment what was before the daily time, that moment is a part of it.
func (q *Quiet) dailyEnd(at time.Time) time.Time {
	from, to, err := q.daily()
	if err != nil || from == to {
		return at
	}
	zone, err := q.zone()
	if err != nil {
		return at
	}
	const day = 24 * time.Hour
	for end, most := at, at.Add(3*day); ; {
		now := sinceMidnight(end.In(zone))
		if quiet := from < to && now >= from && now < to || from > to && (now >= from || now < to); !quiet || end.After(most) {
			return end
		}
		left := (to - now + day) % day
		end = end.Truncate(time.Minute).Add(max(time.Minute, left-clockSet))
	}
}

// sinceMidnight is the time of day that a clock shows, without its seconds.
func sinceMidnight(t time.Time) time.Duration {
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute
}

// holdsWord reports whether text has word as a whole: no letter or digit right before or after it. A script without spaces
// has no such borders, so there a word may be anywhere.
func holdsWord(text, word string) bool {
	first, _ := utf8.DecodeRuneInString(word)
	last, _ := utf8.DecodeLastRuneInString(word)
	for from := 0; word != ""; {
		i := strings.Index(text[from:], word)
		if i < 0 {
			return false
		}
		start, end := from+i, from+i+len(word)
		before, _ := utf8.DecodeLastRuneInString(text[:start])
		after, _ := utf8.DecodeRuneInString(text[end:])
		if !joins(before, first) && !joins(after, last) {
			return true
		}
		_, size := utf8.DecodeRuneInString(text[start:])
		from = start + size
	}
	return false
}

// joins reports whether what stands beside a word makes it a part of another one, at its letter edge.
func joins(beside, edge rune) bool { return isWord(beside) && !unicode.In(edge, unspaced...) }
