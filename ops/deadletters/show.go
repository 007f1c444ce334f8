package deadletters

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/canopychat/canopy/ops/operator"
	"github.com/canopychat/canopy/ops/plain"
	"github.com/canopychat/canopy/streams/bus"
	"github.com/canopychat/canopy/streams/dlq"
)

type showCmd struct {
	common `embed:""`
	ID     uint64 `arg:"" help:"Its id, as canopy dlq ls shows it."`
}

// whole is a dead letter with everything in it, for scripts.
type whole struct {
	line
	Headers map[string][]string `json:"headers,omitempty"`
	Payload json.RawMessage     `json:"payload,omitempty"` // when it is JSON
	Bytes   []byte              `json:"bytes,omitempty"`   // base64, when it is not
}

// Help is shown by canopy dlq show --help.
func (showCmd) Help() string { return operator.WhereHelp }

// Run is of kong.
func (c showCmd) Run(s *Session) error {
	return c.queue(s, func(_ *bus.Conn, queue *dlq.Queue) error {
		l, err := queue.Get(s.Context, c.ID)
		if err != nil {
			return problem(err)
		}
		if c.JSON {
			w := whole{line: lineOf(l), Headers: l.Header}
			if json.Valid(l.Payload) {
				w.Payload = l.Payload
			} else {
				w.Bytes = l.Payload
			}
			return plain.Encode(s.Stdout, w)
		}
		_, err = fmt.Fprint(s.Stdout, textOf(l))
		return err
	})
}

// textOf is a dead letter for a person.
func textOf(l dlq.Letter) string {
	var text strings.Builder
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&text, "  %-10s %s\n", name, plain.Line(value))
		}
	}
	fmt.Fprintf(&text, "dead letter %d\n", l.ID)
	row("reason", l.Reason)
	row("at", l.At.UTC().Format(time.RFC3339))
	if l.Consumer != "" { // else somebody put it there by hand
		row("consumer", fmt.Sprintf("%s of %s, %s", l.Consumer, l.Stream, deliveries(l.Attempts)))
		row("original", fmt.Sprintf("seq %d on %s, stored %s", l.Seq, cmp.Or(l.Subject, "an unknown subject"), storedAt(l)))
	} else {
		row("subject", l.Subject)
	}
	row("noticed by", l.Found)
	row("trace", l.TraceParent)
	for _, name := range slices.Sorted(maps.Keys(l.Header)) {
		row("header", name+": "+strings.Join(l.Header[name], ", "))
	}
	if l.Gone {
		row("payload", "none, the original is gone: "+l.GoneBecause)
		return text.String()
	}
	fmt.Fprintf(&text, "\n%s\n", payloadText(l.Payload))
	return text.String()
}

func deliveries(n int) string {
	if n == 1 {
		return "after 1 delivery"
	}
	return fmt.Sprintf("after %d deliveries", n)
}

func storedAt(l dlq.Letter) string {
	if l.StoredAt.IsZero() {
		return "at an unknown time"
	}
	return l.StoredAt.UTC().Format(time.RFC3339Nano)
}

// payloadText is a payload for a terminal: JSON set in, everything else as Go writes a text, with its bytes that are none.
func payloadText(payload []byte) string {
	var b bytes.Buffer
	if json.Indent(&b, payload, "", "  ") == nil {
		return string(plain.JSON(b.Bytes()))
	}
	return fmt.Sprintf("%d bytes: %q", len(payload), payload)
}
