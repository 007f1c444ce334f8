// Package flat says whether a figure that was looked at again and again grows.
//
// It is pure: it gets points and a bound and gives a verdict, and knows no server, clock or file. It promises that
// noise, also a few looks that are far off, is not taken for growth, and that growth beyond the bound is found whether
// it came bit by bit or in one step, unless the step is in the last tenth: that cannot be told from a peak.
package flat

import (
	"errors"
	"slices"
	"time"
)

// Point is one look at a figure.
type Point struct {
	At    time.Duration // since the beginning
	Value float64
}

// Bound is how much a figure may grow from the first fifth to the last and still count as flat: Relative of what it is
// in the first fifth, and Floor at least.
type Bound struct {
	Relative float64 `json:"relative"`
	Floor    float64 `json:"floor"`
}

// Verdict is what a series shows.
type Verdict struct {
	First     float64 `json:"first"`      // median of the first fifth
	Last      float64 `json:"last"`       // median of the last fifth
	PerMinute float64 `json:"per_minute"` // the slope of most pairs of points (Theil–Sen)
	Drift     float64 `json:"drift"`      // what that slope makes over the whole series
	Allowed   float64 `json:"allowed"`    // the bound
	Points    int     `json:"points"`
	Grows     bool    `json:"grows"` // Drift, or Last - First, is beyond Allowed
}

// parts is how many parts a series has of which the first is compared with the last. A fifth is long enough for a
// median that a few odd looks do not move, and short enough for the two to lie apart.
const parts = 5

// MinPoints is how many points a verdict needs: three in each fifth, so that one odd look is outvoted.
const MinPoints = 3 * parts

// ErrTooShort says that a series has too few points for a verdict.
var ErrTooShort = errors.New("too few looks to tell")

// Judge says whether series, which is in the order of time, grows beyond b. Falling is not growing.
func Judge(series []Point, b Bound) (Verdict, error) {
	if len(series) < MinPoints {
		return Verdict{Points: len(series)}, ErrTooShort
	}
	fifth := len(series) / parts
	v := Verdict{
		First: medianOf(series[:fifth]), Last: medianOf(series[len(series)-fifth:]),
		Points: len(series),
	}
	slope := Slope(series)
	v.PerMinute = slope * float64(time.Minute)
	v.Drift = slope * float64(series[len(series)-1].At-series[0].At)
	v.Allowed = max(b.Floor, b.Relative*v.First)
	v.Grows = v.Drift > v.Allowed || v.Last-v.First > v.Allowed
	return v, nil
}

// AfterWarmUp is the points of series that are not before warm.
func AfterWarmUp(series []Point, warm time.Duration) []Point {
	i := slices.IndexFunc(series, func(p Point) bool { return p.At >= warm })
	if i < 0 {
		return nil
	}
	return series[i:]
}

// maxPairwise bounds the points of which every pair is looked at: 500 are 125,000 pairs, a megabyte.
const maxPairwise = 500

// Slope is the median of the slopes of all pairs of points, a nanosecond (P. K. Sen, 1968, "Estimates of the
// regression coefficient based on Kendall's tau"): up to 29 % of the points may be anything. It is 0 for fewer than
// two moments.
func Slope(series []Point) float64 {
	series = thinned(series)
	var slopes []float64
	for i, a := range series {
		for _, b := range series[i+1:] {
			if b.At > a.At {
				slopes = append(slopes, (b.Value-a.Value)/float64(b.At-a.At))
			}
		}
	}
	return median(slopes)
}

// thinned is series with neighbours put together to their medians, until there are few enough.
func thinned(series []Point) []Point {
	if len(series) <= maxPairwise {
		return series
	}
	each := (len(series) + maxPairwise - 1) / maxPairwise
	var few []Point
	for group := range slices.Chunk(series, each) {
		few = append(few, Point{At: group[len(group)/2].At, Value: medianOf(group)})
	}
	return few
}

func medianOf(series []Point) float64 {
	values := make([]float64, len(series))
	for i, p := range series {
		values[i] = p.Value
	}
	return median(values)
}

// median is the middle of values, which it sorts; 0 for none.
func median(values []float64) float64 {
	n := len(values)
	if n == 0 {
		return 0
	}
	slices.Sort(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}
