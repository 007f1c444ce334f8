package mail

import (
	"crypto/rand"
	"net/mail"
	"net/url"
	"strings"
	"text/template"
	"time"

	smtp "github.com/wneessen/go-mail"

	"github.com/canopychat/canopy/schemas/chat"
	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/store"
)

// maxCode is the length in bytes of the longest code and of the longest link that is put into a mail.
const maxCode = 2048

// letter is a mail on its way. It is owned by the worker once it was taken.
type letter struct {
	to, subject, body string
	id                string // of the message: the same at each attempt, so that one that arrived twice is known
	made              time.Time
	expires           time.Time // of what it brings: after that it is of no use

	attempts int       // that were made
	due      time.Time // of the next one
}

var inviteText = template.Must(template.New("invite").Parse(`{{.InvitedBy}} invites you to {{.Workspace}} on Canopy.

{{if .URL}}To accept, open this link:

{{.URL}}
{{else}}To accept, give this code where you sign in:

{{.Code}}
{{end}}
The invite is good until {{.ExpiresAt.UTC.Format "2 January 2006, 15:04"}} UTC.
If you did not expect it, there is nothing to do.
`))

// writeInvite makes a letter of an invite. The error is Invalid: something of it could disguise or break a mail.
func writeInvite(m store.InviteMail, from *mail.Address, now time.Time) (*letter, error) {
	switch {
	case Check(m.To) != nil:
		return nil, fault.Wrap(fault.Invalid, ErrBadAddress, "%v", ErrBadAddress)
	case chat.CheckName(m.Workspace) != nil || chat.CheckName(m.InvitedBy) != nil:
		return nil, fault.New(fault.Invalid, "the name of the workspace or of who invites cannot be sent")
	case m.URL != "" && !isLink(m.URL), m.URL == "" && !isWord(m.Code):
		return nil, fault.New(fault.Invalid, "the link or the code of the invite cannot be sent")
	}
	var body strings.Builder
	if err := inviteText.Execute(&body, m); err != nil {
		return nil, err
	}
	return &letter{
		to: m.To, subject: m.InvitedBy + " invites you to " + m.Workspace, body: body.String(),
		id: rand.Text() + "@" + domainOf(from.Address), made: now, expires: m.ExpiresAt, due: now,
	}, nil
}

// isLink reports whether s is an address of the web in one word.
func isLink(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && isWord(s)
}

// isWord reports whether s is one word of ASCII.
func isWord(s string) bool {
	return s != "" && len(s) <= maxCode && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// message is the letter in the library's form. It is made anew for each attempt, because the library keeps in it what
// became of it.
func (l *letter) message(from *mail.Address) *smtp.Msg {
	m := smtp.NewMsg(smtp.WithNoDefaultUserAgent())
	m.FromMailAddress(from)
	m.ToMailAddress(&mail.Address{Address: l.to})
	m.Subject(l.subject)
	m.SetMessageIDWithValue(l.id)
	m.SetDateWithValue(l.made)
	m.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no machine shall answer
	m.SetBodyString(smtp.TypeTextPlain, l.body)
	return m
}
