package entry

import (
	"net/http"
	"regexp"

	"github.com/labstack/echo/v4"
)

// traceShape is a traceparent of version 00 (W3C Trace Context §3.2) whose ids are not zero.
var traceShape = regexp.MustCompile(`^00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$`)

const noTrace = "00000000000000000000000000000000"

// traceKey is where a request's traceparent is kept.
const traceKey = "canopy.traceparent"

// trace begins the span of a request, in the trace that it says it belongs to, and tells the client the trace's id.
func (in *Entry) trace(c echo.Context) (end func(error)) {
	parent := given(c.Request().Header)
	end = func(error) {}
	if in.cfg.Tracer != nil {
		parent, end = in.cfg.Tracer.Start(c.Request().Context(), c.Request().Method+" "+c.Path(), parent)
	}
	if found := traceShape.FindStringSubmatch(parent); found != nil {
		c.Response().Header().Set(headerTraceID, found[1])
		c.Set(traceKey, parent)
	}
	return end
}

// given is the trace that a request belongs to, if it says so in the right form.
func given(h http.Header) string {
	text := h.Get("traceparent")
	if found := traceShape.FindStringSubmatch(text); found != nil && found[1] != noTrace {
		return text
	}
	return ""
}

// TraceParent is the span of the request, as a traceparent; empty when there is none.
func TraceParent(c echo.Context) string {
	parent, _ := c.Get(traceKey).(string)
	return parent
}
