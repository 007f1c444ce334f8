package streams

import (
	"errors"
	"fmt"
	"strings"

	"github.com/canopychat/canopy/schemas/chat"
)

// A Bucket is a set of keys with one value each. It is the stream KV_<bucket>, whose subjects are $KV.<bucket>.<key>.
type Bucket string

// The buckets.
const (
	BucketRegistry    Bucket = "registry"    // on the hub: which processes live, what they serve
	BucketRevocations Bucket = "revocations" // on the hub: sign-ins that ended while tokens of theirs are still good
	BucketDeadletters Bucket = "deadletters" // on the hub: which dead letters were dealt with, and up to where none is missing
	BucketPresence    Bucket = "presence"    // in the domain of each leaf: who is online there
)

var (
	// ErrBadBucket says that a name is not that of one of our buckets.
	ErrBadBucket = errors.New("not one of our buckets")
	// ErrBadKey says that a text is not a key that one of our builders made.
	ErrBadKey = errors.New("not a key of this kind")
	// ErrBadDomain says that a name cannot be that of a JetStream domain: the hub's, or a region.
	ErrBadDomain = errors.New("not a JetStream domain of ours")
)

// Headers of an entry of a bucket, and of a consumer that watches one (nats-server stream.go, sdm.go).
const (
	HeaderKVOperation   = "KV-Operation"                        // DEL or PURGE: the key ended
	HeaderTTL           = "Nats-TTL"                            // whole seconds after which the entry ends, such as 30s
	HeaderRollup        = "Nats-Rollup"                         // sub: nothing of the key stays but this
	HeaderExpectedLast  = "Nats-Expected-Last-Subject-Sequence" // the revision that the key must have; 0: none
	HeaderMarkerReason  = "Nats-Marker-Reason"                  // in a mark that the server left: why the key ended
	HeaderLastConsumer  = "Nats-Last-Consumer"                  // in a heartbeat: the number of the last message that was sent
	HeaderStalled       = "Nats-Consumer-Stalled"               // in a heartbeat: where to say that there is room again
	KVPurge             = "PURGE"                               // the operation that our deletes are
	KVDelete            = "DEL"                                 // another client's deletes
	RollupSubject       = "sub"
	BucketMarkerSeconds = 60 // how long a mark of an end stays, as subject_delete_marker_ttl says in the files
)

const (
	bucketStreamPrefix = "KV_"
	bucketPrefix       = "$KV."
	maxKeyTokens       = 4 // of the longest key
	wildToken          = "*"
	wildRest           = ">"
)

// hubBuckets are the buckets that the hub has, leafBuckets those of each leaf.
var (
	hubBuckets  = []Bucket{BucketDeadletters, BucketRegistry, BucketRevocations}
	leafBuckets = []Bucket{BucketPresence}
)

// BucketStream is the stream of a bucket, KV_<bucket>. The error is ErrBadBucket.
func BucketStream(b Bucket) (string, error) {
	switch b {
	case BucketDeadletters, BucketRegistry, BucketRevocations, BucketPresence:
		return bucketStreamPrefix + string(b), nil
	}
	return "", fmt.Errorf("%.40q: %w", string(b), ErrBadBucket)
}

// ParseBucketStream is the inverse of BucketStream. The error is ErrBadStream.
func ParseBucketStream(stream string) (Bucket, error) {
	b, ok := strings.CutPrefix(stream, bucketStreamPrefix)
	if _, err := BucketStream(Bucket(b)); !ok || err != nil {
		return "", ErrBadStream
	}
	return Bucket(b), nil
}

// BucketKeySubject is what the value of a key is stored on, $KV.<bucket>.<key>; the key may also be a filter of keys.
// The error is ErrBadBucket or ErrBadKey.
func BucketKeySubject(b Bucket, key string) (string, error) {
	if _, err := BucketStream(b); err != nil {
		return "", err
	}
	if !isKeyFilter(key) {
		return "", fmt.Errorf("%.40q: %w", key, ErrBadKey)
	}
	return bucketPrefix + string(b) + "." + key, nil
}

// ParseBucketKey is the inverse of BucketKeySubject, for keys only. It allocates nothing: the key is part of
// subject. The error is ErrBadSubject.
func ParseBucketKey(b Bucket, subject string) (key string, err error) {
	rest, ok := strings.CutPrefix(subject, bucketPrefix)
	key, ok2 := strings.CutPrefix(rest, string(b))
	key, ok3 := strings.CutPrefix(key, ".")
	if !ok || !ok2 || !ok3 || !isKey(key) {
		return "", ErrBadSubject
	}
	if _, err := BucketStream(b); err != nil {
		return "", ErrBadSubject
	}
	return key, nil
}

// BucketPutSubject is where a key is written from anywhere, $JS.<domain>.API.$KV.<bucket>.<key>: a plain $KV subject
// does not cross the link between two domains. The error is ErrBadDomain, ErrBadBucket or ErrBadKey.
func BucketPutSubject(domain string, b Bucket, key string) (string, error) {
	api, err := domainAPI(domain)
	if err != nil {
		return "", err
	}
	if !isKey(key) {
		return "", fmt.Errorf("%.40q: %w", key, ErrBadKey)
	}
	subject, err := BucketKeySubject(b, key)
	if err != nil {
		return "", err
	}
	return api + subject, nil
}

// BucketLeaderGetSubject asks the leader of a bucket for one key. The error is ErrBadDomain or ErrBadBucket.
func BucketLeaderGetSubject(domain string, b Bucket) (string, error) {
	return ofBucket(domain, "STREAM.MSG.GET.", b)
}

// BucketDirectGetSubject asks any replica of a bucket for keys. The error is ErrBadDomain or ErrBadBucket.
func BucketDirectGetSubject(domain string, b Bucket) (string, error) {
	return ofBucket(domain, "DIRECT.GET.", b)
}

// BucketWatchSubject makes a consumer of a bucket, of this name. The error is ErrBadDomain, ErrBadBucket or chat.ErrBadID.
func BucketWatchSubject(domain string, b Bucket, consumer string) (string, error) {
	return ofWatch(domain, "CONSUMER.CREATE.", b, consumer)
}

// BucketUnwatchSubject removes such a consumer. The error is ErrBadDomain, ErrBadBucket or chat.ErrBadID.
func BucketUnwatchSubject(domain string, b Bucket, consumer string) (string, error) {
	return ofWatch(domain, "CONSUMER.DELETE.", b, consumer)
}

func ofWatch(domain, api string, b Bucket, consumer string) (string, error) {
	if !chat.IsID(consumer) {
		return "", fmt.Errorf("consumer: %w", chat.ErrBadID)
	}
	of, err := ofBucket(domain, api, b)
	if err != nil {
		return "", err
	}
	return of + "." + consumer, nil
}

func ofBucket(domain, api string, b Bucket) (string, error) {
	prefix, err := domainAPI(domain)
	if err != nil {
		return "", err
	}
	stream, err := BucketStream(b)
	if err != nil {
		return "", err
	}
	return prefix + api + stream, nil
}

// domainAPI is how the subjects of a domain's JetStream API begin. A region is an id.
func domainAPI(domain string) (string, error) {
	if !chat.IsID(domain) {
		return "", fmt.Errorf("%.40q: %w", domain, ErrBadDomain)
	}
	return "$JS." + domain + ".API.", nil
}

// RegistryKey is the key of a process, <role>.<id>. The error is chat.ErrBadID.
func RegistryKey(role, id string) (string, error) { return joinIDs("role", role, "id", id) }

// RegistryFilter is the processes of a role, <role>.*. The error is chat.ErrBadID.
func RegistryFilter(role string) (string, error) {
	if !chat.IsID(role) {
		return "", fmt.Errorf("role: %w", chat.ErrBadID)
	}
	return role + "." + wildToken, nil
}

// ParseRegistryKey is the inverse of RegistryKey. The error is ErrBadKey.
func ParseRegistryKey(key string) (role, id string, err error) {
	var parts [2]string
	if !splitIDs(key, parts[:]) {
		return "", "", ErrBadKey
	}
	return parts[0], parts[1], nil
}

// RevocationKey is the key of a sign-in that ended, <sign_in_id>. (A token.SignInID as a string: names know nothing of
// tokens.) The error is chat.ErrBadID.
func RevocationKey(signIn string) (string, error) {
	if !chat.IsID(signIn) {
		return "", fmt.Errorf("sign_in_id: %w", chat.ErrBadID)
	}
	return signIn, nil
}

// ParseRevocationKey is the inverse of RevocationKey. The error is ErrBadKey.
func ParseRevocationKey(key string) (signIn string, err error) {
	if !chat.IsID(key) {
		return "", ErrBadKey
	}
	return key, nil
}

// A Seat is where a user's presence comes from: one gateway of a region, in one workspace.
type Seat struct {
	Region      string
	WorkspaceID chat.WorkspaceID
	UserID      chat.UserID
	Gateway     string // the id of its process
}

// PresenceKey is the key of a user's state at a gateway, <region>.<ws>.<user>.<gateway>. The region comes first, so
// that no region can overwrite another's. The error is chat.ErrBadID.
func PresenceKey(s Seat) (string, error) {
	return joinIDs("region", s.Region, "workspace_id", string(s.WorkspaceID), "user_id", string(s.UserID), "gateway", s.Gateway)
}

// ParsePresenceKey is the inverse of PresenceKey. It allocates nothing. The error is ErrBadKey.
func ParsePresenceKey(key string) (Seat, error) {
	var parts [4]string
	if !splitIDs(key, parts[:]) {
		return Seat{}, ErrBadKey
	}
	return Seat{parts[0], chat.WorkspaceID(parts[1]), chat.UserID(parts[2]), parts[3]}, nil
}

// PresenceWorkspaceFilter is everybody of a workspace, *.<ws>.*.*. The error is chat.ErrBadID.
func PresenceWorkspaceFilter(ws chat.WorkspaceID) (string, error) {
	if !chat.IsID(string(ws)) {
		return "", fmt.Errorf("workspace_id: %w", chat.ErrBadID)
	}
	return "*." + string(ws) + ".*.*", nil
}

// PresenceGatewayFilter is everybody at a gateway, <region>.*.*.<gateway>. The error is chat.ErrBadID.
func PresenceGatewayFilter(region, gateway string) (string, error) {
	if _, err := LeaseKey(region, gateway); err != nil {
		return "", err
	}
	return region + ".*.*." + gateway, nil
}

// LeaseKey is the key in the bucket presence by which a gateway says that it lives, <region>.<gateway>: when it
// lapses, everybody at that gateway is offline. The error is chat.ErrBadID.
func LeaseKey(region, gateway string) (string, error) {
	return joinIDs("region", region, "gateway", gateway)
}

// ParseLeaseKey is the inverse of LeaseKey. The error is ErrBadKey.
func ParseLeaseKey(key string) (region, gateway string, err error) {
	var parts [2]string
	if !splitIDs(key, parts[:]) {
		return "", "", ErrBadKey
	}
	return parts[0], parts[1], nil
}

// joinIDs takes pairs of what a token is and the token.
func joinIDs(pairs ...string) (string, error) {
	var key strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		if !chat.IsID(pairs[i+1]) {
			return "", fmt.Errorf("%s: %w", pairs[i], chat.ErrBadID)
		}
		if i > 0 {
			key.WriteByte('.')
		}
		key.WriteString(pairs[i+1])
	}
	return key.String(), nil
}

// splitIDs fills parts with the tokens of a key, and reports whether it has exactly so many and each is an id.
func splitIDs(key string, parts []string) bool {
	for i := range parts {
		part, rest, more := strings.Cut(key, ".")
		if !chat.IsID(part) || more != (i < len(parts)-1) {
			return false
		}
		parts[i], key = part, rest
	}
	return true
}

func isKey(key string) bool {
	for n := 1; ; n++ {
		part, rest, more := strings.Cut(key, ".")
		if !chat.IsID(part) || n > maxKeyTokens {
			return false
		}
		if !more {
			return true
		}
		key = rest
	}
}

// isKeyFilter takes keys in which a token may be *, and the last one >.
func isKeyFilter(key string) bool {
	for n := 1; ; n++ {
		part, rest, more := strings.Cut(key, ".")
		if n > maxKeyTokens || (part != wildToken && !chat.IsID(part) && (part != wildRest || more)) {
			return false
		}
		if !more {
			return true
		}
		key = rest
	}
}
