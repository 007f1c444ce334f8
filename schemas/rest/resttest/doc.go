// Package resttest holds the traffic of a REST server against the OpenAPI document, and sends it what an enemy would,
// in tests of whoever has a server: services/api tests itself with it, and the whole system is tested with it.
//
// It owns no server and knows the API from the document alone, so a call that is new in the document is tried without
// a word here. What the document does not say of a server that has it, and what it says that no server does, is for
// the tests of services/api: they hold the document against the router's table.
package resttest
