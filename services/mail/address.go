package mail

import (
	"errors"
	"net/mail"
	"strings"
)

const (
	maxAddress = 254 // bytes: the longest that fits into a command, RFC 5321 §4.5.3.1 and its erratum 1690
	maxLocal   = 64  // bytes before the @
	maxLabel   = 63  // bytes between two dots of a domain
)

// ErrBadAddress says that a text is not an address that mail is sent to.
var ErrBadAddress = errors.New("an address of e-mail is like name@example.org, of letters, digits and . _ - + and the like")

// Check says whether s is a bare address of e-mail: a local part without quotes, an @ and a domain of letters, digits,
// dots and hyphens (another script's domain in its xn-- form). It is narrower than RFC 5322, which also has comments,
// quoted line breaks and addresses without a domain. The error is ErrBadAddress.
func Check(s string) error {
	if len(s) > maxAddress {
		return ErrBadAddress
	}
	parsed, err := mail.ParseAddress(s)
	if err != nil || parsed.Name != "" || parsed.Address != s {
		return ErrBadAddress
	}
	local, domain, found := strings.Cut(s, "@") // there is one @: the local part has no quotes
	if !found || len(local) > maxLocal || strings.ContainsFunc(local, notInLocal) {
		return ErrBadAddress
	}
	labels := strings.Split(domain, ".")
	if len(labels) < 2 && domain != "localhost" {
		return ErrBadAddress
	}
	for _, label := range labels {
		if label == "" || len(label) > maxLabel || strings.ContainsFunc(label, notInLabel) || label[0] == '-' || label[len(label)-1] == '-' {
			return ErrBadAddress
		}
	}
	return nil
}

// domainOf is what a log may say of an address that was checked.
func domainOf(address string) string {
	_, domain, _ := strings.Cut(address, "@")
	return domain
}

func notInLocal(r rune) bool {
	return !isAlphanumeric(r) && !strings.ContainsRune("!#$%&'*+-/=?^_`{|}~.", r) // RFC 5322 §3.2.3: atext and dots
}

func notInLabel(r rune) bool { return !isAlphanumeric(r) && r != '-' }

func isAlphanumeric(r rune) bool {
	return (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z') || (r >= '0' && r <= '9')
}
