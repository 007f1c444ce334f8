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

// Quiet is when a user is not to be disturbed: what is owed then is tried after it.
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
	if p.Quiet == nil {
		return nil
	}
	_, _, err := p.Quiet.daily()
	return err
}

// Mutes reports whether the user wants nothing of a channel.
func (p Preferences) Mutes(ch ChannelID) bool { return slices.Contains(p.Muted, ch) }

// Watches reports whether body holds one of the keywords, as a whole word or words, in whatever case.
func (p Preferences) Watches(body string) bool {
	lower := strings.ToLower(body)
	return slices.ContainsFunc(p.Keywords, func(k string) bool { return holdsWord(lower, strings.ToLower(k)) })
}

// QuietUntil is when a user who is not to be disturbed at a moment may be disturbed again; zero: now.
func (p Preferences) QuietUntil(at time.Time) time.Time {
	if p.Quiet == nil {
		return time.Time{}
	}
	var end time.Time
	if p.Quiet.Until.After(at) {
		end = p.Quiet.Until
	}
	from, to, err := p.Quiet.daily()
	if err != nil || from == to {
		return end
	}
	zone, err := time.LoadLocation(p.Quiet.Zone)
	if err != nil {
		return end
	}
	local := at.In(zone)
	now := time.Duration(local.Hour())*time.Hour + time.Duration(local.Minute())*time.Minute
	days := -1 // after which the quiet time ends; -1: it is none
	switch {
	case from < to && now >= from && now < to, from > to && now < to:
		days = 0
	case from > to && now >= from:
		days = 1
	}
	if days >= 0 {
		daily := time.Date(local.Year(), local.Month(), local.Day()+days, int(to/time.Hour), int(to%time.Hour/time.Minute), 0, 0, zone)
		if daily.After(end) {
			end = daily
		}
	}
	return end
}

// daily are From and To as times since midnight; both 0: it has none.
func (q *Quiet) daily() (from, to time.Duration, err error) {
	if _, err := time.LoadLocation(q.Zone); err != nil || len(q.Zone) > 64 {
		return 0, 0, ErrBadPreferences
	}
	if q.From == "" && q.To == "" {
		return 0, 0, nil
	}
	parse := func(s string) time.Duration {
		t, bad := time.Parse("15:04", s)
		if bad != nil {
			err = ErrBadPreferences
		}
		return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute
	}
	return parse(q.From), parse(q.To), err
}

// holdsWord reports whether text has word with no letter or digit right before or after it.
func holdsWord(text, word string) bool {
	for from := 0; ; {
		i := strings.Index(text[from:], word)
		if i < 0 || word == "" {
			return false
		}
		start, end := from+i, from+i+len(word)
		before, _ := utf8.DecodeLastRuneInString(text[:start])
		after, _ := utf8.DecodeRuneInString(text[end:])
		if (start == 0 || !letter(before)) && (end == len(text) || !letter(after)) {
			return true
		}
		_, size := utf8.DecodeRuneInString(text[start:])
		from = start + size
	}
}

func letter(c rune) bool { return unicode.IsLetter(c) || unicode.IsDigit(c) }
