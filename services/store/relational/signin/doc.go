// Package signin keeps in the Directory's database who is signed in, and what that rests on: sign-ins with their refresh
// tokens, tickets, the keys that sign access tokens, and what was answered to requests that may come again.
//
// A secret is kept as its SHA-256. A refusal that must leave a mark (a refresh token that is used twice) is a
// transaction that is kept, and an error after it. What nobody asks for any more is forgotten in small steps, inside
// the calls that add rows, so that no timer is needed and no call takes long.
package signin
