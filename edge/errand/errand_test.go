package errand_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canopychat/canopy/edge/errand"
	"github.com/canopychat/canopy/schemas/fault"
)

var errFinal = errors.New("for good")

func TestInsist(t *testing.T) {
	for name, tt := range map[string]struct {
		last  error
		tries int
	}{"it succeeds": {nil, 4}, "for good": {errFinal, 3}, "not found": {fault.New(fault.NotFound, "no"), 2}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tries := 0
				err := errand.NewDesk(1, time.Second).Insist(context.Background(), errand.Errand{Final: errFinal, Gone: func() bool { return false }, Do: func(context.Context) error {
					if tries++; tries < tt.tries {
						return errors.New("passing")
					}
					return tt.last
				}})
				if tries != tt.tries || !errors.Is(err, tt.last) {
					t.Errorf("%d tries, %v", tries, err)
				}
			})
		})
	}
}

func TestInsistGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		passing := func(context.Context) error { tries++; return errors.New("passing") }
		d := errand.NewDesk(1, time.Second)
		if err := d.Insist(t.Context(), errand.Errand{Final: errFinal, Do: passing, Gone: func() bool { return tries == 2 }}); err == nil || tries != 2 {
			t.Errorf("%d tries, %v", tries, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := d.Insist(ctx, errand.Errand{Final: errFinal, Do: passing, Gone: func() bool { return false }}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		if tries < 14 || tries > 40 { // a few at first, then one in some seconds
			t.Errorf("%d tries in a minute", tries)
		}
	})
}

// One that hangs ends in time, and then the next has its turn.
func TestAttemptsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := errand.NewDesk(1, time.Second)
		hangs := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		began := time.Now()
		ended := make(chan error, 2)
		for range 2 {
			go func() { ended <- d.Attempt(t.Context(), hangs) }()
		}
		for range 2 {
			if err := <-ended; !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		}
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("%v", took)
		}
	})
}
