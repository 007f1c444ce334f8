package obs_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/canopychat/canopy/ops/obs"
)

var (
	metricName = regexp.MustCompile(`\b(?:canopy|gnatsd|jetstream|go|process)_[a-z0-9_]+`)
	selector   = regexp.MustCompile(`\b((?:canopy|gnatsd|jetstream|go|process)_[a-z0-9_]+)\{([^}]*)\}`)
	matcher    = regexp.MustCompile(`([a-z_]+)\s*(?:=~|!~|!=|=)\s*"`)
	grouping   = regexp.MustCompile(`\bby \(([^)]*)\)`)
	shown      = regexp.MustCompile(`\{\{\s*(?:\$labels\.)?([a-z_]+)\s*\}\}`)
)

// ofPrometheus are the labels that the scraper adds.
var ofPrometheus = []string{"instance", "job"}

// What the dashboard and the alerts ask for, a process shows: a name that was changed here only would be an alert
// that never comes.
func TestDashboardAndAlertsAskForWhatIsShown(t *testing.T) {
	s := startSite(t)
	m := obs.New(obs.Config{})
	sources := everything()
	sources.NATS = s.servers
	m.Watch(sources)
	pushOne(m)
	p := scrape(t, m)

	asked := 0
	for _, expr := range append(dashboardExprs(t), ruleExprs(t)...) {
		names := metricName.FindAllString(expr, -1)
		if len(names) == 0 {
			t.Errorf("it asks for nothing: %s", expr)
		}
		labels := map[string]bool{}
		for _, name := range names {
			asked++
			if len(p[name]) == 0 {
				t.Errorf("%s is not shown, and asked for in %s", name, expr)
			}
			for label := range p.labels(name) {
				labels[label] = true
			}
		}
		for _, by := range grouping.FindAllStringSubmatch(expr, -1) {
			for label := range strings.SplitSeq(by[1], ",") {
				if !labels[strings.TrimSpace(label)] {
					t.Errorf("nothing has the label %s in %s", label, expr)
				}
			}
		}
		for _, sel := range selector.FindAllStringSubmatch(expr, -1) {
			for _, match := range matcher.FindAllStringSubmatch(sel[2], -1) {
				if !p.labels(sel[1])[match[1]] {
					t.Errorf("%s has no label %s, and is asked for by it in %s", sel[1], match[1], expr)
				}
			}
		}
	}
	if asked < 30 {
		t.Errorf("%d names were looked at: they are not found any more", asked)
	}
}

// labels are those that any series of the name has, and those that Prometheus adds.
func (p page) labels(name string) map[string]bool {
	all := make(map[string]bool)
	for _, label := range ofPrometheus {
		all[label] = true
	}
	for _, s := range p[name] {
		for label := range s.labels {
			all[label] = true
		}
	}
	return all
}

type dashboard struct {
	UID        string `json:"uid"`
	Title      string `json:"title"`
	Templating struct {
		List []struct {
			Name       string `json:"name"`
			Definition string `json:"definition"`
		} `json:"list"`
	} `json:"templating"`
	Panels []struct {
		ID      int    `json:"id"`
		Title   string `json:"title"`
		Targets []struct {
			Expr         string `json:"expr"`
			LegendFormat string `json:"legendFormat"`
		} `json:"targets"`
	} `json:"panels"`
}

func dashboardExprs(t *testing.T) []string {
	t.Helper()
	var d dashboard
	if err := json.Unmarshal(deployed(t, "grafana/canopy.json"), &d); err != nil {
		t.Fatal(err)
	}
	if d.UID == "" || d.Title == "" {
		t.Error("the dashboard has no uid or no title")
	}
	var all []string
	known := map[string]bool{"__rate_interval": true}
	for _, v := range d.Templating.List {
		known[v.Name] = true
		if v.Definition != "" {
			all = append(all, v.Definition)
		}
	}
	ids := map[int]bool{}
	for _, panel := range d.Panels {
		if panel.Title == "" || ids[panel.ID] || len(panel.Targets) == 0 {
			t.Errorf("panel %d %q has no title, no question, or another's id", panel.ID, panel.Title)
		}
		ids[panel.ID] = true
		for _, target := range panel.Targets {
			all = append(all, target.Expr)
			for _, variable := range regexp.MustCompile(`\$([a-z_]+)`).FindAllStringSubmatch(target.Expr, -1) {
				if !known[variable[1]] {
					t.Errorf("panel %q uses $%s, which is no variable", panel.Title, variable[1])
				}
			}
			for _, label := range shown.FindAllStringSubmatch(target.LegendFormat, -1) {
				if !strings.Contains(target.Expr, label[1]) {
					t.Errorf("panel %q shows {{%s}}, which its question sums away: %s", panel.Title, label[1], target.Expr)
				}
			}
		}
	}
	return all
}

// rule is an alert as the file writes it: its lines in this order.
var rule = regexp.MustCompile(`^      - alert: (Canopy[A-Za-z]+)
        expr: (.+)
(?:        for: [0-9]+[sm]
)?        labels:
          severity: (?:critical|warning)
        annotations:
          summary: "(.+)"
$`)

func ruleExprs(t *testing.T) []string {
	t.Helper()
	head, rules, _ := strings.Cut(string(deployed(t, "prometheus/rules.yml")), "    rules:\n")
	if !strings.HasSuffix(head, "groups:\n  - name: canopy\n") {
		t.Errorf("the file begins with %q", head)
	}
	var all []string
	for _, text := range strings.SplitAfter(rules, "\"\n") {
		if text == "" {
			continue
		}
		found := rule.FindStringSubmatch(text)
		if found == nil {
			t.Errorf("this is no alert with expr, severity and summary:\n%s", text)
			continue
		}
		all = append(all, found[2])
		for _, label := range shown.FindAllStringSubmatch(found[3], -1) {
			if !strings.Contains(found[2], label[1]) {
				t.Errorf("%s says {{ $labels.%s }}, which its expr sums away: %s", found[1], label[1], found[2])
			}
		}
	}
	return all
}

func deployed(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "deploy", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}
