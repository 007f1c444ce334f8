package check

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/canopychat/canopy/ops/ctl"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/streams"
	"github.com/canopychat/canopy/streams/bus"
)

const (
	gather       = time.Second            // how long servers have to answer a question to all of them
	fanPause     = 100 * time.Millisecond // between two looks for what takes a moment to get there
	clockFine    = 500 * time.Millisecond // how far clocks may be apart without a word
	clockTooFar  = 30 * time.Second       // from here on resends and invites are judged wrongly
	peerSeenLate = 10 * time.Second       // a replica that said nothing for so long is not there
)

func (d Deployment) js() (jetstream.JetStream, error) {
	return jetstream.NewWithDomain(d.Conn.NATS(), streams.HubDomain)
}

func (d Deployment) hub(ctx context.Context) (Level, string) {
	js, err := d.js()
	if err != nil {
		return failed("%v", err)
	}
	info, err := js.AccountInfo(ctx)
	if err != nil {
		return failed("JetStream of the domain %s does not answer: %v. Are %s and the login right, and is there a quorum of hub servers?", streams.HubDomain, err, "hub.url")
	}
	return OK, fmt.Sprintf("domain %s, %d streams, %d bytes stored", info.Domain, info.Streams, info.Store)
}

// serverJetStream is what a server says of its JetStream.
type serverJetStream struct {
	Server struct {
		Name    string   `json:"name"`
		Version string   `json:"ver"`
		Domain  string   `json:"domain"`
		Tags    []string `json:"tags"`
	} `json:"server"`
	Data struct {
		Disabled bool `json:"disabled"`
		Config   struct {
			SyncAlways   bool          `json:"sync_always"`
			SyncInterval time.Duration `json:"sync_interval"`
		} `json:"config"`
		Meta *struct {
			Leader string `json:"leader"`
			Size   int    `json:"cluster_size"`
		} `json:"meta_cluster"`
	} `json:"data"`
}

// servers asks the hub's servers. Leaves, which are connected too, may answer: they are of another domain.
func (d Deployment) servers(ctx context.Context) ([]serverJetStream, error) {
	inbox := d.System.NewRespInbox()
	answers, err := d.System.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answers.Unsubscribe() }() // the connection ends after the check
	if err := d.System.PublishRequest(streams.SystemJetStream, inbox, nil); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, gather)
	defer cancel()
	var all []serverJetStream
	for {
		m, err := answers.NextMsgWithContext(ctx)
		if err != nil && ctx.Err() == nil {
			return nil, err
		}
		if err != nil {
			slices.SortFunc(all, func(a, b serverJetStream) int { return strings.Compare(a.Server.Name, b.Server.Name) })
			return all, nil
		}
		var s serverJetStream
		if err := json.Unmarshal(m.Data, &s); err != nil {
			return nil, err
		}
		if s.Server.Domain == streams.HubDomain {
			all = append(all, s)
		}
	}
}

// sync says what an acknowledgement means on this hub.
func (d Deployment) sync(ctx context.Context) (Level, string) {
	if d.System == nil {
		return Skip, "needs a login of the system account: --system nats://user:password@host"
	}
	servers, err := d.servers(ctx)
	if err != nil {
		return failed("%v", err)
	}
	var lazy, names []string
	versions := map[string]bool{}
	for _, s := range servers {
		names = append(names, s.Server.Name)
		versions[s.Server.Version] = true
		if !s.Data.Config.SyncAlways {
			lazy = append(lazy, s.Server.Name)
		}
	}
	switch {
	case len(servers) == 0:
		return failed("no server of the domain %s answers in the system account", streams.HubDomain)
	case len(lazy) > 0:
		return Warn, fmt.Sprintf("%s: without sync_interval: always an acknowledged event can be lost when the power goes", strings.Join(lazy, ", "))
	case len(versions) > 1:
		return Warn, fmt.Sprintf("servers of %d versions: finish the upgrade", len(versions))
	}
	return OK, fmt.Sprintf("%s sync each acknowledgement to the disk", strings.Join(names, ", "))
}

// quorum looks whether every stream has a leader and all of its replicas.
func (d Deployment) quorum(ctx context.Context) (Level, string) {
	js, err := d.js()
	if err != nil {
		return failed("%v", err)
	}
	var behind []string
	replicas := 0
	for _, name := range streams.Streams() {
		s, err := js.Stream(ctx, name)
		if err != nil {
			return failed("%s: %v", name, err)
		}
		info := s.CachedInfo()
		replicas = max(replicas, info.Config.Replicas)
		if info.Config.Replicas > 1 && (info.Cluster == nil || info.Cluster.Leader == "") {
			return failed("%s has no leader: fewer than half of its %d replicas are there", name, info.Config.Replicas)
		}
		if info.Cluster == nil {
			continue
		}
		for _, peer := range info.Cluster.Replicas {
			if peer.Offline || !peer.Current || peer.Active > peerSeenLate {
				behind = append(behind, name+" on "+peer.Name)
			}
		}
	}
	switch {
	case len(behind) > 0:
		return Warn, fmt.Sprintf("not current: %s. One more failure may stop these streams", strings.Join(behind, ", "))
	case replicas == 1:
		return Warn, "each stream is on one server only (streams.replicas: 1): its loss is the loss of what it acknowledged"
	}
	return OK, fmt.Sprintf("every stream has its leader and %d current replicas", replicas)
}

func (d Deployment) streams(ctx context.Context) (Level, string) {
	plan, err := ctl.PlanStreams(ctx, d.Conn, d.Streams)
	if err != nil {
		return failed("%v", err)
	}
	if n := len(plan.Changes); n > 0 {
		return failed("%d differ from their files: canopy streams plan shows how, canopy streams apply mends it", n)
	}
	return OK, "streams and consumers are as their files and the settings say"
}

// probeID names this command's probes.
func probeID() (string, error) {
	id, err := uuid.NewV7()
	return chat.IDFromBytes(id), err
}

func (d Deployment) log(ctx context.Context) (Level, string) {
	id, err := probeID()
	if err == nil {
		err = d.Conn.Probe(ctx, id)
	}
	if err != nil {
		return failed("a probe was not stored and given back: %v", err)
	}
	return OK, "a probe was stored and given back"
}

// clock compares this machine's clock with the one that stamps the log.
func (d Deployment) clock(ctx context.Context) (Level, string) {
	js, err := d.js()
	if err != nil {
		return failed("%v", err)
	}
	id, err := probeID()
	if err != nil {
		return failed("%v", err)
	}
	subject, err := streams.ProbeSubject(id)
	if err != nil {
		return failed("%v", err)
	}
	before := time.Now()
	if _, err := js.Publish(ctx, subject, nil); err != nil {
		return failed("%v", err)
	}
	after := time.Now()
	s, err := js.Stream(ctx, streams.StreamProbe)
	if err != nil {
		return failed("%v", err)
	}
	m, err := s.GetLastMsgForSubject(ctx, subject)
	for errors.Is(err, jetstream.ErrMsgNotFound) && bus.Pause(ctx, fanPause) == nil { // a replica may be a moment behind
		m, err = s.GetLastMsgForSubject(ctx, subject)
	}
	if err != nil {
		return failed("%v", err)
	}
	switch off := apart(m.Time, before, after); {
	case off > clockTooFar:
		return failed("the hub's clock and this machine's are %v apart: set them by NTP", off.Round(time.Second))
	case off > clockFine:
		return Warn, fmt.Sprintf("the hub's clock and this machine's are %v apart", off.Round(time.Millisecond))
	}
	return OK, "the hub's clock and this machine's agree"
}

// apart is how far a moment lies outside of the time in which it must have been.
func apart(at, before, after time.Time) time.Duration {
	switch {
	case at.Before(before):
		return before.Sub(at)
	case at.After(after):
		return at.Sub(after)
	}
	return 0
}

// permissions tries what an edge must not be allowed to do, in ways that do no harm when it is.
func (d Deployment) permissions(ctx context.Context) (Level, string) {
	if d.Edge == nil {
		return Skip, "needs a leaf, with the login of its gateways: --edge nats://user:password@host"
	}
	id, err := probeID()
	if err != nil {
		return failed("%v", err)
	}
	fan, err := streams.FanSubject(0, chat.WorkspaceID(id), "")
	if err != nil {
		return failed("%v", err)
	}
	forged, err := d.fanArrives(ctx, fan)
	if err != nil {
		return failed("%v", err)
	}
	var wrong []string
	if forged {
		wrong = append(wrong, "invent live events (publish on "+fan+")")
	}
	// What is refused is not answered. That the hub answers an edge at all, the question before it says.
	if _, err := d.Edge.RequestWithContext(ctx, streams.HubInfoSubject(), nil); err != nil {
		return failed("the hub does not answer through the leaf: %v", err)
	}
	asking, cancel := context.WithTimeout(ctx, gather)
	defer cancel()
	if _, err := d.Edge.RequestWithContext(asking, streams.AbsentStreamDelete, nil); err == nil {
		wrong = append(wrong, "delete streams of the hub")
	} else if ctx.Err() != nil {
		return failed("the leaf did not answer: %v", err)
	}
	if len(wrong) > 0 {
		return failed("an edge may %s: use the accounts of ops/deploy/nats", strings.Join(wrong, ", and "))
	}
	return OK, "an edge can invent no live events and delete no streams"
}

// fanArrives reports whether what the edge publishes where only the log does reaches the hub.
func (d Deployment) fanArrives(ctx context.Context, subject string) (bool, error) {
	nc := d.Conn.NATS()
	seen, err := nc.SubscribeSync(subject)
	if err != nil {
		return false, err
	}
	defer func() { _ = seen.Unsubscribe() }() // the connection ends after the check
	if err := nc.FlushWithContext(ctx); err != nil {
		return false, err
	}
	// A leaf learns of an interest at the hub a moment later: so it is tried again and again.
	for until := time.Now().Add(gather); time.Now().Before(until); {
		if err := d.Edge.Publish(subject, nil); err != nil {
			return false, err
		}
		waiting, cancel := context.WithTimeout(ctx, fanPause)
		_, err := seen.NextMsgWithContext(waiting)
		cancel()
		if err == nil || ctx.Err() != nil {
			return err == nil, ctx.Err()
		}
	}
	return false, nil
}
