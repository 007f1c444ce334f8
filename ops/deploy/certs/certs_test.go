package certs_test

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"testing"
	"time"

	"github.com/canopychat/canopy/ops/deploy/certs"
)

func TestACertificateServesThisMachineOnly(t *testing.T) {
	set, err := certs.Make(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(set.Cert, set.Key)
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(set.CA)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		t.Fatal("the authority is not a certificate")
	}
	for name, fine := range map[string]bool{"localhost": true, "127.0.0.1": true, "::1": true, "example.org": false, "10.0.0.1": false} {
		_, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
		if (err == nil) != fine {
			t.Errorf("at %s: %v", name, err)
		}
	}
	for _, use := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		at := time.Now().Add(certs.Life - time.Hour)
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{use}}); err != nil {
			t.Error(err)
		}
	}
	if info, err := os.Stat(set.Key); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key: %v, %v", info.Mode(), err)
	}
	if other, err := certs.Make(t.TempDir()); err != nil {
		t.Error(err)
	} else if pair, err := tls.LoadX509KeyPair(other.Cert, other.Key); err != nil {
		t.Error(err)
	} else if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots}); err == nil {
		t.Error("one authority vouches for another's certificate")
	}
}
