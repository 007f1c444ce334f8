// Package crew is a hand of canopy verify that is made of the product's own client, edge/client and edge/client/live: what people and bots
// use. It writes down what it is told (record.Told) as the client tells it, and what came of what it did.
//
// A conn of it is a live.Conn: it comes back by itself, with its cursor, and sends again what has no answer. So a send is refused only when
// it was refused for good, and nothing before that left open whether the log took it: one that was written to a socket which was lost, or
// that was answered unavailable, may be stored although a later answer refuses it. Then its outcome is unknown.
//
// What the client has no call for (hostile ids, other people's memberships, sign-ins) goes out as one request each (request.go), and so does
// what must be refused visibly while capacity is measured, as a live.Conn waits such refusals out.
package crew
