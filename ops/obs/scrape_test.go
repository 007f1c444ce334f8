package obs_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/canopychat/canopy/ops/obs"
)

// page is what a scrape answered: name → its series.
type page map[string][]series

type series struct {
	labels map[string]string
	value  float64
}

var (
	seriesLine = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$`)
	labelPair  = regexp.MustCompile(`([a-zA-Z_]+)="((?:[^"\\]|\\.)*)"`)
)

// scrape asks for /metrics as Prometheus does, in the text format.
func scrape(t *testing.T, m *obs.Metrics) page {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("a scrape was answered with %d: %s", w.Code, w.Body)
	}
	p := make(page)
	for line := range strings.Lines(w.Body.String()) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		found := seriesLine.FindStringSubmatch(line)
		if found == nil {
			t.Fatalf("a line is no series: %s", line)
		}
		value, err := strconv.ParseFloat(found[3], 64)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		s := series{map[string]string{}, value}
		for _, pair := range labelPair.FindAllStringSubmatch(found[2], -1) {
			s.labels[pair[1]] = pair[2]
		}
		p[found[1]] = append(p[found[1]], s)
	}
	return p
}

// find is the series of a name whose labels are those given, as name, value pairs, and maybe more.
func (p page) find(name string, labels ...string) []series {
	var all []series
	for _, s := range p[name] {
		fits := true
		for i := 0; i < len(labels); i += 2 {
			fits = fits && s.labels[labels[i]] == labels[i+1]
		}
		if fits {
			all = append(all, s)
		}
	}
	return all
}

// wants fails unless there is one such series, with the value.
func (p page) wants(t *testing.T, value float64, name string, labels ...string) {
	t.Helper()
	found := p.find(name, labels...)
	if len(found) != 1 || found[0].value != value {
		t.Errorf("%s%v is %v, want one of %v", name, labels, found, value)
	}
}
