package streams

import (
	"fmt"
	"strings"

	"github.com/canopychat/canopy/schemas/chat"
)

// StreamProbe holds the last probe of each process: what it stores and reads back to know that the hub stores.
const StreamProbe = "PROBE"

const probePrefix = "probe."

// ProbeSubject is what a process stores its probe on, probe.<process>. The error is chat.ErrBadID.
func ProbeSubject(process string) (string, error) {
	if !chat.IsID(process) {
		return "", fmt.Errorf("process: %w", chat.ErrBadID)
	}
	return probePrefix + process, nil
}

// ParseProbe is the inverse of ProbeSubject. The error is ErrBadSubject.
func ParseProbe(subject string) (process string, err error) {
	process, ok := strings.CutPrefix(subject, probePrefix)
	if !ok || !chat.IsID(process) {
		return "", ErrBadSubject
	}
	return process, nil
}
