package messages_test

import (
	"testing"

	"github.com/canopychat/canopy/ops/verify/check/messages/tail"
	"github.com/canopychat/canopy/ops/verify/check/sample"
	"github.com/canopychat/canopy/ops/verify/record"
)

// While logs store without a word, somebody may be shown something with a hole before it, if they are told to resync.
func TestAHoleThatIsToldAfterwards(t *testing.T) {
	for name, c := range map[string]struct {
		untold, resync bool
		broken         int
	}{
		"logs were silent, and it is told":     {untold: true, resync: true},
		"logs were silent, and nobody says so": {untold: true, broken: 1},
		"logs were not silent":                 {resync: true, broken: 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := sample.Sound()
			shown := *told(r, sample.Ann, 28)
			drop(r, sample.Ann, 27)
			if c.untold {
				r.Faults = append(r.Faults, record.Fault{Name: tail.Fault, Tier: "hub", Targets: []string{"all logs"}, Begin: shown.Time, End: shown.Time})
			}
			if c.resync {
				tell(r, sample.Ann, 28, record.Told{T: record.Resync, Head: 28, Code: "gap"})
			}
			if v := of(t, check(r), 5); v.Broken != c.broken {
				t.Errorf("found %d: %v", v.Broken, v.Shown)
			}
		})
	}
}
