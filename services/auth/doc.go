// Package auth says who somebody is: it checks passwords, lets people in and out, and makes and verifies access tokens.
//
// It owns password hashing (argon2id in PHC strings), the tokens' signature (EdDSA JWTs, whose claims are
// schemas/token's), and what a sign-in is made of:
//
//	access token    says who somebody is, without asking anybody, until it expires after some minutes
//	refresh token   <sign_in_id>.<secret>, gets the next pair of tokens once; used twice it ends the sign-in
//	ticket          opens one socket once, within seconds
//
// Sessions and Signer live where the database is; secrets are kept there as hashes. Verifier has public keys only and
// lives in every gateway and API process: it goes on verifying while the directory is down. What ends before its
// tokens expire it learns through Revocations: a sign-in is ended in the store first, then Sessions.Run announces it
// until everybody was told, however often processes die in between.
//
// It promises that an unknown login takes as long as a wrong password, gets the same answer and is slowed down the
// same (services/throttle), that hashing uses a bounded amount of memory whatever the load, and that no error says why a token
// was refused. It knows no HTTP, no SQL and no NATS.
package auth
