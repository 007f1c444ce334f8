// Package absent tests what becomes of messages for people who are not there. It has no code of its own.
//
// Its tests run the whole system on a real Cassandra and a real PostgreSQL, with push services and webhooks of their own (package
// pushtest), and hold what the ledger, the dead letters and those receivers say against each other, by exact counts: an owed
// message is told, once where nothing was killed, or it is a dead letter with its reason, which an operator tries again. Two tests have
// a deployment of many processes: one kills the role deliver again and again, the other reads on three devices while gateways
// and links go.
//
// Receivers have certificates that only this process and those it starts trust: TestMain says so by SSL_CERT_FILE.
package absent
