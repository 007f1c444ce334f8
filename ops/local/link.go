package local

import (
	"time"

	"github.com/canopychat/canopy/ops/faultproxy"
)

// Link is the ways between a region's leaf and the hub: a proxy before each node of the hub, in the order of Hubs. Its
// methods are those of all proxies at once.
type Link []*faultproxy.Proxy

// Cut breaks the link, and refuses each try to have it again.
func (l Link) Cut() { l.each((*faultproxy.Proxy).Cut) }

// Hold has nothing pass in the directions given (faultproxy.Up is to the hub), or in both when none is: connections
// stay open and are silent.
func (l Link) Hold(in ...faultproxy.Direction) {
	l.each(func(p *faultproxy.Proxy) { p.Hold(in...) })
}

// Delay has everything take latency, and up to jitter more; directions as in Hold.
func (l Link) Delay(latency, jitter time.Duration, in ...faultproxy.Direction) {
	l.each(func(p *faultproxy.Proxy) { p.Delay(latency, jitter, in...) })
}

// Reset breaks the link once; the leaf may have it again at once.
func (l Link) Reset() { l.each((*faultproxy.Proxy).Reset) }

// Heal ends every fault.
func (l Link) Heal() { l.each((*faultproxy.Proxy).Heal) }

// Counts is the sum of what all have done.
func (l Link) Counts() faultproxy.Counts {
	var sum faultproxy.Counts
	l.each(func(p *faultproxy.Proxy) {
		c := p.Counts()
		sum.Open, sum.Accepted, sum.Refused, sum.Failed = sum.Open+c.Open, sum.Accepted+c.Accepted, sum.Refused+c.Refused, sum.Failed+c.Failed
		sum.Up, sum.Down, sum.HeldUp, sum.HeldDown = sum.Up+c.Up, sum.Down+c.Down, sum.HeldUp+c.HeldUp, sum.HeldDown+c.HeldDown
	})
	return sum
}

func (l Link) each(do func(*faultproxy.Proxy)) {
	for _, p := range l {
		do(p)
	}
}
