package verify_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/canopychat/canopy/ops/config"
	"github.com/canopychat/canopy/ops/verify"
	"github.com/canopychat/canopy/ops/verify/check/sample"
	"github.com/canopychat/canopy/ops/verify/record"
	"github.com/canopychat/canopy/ops/verify/report"
)

// says runs the command, and gives what it printed.
func says(t *testing.T, c verify.Cmd) (string, error) {
	t.Helper()
	var out, progress bytes.Buffer
	err := c.Run(&verify.Session{
		Context: t.Context(), Stdout: &out, Stderr: &progress, Env: func(string) string { return "" }, Version: "test",
		Password: func(string, string) (string, error) { return "", errors.New("nobody was to ask for a password") },
	})
	return out.String(), err
}

// recorded is the file of a record.
func recorded(t *testing.T, r *record.Record) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "record.jsonl")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	rec := record.NewRecorder(f)
	rec.Add(record.Line{Run: &r.Run})
	for i := range r.Ops {
		rec.Add(record.Line{Op: &r.Ops[i]})
	}
	for i := range r.Told {
		rec.Add(record.Line{Told: &r.Told[i]})
	}
	for i := range r.Events {
		rec.Add(record.Line{Event: &r.Events[i]})
	}
	for i := range r.Kept {
		rec.Add(record.Line{Kept: &r.Kept[i]})
	}
	rec.Add(record.Line{End: r.End})
	if err := errors.Join(rec.Flush(), f.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// An old record is judged again: what holds holds, what nothing in it could break is not checked, which is no success.
func TestARecordIsCheckedAgain(t *testing.T) {
	to := filepath.Join(t.TempDir(), "report.json")
	got, err := says(t, verify.Cmd{Check: recorded(t, sample.Sound()), Report: to})
	if err == nil || !strings.Contains(err.Error(), "not all promises hold") {
		t.Errorf("the error is %v", err)
	}
	for _, want := range []string{"no loss", "holds", "NOT CHECKED", "no better than broken"} {
		if !strings.Contains(got, want) {
			t.Errorf("it does not say %q:\n%s", want, got)
		}
	}
	text, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	var rep report.Report
	if err := json.Unmarshal(text, &rep); err != nil {
		t.Fatal(err)
	}
	if len(rep.Verdicts) != 22 || rep.Holds {
		t.Errorf("%d verdicts, holds %t", len(rep.Verdicts), rep.Holds)
	}
}

// A bug that was planted is found when the invariant that it is meant for is broken, and not otherwise.
func TestAPlantIsFoundOrNot(t *testing.T) {
	sound := sample.Sound()
	sound.Run.Plant = "frame-dropped"
	if _, err := says(t, verify.Cmd{Check: recorded(t, sound)}); err == nil || !strings.Contains(err.Error(), "frame-dropped was NOT found") {
		t.Errorf("of a record without it: %v", err)
	}
	// One of the things that a socket was told is left out.
	spoiled := sample.Sound()
	spoiled.Run.Plant = "frame-dropped"
	found := false
	for i := range spoiled.Told {
		less := *spoiled
		less.Told = append(append([]record.Told(nil), spoiled.Told[:i]...), spoiled.Told[i+1:]...)
		if got, err := says(t, verify.Cmd{Check: recorded(t, &less)}); err == nil && strings.Contains(got, "frame-dropped was found") {
			found = true
			break
		}
	}
	if !found {
		t.Error("a frame that is left out is not found")
	}
}

func TestPlantsAreListed(t *testing.T) {
	got, err := says(t, verify.Cmd{ListPlants: true})
	if err != nil || !strings.Contains(got, "frame-dropped") {
		t.Errorf("%v:\n%s", err, got)
	}
}

// What cannot be done is said before anything is started.
func TestMistakesAreTheUsers(t *testing.T) {
	there := recorded(t, sample.Sound())
	whole := verify.Cmd{Local: true, Duration: verify.DefaultDuration, Rate: verify.DefaultRate, People: verify.DefaultPeople}
	with := func(change func(*verify.Cmd)) verify.Cmd {
		c := whole
		change(&c)
		return c
	}
	for name, c := range map[string]struct {
		cmd  verify.Cmd
		want string
	}{
		"neither":           {with(func(c *verify.Cmd) { c.Local = false }), "--local starts a deployment"},
		"both":              {with(func(c *verify.Cmd) { c.URL = "http://x" }), "--local starts a deployment"},
		"nobody":            {with(func(c *verify.Cmd) { c.Local, c.URL = false, "http://x" }), "--login"},
		"files elsewhere":   {with(func(c *verify.Cmd) { c.Local, c.URL, c.Login, c.Files = false, "http://x", "me", true }), "--files"},
		"calm and not":      {with(func(c *verify.Cmd) { c.Calm, c.Only = true, []string{"hub"} }), "--calm"},
		"no time":           {with(func(c *verify.Cmd) { c.Duration = 0 }), "--duration"},
		"nobody there":      {with(func(c *verify.Cmd) { c.People = 0 }), "--people"},
		"nothing to do":     {with(func(c *verify.Cmd) { c.Rate = -1 }), "--rate"},
		"no such plant":     {with(func(c *verify.Cmd) { c.Plant = "frame-droped" }), "frame-dropped"},
		"somebody's record": {with(func(c *verify.Cmd) { c.Dir = filepath.Dir(there) }), "is there already"},
		"no record":         {verify.Cmd{Check: filepath.Join(t.TempDir(), "none")}, "no such file"},
	} {
		_, err := says(t, c.cmd)
		var problem *config.Problem
		if err == nil || !strings.Contains(err.Error(), c.want) || !errors.As(err, &problem) {
			t.Errorf("%s: %T %v", name, err, err)
		}
	}
}
