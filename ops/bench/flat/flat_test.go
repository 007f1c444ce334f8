package flat_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/canopychat/canopy/ops/bench/flat"
)

const (
	every = 5 * time.Second
	looks = 96 // eight minutes
)

var bound = flat.Bound{Relative: 0.05, Floor: 10}

// series is looks at what of(share of the time that has passed) gives, with noise of that size around it.
func series(noise float64, of func(share float64) float64) []flat.Point {
	dice := rand.New(rand.NewPCG(1, 2))
	all := make([]flat.Point, looks)
	for i := range all {
		all[i] = flat.Point{At: time.Duration(i) * every, Value: of(float64(i)/(looks-1)) + noise*dice.NormFloat64()}
	}
	return all
}

func step(at, by float64) func(float64) float64 {
	return func(share float64) float64 {
		if share < at {
			return 1000
		}
		return 1000 + by
	}
}

func leak(by float64) func(float64) float64 {
	return func(share float64) float64 { return 1000 + by*share }
}

func TestJudge(t *testing.T) {
	level := func(float64) float64 { return 1000 }
	saw := func(share float64) float64 { return 1000 + 200*math.Mod(share*12, 1) }
	spikes := func(share float64) float64 {
		if int(math.Round(share*(looks-1)))%5 == 0 {
			return 9000
		}
		return 1000
	}
	for name, c := range map[string]struct {
		points []flat.Point
		grows  bool
	}{
		"nothing moves":                        {series(0, level), false},
		"noise":                                {series(40, level), false},
		"much noise":                           {series(100, level), false},
		"a saw of a collector":                 {series(5, saw), false},
		"one look in five is far off":          {series(10, spikes), false},
		"it falls":                             {series(20, leak(-500)), false},
		"a leak within the bound":              {series(10, leak(30)), false},
		"a leak beyond the bound":              {series(10, leak(80)), true},
		"a leak under noise":                   {series(40, leak(150)), true},
		"a leak under a saw":                   {series(5, func(s float64) float64 { return saw(s) + 150*s }), true},
		"a leak that began late":               {series(10, func(s float64) float64 { return 1000 + 300*max(0, s-0.6) }), true},
		"a leak that ended early":              {series(10, func(s float64) float64 { return 1000 + 300*min(s, 0.4) }), true},
		"a step in the middle":                 {series(10, step(0.5, 100)), true},
		"a step early":                         {series(10, step(0.25, 100)), true},
		"a step late":                          {series(10, step(0.85, 100)), true},
		"a step within the bound":              {series(10, step(0.5, 30)), false},
		"a peak in the middle that is no more": {series(10, func(s float64) float64 { return 1000 + 400*math.Exp(-800*(s-0.5)*(s-0.5)) }), false},
		"a peak at the very end":               {series(10, step(0.95, 1000)), false},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := flat.Judge(c.points, bound)
			if err != nil || v.Grows != c.grows {
				t.Errorf("%+v, %v; want grows %v", v, err, c.grows)
			}
			if v.Points != looks {
				t.Errorf("%d points of %d", v.Points, looks)
			}
		})
	}
}

// The figures of a verdict are what they are called.
func TestVerdictNumbers(t *testing.T) {
	v, err := flat.Judge(series(0, leak(95)), bound) // one each five seconds
	if err != nil {
		t.Fatal(err)
	}
	want := flat.Verdict{First: 1009, Last: 1086, PerMinute: 12, Drift: 95, Allowed: 50.45, Points: looks, Grows: true}
	for name, pair := range map[string][2]float64{
		"first": {v.First, want.First}, "last": {v.Last, want.Last}, "a minute": {v.PerMinute, want.PerMinute},
		"drift": {v.Drift, want.Drift}, "allowed": {v.Allowed, want.Allowed},
	} {
		if math.Abs(pair[0]-pair[1]) > 1e-6 {
			t.Errorf("%s: %v, want %v", name, pair[0], pair[1])
		}
	}
	if !v.Grows || v.Points != want.Points {
		t.Errorf("%+v", v)
	}
}

// A small figure may move by the floor, however much of it that is.
func TestTheFloor(t *testing.T) {
	for _, c := range []struct {
		by    float64
		grows bool
	}{{9, false}, {20, true}} {
		v, err := flat.Judge(series(0, func(s float64) float64 { return 5 + c.by*s }), bound)
		if err != nil || v.Grows != c.grows || v.Allowed != bound.Floor {
			t.Errorf("5 and %v more: %+v, %v; want grows %v", c.by, v, err, c.grows)
		}
	}
}

func TestWarmUpDoesNotCount(t *testing.T) {
	all := series(10, step(0.19, 900))
	if v, err := flat.Judge(all, bound); err != nil || !v.Grows {
		t.Errorf("the step is not found with the warm-up in it: %+v, %v", v, err)
	}
	warm := looks * every / 5
	rest := flat.AfterWarmUp(all, warm)
	if rest[0].At < warm || len(rest) < looks*3/4 || rest[len(rest)-1] != all[looks-1] {
		t.Errorf("after the warm-up: %d points from %v", len(rest), rest[0].At)
	}
	if v, err := flat.Judge(rest, bound); err != nil || v.Grows {
		t.Errorf("a step in the warm-up counts: %+v, %v", v, err)
	}
	// The same step after it is growth.
	if v, err := flat.Judge(flat.AfterWarmUp(series(10, step(0.4, 900)), warm), bound); err != nil || !v.Grows {
		t.Errorf("a step after the warm-up: %+v, %v", v, err)
	}
	if rest := flat.AfterWarmUp(all, time.Hour); len(rest) != 0 {
		t.Errorf("%d points after an hour", len(rest))
	}
}

func TestTooFewLooks(t *testing.T) {
	for n := range flat.MinPoints {
		if v, err := flat.Judge(series(0, leak(1e6))[:n], bound); !errors.Is(err, flat.ErrTooShort) || v.Grows || v.Points != n {
			t.Errorf("%d looks: %+v, %v", n, v, err)
		}
	}
	if v, err := flat.Judge(series(0, leak(1e6))[:flat.MinPoints], bound); err != nil || !v.Grows {
		t.Errorf("enough looks: %+v, %v", v, err)
	}
}

func TestSlope(t *testing.T) {
	if got := flat.Slope(nil); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
	if got := flat.Slope([]flat.Point{{At: 5, Value: 1}, {At: 5, Value: 9}}); got != 0 {
		t.Errorf("of one moment: %v", got)
	}
	// A day of looks is put together first, and gives the same.
	day := make([]flat.Point, 17280)
	for i := range day {
		day[i] = flat.Point{At: time.Duration(i) * every, Value: 7 + float64(i)}
	}
	if got, want := flat.Slope(day), 1/float64(every); math.Abs(got/want-1) > 1e-9 {
		t.Errorf("of a day: %v, want %v", got, want)
	}
	// A quarter of the looks may be anything.
	bent := series(0, leak(95))
	for i := range bent {
		if i%4 == 1 {
			bent[i].Value = -1e9
		}
	}
	if got, want := flat.Slope(bent), 1/float64(every); math.Abs(got/want-1) > 0.05 {
		t.Errorf("with a quarter far off: %v, want %v", got, want)
	}
}
