// Package obs is what an operator sees of a process: its metrics, its traces, and how its log lines name a trace.
//
//	             push: durations, refusals, requests          GET /metrics
//	components ───────────────────────────────────▶ Metrics ◀────────────── Prometheus
//	     ▲       pull: plain counters, at the scrape   │
//	     └──────────────── Sources ────────────────────┤
//	                                                   │ the exporter's own names, at the scrape
//	NATS monitors (hub, leaf) ◀── relay ◀──────────────┘
//
//	socket or request ──▶ Submitter: span publish ──traceparent──▶ header of the log ──▶ Persisting: span persist ──▶ store
//
// It owns every metric name with the prefix canopy_ and the two technologies behind it: nobody else imports
// Prometheus or OpenTelemetry. Components count in plain atomic values and call small functions that they declare
// themselves; Metrics and Tracing satisfy them.
//
// It promises that a scrape ends within its budget whatever does not answer, that one source or server that fails
// takes only its own figures away, and that no label, span or attribute holds what people write or sign in with:
// labels come from closed lists.
//
// It must not know what the components decide, and it decides nothing for them.
package obs
