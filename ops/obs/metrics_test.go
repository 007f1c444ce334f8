package obs_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canopychat/canopy/ops/obs"
	"github.com/canopychat/canopy/schemas/fault"
)

// everything is Sources in which each figure has another value.
func everything() obs.Sources {
	return obs.Sources{
		Gateway: func() obs.Gateway {
			return obs.Gateway{
				Sessions: 11, Behind: 2, Opened: 13, Closed: map[string]uint64{"client": 4, "slow_reader": 5},
				Refused: map[string]uint64{"rate_limited": 6}, Delivered: 17, FellBack: 18, Pages: 19, Resyncs: 20, Sends: 21,
			}
		},
		Feeds:    func() obs.Feeds { return obs.Feeds{Taken: 31, Repairs: 32, Holes: 33, Garbage: 34, Repeated: 35} },
		InFlight: func() map[string]int { return map[string]int{"edge": 41, "api": 42} },
		FanDrops: func() uint64 { return 43 },
		Drops:    func() map[string]uint64 { return map[string]uint64{"typing_full": 44} },
		Outbox:   func(context.Context) (int, error) { return 45, nil },
		Readiness: func(context.Context) map[string]error {
			return map[string]error{"hub": nil, "store": errors.New("down")}
		},
		Persist: func(context.Context) ([]obs.PersistShard, error) {
			return []obs.PersistShard{{Shard: 0, Lag: 51, Pulling: true}, {Shard: 1, Lag: 52, Held: 53 * time.Second}}, nil
		},
		Persisted: func() obs.Persisted {
			return obs.Persisted{
				Batches: 54, Events: 55, Outcomes: map[string]uint64{"parked": 56}, Last: map[int]uint64{3: 57},
				Healed: 58, Healing: map[int]uint64{3: 59}, Lost: map[int]uint64{3: 60},
			}
		},
		Delivers: func() obs.Delivering {
			return obs.Delivering{
				Messages: 61, Owed: map[string]uint64{"direct": 62}, Passed: map[string]uint64{"covered": 63}, Decisions: map[string]uint64{"retried": 64},
				Attempts: map[obs.TargetEnd]uint64{{Target: "push", Outcome: "taken"}: 65}, Open: 66, Scheduled: map[string]uint64{"sent": 67},
				Held: map[string]uint64{"router": 68}, Dead: map[obs.LetterFrom]uint64{{Consumer: "persist", Found: "note"}: 69},
				Retries: map[string]uint64{"done": 70}, Checks: map[string]uint64{"passes": 71},
			}
		},
	}
}

func TestComponentsAreReadAtTheScrape(t *testing.T) {
	m := obs.New(obs.Config{})
	m.Watch(everything())
	p := scrape(t, m)
	for _, want := range []struct {
		value  float64
		name   string
		labels []string
	}{
		{11, "canopy_sessions", nil},
		{2, "canopy_sessions_behind", nil},
		{13, "canopy_sockets_opened_total", nil},
		{4, "canopy_sockets_closed_total", []string{"reason", "client"}},
		{5, "canopy_sockets_closed_total", []string{"reason", "slow_reader"}},
		{6, "canopy_refusals_total", []string{"surface", "socket", "code", "rate_limited"}},
		{17, "canopy_frames_delivered_total", nil},
		{18, "canopy_sessions_fell_behind_total", nil},
		{19, "canopy_pages_total", nil},
		{20, "canopy_resyncs_total", nil},
		{21, "canopy_sends_total", nil},
		{31, "canopy_feed_events_total", nil},
		{32, "canopy_feed_repairs_total", nil},
		{33, "canopy_feed_holes_total", nil},
		{34, "canopy_feed_garbage_total", nil},
		{35, "canopy_feed_repeated_total", nil},
		{41, "canopy_publishes_in_flight", []string{"publisher", "edge"}},
		{42, "canopy_publishes_in_flight", []string{"publisher", "api"}},
		{43, "canopy_fan_drops_total", nil},
		{44, "canopy_drops_total", []string{"reason", "typing_full"}},
		{45, "canopy_outbox_owed", nil},
		{51, "canopy_persist_lag_events", []string{"shard", "0"}},
		{52, "canopy_persist_lag_events", []string{"shard", "1"}},
		{1, "canopy_persist_pulling", []string{"shard", "0"}},
		{0, "canopy_persist_pulling", []string{"shard", "1"}},
		{0, "canopy_persist_held_seconds", []string{"shard", "0"}},
		{53, "canopy_persist_held_seconds", []string{"shard", "1"}},
		{61, "canopy_deliver_messages_total", nil},
		{62, "canopy_deliver_owed_total", []string{"why", "direct"}},
		{63, "canopy_deliver_passed_total", []string{"why", "covered"}},
		{64, "canopy_deliver_jobs_total", []string{"became", "retried"}},
		{65, "canopy_deliver_attempts_total", []string{"target", "push", "outcome", "taken"}},
		{66, "canopy_deliver_breakers_open", nil},
		{67, "canopy_scheduled_total", []string{"became", "sent"}},
		{68, "canopy_deliver_held_total", []string{"part", "router"}},
		{69, "canopy_deadletters_total", []string{"consumer", "persist", "found", "note"}},
		{70, "canopy_deadletter_retries_total", []string{"outcome", "done"}},
		{71, "canopy_deadletter_checks_total", []string{"what", "passes"}},
		{54, "canopy_persist_batches_total", nil},
		{55, "canopy_persist_events_total", nil},
		{56, "canopy_persist_outcomes_total", []string{"outcome", "parked"}},
		{57, "canopy_persist_last_seq", []string{"shard", "3"}},
		{58, "canopy_persist_healed_events_total", nil},
		{59, "canopy_persist_healing_events", []string{"shard", "3"}},
		{60, "canopy_persist_lost_events_total", []string{"shard", "3"}},
		{1, "canopy_ready", []string{"check", "hub"}},
		{0, "canopy_ready", []string{"check", "store"}},
	} {
		p.wants(t, want.value, want.name, want.labels...)
	}
	for _, name := range []string{"go_goroutines", "process_open_fds", "process_resident_memory_bytes", "go_build_info"} {
		if len(p[name]) != 1 {
			t.Errorf("a scrape has %d of %s, want the runtime's and the process' own", len(p[name]), name)
		}
	}
}

func TestAProcessHasTheFiguresOfItsRoles(t *testing.T) {
	m := obs.New(obs.Config{})
	before := scrape(t, m)
	m.Watch(obs.Sources{FanDrops: func() uint64 { return 1 }})
	after := scrape(t, m)
	for name := range after {
		if strings.HasPrefix(name, "canopy_") && len(before[name]) == 0 && name != "canopy_fan_drops_total" {
			t.Errorf("%s is shown by a process that has no such part", name)
		}
	}
	after.wants(t, 1, "canopy_fan_drops_total")
}

func TestDurationsArePushed(t *testing.T) {
	m := obs.New(obs.Config{})
	m.PublishAck(3 * time.Millisecond)
	m.PublishAck(12 * time.Second)
	m.PublishDeliver(20 * time.Millisecond)
	m.PublishDeliver(-time.Hour) // the clocks of two machines
	p := scrape(t, m)
	p.wants(t, 2, "canopy_publish_ack_seconds_count")
	p.wants(t, 12.003, "canopy_publish_ack_seconds_sum")
	p.wants(t, 1, "canopy_publish_ack_seconds_bucket", "le", "0.005")
	p.wants(t, 2, "canopy_publish_ack_seconds_bucket", "le", "15")
	p.wants(t, 0.02, "canopy_publish_deliver_seconds_sum")
	p.wants(t, 1, "canopy_publish_deliver_seconds_bucket", "le", "0.001")
}

func TestRefusalsAreCountedBySurfaceAndCode(t *testing.T) {
	m := obs.New(obs.Config{})
	m.Watch(obs.Sources{Gateway: func() obs.Gateway {
		return obs.Gateway{Refused: map[string]uint64{"rate_limited": 10, "who knows": 1}}
	}})
	onSocket := m.Refusals(obs.Socket)
	onSocket(fault.RateLimited)
	onSocket(fault.RateLimited)
	m.Refused(obs.REST, fault.RateLimited)
	m.Refused(obs.REST, fault.Kind("made up by somebody"))
	p := scrape(t, m)
	p.wants(t, 12, "canopy_refusals_total", "surface", "socket", "code", "rate_limited")
	p.wants(t, 1, "canopy_refusals_total", "surface", "socket", "code", "internal")
	p.wants(t, 1, "canopy_refusals_total", "surface", "rest", "code", "rate_limited")
	p.wants(t, 1, "canopy_refusals_total", "surface", "rest", "code", "internal")
}

// Nobody outside can make a new series.
func TestRequestsAreCountedByRoute(t *testing.T) {
	m := obs.New(obs.Config{})
	m.Request("/channels/:id", http.MethodGet, http.StatusOK, 30*time.Millisecond)
	m.Request("", "BREW", 299, time.Millisecond)
	m.LoginAttempt(nil)
	m.LoginAttempt(fault.New(fault.Unauthenticated, "no"))
	m.LoginAttempt(errors.New("the database said alice@example.com"))
	p := scrape(t, m)
	p.wants(t, 1, "canopy_rest_requests_total", "route", "/channels/:id", "method", "GET", "status", "200")
	p.wants(t, 0.03, "canopy_rest_request_seconds_sum", "route", "/channels/:id", "method", "GET")
	p.wants(t, 1, "canopy_rest_requests_total", "route", "other", "method", "other", "status", "other")
	p.wants(t, 1, "canopy_login_attempts_total", "outcome", "ok")
	p.wants(t, 1, "canopy_login_attempts_total", "outcome", "unauthenticated")
	p.wants(t, 1, "canopy_login_attempts_total", "outcome", "internal")
}

func TestASourceThatFailsTakesItsOwnFiguresAway(t *testing.T) {
	var lines bytes.Buffer
	m := obs.New(obs.Config{Log: slog.New(slog.NewTextHandler(&lines, nil))})
	s := everything()
	s.Outbox = func(context.Context) (int, error) { return 0, errors.New("the database is away") }
	m.Watch(s)
	p := scrape(t, m)
	if found := p["canopy_outbox_owed"]; len(found) != 0 {
		t.Errorf("canopy_outbox_owed is %v, though nobody knows it", found)
	}
	p.wants(t, 11, "canopy_sessions")
	p.wants(t, 51, "canopy_persist_lag_events", "shard", "0")
	if !strings.Contains(lines.String(), "the database is away") {
		t.Errorf("the log does not say why: %s", &lines)
	}
}

func TestAScrapeEndsWithinItsBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := obs.New(obs.Config{Budget: 2 * time.Second})
		s := everything()
		s.Outbox = func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() }
		m.Watch(s)
		start := time.Now()
		p := scrape(t, m)
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("it took %v, want the budget", took)
		}
		p.wants(t, 11, "canopy_sessions")
	})
}

// What Prometheus recommends (prometheus.io/docs/practices/naming): base units, and _total for what only grows.
func TestOurNames(t *testing.T) {
	m := obs.New(obs.Config{})
	m.Watch(everything())
	pushOne(m)
	shape := regexp.MustCompile(`^canopy_[a-z]+(_[a-z]+)*$`)
	gauges := []string{"canopy_sessions", "canopy_sessions_behind", "canopy_publishes_in_flight", "canopy_outbox_owed",
		"canopy_deliver_breakers_open", "canopy_persist_lag_events", "canopy_persist_pulling", "canopy_persist_last_seq", "canopy_persist_healing_events", "canopy_ready"}
	own := 0
	for name := range scrape(t, m) {
		if !strings.HasPrefix(name, "canopy_") {
			continue
		}
		own++
		base := regexp.MustCompile(`_seconds_(bucket|sum|count)$`).ReplaceAllString(name, "_seconds")
		isGauge := false
		for _, g := range gauges {
			isGauge = isGauge || g == name
		}
		if !shape.MatchString(base) || !(isGauge || strings.HasSuffix(base, "_total") || strings.HasSuffix(base, "_seconds")) {
			t.Errorf("%s is neither a gauge that is known, nor a _total, nor in _seconds", name)
		}
	}
	if own < 30 {
		t.Errorf("there are %d names of ours, want all of them", own)
	}
}

// pushOne pushes one of everything.
func pushOne(m *obs.Metrics) {
	m.PublishAck(time.Millisecond)
	m.PublishDeliver(time.Millisecond)
	m.PersistBehind(time.Millisecond)
	m.Request("/login", http.MethodPost, http.StatusOK, time.Millisecond)
	m.LoginAttempt(nil)
	m.Refused(obs.Socket, fault.Unavailable)
}
