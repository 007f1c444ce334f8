// Package stranger is a client of Canopy that was written apart from it: from the documents that a server gives (GET /openapi.json,
// GET /asyncapi.json), README.md and DESIGN §9, with the standard library and a WebSocket library that the product does not use. It
// shares no code with the product, so that a check of what both were told cannot pass because both read a frame wrongly in the same way.
//
// A Hand acts for one sign-in of one person. Do does what an op says and writes down how it ended:
//
//	ok       the server answered, and the answer had the form that the documents promise
//	refused  the server answered with a code that holds for good, so it must have had no effect
//	unknown  no answer came, or one that leaves it open; or it was not tried
//
// A conn of it is one WebSocket. One reader takes its frames, writes each of them down as it comes (record.Told), and proves by prev that
// nothing is missing; a hole is told as a Gap. Nothing is sent a second time when a socket ends, and no socket comes back by itself: who
// says what is done decides that too.
//
//	stranger ──▶ probe     what a server must not let in
//	    ├──────▶ socket    one WebSocket
//	    └──────▶ call      requests over REST, and the sign-in
//	               └─▶ answer   how something ended, and when it is tried again
//
// None of them may know package schemas, edge or streams.
package stranger
