package deliveries_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canopychat/canopy/ops/app/deliveries"
	"github.com/canopychat/canopy/services/store"
)

// memory is a store of one device, which may be away.
type memory struct {
	mu    sync.Mutex // guards what follows
	seen  time.Time  // when the device was there; zero: it is forgotten
	away  bool
	asked int
}

func (m *memory) ForgetDevices(_ context.Context, before time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked++
	if m.away {
		return errors.New("no answer")
	}
	if m.seen.Before(before) {
		m.seen = time.Time{}
	}
	return nil
}

// state is whether the device is forgotten, and how often the store was asked.
func (m *memory) state() (forgotten bool, asked int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.seen.IsZero(), m.asked
}

// back ends an outage.
func (m *memory) back() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.away = false
}

// forgets runs the part until the test is over.
func forgets(t *testing.T, m *memory) {
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- deliveries.Forgetting(ctx, m, slog.New(slog.DiscardHandler)) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("it ends with: %v", err)
		}
	})
}

func TestADeviceIsForgottenADayAfterItsLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{seen: time.Now()}
		forgets(t, m)
		time.Sleep(store.DeviceLife)
		forgotten, asked := m.state()
		if forgotten {
			t.Error("it is forgotten too early")
		}
		if days := int(store.DeviceLife / (24 * time.Hour)); asked < days*2/3 || asked > days*3/2 {
			t.Errorf("in %d days the store was asked %d times", days, asked)
		}
		time.Sleep(2 * 24 * time.Hour)
		if forgotten, _ := m.state(); !forgotten {
			t.Error("it is not forgotten")
		}
	})
}

func TestAStoreThatIsAwayIsAskedAgainSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &memory{seen: time.Now().Add(-2 * store.DeviceLife), away: true}
		forgets(t, m)
		time.Sleep(8 * time.Hour)
		if _, asked := m.state(); asked < 3 || asked > 16 {
			t.Errorf("in 8 hours it was asked %d times", asked)
		}
		m.back()
		time.Sleep(2 * time.Hour)
		if forgotten, _ := m.state(); !forgotten {
			t.Error("it is not forgotten")
		}
	})
}

// A process that ends ends at once.
func TestItEndsWhileItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		m := &memory{}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- deliveries.Forgetting(ctx, m, slog.New(slog.DiscardHandler)) }()
		synctest.Wait()
		stop()
		if err := <-ended; err != nil || m.asked != 0 || time.Since(began) != 0 {
			t.Errorf("it ends with %v after %v", err, time.Since(began))
		}
	})
}
