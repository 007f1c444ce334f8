package streams

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/canopychat/canopy/schemas/chat"
)

const (
	// StreamDelivery keeps a job for each message that is owed to somebody who did not confirm it.
	StreamDelivery = "DELIVERY"
	// StreamSched keeps messages and reminders until their time.
	StreamSched = "SCHED"
	// ConsumerDeliver is the durable consumer of each CHAT that finds out who is owed what.
	ConsumerDeliver = "deliver"
	// ConsumerPush is the durable consumer of DELIVERY that tries the jobs which are due.
	ConsumerPush = "push"
	// ConsumerDue is the durable consumer of SCHED that sends what is due.
	ConsumerDue = "due"
)

// Headers of a message that waits for its time (nats-server scheduler.go). HeaderSchedule is "@at <RFC 3339>".
const (
	HeaderSchedule       = "Nats-Schedule"
	HeaderScheduleTarget = "Nats-Schedule-Target" // the subject that it is stored on when it is due
	HeaderScheduler      = "Nats-Scheduler"       // in what was stored then: the subject that it waited on
	HeaderScheduleNext   = "Nats-Schedule-Next"
)

const (
	deliveryPrefix = "delivery."
	schedPrefix    = "sched."
	duePrefix      = "due."
	decidedToken   = "decided"
)

// DeliverySubject is where the jobs of a user lie that are due, delivery.<ws>.<user>. The error is chat.ErrBadID.
func DeliverySubject(ws chat.WorkspaceID, user chat.UserID) (string, error) {
	return userSubject(deliveryPrefix, ws, user)
}

// DeliveryDueFilter is the jobs of all that are due, delivery.*.*: those that wait have one token more.
func DeliveryDueFilter() string { return deliveryPrefix + wildToken + "." + wildToken }

// DeliveryWaitSubject is where the job of a message waits for its next attempt, delivery.<ws>.<user>.<seq>.
// The error is chat.ErrBadID, or ErrBadSubject for a seq that no message has.
func DeliveryWaitSubject(ws chat.WorkspaceID, user chat.UserID, seq chat.Seq) (string, error) {
	head, err := userSubject(deliveryPrefix, ws, user)
	if err != nil {
		return "", err
	}
	if seq == 0 || seq > chat.MaxSeq {
		return "", ErrBadSubject
	}
	return head + "." + strconv.FormatUint(uint64(seq), 10), nil
}

// SchedSubject is where a message or reminder waits for its time, sched.<ws>.<user>.<id>. The error is chat.ErrBadID.
func SchedSubject(ws chat.WorkspaceID, user chat.UserID, id string) (string, error) {
	return userSubject(schedPrefix, ws, user, id)
}

// SchedFilter is all that a user has waiting in a workspace, sched.<ws>.<user>.*. The error is chat.ErrBadID.
func SchedFilter(ws chat.WorkspaceID, user chat.UserID) (string, error) {
	head, err := userSubject(schedPrefix, ws, user)
	if err != nil {
		return "", err
	}
	return head + "." + wildToken, nil
}

// DueSubject is where it lies from its time on, due.<ws>.<user>.<id>. The error is chat.ErrBadID.
func DueSubject(ws chat.WorkspaceID, user chat.UserID, id string) (string, error) {
	return userSubject(duePrefix, ws, user, id)
}

// IsDue reports whether a subject is one of those that the consumer due is given, whatever lies there.
func IsDue(subject string) bool { return strings.HasPrefix(subject, duePrefix) }

// DueFilter is all that is due, due.>.
func DueFilter() string { return duePrefix + wildRest }

// SchedDecidedSubject is where it is written down, once, whether it became due or was cancelled, sched.<ws>.<user>.<id>.decided.
// The error is chat.ErrBadID.
func SchedDecidedSubject(ws chat.WorkspaceID, user chat.UserID, id string) (string, error) {
	return userSubject(schedPrefix, ws, user, id, decidedToken)
}

// ParseDelivery is the inverse of DeliverySubject and DeliveryWaitSubject; seq is 0 for a job that is due. The error is ErrBadSubject.
func ParseDelivery(subject string) (ws chat.WorkspaceID, user chat.UserID, seq chat.Seq, err error) {
	rest, ok := strings.CutPrefix(subject, deliveryPrefix)
	parts := strings.Split(rest, ".")
	if !ok || len(parts) < 2 || len(parts) > 3 || !chat.IsID(parts[0]) || !chat.IsID(parts[1]) {
		return "", "", 0, ErrBadSubject
	}
	if len(parts) == 3 {
		n, err := strconv.ParseUint(parts[2], 10, 48)
		if err != nil || n == 0 || strconv.FormatUint(n, 10) != parts[2] {
			return "", "", 0, ErrBadSubject
		}
		seq = chat.Seq(n)
	}
	return chat.WorkspaceID(parts[0]), chat.UserID(parts[1]), seq, nil
}

// ParseSched is the inverse of SchedSubject and DueSubject; due says which. The error is ErrBadSubject.
func ParseSched(subject string) (ws chat.WorkspaceID, user chat.UserID, id string, due bool, err error) {
	rest, ok := strings.CutPrefix(subject, schedPrefix)
	if !ok {
		rest, due = strings.CutPrefix(subject, duePrefix)
	}
	parts := strings.Split(rest, ".")
	if (!ok && !due) || len(parts) != 3 || !chat.IsID(parts[0]) || !chat.IsID(parts[1]) || !chat.IsID(parts[2]) {
		return "", "", "", false, ErrBadSubject
	}
	return chat.WorkspaceID(parts[0]), chat.UserID(parts[1]), parts[2], due, nil
}

// LaterStream is the stream that keeps what lies or waits on a subject: StreamDelivery or StreamSched. The error is ErrBadSubject.
func LaterStream(subject string) (string, error) {
	if _, _, _, err := ParseDelivery(subject); err == nil {
		return StreamDelivery, nil
	}
	if _, _, _, _, err := ParseSched(subject); err == nil {
		return StreamSched, nil
	}
	if waits, ok := strings.CutSuffix(subject, "."+decidedToken); ok {
		if _, _, _, due, err := ParseSched(waits); err == nil && !due {
			return StreamSched, nil
		}
	}
	return "", ErrBadSubject
}

func userSubject(prefix string, ws chat.WorkspaceID, user chat.UserID, more ...string) (string, error) {
	if !chat.IsID(string(ws)) {
		return "", fmt.Errorf("workspace_id: %w", chat.ErrBadID)
	}
	if !chat.IsID(string(user)) {
		return "", fmt.Errorf("user_id: %w", chat.ErrBadID)
	}
	subject := prefix + string(ws) + "." + string(user)
	for _, token := range more {
		if !chat.IsID(token) {
			return "", fmt.Errorf("id: %w", chat.ErrBadID)
		}
		subject += "." + token
	}
	return subject, nil
}
