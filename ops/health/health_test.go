package health_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canopychat/canopy/ops/health"
)

func TestAnswer(t *testing.T) {
	for _, test := range []struct {
		target  string
		results map[string]error
		status  int
		body    string
	}{
		{"/readyz", map[string]error{"hub": nil, "log": nil}, 200, "ok\n"},
		{"/readyz", map[string]error{"log": errors.New("the log does not answer"), "hub": errors.New("no hub"), "x": nil}, 503, "no hub\nthe log does not answer\n"},
		{"/readyz?verbose", map[string]error{"log": errors.New("the log does not answer"), "hub": nil}, 503, "[+]hub ok\n[-]log failed: the log does not answer\n"},
		{"/readyz?verbose=1", map[string]error{"hub": nil}, 200, "[+]hub ok\n"},
	} {
		w := httptest.NewRecorder()
		health.Answer(w, httptest.NewRequest("GET", test.target, nil), test.results)
		if w.Code != test.status || w.Body.String() != test.body {
			t.Errorf("%s of %v: %d %q", test.target, test.results, w.Code, w.Body)
		}
	}
}

// While something is wrong it looks often, else seldom; a change is told once. A check that hangs ends with its budget.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h health.Health
		var wrong atomic.Bool
		var looks, changes atomic.Int32
		h.Watch(map[string]health.Check{
			"part": func(context.Context) error {
				looks.Add(1)
				if wrong.Load() {
					return errors.New("the part is away")
				}
				return nil
			},
		})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- h.Run(ctx, func() { changes.Add(1) }) }()
		time.Sleep(11 * time.Second)
		if looks.Load() != 3 || changes.Load() != 0 || h.Last() != "" {
			t.Errorf("in 11 s of peace: %d looks, %d changes, %q", looks.Load(), changes.Load(), h.Last())
		}
		wrong.Store(true)
		time.Sleep(10500 * time.Millisecond) // the next look is 4 s away, then one a second
		if looks.Load() != 10 || changes.Load() != 1 || h.Last() != "the part is away" {
			t.Errorf("in 10 s of trouble: %d looks, %d changes, %q", looks.Load(), changes.Load(), h.Last())
		}
		wrong.Store(false)
		time.Sleep(time.Second)
		if changes.Load() != 2 || h.Seen()["part"] != nil {
			t.Errorf("mended: %d changes, %v", changes.Load(), h.Seen())
		}
		h.Watch(map[string]health.Check{"hangs": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }})
		if got := h.Look(t.Context())["hangs"]; !errors.Is(got, context.DeadlineExceeded) {
			t.Errorf("a check that hangs: %v", got)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// An election is no illness: what fails for a moment only is not told.
func TestAPatientCheckWaitsForWhatMendsItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := errors.New("down")
		now := error(down)
		check := health.Patient(func(context.Context) error { return now }, 15*time.Second)
		expect := func(want error) {
			t.Helper()
			if got := check(t.Context()); !errors.Is(got, want) {
				t.Errorf("%v; want %v", got, want)
			}
		}
		expect(down) // it never was fine
		now = nil
		expect(nil)
		now = down
		time.Sleep(14 * time.Second)
		expect(nil)
		time.Sleep(2 * time.Second)
		expect(down)
		now = nil
		expect(nil)
		now = down
		time.Sleep(time.Second)
		expect(nil)
	})
}
