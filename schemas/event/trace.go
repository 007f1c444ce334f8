package event

// TraceID is the trace's id in a traceparent of version 00 (W3C Trace Context §3.2), by which the log lines of one chain
// of work are found; empty when it is none. It may come from anybody, so nothing else of it is shown.
func TraceID(traceparent string) string {
	if len(traceparent) != len("00-0123456789abcdef0123456789abcdef-0123456789abcdef-00") || traceparent[:3] != "00-" || traceparent[35] != '-' {
		return ""
	}
	id := traceparent[3:35]
	for i := range len(id) {
		if c := id[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return ""
		}
	}
	return id
}
