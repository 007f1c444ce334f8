package verify

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/verify/check"
	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/ops/verify/report"
	"github.com/canopychat/canopy/ops/verify/site"
)

// Options say what to verify, and how.
type Options struct {
	Local   bool                // start a deployment on this machine, and break it
	Canopy  string              // path of the program to start there; a plant makes another
	Files   bool                // its stores are SQLite files: no Cassandra and no PostgreSQL is started, nor broken
	Running site.RunningOptions // of one that runs, when Local is false

	Seed     uint64
	Duration time.Duration // of load and faults; what comes before and after is on top
	Rate     float64       // operations a second, of all people
	People   int           // in each region
	Plant    string        // name of a bug to plant
	Calm     bool          // break nothing
	Only     []string      // break nothing but this: TIER, or TIER/FAULT

	Dir     string // of the record, and of a deployment of our own: made when missing
	Version string // of this program
	Say     func(text string)
}

// Defaults of Options.
const (
	DefaultDuration = 2 * time.Minute
	DefaultRate     = 40
	DefaultPeople   = 6
)

// Limits of Options. An unlucky hand on the keyboard should not fill a disk.
const (
	maxPeople   = 200
	maxRate     = 2000
	maxDuration = 24 * time.Hour
)

// recordName is the record in the folder of a run.
const recordName = "record.jsonl"

func (o Options) check() error {
	switch {
	case o.Dir == "":
		return config.Problemf("a run wants a folder")
	case o.Duration < time.Second || o.Duration > maxDuration:
		return config.Problemf("--duration %s: from 1s to %s will do", o.Duration, maxDuration)
	case o.People < 2 || o.People > maxPeople:
		return config.Problemf("--people %d: from 2 to %d in a region will do", o.People, maxPeople)
	case !(o.Rate > 0 && o.Rate <= maxRate) || math.IsNaN(o.Rate):
		return config.Problemf("--rate %v: above 0 and up to %d will do", o.Rate, maxRate)
	case o.Plant != "" && !o.Local:
		return config.Problemf("--plant puts a bug into a deployment of its own: it wants --local")
	}
	return nil
}

// errBroken says that a run has found a promise broken, or proves nothing.
var errBroken = errors.New("not all promises hold")

// Check judges the record of an earlier run, by today's checks.
func Check(path string) (report.Report, error) { return judge(path, nil) }

// judge reads a record and checks it.
func judge(path string, trouble []string) (report.Report, error) {
	f, err := os.Open(path)
	if err != nil {
		return report.Report{}, config.Problemf("the record: %v", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	r, err := record.Read(f)
	if err != nil {
		return report.Report{}, config.Problemf("%s: %v", path, err)
	}
	return report.Of(r, check.All(r), trouble), nil
}

// make makes the folder of a run, and its record. A folder that has one already is somebody's evidence.
func (o Options) makeRecord() (*os.File, error) {
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, config.Problemf("the folder of the run: %v", err)
	}
	path := filepath.Join(o.Dir, recordName)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, os.ErrExist) {
		return nil, config.Problemf("%s is there already: give another folder, or look at it with --check", path)
	}
	if err != nil {
		return nil, fmt.Errorf("the record: %w", err)
	}
	return f, nil
}
