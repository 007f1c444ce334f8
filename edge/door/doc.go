// Package door is what comes before a socket: it turns an HTTP request into everything that a session starts with, or
// into a problem (RFC 9457), and hands the connection over to the House behind it.
//
// The steps, from the cheapest to the dearest, so that who is turned away costs little:
//
//	the form       is it an upgrade, from a page that may (edge/wsconn)
//	the address    how often may it come
//	room           has the house room, and how many come a second (Pacer): a crowd is spread over a known span
//	who            a token, or a ticket that is taken once, says it
//	where          the workspace's feed: its position first
//	what           the user's place in it second: the directory's word, or what is remembered of it (memory)
//
// It owns the requests that are on their way in, which are bounded, and what it remembers of users, which is bounded too. It
// promises that what a session starts with is right at the position that it starts from, and that whoever is refused for
// want of room is told when to come back. It knows no frame and no loop.
package door
