package chat

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"
)

var (
	// ErrBadName says that a name of a channel, workspace or person cannot be shown safely.
	ErrBadName = errors.New("a name is 1 to 80 printable characters, without white space at its ends")
	// ErrBadChannelName says that a channel's name is not in the form that people type after '#'.
	ErrBadChannelName = errors.New("a channel's name is 1 to 80 lower-case letters, digits, '-', '_' and '.'")
	// ErrBadTopic says that a topic cannot be shown safely.
	ErrBadTopic = errors.New("a topic is at most 250 printable characters")
	// ErrBadLogin says that a login is not in the form that people type.
	ErrBadLogin = errors.New("a login is 1 to 64 of the characters a-z, 0-9, '.', '_', '-', '+' and '@'")
	// ErrBadPassword says that a password is too short or too long.
	ErrBadPassword = errors.New("a password is 8 to 128 bytes of UTF-8")
)

// CheckName says whether s may be the name of a workspace or of a person. The error is ErrBadName.
func CheckName(s string) error {
	if s == "" || s != strings.TrimSpace(s) || !printable(s, MaxName) {
		return ErrBadName
	}
	return nil
}

// CheckChannelName says whether s may be the name of a public or private channel. The error is ErrBadChannelName.
func CheckChannelName(s string) error {
	if s == "" || !printable(s, MaxName) {
		return ErrBadChannelName
	}
	for _, r := range s {
		if !unicode.IsDigit(r) && !(unicode.IsLetter(r) && !unicode.IsUpper(r) && !unicode.IsTitle(r)) && !strings.ContainsRune("-_.", r) {
			return ErrBadChannelName
		}
	}
	return nil
}

// CheckTopic says whether s may be a channel's topic; it may be empty. The error is ErrBadTopic.
func CheckTopic(s string) error {
	if !printable(s, MaxTopic) {
		return ErrBadTopic
	}
	return nil
}

// CheckLogin says whether s may be a login. The error is ErrBadLogin.
func CheckLogin(s string) error {
	if s == "" || len(s) > MaxLogin {
		return ErrBadLogin
	}
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && !strings.ContainsRune("._-+@", c) {
			return ErrBadLogin
		}
	}
	return nil
}

// CheckPassword says whether s may be a new password. The error is ErrBadPassword.
func CheckPassword(s string) error {
	if len(s) < MinPassword || len(s) > MaxPassword || !utf8.ValidString(s) {
		return ErrBadPassword
	}
	return nil
}

// printable refuses what can disguise a name: control and format characters, which include the
// bidirectional overrides and the zero-width ones.
func printable(s string, limit int) bool {
	if !utf8.ValidString(s) || utf8.RuneCountInString(s) > limit {
		return false
	}
	for _, r := range s {
		if unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) {
			return false
		}
	}
	return true
}
