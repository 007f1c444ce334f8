package mail_test

import (
	"errors"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	netmail "net/mail"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/mail"
	"github.com/canopychat/canopy/services/store"
)

// read takes a mail apart as its reader does.
func read(t *testing.T, m received) (header netmail.Header, subject, body string) {
	t.Helper()
	msg, err := netmail.ReadMessage(strings.NewReader(m.data))
	if err != nil {
		t.Fatal(err)
	}
	raw := io.Reader(msg.Body)
	if msg.Header.Get("Content-Transfer-Encoding") == "quoted-printable" {
		raw = quotedprintable.NewReader(raw)
	}
	text, err := io.ReadAll(raw)
	if err != nil {
		t.Fatal(err)
	}
	if subject, err = new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject")); err != nil {
		t.Fatal(err)
	}
	return msg.Header, subject, strings.ReplaceAll(string(text), "\r\n", "\n")
}

func TestAnInviteArrives(t *testing.T) {
	s := newServer(t)
	o := newOffice(t, mail.Config{Address: s.listen()}).run()
	m := invite()
	m.Workspace, m.InvitedBy = "Gärten & Söhne", "Žofie \"Zo\" <z@example.org>"
	m.ExpiresAt = time.Date(2100, 1, 2, 15, 4, 0, 0, time.UTC)
	o.send(m)
	until(t, "it arrived", func() bool { return o.Counts().Sent == 1 })
	got := s.mails()
	if len(got) != 1 || !strings.HasPrefix(got[0].from, "FROM:<canopy@example.org>") || !strings.HasPrefix(got[0].to, "TO:<bob.smith@example.com>") {
		t.Fatalf("%+v", got)
	}
	header, subject, body := read(t, got[0])
	if subject != `Žofie "Zo" <z@example.org> invites you to Gärten & Söhne` {
		t.Errorf("the subject is %q", subject)
	}
	want := `Žofie "Zo" <z@example.org> invites you to Gärten & Söhne on Canopy.

To accept, open this link:

https://chat.example.org/join#s3cretc0de

The invite is good until 2 January 2100, 15:04 UTC.
If you did not expect it, there is nothing to do.
`
	if body != want {
		t.Errorf("it says\n%s\nwant\n%s", body, want)
	}
	for name, want := range map[string]string{
		"From": `"Canopy" <canopy@example.org>`, "To": "<bob.smith@example.com>", "Auto-Submitted": "auto-generated",
		"Content-Type": "text/plain; charset=UTF-8", "User-Agent": "", "X-Mailer": "", "Bcc": "",
	} {
		if header.Get(name) != want {
			t.Errorf("%s: %q, want %q", name, header.Get(name), want)
		}
	}
	if id := header.Get("Message-ID"); !strings.HasSuffix(id, "@example.org>") || header.Get("Date") == "" {
		t.Errorf("Message-ID %q of %q", id, header.Get("Date"))
	}
}

func TestWithoutALinkTheMailHasTheCode(t *testing.T) {
	s := newServer(t)
	o := newOffice(t, mail.Config{Address: s.listen()}).run()
	m := invite()
	m.URL = ""
	o.send(m)
	until(t, "it arrived", func() bool { return len(s.mails()) == 1 })
	if _, _, body := read(t, s.mails()[0]); !strings.Contains(body, "\ns3cretc0de\n") || strings.Contains(body, "link") {
		t.Errorf("it says\n%s", body)
	}
}

func TestNothingBreaksOutOfItsPlace(t *testing.T) {
	o := newOffice(t, mail.Config{Address: "127.0.0.1:25"}) // it does not run
	for what, spoil := range map[string]func(*store.InviteMail){
		"a header in the address":   func(m *store.InviteMail) { m.To = "bob@example.com\r\nBcc: eve@example.com" },
		"a second address":          func(m *store.InviteMail) { m.To = "bob@example.com, eve@example.com" },
		"no address":                func(m *store.InviteMail) { m.To = "" },
		"a name before the address": func(m *store.InviteMail) { m.To = "Bob <bob@example.com>" },
		"a header in the workspace": func(m *store.InviteMail) { m.Workspace = "Garden\r\nBcc: eve@example.com" },
		"a header in the name":      func(m *store.InviteMail) { m.InvitedBy = "Alice\nSubject: x" },
		"a name that is turned":     func(m *store.InviteMail) { m.InvitedBy = "Alice\u202egpj.exe" },
		"no name":                   func(m *store.InviteMail) { m.InvitedBy = "" },
		"a link that ends":          func(m *store.InviteMail) { m.URL = "https://example.org/\nX" },
		"a link that runs":          func(m *store.InviteMail) { m.URL = "javascript:alert(1)" },
		"a link to nowhere":         func(m *store.InviteMail) { m.URL = "https:///x" },
		"two words":                 func(m *store.InviteMail) { m.URL = "https://example.org/ x" },
		"neither link nor code":     func(m *store.InviteMail) { m.URL, m.Code = "", "" },
		"a code of two lines":       func(m *store.InviteMail) { m.URL, m.Code = "", "a\nb" },
	} {
		m := invite()
		spoil(&m)
		if err := o.SendInvite(t.Context(), m); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if n := o.Counts().Waiting; n != 0 {
		t.Errorf("%d are sent", n)
	}
}

func TestALineOfOneDotDoesNotEndAMail(t *testing.T) {
	s := newServer(t)
	o := newOffice(t, mail.Config{Address: s.listen()}).run()
	m := invite()
	m.Workspace, m.URL, m.Code = ".", "", "."
	o.send(m)
	until(t, "it arrived", func() bool { return o.Counts().Sent == 1 })
	if got := s.mails(); len(got) != 1 || !strings.Contains(got[0].data, "The invite is good until") {
		t.Errorf("%+v", got)
	}
}

func TestWhatFailsForAWhileIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		s.says["RCPT"] = []string{"451 4.7.1 bob.smith@example.com: come back later", "", "450 busy"}
		s.says["CONNECT"] = []string{"421 not now"}
		s.says["END"] = []string{"452 no room"}
		o := newOffice(t, mail.Config{Address: "mail.example.org:25", Dial: s.dial}).run()
		o.send(invite())
		time.Sleep(time.Hour)
		// 0 s: 421; 5 s: 451; 15 s: 452; 35 s: 450; 75 s: taken
		if got := o.Counts(); got.Sent != 1 || got.Retried != 4 || got.Waiting != 0 || s.connections() != 5 {
			t.Errorf("counted %+v over %d connections", got, s.connections())
		}
		got := s.mails()
		first, _, _ := read(t, got[0])
		last, _, _ := read(t, got[len(got)-1])
		if first.Get("Message-ID") != last.Get("Message-ID") || len(got) != 2 {
			t.Errorf("%d mails, which cannot be seen to be one", len(got))
		}
		if text := o.log.String(); strings.Contains(text, "bob") || strings.Contains(text, "s3cret") || !strings.Contains(text, "the server says 451") {
			t.Errorf("the log says\n%s", text)
		}
	})
}

func TestWhatIsRefusedForGoodIsLoggedOnceWithoutTheAddress(t *testing.T) {
	s := newServer(t)
	s.says["RCPT"] = []string{"550 5.1.1 <bob.smith@example.com>: no such user"}
	o := newOffice(t, mail.Config{Address: s.listen()}).run()
	o.send(invite())
	other := invite()
	other.To = "carol@example.net"
	o.send(other)
	until(t, "the other arrived", func() bool { return o.Counts().Sent == 1 })
	if got := o.Counts(); got.Refused != 1 || got.Retried != 0 || got.Waiting != 0 {
		t.Errorf("counted %+v", got)
	}
	text := o.log.String()
	if strings.Count(text, "\n") != 1 || !strings.Contains(text, "smtp_code=550") || !strings.Contains(text, "domain=example.com") ||
		strings.Contains(text, "bob") || strings.Contains(text, "s3cret") {
		t.Errorf("the log says\n%s", text)
	}
}

func TestAServerThatHangsDoesNotHoldTheNextMailForEver(t *testing.T) {
	for _, verb := range []string{"CONNECT", "EHLO", "MAIL", "DATA", "END"} {
		synctest.Test(t, func(t *testing.T) {
			s := newServer(t)
			s.says[verb] = []string{"hang"}
			o := newOffice(t, mail.Config{Address: "mail.example.org:25", Dial: s.dial}).run()
			o.send(invite())
			time.Sleep(mail.DefaultTimeout - time.Second)
			if got := o.Counts(); got.Retried != 0 {
				t.Errorf("%s: given up early: %+v", verb, got)
			}
			time.Sleep(2 * time.Second)
			if got := o.Counts(); got.Retried != 1 {
				t.Errorf("%s: not given up: %+v", verb, got)
			}
			time.Sleep(time.Minute)
			if got := o.Counts(); got.Sent != 1 {
				t.Errorf("%s: not tried again: %+v", verb, got)
			}
			if text := o.log.String(); !strings.Contains(text, "the server took too long") {
				t.Errorf("%s: the log says\n%s", verb, text)
			}
		})
	}
}

func TestAMailThatWasTakenIsNotSentAgain(t *testing.T) {
	for _, verb := range []string{"RSET", "QUIT"} {
		for _, says := range []string{"421 going down", "500 what", "hang"} {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t)
				s.says[verb] = []string{says}
				o := newOffice(t, mail.Config{Address: "mail.example.org:25", Dial: s.dial}).run()
				o.send(invite())
				time.Sleep(time.Hour)
				if got := o.Counts(); got.Sent != 1 || got.Refused+got.Expired != 0 || len(s.mails()) != 1 {
					t.Errorf("%s, %s: %d mails, counted %+v", verb, says, len(s.mails()), got)
				}
			})
		}
	}
}

func TestOneThatWaitsDoesNotHoldTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		s.says["RCPT"] = []string{"451 greylisted"}
		o := newOffice(t, mail.Config{Address: "mail.example.org:25", Dial: s.dial}).run()
		o.send(invite())
		synctest.Wait()
		o.send(invite())
		synctest.Wait()
		if got := o.Counts(); got.Sent != 1 || got.Waiting != 1 {
			t.Errorf("counted %+v", got)
		}
	})
}

func TestWhatNobodyTakesIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t)
		for range 100 {
			s.says["MAIL"] = append(s.says["MAIL"], "451 no")
		}
		o := newOffice(t, mail.Config{Address: "mail.example.org:25", Dial: s.dial}).run()
		o.send(invite())
		short := invite()
		short.ExpiresAt = time.Now().Add(time.Minute)
		o.send(short)
		time.Sleep(2 * time.Minute)
		if got := o.Counts(); got.Expired != 1 || got.Waiting != 1 {
			t.Errorf("an invite that has lapsed: %+v", got)
		}
		time.Sleep(mail.DefaultGiveUp)
		if got := o.Counts(); got.Expired != 2 || got.Waiting != 0 || s.connections() > 50 {
			t.Errorf("after half a day: %+v, %d connections", got, s.connections())
		}
		if n := strings.Count(o.log.String(), "level=WARN"); n != 2 {
			t.Errorf("%d warnings", n)
		}
	})
}

func TestTheQueueIsBounded(t *testing.T) {
	o := newOffice(t, mail.Config{Address: "127.0.0.1:25", Queue: 3}) // it does not run
	for range 3 {
		o.send(invite())
	}
	err := o.SendInvite(t.Context(), invite())
	if got := fault.Public(err); got.Kind != fault.Unavailable || got.RetryAfter <= 0 {
		t.Errorf("the fourth: %v", err)
	}
	if got := o.Counts(); got.QueueFull != 1 || got.Waiting != 3 {
		t.Errorf("counted %+v", got)
	}
}

func TestWhatWaitsAtTheEndIsCounted(t *testing.T) {
	s := newServer(t)
	s.says["MAIL"] = []string{"hang"}
	o := newOffice(t, mail.Config{Address: s.listen()}).run()
	o.send(invite())
	o.send(invite())
	until(t, "one is being sent", func() bool { return s.connections() == 1 })
	start := time.Now()
	o.stop()
	if got := o.Counts(); got.Lost != 2 || got.Waiting != 0 || time.Since(start) > 5*time.Second {
		t.Errorf("after %v: %+v", time.Since(start), got)
	}
}

func TestAServerThatIsAway(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil { // so that nobody is there
		t.Fatal(err)
	}
	o := newOffice(t, mail.Config{Address: l.Addr().String(), First: time.Millisecond, Longest: 4 * time.Millisecond}).run()
	o.send(invite())
	until(t, "it is tried again and again", func() bool { return o.Counts().Retried >= 3 })
	if got := o.Counts(); got.Waiting != 1 || !strings.Contains(o.log.String(), "refused") {
		t.Errorf("counted %+v; the log says\n%s", got, o.log)
	}
}

func TestNothingIsSaidBeforeTLS(t *testing.T) {
	for _, mode := range []string{mail.StartTLS, mail.TLS} {
		s := newServer(t)
		roots := s.certify()
		s.crypted = mode == mail.TLS
		o := newOffice(t, mail.Config{Address: s.listen(), TLS: mode, Roots: roots, User: "canopy", Password: "pa55word"}).run()
		o.send(invite())
		until(t, "it arrived", func() bool { return o.Counts().Sent == 1 })
		if got := s.mails(); !got[0].crypted || !strings.HasPrefix(got[0].user, "PLAIN ") {
			t.Errorf("%s: %+v", mode, got[0])
		}
		// A server that nobody trusts hears nothing, nor does one that has no TLS.
		untrusted := newOffice(t, mail.Config{Address: s.listen(), TLS: mode, User: "canopy", Password: "pa55word"}).run()
		untrusted.send(invite())
		until(t, "it is refused", func() bool { return untrusted.Counts().Retried == 1 })
		if n := len(s.mails()); n != 1 {
			t.Errorf("%s: %d mails", mode, n)
		}
	}
	plain := newServer(t)
	o := newOffice(t, mail.Config{Address: plain.listen(), TLS: mail.StartTLS, User: "canopy", Password: "pa55word"}).run()
	o.send(invite())
	until(t, "it is refused", func() bool { return o.Counts().Retried == 1 })
	plain.mu.Lock()
	defer plain.mu.Unlock()
	if said := strings.Join(plain.commands, " "); strings.Contains(said, "AUTH") || strings.Contains(said, "MAIL") {
		t.Errorf("a server without TLS is told %s", said)
	}
}

func TestAWrongPasswordOfTheServer(t *testing.T) {
	s := newServer(t)
	s.says["AUTH"] = []string{"535 5.7.8 no: canopy/pa55word"}
	o := newOffice(t, mail.Config{Address: s.listen(), User: "canopy", Password: "pa55word"}).run()
	o.send(invite())
	until(t, "it is refused", func() bool { return o.Counts().Refused == 1 })
	if text := o.log.String(); !strings.Contains(text, "smtp_code=535") || strings.Contains(text, "pa55word") {
		t.Errorf("the log says\n%s", text)
	}
}

func TestSettingsThatCannotBe(t *testing.T) {
	good := mail.Config{Address: "mail.example.org:587", From: "Canopy <canopy@example.org>"}
	if _, err := mail.New(good); err != nil {
		t.Fatal(err)
	}
	for what, spoil := range map[string]func(*mail.Config){
		"no server":              func(c *mail.Config) { c.Address = "" },
		"no port":                func(c *mail.Config) { c.Address = "mail.example.org" },
		"no such port":           func(c *mail.Config) { c.Address = "mail.example.org:70000" },
		"no host":                func(c *mail.Config) { c.Address = ":25" },
		"no sender":              func(c *mail.Config) { c.From = "" },
		"a sender with a header": func(c *mail.Config) { c.From = "a@example.org\r\nBcc: b@example.org" },
		"another TLS":            func(c *mail.Config) { c.TLS = "ssl" },
		"a password in clear":    func(c *mail.Config) { c.TLS, c.User, c.Password = mail.NoTLS, "u", "p" },
	} {
		cfg := good
		spoil(&cfg)
		if _, err := mail.New(cfg); err == nil {
			t.Errorf("%s is taken", what)
		}
	}
}

func TestAddresses(t *testing.T) {
	for _, good := range []string{
		"bob@example.com", "bob.smith+canopy@mail.example.co.uk", "o'neill@example.com", "a@b.c", "bob@xn--bcher-kva.example", "root@localhost",
		strings.Repeat("a", 64) + "@example.com",
	} {
		if err := mail.Check(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "bob", "@example.com", "bob@", "bob@@example.com", "bob@example", "bob@.com", "bob@-a.com", "bob@a-.com", "bob@a..com", "bob@example.com.",
		" bob@example.com", "bob@example.com ", "bob @example.com", "<bob@example.com>", "Bob <bob@example.com>", "bob@example.com,eve@example.com",
		`"bob smith"@example.com`, `"a@b"@example.com`, "bob@[127.0.0.1]", "bob@example.com\r\nBcc: eve@example.com", "bob\x00@example.com", ".bob@example.com",
		"bob.@example.com", "b..ob@example.com", "bób@example.com", "bob@bücher.example", "bob(comment)@example.com", "bob@example.com(comment)",
		strings.Repeat("a", 65) + "@example.com", "a@" + strings.Repeat("b.", 130) + "com", "a@" + strings.Repeat("b", 64) + ".com",
	} {
		if err := mail.Check(bad); !errors.Is(err, mail.ErrBadAddress) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// FuzzCheck says that an address that is taken is one recipient, one header and one command.
func FuzzCheck(f *testing.F) {
	for _, seed := range []string{"bob@example.com", "a@b.c", "bob@example.com\r\nBcc: x", "\"a b\"@c.d", "a@b@c.d", "=?utf-8?q?a?=@b.c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if mail.Check(s) != nil {
			return
		}
		list, err := netmail.ParseAddressList(s)
		if err != nil || len(list) != 1 || list[0].Address != s {
			t.Errorf("%q is %v, %v", s, list, err)
		}
		if strings.ContainsAny(s, " \t\r\n<>()[]\\,;:\"\x00\x7f") || strings.Count(s, "@") != 1 {
			t.Errorf("%q is taken", s)
		}
	})
}
