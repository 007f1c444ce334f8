package config

import (
	"errors"
	"net/netip"
	"strings"
)

// Rate is a token bucket: PerSecond come in, and at most Burst are in it. The zero Rate is no limit.
type Rate struct {
	PerSecond float64
	Burst     int64
}

var errRate = errors.New(`it wants "20/s burst 100", "600/m burst 50", "1MB/s burst 4MB" or "off"`)

// ParseRate reads a rate: an amount, "/s", "/m" or "/h", and perhaps " burst " with another amount; without it a burst is
// what comes in a second, and at least one.
func ParseRate(text string) (Rate, error) {
	text = strings.ToLower(strings.TrimSpace(text))
	if text == "off" || text == "" {
		return Rate{}, nil
	}
	steady, burst, bursts := strings.Cut(text, "burst")
	amount, unit, ok := strings.Cut(strings.TrimSpace(steady), "/")
	seconds, known := map[string]float64{"s": 1, "m": 60, "h": 3600}[strings.TrimSpace(unit)]
	n, err := parseSize(amount)
	if !ok || !known || err != nil || n < 1 {
		return Rate{}, errRate
	}
	r := Rate{PerSecond: float64(n) / seconds}
	r.Burst = max(1, int64(r.PerSecond))
	if !bursts {
		return r, nil
	}
	if r.Burst, err = parseSize(burst); err != nil || r.Burst < 1 {
		return Rate{}, errRate
	}
	return r, nil
}

// Proxies are the address ranges of TrustedProxies. The error is a *Problem.
func (c Config) Proxies() ([]netip.Prefix, error) {
	return prefixes("trusted_proxies", c.TrustedProxies)
}

// PrivateTargets are the networks of Deliver.AllowPrivate. The error is a *Problem.
func (c Config) PrivateTargets() ([]netip.Prefix, error) {
	return prefixes("deliver.allow_private", c.Deliver.AllowPrivate)
}

func prefixes(setting string, texts []string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, text := range texts {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, Problemf("%s: %w", setting, err)
		}
		all = append(all, p)
	}
	return all, nil
}
