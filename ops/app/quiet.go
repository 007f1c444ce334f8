package app

import (
	"log"
	"log/slog"
)

// quiet takes what net/http logs (clients that speak TLS badly, headers that never come): of use only to who
// looks for it.
func quiet(to *slog.Logger) *log.Logger { return slog.NewLogLogger(to.Handler(), slog.LevelDebug) }
