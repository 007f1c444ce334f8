package streams_test

import (
	"slices"
	"testing"

	"github.com/canopychat/canopy/streams"
)

func TestANewWorkspacesShardStandsInItsRegion(t *testing.T) {
	for name, c := range map[string]struct {
		placement map[streams.Shard]string
		want      []streams.Shard
	}{
		"nothing is placed":                   {nil, []streams.Shard{0, 1, 2, 3}},
		"some are placed here":                {map[streams.Shard]string{1: "region:eu", 3: "region:eu", 2: "region:us"}, []streams.Shard{1, 3}},
		"some are placed elsewhere":           {map[streams.Shard]string{0: "region:us", 2: "region:ap"}, []streams.Shard{1, 3}},
		"all are placed elsewhere":            {map[streams.Shard]string{0: "region:us", 1: "region:us", 2: "region:us", 3: "region:us"}, []streams.Shard{0, 1, 2, 3}},
		"a tag that is no region's":           {map[streams.Shard]string{0: "disk:fast"}, []streams.Shard{1, 2, 3}},
		"a region whose name begins the same": {map[streams.Shard]string{0: "region:eu2"}, []streams.Shard{1, 2, 3}},
	} {
		if got := streams.ShardsFor("eu", c.placement); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
