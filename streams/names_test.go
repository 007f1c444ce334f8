package streams_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/streams"
)

// hostile are strings that are no id, stream, consumer, service or method, and no part of a message id.
var hostile = []string{
	"", "*", ">", ".", "..", "a.b", "a.>", ".a", "a.", "\x00", "a\x00b", " ", "a b", "\t", "\r\n", "a\nb", "a\rb",
	"A", "ABC", "é", "日本", "\u200b", "\xff", "a/b", "../../etc", "$JS", "$JS.API.INFO", "$SYS", "_INBOX", "_INBOX.x", "$KV",
	"-", "_", "chat.0.w.c", strings.Repeat("a", 300), strings.Repeat("a", 27), strings.Repeat(".", 300),
}

// builders has every exported function of the package that makes a name of something it is given: one
// call for each place that a hostile string can stand in. TestEveryBuilderIsFed finds one that is missing.
var builders = map[string][]func(bad string) (string, error){
	"ChatSubject": {
		func(bad string) (string, error) { return streams.ChatSubject(0, chat.WorkspaceID(bad), "c") },
		func(bad string) (string, error) { return streams.ChatSubject(0, "w", channel(bad)) },
	},
	"ChatWorkspaceFilter": {
		func(bad string) (string, error) { return streams.ChatWorkspaceFilter(0, chat.WorkspaceID(bad)) },
	},
	"ChatShardFilter": {func(string) (string, error) { return streams.ChatShardFilter(streams.Shards) }},
	"ChatStream":      {func(string) (string, error) { return noStream(streams.ChatStream(-1)) }},
	"FanSubject": {
		func(bad string) (string, error) { return streams.FanSubject(0, chat.WorkspaceID(bad), "c") },
		func(bad string) (string, error) { return streams.FanSubject(0, "w", channel(bad)) },
	},
	"FanWorkspaceFilter": {
		func(bad string) (string, error) { return streams.FanWorkspaceFilter(0, chat.WorkspaceID(bad)) },
	},
	"DirectGetSubject":  {streams.DirectGetSubject},
	"LeaderGetSubject":  {streams.LeaderGetSubject},
	"EraseSubject":      {streams.EraseSubject},
	"StepDownSubject":   {streams.StepDownSubject},
	"StreamInfoSubject": {streams.StreamInfoSubject},
	"ConsumerInfoSubject": {
		func(bad string) (string, error) { return streams.ConsumerInfoSubject(bad, "persist") },
		func(bad string) (string, error) { return streams.ConsumerInfoSubject("CHAT_0", bad) },
	},
	"ConsumerNextSubject": {
		func(bad string) (string, error) { return streams.ConsumerNextSubject(bad, "persist") },
		func(bad string) (string, error) { return streams.ConsumerNextSubject("CHAT_0", bad) },
	},
	"LeaderElectedSubject": {streams.LeaderElectedSubject},
	"AdvisorySubject": {
		func(bad string) (string, error) {
			return streams.AdvisorySubject(streams.Advisory(bad), "CHAT_0", "persist")
		},
		func(bad string) (string, error) { return streams.AdvisorySubject(streams.Parked, bad, "persist") },
		func(bad string) (string, error) { return streams.AdvisorySubject(streams.Parked, "CHAT_0", bad) },
	},
	"AdvisoryFilter": {
		func(bad string) (string, error) { return streams.AdvisoryFilter(streams.Advisory(bad)) },
	},
	"PostMsgID": {
		func(bad string) (string, error) { return streams.PostMsgID(chat.UserID(bad), "m") },
		func(bad string) (string, error) { return streams.PostMsgID("u", chat.ClientMsgID(clientMsgID(bad))) },
	},
	"ChangeMsgID": {
		func(bad string) (string, error) { return streams.ChangeMsgID(chat.UserID(bad), "m") },
		func(bad string) (string, error) { return streams.ChangeMsgID("u", clientMsgID(bad)) },
	},
	"BucketStream": {func(bad string) (string, error) { return streams.BucketStream(streams.Bucket(bad)) }},
	"BucketKeySubject": {
		func(bad string) (string, error) { return streams.BucketKeySubject(streams.Bucket(bad), "k") },
		func(bad string) (string, error) { return streams.BucketKeySubject(streams.BucketRegistry, filter(bad)) },
	},
	"BucketPutSubject": {
		func(bad string) (string, error) { return streams.BucketPutSubject(bad, streams.BucketRegistry, "k") },
		func(bad string) (string, error) { return streams.BucketPutSubject("hub", streams.Bucket(bad), "k") },
		func(bad string) (string, error) {
			return streams.BucketPutSubject("hub", streams.BucketRegistry, key(bad))
		},
	},
	"BucketLeaderGetSubject": {
		func(bad string) (string, error) { return streams.BucketLeaderGetSubject(bad, streams.BucketRegistry) },
		func(bad string) (string, error) { return streams.BucketLeaderGetSubject("hub", streams.Bucket(bad)) },
	},
	"BucketDirectGetSubject": {
		func(bad string) (string, error) { return streams.BucketDirectGetSubject(bad, streams.BucketRegistry) },
		func(bad string) (string, error) { return streams.BucketDirectGetSubject("hub", streams.Bucket(bad)) },
	},
	"BucketWatchSubject": {
		func(bad string) (string, error) { return streams.BucketWatchSubject(bad, streams.BucketRegistry, "x") },
		func(bad string) (string, error) { return streams.BucketWatchSubject("hub", streams.Bucket(bad), "x") },
		func(bad string) (string, error) {
			return streams.BucketWatchSubject("hub", streams.BucketRegistry, bad)
		},
	},
	"BucketUnwatchSubject": {
		func(bad string) (string, error) {
			return streams.BucketUnwatchSubject(bad, streams.BucketRegistry, "x")
		},
		func(bad string) (string, error) { return streams.BucketUnwatchSubject("hub", streams.Bucket(bad), "x") },
		func(bad string) (string, error) {
			return streams.BucketUnwatchSubject("hub", streams.BucketRegistry, bad)
		},
	},
	"RegistryKey": {
		func(bad string) (string, error) { return streams.RegistryKey(bad, "p") },
		func(bad string) (string, error) { return streams.RegistryKey("gateway", bad) },
	},
	"RegistryFilter": {streams.RegistryFilter},
	"RevocationKey":  {streams.RevocationKey},
	"PresenceKey": {
		func(bad string) (string, error) { return streams.PresenceKey(seat(bad, "w", "u", "g")) },
		func(bad string) (string, error) {
			return streams.PresenceKey(seat("eu1", bad, "u", "g"))
		},
		func(bad string) (string, error) {
			return streams.PresenceKey(seat("eu1", "w", bad, "g"))
		},
		func(bad string) (string, error) { return streams.PresenceKey(seat("eu1", "w", "u", bad)) },
	},
	"PresenceWorkspaceFilter": {
		func(bad string) (string, error) { return streams.PresenceWorkspaceFilter(chat.WorkspaceID(bad)) },
	},
	"PresenceGatewayFilter": {
		func(bad string) (string, error) { return streams.PresenceGatewayFilter(bad, "g") },
		func(bad string) (string, error) { return streams.PresenceGatewayFilter("eu1", bad) },
	},
	"LeaseKey": {
		func(bad string) (string, error) { return streams.LeaseKey(bad, "g") },
		func(bad string) (string, error) { return streams.LeaseKey("eu1", bad) },
	},
	"EphTypingSubject": {
		func(bad string) (string, error) { return streams.EphTypingSubject(chat.WorkspaceID(bad), "c") },
		func(bad string) (string, error) { return streams.EphTypingSubject("w", chat.ChannelID(bad)) },
	},
	"EphPresenceSubject": {
		func(bad string) (string, error) { return streams.EphPresenceSubject(chat.WorkspaceID(bad), "u") },
		func(bad string) (string, error) { return streams.EphPresenceSubject("w", chat.UserID(bad)) },
	},
	"EphWorkspaceFilter": {
		func(bad string) (string, error) { return streams.EphWorkspaceFilter(chat.WorkspaceID(bad)) },
	},
	"EphAskSubject": {
		func(bad string) (string, error) { return streams.EphAskSubject(chat.WorkspaceID(bad), "eu1") },
		func(bad string) (string, error) { return streams.EphAskSubject("w", bad) },
	},
	"EphLeaseSubject": {
		func(bad string) (string, error) { return streams.EphLeaseSubject(bad, "g") },
		func(bad string) (string, error) { return streams.EphLeaseSubject("eu1", bad) },
	},
	"EphReadSubject": {
		func(bad string) (string, error) { return streams.EphReadSubject(chat.WorkspaceID(bad), "u") },
		func(bad string) (string, error) { return streams.EphReadSubject("w", chat.UserID(bad)) },
	},
	"ProbeSubject": {streams.ProbeSubject},
	"PurgeSubject": {streams.PurgeSubject},
	"DLQSubject": {
		func(bad string) (string, error) { return streams.DLQSubject(bad, "persist") },
		func(bad string) (string, error) { return streams.DLQSubject("CHAT_0", bad) },
	},
	"ParkedSubject": {
		func(bad string) (string, error) { return streams.ParkedSubject(bad, "persist") },
		func(bad string) (string, error) { return streams.ParkedSubject("CHAT_0", bad) },
	},
	"DeadMsgID": {
		func(bad string) (string, error) { return streams.DeadMsgID(bad, "persist", 1) },
		func(bad string) (string, error) { return streams.DeadMsgID("CHAT_0", bad, 1) },
	},
	"DeadFilter": {
		func(bad string) (string, error) { return streams.DeadFilter(bad+"x", "") },
		func(bad string) (string, error) { return streams.DeadFilter("", bad+"*") },
	},
	"EndedKey": {
		func(bad string) (string, error) { return streams.EndedKey(bad, "persist", 1) },
		func(bad string) (string, error) { return streams.EndedKey("CHAT_0", bad, 1) },
	},
	"CheckedKey": {
		func(bad string) (string, error) { return streams.CheckedKey(bad, "persist") },
		func(bad string) (string, error) { return streams.CheckedKey("CHAT_0", bad) },
	},
	"DeliverySubject": {
		func(bad string) (string, error) { return streams.DeliverySubject(chat.WorkspaceID(bad), "u") },
		func(bad string) (string, error) { return streams.DeliverySubject("w", chat.UserID(bad)) },
	},
	"DeliveryWaitSubject": {
		func(bad string) (string, error) { return streams.DeliveryWaitSubject(chat.WorkspaceID(bad), "u", 1) },
		func(bad string) (string, error) { return streams.DeliveryWaitSubject("w", chat.UserID(bad), 1) },
		func(string) (string, error) { return streams.DeliveryWaitSubject("w", "u", 0) },
		func(string) (string, error) { return streams.DeliveryWaitSubject("w", "u", chat.MaxSeq+1) },
	},
	"SchedSubject": {
		func(bad string) (string, error) { return streams.SchedSubject(chat.WorkspaceID(bad), "u", "i") },
		func(bad string) (string, error) { return streams.SchedSubject("w", chat.UserID(bad), "i") },
		func(bad string) (string, error) { return streams.SchedSubject("w", "u", bad) },
	},
	"SchedFilter": {
		func(bad string) (string, error) { return streams.SchedFilter(chat.WorkspaceID(bad), "u") },
		func(bad string) (string, error) { return streams.SchedFilter("w", chat.UserID(bad)) },
	},
	"DueSubject": {
		func(bad string) (string, error) { return streams.DueSubject(chat.WorkspaceID(bad), "u", "i") },
		func(bad string) (string, error) { return streams.DueSubject("w", chat.UserID(bad), "i") },
		func(bad string) (string, error) { return streams.DueSubject("w", "u", bad) },
	},
	"SchedDecidedSubject": {
		func(bad string) (string, error) {
			return streams.SchedDecidedSubject(chat.WorkspaceID(bad), "u", "i")
		},
		func(bad string) (string, error) { return streams.SchedDecidedSubject("w", chat.UserID(bad), "i") },
		func(bad string) (string, error) { return streams.SchedDecidedSubject("w", "u", bad) },
	},
	"JobMsgID": {
		func(bad string) (string, error) { return streams.JobMsgID(chat.WorkspaceID(bad), "u", 1, 0) },
		func(bad string) (string, error) { return streams.JobMsgID("w", chat.UserID(bad), 1, 0) },
		func(string) (string, error) { return streams.JobMsgID("w", "u", 0, 0) },
		func(string) (string, error) { return streams.JobMsgID("w", "u", 1, -1) },
	},
	"LaterStream": {streams.LaterStream},
	"OutboxMsgID": {func(string) (string, error) { return streams.OutboxMsgID(-1) }},
	"RPCSubject": {
		func(bad string) (string, error) {
			return streams.RPCSubject(streams.Service(bad), streams.DirectoryKeys)
		},
		func(bad string) (string, error) {
			return streams.RPCSubject(streams.ServiceDirectory, streams.Method(bad))
		},
		func(bad string) (string, error) { // it has no methods
			return streams.RPCSubject(streams.ServiceGateway, streams.Method(bad))
		},
	},
}

// key keeps to what is bad in a bucket's key, which has several tokens.
func key(bad string) string {
	if bad == "a.b" || bad == "chat.0.w.c" {
		return bad + "."
	}
	return bad
}

// filter keeps to what is bad in a filter of keys as well.
func filter(bad string) string {
	if bad == "*" || bad == ">" || bad == "a.>" {
		return bad + ".."
	}
	return key(bad)
}

func seat(region, ws, user, gateway string) streams.Seat {
	return streams.Seat{Region: region, WorkspaceID: chat.WorkspaceID(ws), UserID: chat.UserID(user), Gateway: gateway}
}

// channel skips the empty one, which means the whole workspace.
func channel(bad string) chat.ChannelID {
	if bad == "" {
		return "*"
	}
	return chat.ChannelID(bad)
}

// clientMsgID keeps to what is bad in a client_msg_id, which may hold more than an id may.
func clientMsgID(bad string) string {
	if _, err := chat.ParseClientMsgID(bad); err == nil {
		return bad + "."
	}
	return bad
}

// noStream turns a stream's name into the refusal of the builders that take one.
func noStream(name string) (string, error) { return streams.DirectGetSubject(name) }

func TestABuilderRefusesWhatIsNotAPlainToken(t *testing.T) {
	for name, places := range builders {
		for i, build := range places {
			for _, bad := range hostile {
				if got, err := build(bad); err == nil || got != "" {
					t.Errorf("%s, place %d, of %q = %q, %v; want an error and no name", name, i, bad, got, err)
				}
			}
		}
	}
}

func TestTheErrorOfAnIDIsErrBadID(t *testing.T) {
	for _, bad := range hostile {
		if _, err := streams.ChatSubject(0, chat.WorkspaceID(bad), "c"); !errors.Is(err, chat.ErrBadID) {
			t.Errorf("workspace %q: %v", bad, err)
		}
		if _, err := streams.ChatSubject(0, "w", channel(bad)); !errors.Is(err, chat.ErrBadID) {
			t.Errorf("channel %q: %v", bad, err)
		}
	}
	for _, shard := range []streams.Shard{-1, streams.Shards, 1 << 40} {
		if _, err := streams.ChatSubject(shard, "w", "c"); !errors.Is(err, streams.ErrBadShard) {
			t.Errorf("shard %d: %v", shard, err)
		}
		if _, err := streams.ParseChatStream(streams.ChatStream(shard)); !errors.Is(err, streams.ErrBadStream) {
			t.Errorf("shard %d names a stream", shard)
		}
	}
}

func TestEveryServiceSaysWhatItIsFor(t *testing.T) {
	for _, s := range streams.Services() {
		if s.Description() == "" {
			t.Errorf("%s has no description", s)
		}
	}
}

// TestEveryBuilderIsFed reads the package's source, so that a builder that somebody adds must be added to the
// table too: an exported function that takes something and returns a string, alone or with an error.
func TestEveryBuilderIsFed(t *testing.T) {
	found := map[string]bool{}
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range sources {
		if strings.HasSuffix(source, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), source, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || !f.Name.IsExported() || f.Recv != nil || f.Type.Params.NumFields() == 0 || f.Type.Results.NumFields() == 0 {
				continue
			}
			result, isName := f.Type.Results.List[0].Type.(*ast.Ident)
			if isName && result.Name == "string" && !strings.HasPrefix(f.Name.Name, "Parse") {
				found[f.Name.Name] = true
			}
		}
	}
	want, got := slices.Sorted(maps.Keys(found)), slices.Sorted(maps.Keys(builders))
	if len(want) == 0 || !slices.Equal(want, got) {
		t.Errorf("the package has the builders %v, the table %v", want, got)
	}
}

func ids() *rapid.Generator[string] { return rapid.StringMatching(`[0-9a-z]{1,26}`) }

func TestPlacesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		place := streams.Place{
			Shard:       rapid.IntRange(0, streams.Shards-1).Draw(t, "shard"),
			WorkspaceID: chat.WorkspaceID(ids().Draw(t, "ws")),
		}
		if rapid.Bool().Draw(t, "in a channel") {
			place.ChannelID = chat.ChannelID(ids().Draw(t, "ch"))
		}
		onChat, err := streams.ChatSubject(place.Shard, place.WorkspaceID, place.ChannelID)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := streams.ParseChat(onChat); err != nil || got != place {
			t.Errorf("ParseChat(%q) = %+v, %v; want %+v", onChat, got, err, place)
		}
		onFan, err := streams.FanSubject(place.Shard, place.WorkspaceID, place.ChannelID)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := streams.ParseFan(onFan); err != nil || got != place {
			t.Errorf("ParseFan(%q) = %+v, %v; want %+v", onFan, got, err, place)
		}
		if _, err := streams.ParseChat(onFan); !errors.Is(err, streams.ErrBadSubject) {
			t.Errorf("ParseChat(%q): %v", onFan, err)
		}
	})
}

func TestMsgIDsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sender := chat.UserID(ids().Filter(func(s string) bool { return s != "outbox" }).Draw(t, "sender"))
		unique := rapid.StringMatching(`[0-9A-Za-z_-]{1,64}`).Draw(t, "client_msg_id")
		id, err := streams.PostMsgID(sender, chat.ClientMsgID(unique))
		if err != nil {
			t.Fatal(err)
		}
		if s, u, err := streams.ParseSenderMsgID(id); err != nil || s != sender || u != unique {
			t.Errorf("ParseSenderMsgID(%q) = %v, %v, %v", id, s, u, err)
		}
		if _, err := streams.ParseOutboxMsgID(id); err == nil {
			t.Errorf("%q is also the id of a Directory change", id)
		}
		n := rapid.Int64Min(1).Draw(t, "row")
		if id, err = streams.OutboxMsgID(n); err != nil {
			t.Fatal(err)
		}
		if got, err := streams.ParseOutboxMsgID(id); err != nil || got != n {
			t.Errorf("ParseOutboxMsgID(%q) = %v, %v", id, got, err)
		}
		if _, _, err := streams.ParseSenderMsgID(id); err == nil {
			t.Errorf("%q is also the id of a post", id)
		}
	})
}

func TestAUserCalledOutboxCannotForgeADirectoryChange(t *testing.T) {
	if id, err := streams.PostMsgID("outbox", "17"); err == nil {
		t.Errorf("a post got the id %q", id)
	}
}

func TestNamesOfTheHubRoundTrip(t *testing.T) {
	for _, stream := range streams.Streams() {
		subject, err := streams.LeaderElectedSubject(stream)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := streams.ParseLeaderElected(subject); err != nil || got != stream {
			t.Errorf("ParseLeaderElected(%q) = %q, %v", subject, got, err)
		}
		consumers, err := streams.Consumers(stream)
		if err != nil {
			t.Fatal(err)
		}
		for _, consumer := range consumers {
			for _, what := range []streams.Advisory{streams.GivenUp, streams.Parked} {
				subject, err := streams.AdvisorySubject(what, stream, consumer)
				if err != nil {
					t.Fatal(err)
				}
				if w, s, c, err := streams.ParseAdvisory(subject); err != nil || w != what || s != stream || c != consumer {
					t.Errorf("ParseAdvisory(%q) = %v, %v, %v, %v", subject, w, s, c, err)
				}
			}
		}
	}
	for _, service := range streams.Services() {
		for _, method := range streams.Methods(service) {
			subject, err := streams.RPCSubject(service, method)
			if err != nil {
				t.Fatal(err)
			}
			if s, m, err := streams.ParseRPC(subject); err != nil || s != service || m != method {
				t.Errorf("ParseRPC(%q) = %v, %v, %v", subject, s, m, err)
			}
		}
	}
}

func TestNamesAreSpelledAsTheTableSays(t *testing.T) {
	must := func(name string, err error) string {
		if err != nil {
			t.Error(err)
		}
		return name
	}
	for want, got := range map[string]string{
		"CHAT_3":                                    streams.ChatStream(3),
		"CHAT_0 CHAT_1 CHAT_2 CHAT_3":               strings.Join(streams.ChatStreams(), " "),
		"KV_presence":                               strings.Join(streams.LeafStreams(), " "),
		"$KV.registry.gateway.*":                    must(streams.BucketKeySubject(streams.BucketRegistry, must(streams.RegistryFilter("gateway")))),
		"$JS.hub.API.$KV.registry.gateway.p1":       must(streams.BucketPutSubject("hub", streams.BucketRegistry, must(streams.RegistryKey("gateway", "p1")))),
		"$JS.eu1.API.STREAM.MSG.GET.KV_presence":    must(streams.BucketLeaderGetSubject("eu1", streams.BucketPresence)),
		"$JS.hub.API.DIRECT.GET.KV_revocations":     must(streams.BucketDirectGetSubject("hub", streams.BucketRevocations)),
		"$JS.eu1.API.CONSUMER.CREATE.KV_presence.x": must(streams.BucketWatchSubject("eu1", streams.BucketPresence, "x")),
		"$JS.eu1.API.CONSUMER.DELETE.KV_presence.x": must(streams.BucketUnwatchSubject("eu1", streams.BucketPresence, "x")),
		"eu1.w.u.g":                                 must(streams.PresenceKey(seat("eu1", "w", "u", "g"))),
		"*.w.*.*":                                   must(streams.PresenceWorkspaceFilter("w")),
		"eu1.*.*.g":                                 must(streams.PresenceGatewayFilter("eu1", "g")),
		"eu1.g":                                     must(streams.LeaseKey("eu1", "g")),
		"s1":                                        must(streams.RevocationKey("s1")),
		"eph.w.typing.c":                            must(streams.EphTypingSubject("w", "c")),
		"eph.w.presence.u":                          must(streams.EphPresenceSubject("w", "u")),
		"eph.w.>":                                   must(streams.EphWorkspaceFilter("w")),
		"eph.w.ask.eu1":                             must(streams.EphAskSubject("w", "eu1")),
		"eph.-.lease.eu1.g":                         must(streams.EphLeaseSubject("eu1", "g")),
		"eph.-.lease.>":                             streams.EphLeaseFilter(),
		"probe.p1":                                  must(streams.ProbeSubject("p1")),
		"rpc.directory.ticket":                      must(streams.RPCSubject(streams.ServiceDirectory, streams.DirectoryTicket)),
		"rpc.admin.workspaces":                      must(streams.RPCSubject(streams.ServiceAdmin, streams.AdminWorkspaces)),
		"ADVISORIES CHAT_0 CHAT_1 CHAT_2 CHAT_3 DELIVERY DLQ KV_deadletters KV_registry KV_revocations PROBE SCHED": strings.Join(streams.Streams(), " "),
		"eph.w.read.u":                         must(streams.EphReadSubject("w", "u")),
		"$JS.hub.API.STREAM.PURGE.SCHED":       must(streams.PurgeSubject("SCHED")),
		"$JS.hub.API.CONSUMER.INFO.SCHED.due":  must(streams.ConsumerInfoSubject("SCHED", "due")),
		"dlq.CHAT_0.deliver":                   must(streams.DLQSubject("CHAT_0", "deliver")),
		"dlq.>":                                streams.DLQFilter(),
		"dlq.DELIVERY.push.17":                 must(streams.DeadMsgID("DELIVERY", "push", 17)),
		"parked.SCHED.due":                     must(streams.ParkedSubject("SCHED", "due")),
		"delivery.w.u":                         must(streams.DeliverySubject("w", "u")),
		"delivery.*.*":                         streams.DeliveryDueFilter(),
		"delivery.w.u.17":                      must(streams.DeliveryWaitSubject("w", "u", 17)),
		"sched.w.u.i":                          must(streams.SchedSubject("w", "u", "i")),
		"sched.w.u.*":                          must(streams.SchedFilter("w", "u")),
		"sched.w.u.i.decided":                  must(streams.SchedDecidedSubject("w", "u", "i")),
		"job.w.u.17.2":                         must(streams.JobMsgID("w", "u", 17, 2)),
		"due.w.u.i":                            must(streams.DueSubject("w", "u", "i")),
		"due.>":                                streams.DueFilter(),
		"DELIVERY SCHED":                       must(streams.LaterStream("delivery.w.u.1")) + " " + must(streams.LaterStream("due.w.u.i")),
		"chat.1.w.c":                           must(streams.ChatSubject(1, "w", "c")),
		"chat.1.w.-":                           must(streams.ChatSubject(1, "w", "")),
		"chat.1.w.>":                           must(streams.ChatWorkspaceFilter(1, "w")),
		"chat.1.>":                             must(streams.ChatShardFilter(1)),
		"fan.1.w.c":                            must(streams.FanSubject(1, "w", "c")),
		"fan.1.w.>":                            must(streams.FanWorkspaceFilter(1, "w")),
		"rpc.directory.session":                must(streams.RPCSubject(streams.ServiceDirectory, streams.DirectorySession)),
		"rpc.history.send":                     must(streams.RPCSubject(streams.ServiceHistory, streams.HistorySend)),
		"$JS.hub.API.DIRECT.GET.CHAT_2":        must(streams.DirectGetSubject("CHAT_2")),
		"$JS.hub.API.STREAM.MSG.GET.CHAT_2":    must(streams.LeaderGetSubject("CHAT_2")),
		"$JS.hub.API.STREAM.MSG.DELETE.CHAT_2": must(streams.EraseSubject("CHAT_2")),
		"$JS.hub.API.STREAM.LEADER.STEPDOWN.CHAT_2":                 must(streams.StepDownSubject("CHAT_2")),
		"$JS.hub.API.STREAM.INFO.CHAT_2":                            must(streams.StreamInfoSubject("CHAT_2")),
		"$JS.hub.API.CONSUMER.INFO.CHAT_2.persist":                  must(streams.ConsumerInfoSubject("CHAT_2", "persist")),
		"$JS.hub.API.CONSUMER.MSG.NEXT.CHAT_2.persist":              must(streams.ConsumerNextSubject("CHAT_2", "persist")),
		"$JS.hub.API.INFO":                                          streams.HubInfoSubject(),
		"$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED.>":                streams.LeaderElectedFilter(),
		"$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED.CHAT_2":           must(streams.LeaderElectedSubject("CHAT_2")),
		"$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>":              must(streams.AdvisoryFilter(streams.GivenUp)),
		"$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.CHAT_0.persist": must(streams.AdvisorySubject(streams.Parked, "CHAT_0", "persist")),
		"u.0192d3f1-7b1c-7def-8abc-0123456789ab":                    must(streams.ChangeMsgID("u", "0192d3f1-7b1c-7def-8abc-0123456789ab")),
		"outbox.17":                                                 must(streams.OutboxMsgID(17)),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestKeysRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := func(what string) string { return ids().Draw(t, what) }
		seat := seat(id("region"), id("ws"), id("user"), id("gateway"))
		at, err := streams.PresenceKey(seat)
		if err != nil {
			t.Fatal(err)
		}
		subject, err := streams.BucketKeySubject(streams.BucketPresence, at)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := streams.ParseBucketKey(streams.BucketPresence, subject); err != nil || got != at {
			t.Errorf("ParseBucketKey(%q) = %q, %v", subject, got, err)
		}
		if _, err := streams.ParseBucketKey(streams.BucketRevocations, subject); !errors.Is(err, streams.ErrBadSubject) {
			t.Errorf("%q is also in another bucket: %v", subject, err)
		}
		if got, err := streams.ParsePresenceKey(at); err != nil || got != seat {
			t.Errorf("ParsePresenceKey(%q) = %+v, %v", at, got, err)
		}
		lease, err := streams.LeaseKey(seat.Region, seat.Gateway)
		if err != nil {
			t.Fatal(err)
		}
		if r, g, err := streams.ParseLeaseKey(lease); err != nil || r != seat.Region || g != seat.Gateway {
			t.Errorf("ParseLeaseKey(%q) = %q, %q, %v", lease, r, g, err)
		}
		if _, err := streams.ParsePresenceKey(lease); !errors.Is(err, streams.ErrBadKey) {
			t.Errorf("%q is also somebody's presence: %v", lease, err)
		}
		if _, _, err := streams.ParseLeaseKey(at); !errors.Is(err, streams.ErrBadKey) {
			t.Errorf("%q is also a lease: %v", at, err)
		}
		for _, e := range []streams.Ephemeral{
			{WorkspaceID: seat.WorkspaceID, ChannelID: chat.ChannelID(id("ch"))}, {WorkspaceID: seat.WorkspaceID, UserID: seat.UserID},
			{WorkspaceID: seat.WorkspaceID, Reader: seat.UserID},
		} {
			subject, err := ephSubject(e)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := streams.ParseEph(subject); err != nil || got != e {
				t.Errorf("ParseEph(%q) = %+v, %v", subject, got, err)
			}
		}
	})
}

func ephSubject(e streams.Ephemeral) (string, error) {
	switch {
	case e.UserID != "":
		return streams.EphPresenceSubject(e.WorkspaceID, e.UserID)
	case e.Reader != "":
		return streams.EphReadSubject(e.WorkspaceID, e.Reader)
	}
	return streams.EphTypingSubject(e.WorkspaceID, e.ChannelID)
}

func TestEveryServiceOfARoleHasNoMethods(t *testing.T) {
	for _, s := range []streams.Service{streams.ServiceGateway, streams.ServicePersist, streams.ServiceAPI} {
		if m := streams.Methods(s); len(m) != 0 || !slices.Contains(streams.Services(), s) {
			t.Errorf("%s: methods %v, services %v", s, m, streams.Services())
		}
	}
}

func TestAParserTakesOnlyWhatItsBuilderMakes(t *testing.T) {
	for _, subject := range append([]string{
		"chat", "chat.", "chat.0", "chat.0.w", "chat.0.w.", "chat.0.w.c.d", "chat.0..c", "chat..w.c", "chat.4.w.c", "chat.00.w.c",
		"chat.+0.w.c", "chat.-1.w.c", "chat.99999999999999999999.w.c", "chat.0.-.c", "chat.0.w.*", "chat.0.*.c", "chat.0.w.>",
		"chat.0.W.c", "chat.0.w.--", "CHAT.0.w.c", "chat.0.w.c ", "chat.0." + strings.Repeat("w", 27) + ".c",
	}, hostile[:len(hostile)-4]...) {
		if subject == "chat.0.w.c" {
			continue
		}
		if place, err := streams.ParseChat(subject); !errors.Is(err, streams.ErrBadSubject) {
			t.Errorf("ParseChat(%q) = %+v, %v", subject, place, err)
		}
	}
	for _, name := range append([]string{"CHAT_", "CHAT_4", "CHAT_00", "CHAT_0 ", "CHAT_+0", "chat_0", "CHAT_0.x"}, hostile...) {
		if shard, err := streams.ParseChatStream(name); !errors.Is(err, streams.ErrBadStream) {
			t.Errorf("ParseChatStream(%q) = %d, %v", name, shard, err)
		}
	}
}

func TestParsingAPlaceAllocatesNothing(t *testing.T) {
	good, bad := "fan.0.01h455vb4pex5vsknk084sn02q.01h455vb4pex5vsknk084sn02r", "fan.0.01h455vb4pex5vsknk084sn02q.*"
	if n := testing.AllocsPerRun(100, func() {
		if _, err := streams.ParseFan(good); err != nil {
			t.Fatal(err)
		}
		if _, err := streams.ParseFan(bad); err == nil {
			t.Fatal("no error")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range append([]string{
		"chat.0.w.c", "chat.3.w.-", "fan.0.w.c", "CHAT_0", "u.m", "outbox.17", "rpc.directory.session",
		"KV_registry", "$KV.presence.eu1.w.u.g", "$KV.presence.eu1.g", "gateway.p1", "eu1.w.u.g", "eph.w.typing.c", "eph.w.presence.u", "eph.w.read.u", "probe.p1",
		"dlq.CHAT_0.persist", "parked.DELIVERY.push", "delivery.w.u", "delivery.w.u.1", "sched.w.u.i", "due.w.u.i",
		"$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED.CHAT_0", "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.CHAT_0.persist",
	}, hostile...) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		same := func(parser string, again string, err error) {
			if err != nil || again != s {
				t.Errorf("%s took %q, whose builder makes %q, %v", parser, s, again, err)
			}
		}
		if p, err := streams.ParseChat(s); err == nil {
			again, err := streams.ChatSubject(p.Shard, p.WorkspaceID, p.ChannelID)
			same("ParseChat", again, err)
		}
		if p, err := streams.ParseFan(s); err == nil {
			again, err := streams.FanSubject(p.Shard, p.WorkspaceID, p.ChannelID)
			same("ParseFan", again, err)
		}
		if shard, err := streams.ParseChatStream(s); err == nil {
			same("ParseChatStream", streams.ChatStream(shard), nil)
		}
		if sender, unique, err := streams.ParseSenderMsgID(s); err == nil {
			again, err := streams.ChangeMsgID(sender, unique)
			same("ParseSenderMsgID", again, err)
		}
		if n, err := streams.ParseOutboxMsgID(s); err == nil {
			again, err := streams.OutboxMsgID(n)
			same("ParseOutboxMsgID", again, err)
		}
		if service, method, err := streams.ParseRPC(s); err == nil {
			again, err := streams.RPCSubject(service, method)
			same("ParseRPC", again, err)
		}
		if stream, err := streams.ParseLeaderElected(s); err == nil {
			again, err := streams.LeaderElectedSubject(stream)
			same("ParseLeaderElected", again, err)
		}
		if b, err := streams.ParseBucketStream(s); err == nil {
			again, err := streams.BucketStream(b)
			same("ParseBucketStream", again, err)
		}
		if key, err := streams.ParseBucketKey(streams.BucketPresence, s); err == nil {
			again, err := streams.BucketKeySubject(streams.BucketPresence, key)
			same("ParseBucketKey", again, err)
		}
		if role, id, err := streams.ParseRegistryKey(s); err == nil {
			again, err := streams.RegistryKey(role, id)
			same("ParseRegistryKey", again, err)
		}
		if id, err := streams.ParseRevocationKey(s); err == nil {
			again, err := streams.RevocationKey(id)
			same("ParseRevocationKey", again, err)
		}
		if seat, err := streams.ParsePresenceKey(s); err == nil {
			again, err := streams.PresenceKey(seat)
			same("ParsePresenceKey", again, err)
		}
		if region, gateway, err := streams.ParseLeaseKey(s); err == nil {
			again, err := streams.LeaseKey(region, gateway)
			same("ParseLeaseKey", again, err)
		}
		if ws, region, err := streams.ParseEphAsk(s); err == nil {
			again, err := streams.EphAskSubject(ws, region)
			same("ParseEphAsk", again, err)
		}
		if region, gateway, err := streams.ParseEphLease(s); err == nil {
			again, err := streams.EphLeaseSubject(region, gateway)
			same("ParseEphLease", again, err)
		}
		if e, err := streams.ParseEph(s); err == nil {
			again, err := ephSubject(e)
			same("ParseEph", again, err)
		}
		if process, err := streams.ParseProbe(s); err == nil {
			again, err := streams.ProbeSubject(process)
			same("ParseProbe", again, err)
		}
		if stream, consumer, err := streams.ParseDLQ(s); err == nil {
			again, err := streams.DLQSubject(stream, consumer)
			same("ParseDLQ", again, err)
		}
		if stream, consumer, err := streams.ParseParked(s); err == nil {
			again, err := streams.ParkedSubject(stream, consumer)
			same("ParseParked", again, err)
		}
		if ws, user, seq, err := streams.ParseDelivery(s); err == nil {
			again, err := deliverySubject(ws, user, seq)
			same("ParseDelivery", again, err)
		}
		if ws, user, id, due, err := streams.ParseSched(s); err == nil {
			again, err := schedSubject(ws, user, id, due)
			same("ParseSched", again, err)
		}
		if what, stream, consumer, err := streams.ParseAdvisory(s); err == nil {
			again, err := streams.AdvisorySubject(what, stream, consumer)
			same("ParseAdvisory", again, err)
		}
	})
}
