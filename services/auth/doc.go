// Package auth says who somebody is: it checks passwords, and makes and verifies access tokens.
//
// It owns password hashing (argon2id in PHC strings) and the tokens' signature (EdDSA JWTs, whose claims
// are schemas/token's). Signer has the private key and lives where the database is. Verifier has public
// keys only and lives in every gateway and API process: it goes on verifying while the directory is down.
//
// It promises that an unknown login takes as long as a wrong password and gets the same answer, that
// hashing uses a bounded amount of memory whatever the load, and that no error says why a token was
// refused. It knows no HTTP, no SQL and no NATS.
package auth
