package pushtest

import (
	"crypto/ecdh"
	"net/http"
)

// Decrypt is what a browser with these keys reads.
func Decrypt(private *ecdh.PrivateKey, auth, body []byte) ([]byte, error) {
	return (&browser{private: private, auth: auth}).decrypt(body)
}

// CheckVAPID and CheckSignature are the checks of requests.
func CheckVAPID(authorization, origin, key string) error {
	return checkVAPID(authorization, origin, key)
}

// CheckSignature is the check of a webhook.
func CheckSignature(h http.Header, body, secret []byte) error { return checkSignature(h, body, secret) }
