package client_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/canopychat/canopy/edge/client"
	"github.com/canopychat/canopy/schemas/rest"
)

// asking is a server that writes down what it is asked, and answers the same to all.
func asking(t *testing.T, answer string) (c *client.Client, asked func() string) {
	t.Helper()
	var mu sync.Mutex
	last := ""
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		last = r.Method + " " + r.URL.EscapedPath() + " " + string(body)
		if r.Method == http.MethodPost && r.Header.Get("Idempotency-Key") == "" {
			t.Error("a POST that is lost would be done twice")
		}
		if answer == "" {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if _, err := io.WriteString(w, answer); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(s.Close)
	c, err := client.FromToken(s.URL, "token")
	if err != nil {
		t.Fatal(err)
	}
	return c, func() string { mu.Lock(); defer mu.Unlock(); return last }
}

func TestWhatWaitsForItsTime(t *testing.T) {
	at := rest.Time(time.Date(2026, 12, 1, 9, 0, 0, 0, time.UTC))
	ctx := t.Context()
	c, asked := asking(t, `{"id":"j1","kind":"message","channel_id":"c1","body":"tea?","at":"2026-12-01T09:00:00Z","created_at":"2026-11-30T09:00:00Z"}`)
	made, err := c.Schedule(ctx, "c1", rest.NewScheduled{Body: "tea?", At: at, ClientMsgID: "m1"})
	if want := `POST /channels/c1/scheduled {"body":"tea?","at":"2026-12-01T09:00:00.000Z","client_msg_id":"m1","thread":0}`; asked() != want || made.ID != "j1" || err != nil {
		t.Errorf("%s: %+v, %v", asked(), made, err)
	}
	made, err = c.Remind(ctx, "w1", rest.NewReminder{Text: "call Bob", At: at})
	if want := `POST /workspaces/w1/reminders {"text":"call Bob","at":"2026-12-01T09:00:00.000Z","channel_id":"","seq":0}`; asked() != want || made.ID != "j1" || err != nil {
		t.Errorf("%s: %+v, %v", asked(), made, err)
	}
	c, asked = asking(t, `{"scheduled":[{"id":"j1","kind":"reminder","body":"x","at":"2026-12-01T09:00:00Z","created_at":"2026-11-30T09:00:00Z"}]}`)
	all, err := c.Scheduled(ctx, "w1")
	if asked() != "GET /workspaces/w1/scheduled " || len(all) != 1 || all[0].ID != "j1" || err != nil {
		t.Errorf("%s: %+v, %v", asked(), all, err)
	}
	c, asked = asking(t, "")
	if err := c.CancelScheduled(ctx, "w1", "../j1"); asked() != "DELETE /workspaces/w1/scheduled/..%2Fj1 " || err != nil {
		t.Errorf("%s: %v", asked(), err)
	}
}

func TestWhatWakesSomebody(t *testing.T) {
	ctx := t.Context()
	c, asked := asking(t, `{"muted_channels":["c1"]}`)
	p, err := c.Preferences(ctx, "w1")
	if asked() != "GET /workspaces/w1/preferences " || len(p.Muted) != 1 || err != nil {
		t.Errorf("%s: %+v, %v", asked(), p, err)
	}
	p.Quiet = &rest.Quiet{From: "22:00", To: "07:30", Zone: "Europe/Berlin"}
	_, err = c.SetPreferences(ctx, "w1", p)
	if want := `PUT /workspaces/w1/preferences {"muted_channels":["c1"],"do_not_disturb":{"from":"22:00","to":"07:30","time_zone":"Europe/Berlin"}}`; asked() != want || err != nil {
		t.Errorf("%s: %v", asked(), err)
	}
	c, asked = asking(t, "")
	if err := c.Follow(ctx, "c1", 7, true); asked() != "PUT /channels/c1/messages/7/follow " || err != nil {
		t.Errorf("%s: %v", asked(), err)
	}
	if err := c.Follow(ctx, "c1", 7, false); asked() != "DELETE /channels/c1/messages/7/follow " || err != nil {
		t.Errorf("%s: %v", asked(), err)
	}
}
