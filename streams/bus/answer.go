package bus

import (
	"fmt"

	"github.com/nats-io/nats.go"
)

// APIError is how JetStream says no.
type APIError struct {
	Code        int    `json:"code"`     // of the kind: 400, 404, 503 …
	ErrCode     int    `json:"err_code"` // of the error (nats-server errors.json)
	Description string `json:"description"`
}

// Error is the text for the log.
func (e *APIError) Error() string { return fmt.Sprintf("JetStream %d: %s", e.ErrCode, e.Description) }

// Codes of an API that does not find a message (nats-server errors.json): of a get; of a delete, and of one whose block is gone as well,
// which has a code that it shares with other failures.
const (
	errCodeNoMessage    = 10037
	errCodeNoSeq        = 10043
	errCodeDeleteFailed = 10057

	deleteFailedGone = "no message found"
)

// gone reports whether what the request is about is not there, or not any more.
func (e *APIError) gone() bool {
	switch e.ErrCode {
	case errCodeNoMessage, errCodeNoSeq:
		return true
	case errCodeDeleteFailed:
		return e.Description == deleteFailedGone
	}
	return false
}

// Status is what a server says in a message without a payload; empty if it says nothing. A publisher can
// write the same header, so whoever asks looks first for what only the server writes.
func Status(m *nats.Msg) string {
	if len(m.Data) > 0 {
		return ""
	}
	return m.Header.Get("Status") // nats.go puts the status line there
}

// NoResponders reports whether a server answered that nobody listens on the subject.
func NoResponders(m *nats.Msg) bool { return Status(m) == "503" }
