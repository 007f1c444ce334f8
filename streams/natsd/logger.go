package natsd

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
)

// logger passes the server's lines on to slog. The server believes that Fatalf does not return, but
// copes when it does: it stops starting. So Fatalf hands its reason to Run, which shuts down.
type logger struct {
	to    *slog.Logger
	debug bool        // the handler takes debug lines; asked once, for the server asks us once
	fatal chan string // the first reason; never closed
}

func newLogger(to *slog.Logger) *logger {
	return &logger{to: to, debug: to.Enabled(context.Background(), slog.LevelDebug), fatal: make(chan string, 1)}
}

// Noticef is for the server what happens when all is well, so it is a debug line for us.
func (l *logger) Noticef(format string, v ...any) { l.line(slog.LevelDebug, format, v) }

// plaintext is what the server says about passwords in the configuration at every start. Ours never
// were in a file of the server's.
const plaintext = "Plaintext passwords detected"

// Warnf is a warning.
func (l *logger) Warnf(format string, v ...any) {
	if strings.HasPrefix(format, plaintext) {
		l.line(slog.LevelDebug, format, v)
		return
	}
	l.line(slog.LevelWarn, format, v)
}

// flushing is what the server says when the other end of a connection has gone first, as at every stop. Whoever held
// that end says what it means.
const flushing = "Error flushing: "

// Errorf is an error that the server goes on after.
func (l *logger) Errorf(format string, v ...any) {
	if strings.Contains(format, flushing) {
		l.line(slog.LevelDebug, format, v)
		return
	}
	l.line(slog.LevelError, format, v)
}

// Fatalf is the end of the server. It is not logged: Run returns it.
func (l *logger) Fatalf(format string, v ...any) {
	select {
	case l.fatal <- fmt.Sprintf(format, v...):
	default: // the first reason is the cause of the others
	}
}

// Debugf is a debug line.
func (l *logger) Debugf(format string, v ...any) { l.line(slog.LevelDebug, format, v) }

// Tracef is the protocol line by line, with payloads: it is never switched on.
func (l *logger) Tracef(string, ...any) {}

func (l *logger) line(level slog.Level, format string, v []any) {
	if l.to.Enabled(context.Background(), level) {
		l.to.Log(context.Background(), level, fmt.Sprintf(format, v...))
	}
}
