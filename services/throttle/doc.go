// Package throttle slows down those who guess passwords.
//
// There are three bounds: of one login from one address, of one address over all logins, and of one login over all
// addresses. Behind each, after some wrong passwords, come pauses that grow. A pair of login and address that came in
// before is known: of it only the first bound is asked, so that its owner comes in while somebody elsewhere guesses,
// or a neighbour behind the same address does.
//
// An attempt counts as wrong from its beginning until it is known not to be, so that many at once gain nothing. A
// login that does not exist counts as any other. What counts is forgotten bit by bit. A right password forgets the
// pair and the login at once; of the address it takes back only itself, else somebody with an account could guess
// those of others for ever.
//
// Memory is bounded: of each bound the rows that would be empty soonest go first, which are those with the least
// wrong ones, so a crowd of addresses that tried once cannot wash away what is known of one that tried often. Of the
// known pairs the one goes first that came in longest ago. Logins are kept as hashes. What is known goes with the
// process, and is of this process.
//
// It is pure but for a lock: the caller says what time it is. It must not know what a password is.
package throttle
