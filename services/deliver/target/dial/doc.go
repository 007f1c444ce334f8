// Package dial sends requests to addresses that users gave us, without lending them our place in the network.
//
// It owns the rule of where such a request may go: http and https, without credentials in the address; to the ports of the
// web, at addresses that are reachable from the whole Internet, and to any port of the private networks that the operator
// allowed. The address that is checked is the one that is dialled, however its name resolves and whenever. No redirect is
// followed, no proxy of the environment is used, and time and answer are bounded. Where a cloud tells its secrets is never
// reached, whatever is allowed.
//
// It knows nothing of what is sent. An error says what happened without the address's path, which may be a secret.
package dial
