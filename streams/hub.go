package streams

import (
	"fmt"
	"slices"
	"strings"
)

const (
	// HubDomain is the JetStream domain of the hub: what a PubAck must name, and the part of an API
	// subject by which a request crosses the leaf link. A leaf's domain is its region's name.
	HubDomain = "hub"
	// AccountApp is the account that everything of ours lives in, on the hub and on every leaf.
	AccountApp = "CANOPY"
	// AccountSystem is the server's own account. It never crosses a leaf link.
	AccountSystem = "SYS"

	// StreamAdvisories keeps what the server says once about events that were given up or parked.
	StreamAdvisories = "ADVISORIES"
	// ConsumerPersist is the durable consumer of each CHAT stream that fills the Messages store. An event that it delivered
	// is delivered again after half a minute without an ack (backoff in CHAT_<shard>.persist.json). Shorter would make an outage of the
	// store dear: whoever holds thousands of events marks each as in progress three times in that time. And an election of
	// 4 to 9 s, in which no mark arrives, would spend a delivery of each. What it costs: after a kill of the process others wait so long
	// for what it held, and history answers with that part of the log's tail instead. A process that ends in good order
	// gives back what it holds at once.
	ConsumerPersist = "persist"
)

const (
	hubAPI        = "$JS." + HubDomain + ".API."
	leaderElected = "$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED."
	ofConsumer    = "$JS.EVENT.ADVISORY.CONSUMER."
)

// Streams are all streams of the hub, sorted; a bucket is one of them.
func Streams() []string {
	names := append(ChatStreams(), StreamAdvisories, StreamProbe, StreamDLQ, StreamDelivery, StreamSched)
	for _, b := range hubBuckets {
		names = append(names, bucketStreamPrefix+string(b))
	}
	slices.Sort(names)
	return names
}

// LeafStreams are all streams of a leaf's own domain, sorted.
func LeafStreams() []string {
	names := make([]string, 0, len(leafBuckets))
	for _, b := range leafBuckets {
		names = append(names, bucketStreamPrefix+string(b))
	}
	slices.Sort(names)
	return names
}

// Consumers are the durable consumers of a stream. The error is ErrBadStream.
func Consumers(stream string) ([]string, error) {
	if _, err := ParseChatStream(stream); err == nil {
		return []string{ConsumerDeliver, ConsumerPersist}, nil
	}
	switch stream {
	case StreamAdvisories:
		return []string{ConsumerDeadletter}, nil
	case StreamDelivery:
		return []string{ConsumerPush}, nil
	case StreamSched:
		return []string{ConsumerDue}, nil
	}
	return nil, checkStream(stream)
}

// DirectGetSubject asks any replica of a stream for one event or a batch of them. The answer may be
// older than the leader's. The error is ErrBadStream.
func DirectGetSubject(stream string) (string, error) {
	return ofStream(hubAPI+"DIRECT.GET.", stream)
}

// LeaderGetSubject asks the leader of a stream for one event. The error is ErrBadStream.
func LeaderGetSubject(stream string) (string, error) {
	return ofStream(hubAPI+"STREAM.MSG.GET.", stream)
}

// StreamInfoSubject asks the leader of a stream about its state. The error is ErrBadStream.
func StreamInfoSubject(stream string) (string, error) { return ofStream(hubAPI+"STREAM.INFO.", stream) }

// ConsumerInfoSubject asks the leader of a consumer about its limits and its state. The error is
// ErrBadStream or ErrBadSubject.
func ConsumerInfoSubject(stream, consumer string) (string, error) {
	return ofConsumerOf(hubAPI+"CONSUMER.INFO.", stream, consumer)
}

// ConsumerNextSubject asks a consumer for its next events. The error is ErrBadStream or ErrBadSubject.
func ConsumerNextSubject(stream, consumer string) (string, error) {
	return ofConsumerOf(hubAPI+"CONSUMER.MSG.NEXT.", stream, consumer)
}

// EraseSubject asks the leader of a stream to overwrite one event and take it out. The error is ErrBadStream.
func EraseSubject(stream string) (string, error) {
	return ofStream(hubAPI+"STREAM.MSG.DELETE.", stream)
}

// PurgeSubject asks the leader of a stream to take out what lies on the subjects that the request names. The error is ErrBadStream.
func PurgeSubject(stream string) (string, error) { return ofStream(hubAPI+"STREAM.PURGE.", stream) }

// StepDownSubject asks the leader of a stream to hand over to another replica. The error is ErrBadStream.
func StepDownSubject(stream string) (string, error) {
	return ofStream(hubAPI+"STREAM.LEADER.STEPDOWN.", stream)
}

// HubInfoSubject asks the hub about our account's JetStream. It is the cheapest question that only a
// working link and a working hub can answer.
func HubInfoSubject() string { return hubAPI + "INFO" }

// LeaderElectedSubject is where the hub says that a replicated stream has a new leader: events that
// the old one stored last may not have been republished. The error is ErrBadStream.
func LeaderElectedSubject(stream string) (string, error) { return ofStream(leaderElected, stream) }

// LeaderElectedFilter is the advisory of every stream; a leaf's own streams are among them.
func LeaderElectedFilter() string { return leaderElected + ">" }

// ParseLeaderElected is the inverse of LeaderElectedSubject. The error is ErrBadSubject, also for a
// stream that is not ours.
func ParseLeaderElected(subject string) (stream string, err error) {
	stream, ok := strings.CutPrefix(subject, leaderElected)
	if !ok || checkStream(stream) != nil {
		return "", ErrBadSubject
	}
	return stream, nil
}

// An Advisory is why the server will not deliver an event to a consumer again.
type Advisory string

// The advisories that the stream ADVISORIES keeps.
const (
	GivenUp Advisory = "MAX_DELIVERIES" // it was tried MaxDeliver times
	Parked  Advisory = "MSG_TERMINATED" // the consumer refused it, with a reason
)

// AdvisorySubject is where the hub says once, on core NATS, that a consumer of ours lost an event.
// The error is ErrBadStream or ErrBadSubject.
func AdvisorySubject(what Advisory, stream, consumer string) (string, error) {
	consumers, err := Consumers(stream)
	if err != nil {
		return "", err
	}
	if (what != GivenUp && what != Parked) || !slices.Contains(consumers, consumer) {
		return "", ErrBadSubject
	}
	return ofConsumer + string(what) + "." + stream + "." + consumer, nil
}

// AdvisoryFilter is an advisory about any stream and consumer. The error is ErrBadSubject.
func AdvisoryFilter(what Advisory) (string, error) {
	if what != GivenUp && what != Parked {
		return "", ErrBadSubject
	}
	return ofConsumer + string(what) + anythingBelow, nil
}

// ParseAdvisory is the inverse of AdvisorySubject. The error is ErrBadSubject, also for a stream or
// consumer that is not ours.
func ParseAdvisory(subject string) (what Advisory, stream, consumer string, err error) {
	rest, ok := strings.CutPrefix(subject, ofConsumer)
	kind, rest, _ := strings.Cut(rest, ".")
	stream, consumer, _ = strings.Cut(rest, ".")
	if _, err := AdvisorySubject(Advisory(kind), stream, consumer); !ok || err != nil {
		return "", "", "", ErrBadSubject
	}
	return Advisory(kind), stream, consumer, nil
}

func ofStream(prefix, stream string) (string, error) {
	if err := checkStream(stream); err != nil {
		return "", err
	}
	return prefix + stream, nil
}

// ofConsumerOf lets only our own streams and consumers into a request.
func ofConsumerOf(prefix, stream, consumer string) (string, error) {
	consumers, err := Consumers(stream)
	if err != nil {
		return "", err
	}
	if !slices.Contains(consumers, consumer) {
		return "", ErrBadSubject
	}
	return prefix + stream + "." + consumer, nil
}

// checkStream knows our streams by name, so nothing that could be a wildcard gets into a request.
func checkStream(stream string) error {
	switch stream {
	case StreamAdvisories, StreamProbe, StreamDLQ, StreamDelivery, StreamSched:
		return nil
	}
	if b, err := ParseBucketStream(stream); err == nil && slices.Contains(hubBuckets, b) {
		return nil
	}
	if _, err := ParseChatStream(stream); err != nil {
		return fmt.Errorf("%.40q: %w", stream, ErrBadStream)
	}
	return nil
}
