// Package scrape reads the figures of a process that a record has, in Prometheus's text format.
package scrape

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/canopychat/canopy/ops/verify/record"
)

const mostBytes = 16 << 20 // of an answer

// names are the names that the Go client of Prometheus gives what we look at.
var names = map[string]string{
	"go_goroutines":                 record.Goroutines,
	"process_resident_memory_bytes": record.Resident,
	"process_open_fds":              record.Descriptors,
}

// Figures asks a process for its figures, by their names in a record.
func Figures(ctx context.Context, from *http.Client, url string) (values map[string]float64, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	answer, err := from.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }() // it was read
	if answer.StatusCode/100 != 2 {
		return nil, fmt.Errorf("%s answers %s", url, answer.Status)
	}
	return parse(io.LimitReader(answer.Body, mostBytes))
}

// parse picks out of Prometheus's text what we look at. That all of it is missing is an error: it is then no such text.
func parse(from io.Reader) (map[string]float64, error) {
	values := map[string]float64{}
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, mostBytes)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) < 2 {
			continue
		}
		name, ok := names[words[0]]
		if !ok {
			continue
		}
		value, err := strconv.ParseFloat(words[1], 64)
		if err != nil {
			return nil, fmt.Errorf("the figure %s: %w", words[0], err)
		}
		values[name] = value
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if _, ok := values[record.Goroutines]; !ok {
		return nil, fmt.Errorf("it tells nothing of goroutines")
	}
	return values, nil
}
