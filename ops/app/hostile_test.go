package app_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/canopychat/canopy/edge/wsconn"
	"github.com/canopychat/canopy/ops/app"
	"github.com/canopychat/canopy/ops/datadir"
	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/rest/resttest"
	"github.com/canopychat/canopy/schemas/token"
	"github.com/canopychat/canopy/services/auth"
	"github.com/canopychat/canopy/services/store/sqlite"
)

// secretText is a message that nobody but those in its channel may read.
const secretText = "the launch is on Friday"

// besieged is a deployment with two workspaces, whose whole log is kept.
type besieged struct {
	*deployment
	log      *output // every line, at every level
	ada      *user   // owner of Acme
	session  session // of ada
	bob, gus *user   // a member and a guest of Acme; the guest is in no channel
	eve, fay *user   // of Rival alone
	both     *user   // of both; a user of Acme here
	rival    *deployment
	invite   struct{ ID, Code string } // of Acme
	plans    string                    // a private channel of ada and bob
	seq      uint64                    // of secretText in it
	adas     map[string]string         // what waits for ada and reaches her, by what it is called in paths: its id
	dead     map[string]string         // tokens that do not count, by why
	secrets  []string
}

func besiege(t *testing.T) *besieged {
	t.Helper()
	b := &besieged{log: &output{more: make(chan struct{}, 1)}}
	cfg := testConfig(t)
	cfg.Empty, cfg.Edge.AllowedOrigins = true, []string{"https://chat.example"}
	cfg.Limits.AddressRequests, cfg.Limits.UserRequests = "1000000/s", "1000000/s"
	b.deployment = startLogged(t, cfg, slog.New(slog.NewJSONHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug})), app.AllRoles...)
	t.Cleanup(b.checkLog) // after the sockets were closed
	b.ada, b.session = b.found("ada")
	var in [5]session
	b.bob, in[0] = b.ada.invite("bob", "member")
	b.gus, in[1] = b.ada.invite("gus", "guest")
	b.both, in[2] = b.ada.invite("bo", "member")

	var rival struct{ ID string }
	b.ada.must(http.StatusCreated, "POST", "/workspaces", map[string]any{"name": "Rival"}, &rival)
	b.rival = &deployment{t: t, cfg: cfg, stop: func() {}}
	b.rival.run = b.run
	b.rival.run.Workspace = app.Workspace{ID: rival.ID}
	founder := b.ada.at(b.rival)
	b.eve, in[3] = founder.invite("eve", "admin")
	b.fay, in[4] = founder.invite("fay", "member")
	var made struct{ Code string }
	b.eve.must(http.StatusCreated, "POST", b.eve.workspace("/invites"), map[string]any{}, &made)
	b.both.must(http.StatusOK, "POST", "/invites/"+made.Code+"/accept", map[string]any{}, nil)
	founder.must(http.StatusOK, "PATCH", founder.workspace("/members/"+b.eve.id), map[string]any{"role": "owner"}, nil)
	founder.must(http.StatusNoContent, "DELETE", founder.workspace("/members/"+b.ada.id), nil, nil)

	b.plans = b.ada.create("plans", "private")
	b.ada.must(http.StatusNoContent, "POST", "/channels/"+b.plans+"/members", map[string]any{"user_ids": []string{b.bob.id}}, nil)
	b.seq = b.ada.post(b.plans, map[string]any{"body": secretText}).Seq
	b.ada.must(http.StatusCreated, "POST", b.ada.workspace("/invites"), map[string]any{}, &b.invite)
	b.leaveTracks()
	b.buryTokens()
	b.secrets = append(b.secrets, secretText, "correct horse", "battery staple", b.run.Setup.Code)
	for _, s := range append(in[:], b.session) {
		b.secrets = append(b.secrets, s.Token, s.RefreshToken)
	}
	for _, token := range b.dead {
		b.secrets = append(b.secrets, token)
	}
	return b
}

// leaveTracks has ada reachable, and has something wait for her.
func (b *besieged) leaveTracks() {
	b.t.Helper()
	b.adas = make(map[string]string)
	var hook struct{ ID, Secret string }
	b.ada.must(http.StatusCreated, "POST", b.ada.workspace("/webhooks"), map[string]any{"url": "https://192.0.2.1/hook"}, &hook) // nobody's (RFC 5737)
	b.adas["webhook"] = hook.ID
	b.secrets = append(b.secrets, hook.Secret)
	var made struct{ ID string }
	b.ada.must(http.StatusCreated, "POST", "/me/subscriptions", browser(b.t, "https://192.0.2.1/push"), &made)
	b.adas["subscription"] = made.ID
	b.ada.must(http.StatusCreated, "POST", b.ada.workspace("/reminders"), map[string]any{
		"text": secretText, "at": time.Now().Add(time.Hour).UTC().Format(time.RFC3339), "channel_id": b.plans, "seq": b.seq,
	}, &made)
	b.adas["scheduled"] = made.ID
}

// buryTokens makes tokens that look right, and do not count.
func (b *besieged) buryTokens() {
	b.t.Helper()
	var out session
	b.nobody().must(http.StatusOK, "POST", "/login", map[string]any{"login": "ada", "password": "correct horse"}, &out)
	b.as(out).must(http.StatusNoContent, "POST", "/logout", nil, nil)

	db, err := sqlite.OpenDirectory(b.t.Context(), filepath.Join(b.cfg.Data, datadir.Directory))
	if err != nil {
		b.t.Fatal(err)
	}
	defer db.Close()
	at := func(when time.Duration) string { // by the deployment's own key
		signer, err := auth.OpenSigner(b.t.Context(), auth.SignerConfig{Keyring: db, Now: func() time.Time { return time.Now().Add(when) }})
		if err != nil {
			b.t.Fatal(err)
		}
		issued, err := signer.IssueFor(b.t.Context(), chat.UserID(b.ada.id), token.SignInID(b.session.SessionID))
		if err != nil {
			b.t.Fatal(err)
		}
		return issued.Token
	}
	pairs, err := db.SigningKeys(b.t.Context())
	if err != nil || len(pairs) == 0 {
		b.t.Fatalf("%d keys, %v", len(pairs), err)
	}
	public := ed25519.NewKeyFromSeed(pairs[0].Seed).Public().(ed25519.PublicKey)
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		b.t.Fatal(err)
	}
	parts := strings.Split(b.ada.token, ".")
	mine := parts[1]
	forge := func(alg, kid, more string, sign func(text []byte) []byte) string {
		head := fmt.Sprintf(`{"alg":%q,"typ":%q,"kid":%q%s}`, alg, token.Type, kid, more)
		text := base64.RawURLEncoding.EncodeToString([]byte(head)) + "." + mine
		return text + "." + base64.RawURLEncoding.EncodeToString(sign([]byte(text)))
	}
	own := func(text []byte) []byte { return ed25519.Sign(private, text) }
	jwk := fmt.Sprintf(`,"jwk":{"kty":"OKP","crv":"Ed25519","x":%q}`, base64.RawURLEncoding.EncodeToString(private.Public().(ed25519.PublicKey)))
	flipped := []byte(parts[2])
	if flipped[10] == 'A' {
		flipped[10] = 'B'
	} else {
		flipped[10] = 'A'
	}
	b.dead = map[string]string{
		"revoked":                     out.Token,
		"expired":                     at(-time.Hour),
		"of tomorrow":                 at(24 * time.Hour),
		"signed wrongly":              parts[0] + "." + parts[1] + "." + string(flipped),
		"not signed":                  parts[0] + "." + parts[1] + ".",
		"of another user":             parts[0] + "." + strings.Split(b.bob.token, ".")[1] + "." + parts[2],
		"of alg none":                 forge("none", pairs[0].ID, "", func([]byte) []byte { return nil }),
		"of another key by our name":  forge(token.Algorithm, pairs[0].ID, "", own),
		"of another key by its name":  forge(token.Algorithm, "k9", "", own),
		"with a key of its own in it": forge(token.Algorithm, pairs[0].ID, jwk, own),
		"signed with our public key": forge("HS256", pairs[0].ID, "", func(text []byte) []byte {
			mac := hmac.New(sha256.New, public)
			mac.Write(text)
			return mac.Sum(nil)
		}),
		"a refresh token": b.session.RefreshToken,
	}
}

// checkLog fails when the log has a failure of ours, or a secret of anybody's.
func (b *besieged) checkLog() {
	b.t.Helper()
	b.stop()
	for line := range strings.Lines(b.log.String()) {
		if strings.Contains(line, `"level":"ERROR"`) || strings.Contains(line, "request failed") {
			b.t.Errorf("the log has %.500s", line)
		}
		for _, secret := range b.secrets {
			if secret != "" && strings.Contains(line, secret) {
				b.t.Errorf("the log has a secret: %.500s", line)
			}
		}
	}
}

// What an enemy would send to any call of the document, to the whole system.
func TestHostileRequests(t *testing.T) {
	t.Parallel()
	b := besiege(t)
	before, _ := b.ada.history(b.plans)
	here := map[string]string{
		"workspace": b.run.Workspace.ID, "channel": b.plans, "user": b.bob.id, "session": b.session.SessionID,
		"seq": fmt.Sprint(b.seq), "emoji": "tada", "invite": b.invite.ID, "code": b.invite.Code,
	}
	maps.Copy(here, b.adas)
	resttest.Target{
		URL: b.run.HTTP, Document: watched().rest, Member: b.ada.token, Outsider: b.eve.token, OutsiderID: b.eve.id, Guest: b.gus.token, Dead: b.dead,
		Here:    here,
		Secrets: slices.DeleteFunc(slices.Clone(b.secrets), func(s string) bool { return s == "" }),
	}.Run(t)
	after, _ := b.ada.history(b.plans)
	if len(after) != len(before) || after[len(after)-1].Body != secretText {
		t.Errorf("it was %+v, and is %+v", before, after)
	}
}

// knock asks for a socket that is not to be opened, and answers the problem.
func (b *besieged) knock(query string, header http.Header) (status int, code string, body string) {
	b.t.Helper()
	c, err := b.dialWith(query, header)
	if err == nil {
		_ = c.Close()
		return http.StatusSwitchingProtocols, "", ""
	}
	var refused *wsconn.RefusedError
	if !errors.As(err, &refused) {
		b.t.Fatalf("%s: %v", query, err)
	}
	var p struct {
		Status int
		Code   string
	}
	mustJSON(b.t, string(refused.Body), &p)
	if p.Status != refused.Status {
		b.t.Errorf("%d says %s", refused.Status, refused.Body)
	}
	for _, secret := range b.secrets {
		if secret != "" && bytes.Contains(refused.Body, []byte(secret)) {
			b.t.Errorf("%s is told a secret: %s", query, refused.Body)
		}
	}
	return refused.Status, p.Code, string(refused.Body)
}

// dialWith asks for a socket.
func (d *deployment) dialWith(query string, header http.Header) (*wsconn.Client, error) {
	return wsconn.Dial(d.t.Context(), "ws"+strings.TrimPrefix(d.run.HTTP, "http")+"/socket?"+query, header)
}

func bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

// Who has no right to a socket gets none, and is told no more than that.
func TestHostileUpgrades(t *testing.T) {
	t.Parallel()
	b := besiege(t)
	here := "workspace=" + b.run.Workspace.ID
	refuse := func(why string, status int, code, query string, header http.Header) string {
		t.Helper()
		got, told, body := b.knock(query, header)
		if got != status || told != code {
			t.Errorf("%s: %d %s, want %d %s", why, got, body, status, code)
		}
		return body
	}
	refuse("no token", 401, "unauthenticated", here, nil)
	for why, token := range b.dead {
		refuse("a token that is "+why, 401, "unauthenticated", here, bearer(token))
		refuse("a token in the query that is "+why, 401, "unauthenticated", here+"&token="+token, nil)
		refuse("a token as a ticket that is "+why, 401, "unauthenticated", here+"&ticket="+token, nil)
		refuse("a subprotocol that is "+why, 401, "unauthenticated", here, http.Header{"Sec-WebSocket-Protocol": {"canopy.v1, canopy.bearer." + token}})
	}
	ticket := func(of *user) string {
		var t struct{ Ticket string }
		of.must(http.StatusCreated, "POST", "/socket/ticket", nil, &t)
		b.secrets = append(b.secrets, t.Ticket)
		return t.Ticket
	}
	once := ticket(b.ada)
	if status, _, body := b.knock(here+"&ticket="+once, nil); status != http.StatusSwitchingProtocols {
		t.Errorf("a ticket: %d %s", status, body)
	}
	refuse("a ticket that was used", 401, "unauthenticated", here+"&ticket="+once, nil)
	refuse("a ticket as a token", 401, "unauthenticated", here, bearer(ticket(b.ada)))
	for _, none := range []string{"x", "*", "%00", "a.b.c", strings.Repeat("z", 3000), once[:len(once)-1], once + "x"} {
		refuse("a ticket that is none", 401, "unauthenticated", here+"&ticket="+none, nil)
	}
	var out session
	b.nobody().must(http.StatusOK, "POST", "/login", map[string]any{"login": "ada", "password": "correct horse"}, &out)
	late := ticket(b.as(out))
	b.as(out).must(http.StatusNoContent, "POST", "/logout", nil, nil)
	refuse("a ticket of a sign-in that ended", 401, "unauthenticated", here+"&ticket="+late, nil)

	theirs := refuse("another workspace", 404, "not_found", "workspace="+b.rival.run.Workspace.ID, bearer(b.ada.token))
	if nowhere := refuse("no workspace", 404, "not_found", "workspace=n0where", bearer(b.ada.token)); theirs != nowhere {
		t.Errorf("what is somebody else's is told from what is not there: %s, %s", theirs, nowhere)
	}
	for _, id := range []string{"*", "%3E", "..", "a.b", "A", "%00", "%ff", strings.Repeat("a", 27), strings.Repeat("z", 3000)} {
		refuse("no id", 404, "not_found", "workspace="+id, bearer(b.ada.token))
	}
	for _, cursor := range []string{"x", "1", "1.", ".1", "1.-1", "1.1.1", "1.1%20", "01.1", "1.01", "1.1e3", "1.281474976710656", "*", strings.Repeat("9", 300)} {
		refuse("the cursor "+cursor, 400, "invalid", here+"&cursor="+cursor, bearer(b.ada.token))
	}
	refuse("another's cursor", 404, "not_found", "cursor=1.1&workspace="+b.rival.run.Workspace.ID, bearer(b.ada.token))
	for _, origin := range []string{"https://evil.example", "null", "https://chat.example.evil.example", "http://chat.example", "https://chat.example:8443", "x"} {
		header := bearer(b.ada.token)
		header.Set("Origin", origin)
		refuse("a page of "+origin, 403, "forbidden", here, header)
	}
	header := bearer(b.ada.token)
	header.Set("Origin", "https://chat.example")
	if status, _, body := b.knock(here, header); status != http.StatusSwitchingProtocols {
		t.Errorf("a page that is allowed: %d %s", status, body)
	}
}

// sendText sends what need not be a frame at all.
func (s *socket) sendText(text string) {
	s.t.Helper()
	if err := s.c.Write([]byte(text)); err != nil {
		s.t.Fatal(err)
	}
}

// answered is the code that a frame is refused with.
func (s *socket) answered(text string) string {
	s.t.Helper()
	s.sendText(text)
	for {
		switch f := s.next(); f.Type {
		case "error":
			return f.Code
		case "message.ack", "ack", "pong":
			return "nothing, but taken: " + f.raw
		}
	}
}

// Frames that ask for what is not theirs, or for nothing at all, are refused one by one; the socket lives on, unless the
// bytes themselves are wrong.
func TestHostileFrames(t *testing.T) {
	t.Parallel()
	b := besiege(t)
	ada, gus := b.ada.open(), b.gus.open()
	theirs := b.eve.channel("general")
	eve := b.eve.open()
	theirSeq := eve.say(theirs, "of Rival")
	for _, channel := range []string{theirs, "n0where", b.plans, "*", "a.b", ">", b.rival.run.Workspace.ID} {
		who := gus // in no channel at all
		if channel != b.plans {
			who = ada
		}
		for kind, fields := range map[string]map[string]any{
			"message.send":    {"body": "x", "client_msg_id": newMsgID()},
			"message.edit":    {"seq": b.seq, "body": "x"},
			"message.delete":  {"seq": theirSeq},
			"reaction.add":    {"seq": b.seq, "emoji": "x"},
			"reaction.remove": {"seq": b.seq, "emoji": "x"},
			"typing.start":    {},
			"cursor.read":     {"seq": b.seq},
		} {
			fields["type"], fields["channel_id"] = kind, channel
			if code := who.refused(fields); code != "not_found" {
				t.Errorf("%s in %s: %s", kind, channel, code)
			}
		}
	}
	for _, u := range []*user{b.eve, b.fay, b.ada, b.bob} { // gus knows nobody; nobody of Rival is known here
		gus.send(map[string]any{"type": "presence.query", "user_ids": []string{u.id}})
		gus.sees(u.id, "offline", "")
	}
	ada.send(map[string]any{"type": "presence.query", "user_ids": []string{b.eve.id}})
	ada.sees(b.eve.id, "offline", "")

	mine := b.ada.channel("general")
	send := func(fields string) string {
		return `{"type":"message.send","channel_id":"` + mine + `",` + fields + `}`
	}
	for _, tt := range []struct{ text, code string }{
		{"", "invalid"}, {"x", "invalid"}, {"null", "invalid"}, {"[]", "invalid"}, {"{}", "invalid"}, {`{"type":7}`, "invalid"}, {`{"type":"hello"}`, "invalid"},
		{`{"type":"message.deliver"}`, "invalid"}, {`{"type":"ping","type":"ping"}`, "invalid"}, {`{"type":"ping"}{`, "invalid"}, {`{"type":"ping","ref":{}}`, "invalid"},
		{`{"type":"ping","ref":"` + strings.Repeat("x", 100) + `"}`, "invalid"}, {`{"type":"ping","deep":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + "}", "invalid"},
		{send(`"client_msg_id":"m1"`), "invalid"}, {send(`"client_msg_id":"m1","body":7`), "invalid"}, {send(`"client_msg_id":"m1","body":""`), "invalid"},
		{send(`"body":"x"`), "invalid"}, {send(`"client_msg_id":"","body":"x"`), "invalid"}, {send(`"client_msg_id":"a b","body":"x"`), "invalid"},
		{send(`"client_msg_id":"m1","body":"x","thread":-1`), "invalid"}, {send(`"client_msg_id":"m1","body":"x","thread":1.5`), "invalid"},
		{send(`"client_msg_id":"m1","body":"\ud83d"`), "invalid"}, {send(`"client_msg_id":"m1","body":"` + strings.Repeat("x", chat.MaxBody+1) + `"`), "too_large"},
		{`{"type":"presence.set"}`, "invalid"}, {`{"type":"presence.set","status":"hidden"}`, "invalid"}, {`{"type":"presence.set","status":"online","text":"` + strings.Repeat("x", 2000) + `"}`, "invalid"},
		{`{"type":"presence.query","user_ids":["*"]}`, "invalid"}, {`{"type":"presence.query","user_ids":"` + b.bob.id + `"}`, "invalid"},
		{`{"type":"presence.query","user_ids":["` + strings.Repeat(b.bob.id+`","`, 2000) + `"]}`, "invalid"}, {`{"type":"cursor.read","channel_id":"` + mine + `"}`, "invalid"},
		{`{"type":"cursor.read","channel_id":"` + mine + `","seq":-1}`, "invalid"}, {`{"type":"cursor.read","seq":1}`, "not_found"}, {`{"type":"cursor.delivered"}`, "invalid"},
		{`{"type":"cursor.delivered","seq":0}`, "invalid"}, {`{"type":"cursor.delivered","seq":281474976710656}`, "invalid"}, {`{"type":"cursor.stale"}`, "invalid"},
	} {
		if code := ada.answered(tt.text); code != tt.code {
			t.Errorf("%.120s is answered %q, want %q", tt.text, code, tt.code)
		}
	}
	ada.say(mine, "still here")
	for code, text := range map[int]string{1007: "\xff\xfe", 1009: strings.Repeat(" ", wsconn.MaxMessage+1)} {
		s := b.ada.open()
		s.sendText(text)
		if got := s.ends(); got != code {
			t.Errorf("%.5q ends the socket with %d, want %d", text, got, code)
		}
	}
	if messages, _ := b.bob.history(b.plans); messages[len(messages)-1].Body != secretText || messages[len(messages)-1].Deleted {
		t.Errorf("%+v", messages)
	}
}

// listen keeps everything that a socket is sent until it is told the end, and answers it.
func (s *socket) listen(end string) (all []string) {
	s.t.Helper()
	for {
		f := s.next()
		all = append(all, f.raw)
		if f.Message != nil && f.Message.Body == end {
			return all
		}
	}
}

// stir has two people of a workspace do everything that others see.
func stir(one, two *user, name string) {
	t := one.d.t
	t.Helper()
	general, a, b := one.channel("general"), one.open(), two.open()
	a.say(general, name+" speaks")
	seq := a.say(general, name+" erred")
	a.do("message.edit", map[string]any{"channel_id": general, "seq": seq, "body": name + " erred less"})
	b.do("reaction.add", map[string]any{"channel_id": general, "seq": seq, "emoji": "tada"})
	a.do("message.delete", map[string]any{"channel_id": general, "seq": seq})
	room := one.create(strings.ToLower(name)+"-room", "public")
	one.must(http.StatusOK, "PATCH", "/channels/"+room, map[string]any{"topic": name + " topic"}, nil)
	one.must(http.StatusNoContent, "POST", "/channels/"+room+"/members", map[string]any{"user_ids": []string{two.id}}, nil)
	one.must(http.StatusOK, "PATCH", "/me", map[string]any{"display_name": name + " One"}, nil)
	a.send(map[string]any{"type": "presence.set", "status": "away", "text": name + " is out"})
	b.sees(one.id, "away", name+" is out")
	a.send(map[string]any{"type": "typing.start", "channel_id": general})
	if f := b.want("typing"); f.UserID != one.id {
		t.Errorf("%s is sent %s", name, f.raw)
	}
	one.must(http.StatusCreated, "POST", one.workspace("/dms"), map[string]any{"user_ids": []string{two.id}}, nil)
	a.say(general, name+" ends")
}

// Nothing of one workspace reaches a socket of another, of whoever: not of those who are in both, and not of those who
// ask for people by their ids.
func TestWorkspacesAreApart(t *testing.T) {
	t.Parallel()
	b := besiege(t)
	abroad := b.both.at(b.rival)
	at := map[string][]*socket{
		"Acme":  {b.ada.open(), b.both.open(), b.gus.open()},
		"Rival": {b.eve.open(), abroad.open()},
	}
	acme, rival := []string{b.ada.id, b.bob.id, b.gus.id}, []string{b.eve.id, b.fay.id}
	for _, s := range at["Acme"][:2] {
		s.send(map[string]any{"type": "presence.query", "user_ids": rival})
	}
	for _, s := range at["Rival"] {
		s.send(map[string]any{"type": "presence.query", "user_ids": acme})
	}
	b.ada.must(http.StatusNoContent, "POST", "/channels/"+b.ada.channel("general")+"/members", map[string]any{"user_ids": []string{b.gus.id}}, nil)
	b.secrets = append(b.secrets, "Acme speaks", "Rival speaks", "erred less", "is out")
	stir(b.bob, b.ada, "Acme")
	stir(b.fay, b.eve, "Rival")
	foreign := map[string][]string{
		"Acme":  {b.rival.run.Workspace.ID, "Rival"},
		"Rival": {b.run.Workspace.ID, "Acme", secretText, b.plans},
	}
	for _, u := range []*user{b.fay, b.ada} {
		name := map[*user]string{b.fay: "Acme", b.ada: "Rival"}[u]
		foreign[name] = append(foreign[name], u.joined()...)
	}
	people := map[string][]string{"Acme": rival, "Rival": acme}
	for name, sockets := range at {
		for i, s := range sockets {
			asked := len(people[name]) // each has one answer, that they are not there
			for _, text := range s.listen(name + " ends") {
				for _, id := range foreign[name] {
					if strings.Contains(text, id) {
						t.Errorf("socket %d of %s was sent %s", i, name, text)
					}
				}
				for _, id := range people[name] {
					if !strings.Contains(text, id) {
						continue
					}
					var f struct{ Type, Status string }
					if err := json.Unmarshal([]byte(text), &f); err != nil {
						t.Fatal(err)
					}
					if asked--; f.Type != "presence.update" || f.Status != "offline" || asked < 0 {
						t.Errorf("socket %d of %s was told of somebody elsewhere: %s", i, name, text)
					}
				}
			}
		}
	}
}
