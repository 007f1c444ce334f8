package config_test

import (
	"testing"

	"github.com/canopychat/canopy/ops/config"
)

func TestParseRate(t *testing.T) {
	for text, want := range map[string]config.Rate{
		"20/s burst 100":  {PerSecond: 20, Burst: 100},
		"600/m burst 50":  {PerSecond: 10, Burst: 50},
		"3600/h":          {PerSecond: 1, Burst: 1},
		"1MB/s burst 4MB": {PerSecond: 1 << 20, Burst: 4 << 20},
		" 5 / S ":         {PerSecond: 5, Burst: 5},
		"1/h":             {PerSecond: 1.0 / 3600, Burst: 1},
		"off":             {},
		"":                {},
	} {
		if got, err := config.ParseRate(text); err != nil || got != want {
			t.Errorf("%q is %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"20", "20/", "/s", "0/s", "-1/s", "20/d", "20/s burst", "20/s burst 0", "20/s burst x", "x/s", "20/s 100", "on"} {
		if got, err := config.ParseRate(text); err == nil {
			t.Errorf("%q is %+v", text, got)
		}
	}
}
