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
	"OutboxMsgID": {func(string) (string, error) { return streams.OutboxMsgID(-1) }},
	"RPCSubject": {
		func(bad string) (string, error) {
			return streams.RPCSubject(streams.Service(bad), streams.DirectoryKeys)
		},
		func(bad string) (string, error) {
			return streams.RPCSubject(streams.ServiceDirectory, streams.Method(bad))
		},
	},
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
	for _, service := range []streams.Service{streams.ServiceDirectory, streams.ServiceHistory} {
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
		"CHAT_3":                                          streams.ChatStream(3),
		"CHAT_0 CHAT_1 CHAT_2 CHAT_3":                     strings.Join(streams.ChatStreams(), " "),
		"ADVISORIES CHAT_0 CHAT_1 CHAT_2 CHAT_3":          strings.Join(streams.Streams(), " "),
		"chat.1.w.c":                                      must(streams.ChatSubject(1, "w", "c")),
		"chat.1.w.-":                                      must(streams.ChatSubject(1, "w", "")),
		"chat.1.w.>":                                      must(streams.ChatWorkspaceFilter(1, "w")),
		"chat.1.>":                                        must(streams.ChatShardFilter(1)),
		"fan.1.w.c":                                       must(streams.FanSubject(1, "w", "c")),
		"fan.1.w.>":                                       must(streams.FanWorkspaceFilter(1, "w")),
		"rpc.directory.session":                           must(streams.RPCSubject(streams.ServiceDirectory, streams.DirectorySession)),
		"rpc.history.send":                                must(streams.RPCSubject(streams.ServiceHistory, streams.HistorySend)),
		"$JS.hub.API.DIRECT.GET.CHAT_2":                   must(streams.DirectGetSubject("CHAT_2")),
		"$JS.hub.API.STREAM.MSG.GET.CHAT_2":               must(streams.LeaderGetSubject("CHAT_2")),
		"$JS.hub.API.STREAM.MSG.DELETE.CHAT_2":            must(streams.EraseSubject("CHAT_2")),
		"$JS.hub.API.STREAM.INFO.CHAT_2":                  must(streams.StreamInfoSubject("CHAT_2")),
		"$JS.hub.API.CONSUMER.INFO.CHAT_2.persist":        must(streams.ConsumerInfoSubject("CHAT_2", "persist")),
		"$JS.hub.API.CONSUMER.MSG.NEXT.CHAT_2.persist":    must(streams.ConsumerNextSubject("CHAT_2", "persist")),
		"$JS.hub.API.INFO":                                streams.HubInfoSubject(),
		"$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED.>":      streams.LeaderElectedFilter(),
		"$JS.EVENT.ADVISORY.STREAM.LEADER_ELECTED.CHAT_2": must(streams.LeaderElectedSubject("CHAT_2")),
		"$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>":    must(streams.AdvisoryFilter(streams.GivenUp)),
		"$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.CHAT_0.persist": must(streams.AdvisorySubject(streams.Parked, "CHAT_0", "persist")),
		"u.0192d3f1-7b1c-7def-8abc-0123456789ab":                    must(streams.ChangeMsgID("u", "0192d3f1-7b1c-7def-8abc-0123456789ab")),
		"outbox.17":                                                 must(streams.OutboxMsgID(17)),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
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
		if what, stream, consumer, err := streams.ParseAdvisory(s); err == nil {
			again, err := streams.AdvisorySubject(what, stream, consumer)
			same("ParseAdvisory", again, err)
		}
	})
}
