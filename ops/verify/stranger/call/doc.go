// Package call makes a stranger's requests over REST, for one sign-in: it signs in, replaces the token before it ends or when it does not
// count any more, and tries again what the documents allow to be done twice.
//
// A Client signs in when it is told to. Until then it asks nothing, and says so (ErrNobody). After a sign-out it asks as before, with the
// tokens that it had: what these are still good for is the server's to say. A second sign-in takes the place of the first one here, and
// leaves it alone at the server.
package call
