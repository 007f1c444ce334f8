package streams

import (
	"fmt"
	"strings"

	"github.com/canopychat/canopy/schemas/chat"
)

const (
	ephAsk   = "ask"
	ephLease = "lease"
)

// EphAskSubject is where a gateway that has the first user of a workspace asks those of other regions who is online
// there, eph.<ws>.ask.<region>. The error is chat.ErrBadID.
func EphAskSubject(ws chat.WorkspaceID, region string) (string, error) {
	return ephSubject(ws, ephAsk, "region", region)
}

// ParseEphAsk is the inverse of EphAskSubject. The error is ErrBadSubject.
func ParseEphAsk(subject string) (ws chat.WorkspaceID, region string, err error) {
	rest, ok := strings.CutPrefix(subject, ephPrefix)
	w, rest, _ := strings.Cut(rest, ".")
	kind, region, _ := strings.Cut(rest, ".")
	if !ok || kind != ephAsk || !chat.IsID(w) || !chat.IsID(region) {
		return "", "", ErrBadSubject
	}
	return chat.WorkspaceID(w), region, nil
}

// EphLeaseSubject is where a gateway tells those of other regions that it lives, eph.-.lease.<region>.<gateway>.
// The error is chat.ErrBadID.
func EphLeaseSubject(region, gateway string) (string, error) {
	key, err := LeaseKey(region, gateway)
	if err != nil {
		return "", fmt.Errorf("lease: %w", err)
	}
	return ephPrefix + wholeSpace + "." + ephLease + "." + key, nil
}

// EphLeaseFilter is the leases of all gateways, eph.-.lease.>.
func EphLeaseFilter() string { return ephPrefix + wholeSpace + "." + ephLease + anythingBelow }

// ParseEphLease is the inverse of EphLeaseSubject. The error is ErrBadSubject.
func ParseEphLease(subject string) (region, gateway string, err error) {
	key, ok := strings.CutPrefix(subject, ephPrefix+wholeSpace+"."+ephLease+".")
	region, gateway, err = ParseLeaseKey(key)
	if !ok || err != nil {
		return "", "", ErrBadSubject
	}
	return region, gateway, nil
}
