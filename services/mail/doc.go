// Package mail sends invites by SMTP, and says what an address of e-mail is.
//
// A Sender takes an invite into a bounded queue and answers at once: the mail is on its way. Its worker (Run) hands it
// to one SMTP server, which knows the way to all others. What fails for a while (the server is away, or says 4xx) is
// tried again after pauses that grow; what the server refuses for good (5xx) is logged once and forgotten. What waits
// when the process ends is lost, as is what nobody could deliver in half a day: the invite stands, and whoever made it
// sees its link.
//
// It promises that nothing in a name or an address can make another header, recipient or command; that one attempt
// takes a bounded time whatever the server does; that a password crosses a network in TLS only; and that the log has
// neither who was invited, except for the domain, nor what lets them in. It must not know what an invite is good for.
package mail
