package provision

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// An Action is what a Change does.
type Action string

// The actions.
const (
	Create Action = "create"
	Update Action = "update"
	Refuse Action = "refuse" // it cannot be made so without losing something; Apply stops
)

// A Change is one stream or consumer that differs from what is wanted.
type Change struct {
	Action   Action
	Stream   string
	Consumer string  // empty: the stream itself
	Fields   []Field // what differs, sorted by name; of a Create, nothing

	streamConfig   *jetstream.StreamConfig   // what Apply sends, or
	consumerConfig *jetstream.ConsumerConfig // this
}

// A Field is one setting that differs. Its name is the one in the JSON file, with dots for nested ones.
type Field struct {
	Name, From, To string // From and To as in the JSON file; empty: not set
	Reason         string // why it is not changed; empty: it can be
}

// Plan compares the hub with what is wanted. Nothing is changed; no difference is an empty plan.
func (w *Wanted) Plan(ctx context.Context, js jetstream.JetStream) ([]Change, error) {
	var plan []Change
	missing := map[string]bool{}
	for _, config := range w.streams {
		stream, err := streamOf(ctx, js, config.Name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			missing[config.Name] = true
			plan = append(plan, Change{Action: Create, Stream: config.Name, streamConfig: &config})
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("stream %s: %w", config.Name, err)
		}
		change, err := w.compareStream(config, stream.CachedInfo())
		if err != nil {
			return nil, err
		}
		plan = append(plan, change...)
	}
	for _, c := range w.consumers {
		change, err := planConsumer(ctx, js, c, missing[c.stream])
		if err != nil {
			return nil, err
		}
		plan = append(plan, change...)
	}
	return plan, nil
}

func planConsumer(ctx context.Context, js jetstream.JetStream, c consumer, create bool) ([]Change, error) {
	if !create {
		has, err := js.Consumer(ctx, c.stream, c.config.Durable)
		if err == nil {
			return compareConsumer(c, has.CachedInfo().Config)
		}
		if !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return nil, fmt.Errorf("consumer %s of %s: %w", c.config.Durable, c.stream, err)
		}
	}
	config := c.config
	return []Change{{Action: Create, Stream: c.stream, Consumer: c.config.Durable, consumerConfig: &config}}, nil
}

// compareStream is at most one change.
func (w *Wanted) compareStream(want jetstream.StreamConfig, info *jetstream.StreamInfo) ([]Change, error) {
	want.Metadata = keepForeign(want.Metadata, info.Config.Metadata)
	want.FirstSeq = info.Config.FirstSeq // where a log begins was decided when it was made (Renew)
	fields, err := diff(want, info.Config)
	if err != nil || len(fields) == 0 {
		return nil, err
	}
	for i := range fields {
		fields[i].Reason = fixedStream[fields[i].Name]
	}
	judge(fields, "subjects", lostSubjects(want, info.Config))
	judge(fields, "allow_msg_ttl", cannotUnset(info.Config.AllowMsgTTL, want.AllowMsgTTL))
	judge(fields, "allow_msg_schedules", cannotUnset(info.Config.AllowMsgSchedules, want.AllowMsgSchedules))
	judge(fields, "deny_delete", cannotUnset(info.Config.DenyDelete, want.DenyDelete))
	judge(fields, "deny_purge", cannotUnset(info.Config.DenyPurge, want.DenyPurge))
	judge(fields, "sealed", cannotUnset(info.Config.Sealed, want.Sealed))
	if !w.allowLoss {
		judge(fields, "max_age", tooOld(want.MaxAge, info))
		judge(fields, "max_bytes", tooMany("bytes", want.MaxBytes, info.State.Bytes))
		judge(fields, "max_msgs", tooMany("messages", want.MaxMsgs, info.State.Msgs))
		judge(fields, "max_msgs_per_subject", shrinks(want.MaxMsgsPerSubject, info.Config.MaxMsgsPerSubject))
	}
	return []Change{{Action: actionOf(fields), Stream: want.Name, Fields: fields, streamConfig: &want}}, nil
}

// compareConsumer is at most one change.
func compareConsumer(c consumer, has jetstream.ConsumerConfig) ([]Change, error) {
	want := c.config
	want.Metadata = keepForeign(want.Metadata, has.Metadata)
	want.PauseUntil = has.PauseUntil // an operator pauses a consumer and means it
	fields, err := diff(want, has)
	if err != nil || len(fields) == 0 {
		return nil, err
	}
	for i := range fields {
		fields[i].Reason = fixedConsumer[fields[i].Name]
	}
	return []Change{{Action: actionOf(fields), Stream: c.stream, Consumer: want.Durable, Fields: fields, consumerConfig: &want}}, nil
}

func actionOf(fields []Field) Action {
	for _, f := range fields {
		if f.Reason != "" {
			return Refuse
		}
	}
	return Update
}

func judge(fields []Field, name, reason string) {
	for i := range fields {
		if fields[i].Name == name && reason != "" {
			fields[i].Reason = reason
		}
	}
}

const (
	serverRefuses = "the server cannot change it on an existing stream"
	wouldSkip     = "its position would stay, and events that it never saw would be skipped"
	wouldRefuse   = "the server cannot change it on an existing consumer"
	needsLoss     = "; --allow-loss does it"
)

// fixedStream are the settings of a stream that are never changed, with the reason (nats-server,
// stream.go configUpdateCheck). Retention may change at the server, but drops what no consumer wants.
var fixedStream = map[string]string{
	"storage":           serverRefuses,
	"retention":         "another retention drops messages",
	"mirror.name":       serverRefuses,
	"allow_msg_counter": serverRefuses,
	"persist_mode":      serverRefuses,
}

// fixedConsumer is the same for consumers (consumer.go checkNewConsumerConfig).
var fixedConsumer = map[string]string{
	"deliver_policy":  wouldRefuse,
	"opt_start_seq":   wouldRefuse,
	"opt_start_time":  wouldRefuse,
	"ack_policy":      wouldRefuse,
	"replay_policy":   wouldRefuse,
	"max_waiting":     wouldRefuse,
	"mem_storage":     wouldRefuse,
	"deliver_subject": wouldRefuse,
	"idle_heartbeat":  wouldRefuse,
	"flow_control":    wouldRefuse,
	"filter_subject":  wouldSkip,
	"filter_subjects": wouldSkip,
}

func cannotUnset(has, want bool) string {
	if has && !want {
		return serverRefuses
	}
	return ""
}

// lostSubjects says whether something that is stored now would find no stream any more.
func lostSubjects(want, has jetstream.StreamConfig) string {
	still := map[string]bool{}
	for _, s := range want.Subjects {
		still[s] = true
	}
	for _, s := range has.Subjects {
		if !still[s] {
			return fmt.Sprintf("what is published on %s would find no stream", s)
		}
	}
	return ""
}

// tooOld judges max_age by the oldest message, on the server's clock.
func tooOld(want time.Duration, info *jetstream.StreamInfo) string {
	if want <= 0 || info.State.Msgs == 0 {
		return ""
	}
	if age := info.TimeStamp.Sub(info.State.FirstTime); age > want {
		return fmt.Sprintf("messages up to %v old would be dropped%s", age.Round(time.Second), needsLoss)
	}
	return ""
}

func tooMany(what string, want int64, has uint64) string {
	if want <= 0 || has <= uint64(want) {
		return ""
	}
	return fmt.Sprintf("it holds %d %s%s", has, what, needsLoss)
}

func shrinks(want, has int64) string {
	if want > 0 && (has <= 0 || want < has) {
		return "messages beyond it would be dropped" + needsLoss
	}
	return ""
}
