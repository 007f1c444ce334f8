package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/streams"
)

// checks are what stands behind `is`, of texts.
var checks = map[string]func(string) error{
	"path":       checkPath,
	"address":    checkAddress,
	"level":      among("debug", "info", "warn", "error"),
	"format":     among("auto", "text", "json"),
	"region":     checkRegion,
	"urls":       urls("nats://host:port or tls://host:port", "nats", "tls"),
	"leaf-urls":  urls("nats-leaf://host:port or tls://host:port", "nats-leaf", "nats", "tls"),
	"host":       checkHost,
	"keyspace":   checkKeyspace,
	"dsn":        checkDSN,
	"placement":  func(s string) error { _, err := ParsePlacement(s); return err },
	"rate":       func(s string) error { _, err := ParseRate(s); return err },
	"mail-tls":   among("starttls", "tls", "none"),
	"cidr":       checkRange,
	"contact":    checkContact,
	"socket-url": checkSocketURL,
	"origin":     checkOrigin,
}

// check says what is wrong with a text. An empty one means the default, so it is right. Nothing here quotes a
// URL, for there may be a password in it.
func check(is, s string) error {
	if ofThem := checks[is]; s != "" && ofThem != nil {
		return ofThem(s)
	}
	return nil
}

func checkPath(s string) error {
	if strings.ContainsRune(s, 0) {
		return errors.New("a path holds no NUL")
	}
	return nil
}

func checkRegion(s string) error {
	if !chat.IsID(s) || s == streams.HubDomain {
		return fmt.Errorf("a region is 1 to %d of the characters 0-9 and a-z, and not %q", chat.MaxIDLength, streams.HubDomain)
	}
	return nil
}

// urls is a check that a text is some URLs with commas between.
func urls(want string, schemes ...string) func(string) error {
	return func(s string) error {
		for part := range strings.SplitSeq(s, ",") {
			if !isURL(strings.TrimSpace(part), schemes...) {
				return fmt.Errorf("it wants %s, several with commas between", want)
			}
		}
		return nil
	}
}

func checkContact(s string) error {
	if address, ok := strings.CutPrefix(s, "mailto:"); ok && strings.Contains(address, "@") {
		return nil
	}
	if isURL(s, "https") {
		return nil
	}
	return errors.New("it wants mailto:name@host, or an https URL")
}

func checkKeyspace(s string) error {
	if !keyspace.MatchString(s) {
		return fmt.Errorf("%.60q is not a keyspace: a letter, then at most 47 of a-z, 0-9 and _", s)
	}
	return nil
}

func checkDSN(s string) error {
	if !isURL(s, "postgres", "postgresql") {
		return errors.New("it wants postgres://user:password@host:port/database")
	}
	return nil
}

func checkRange(s string) error {
	if _, err := netip.ParsePrefix(s); err != nil {
		return fmt.Errorf("%.60q is not a range of addresses, such as 10.0.0.0/8", s)
	}
	return nil
}

func checkSocketURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "wss" && u.Scheme != "ws") || u.Host == "" || u.User != nil || u.RawQuery != "" {
		return errors.New("it wants wss://host or ws://host:port, with a path if there is one")
	}
	return nil
}

func checkOrigin(s string) error {
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.Scheme+"://"+u.Host != s {
		return fmt.Errorf("%.80q is not an origin: https://host or https://host:port, and nothing after it", s)
	}
	return nil
}

// among is a check that a text is one of some words.
func among(words ...string) func(string) error {
	return func(s string) error {
		if !slices.Contains(words, s) {
			return fmt.Errorf("%.40q is none of %s", s, strings.Join(words, ", "))
		}
		return nil
	}
}

func checkAddress(s string) error {
	_, port, err := net.SplitHostPort(s)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("%.80q is not host:port, such as 127.0.0.1:8080", s)
	}
	return nil
}

// keyspace is what Cassandra takes without quotes, at most as long as it allows.
var keyspace = regexp.MustCompile(`^[a-z][a-z0-9_]{0,47}$`)

func checkHost(s string) error {
	if !strings.Contains(s, ":") {
		s += ":9042"
	}
	host, port, err := net.SplitHostPort(s)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil || host == "" || strings.ContainsAny(host, " /@") {
		return fmt.Errorf("%.80q is not host or host:port, such as 10.0.0.5", s)
	}
	return nil
}

func isURL(s string, schemes ...string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Host != "" && slices.Contains(schemes, u.Scheme)
}
