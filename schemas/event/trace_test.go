package event_test

import (
	"strings"
	"testing"

	"github.com/canopychat/canopy/schemas/event"
)

func TestTraceID(t *testing.T) {
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	for traceparent, want := range map[string]string{
		"00-" + id + "-00f067aa0ba902b7-01": id,
		"00-" + id + "-00f067aa0ba902b7-00": id,
		"":                                  "",
		"hello":                             "",
		"00-" + strings.ToUpper(id) + "-00f067aa0ba902b7-01":      "",
		"00-" + strings.Repeat("\n", 32) + "-00f067aa0ba902b7-01": "",
		"ff-" + id + "-00f067aa0ba902b7-01":                       "",
		"00-" + id + "0-0f067aa0ba902b7-01":                       "",
		"00-" + id + "-00f067aa0ba902b7-01-more":                  "",
	} {
		if got := event.TraceID(traceparent); got != want {
			t.Errorf("TraceID(%q) is %q, want %q", traceparent, got, want)
		}
	}
}
