// Package certs makes an authority and a certificate for a deployment on one machine: for tests and for trying
// Canopy out. The key of the authority is thrown away, so nobody can sign another certificate with it. Operators bring
// certificates of their own.
package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Life is how long a certificate is valid. Nothing renews it: whoever still has the deployment then makes another.
const Life = 365 * 24 * time.Hour

// early is how long before now it begins to be valid, for clocks that are a little late.
const early = time.Hour

// A Set is where the PEM files of a certificate are.
type Set struct {
	CA   string // the certificate of who signed
	Cert string // for a server and for a client, at loopback addresses and localhost
	Key  string // of Cert; for the owner of the folder only
}

// Make writes a Set into a folder that exists, in place of one that is there.
func Make(dir string) (Set, error) {
	now := time.Now()
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Canopy on this machine"},
		NotBefore: now.Add(-early), NotAfter: now.Add(Life),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, MaxPathLenZero: true,
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Set{}, fmt.Errorf("key of the authority: %w", err)
	}
	ca, err := x509.CreateCertificate(rand.Reader, authority, authority, caKey.Public(), caKey)
	if err != nil {
		return Set{}, fmt.Errorf("certificate of the authority: %w", err)
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: now.Add(-early), NotAfter: now.Add(Life),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Set{}, fmt.Errorf("key: %w", err)
	}
	cert, err := x509.CreateCertificate(rand.Reader, leaf, authority, key.Public(), caKey)
	if err != nil {
		return Set{}, fmt.Errorf("certificate: %w", err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Set{}, fmt.Errorf("key: %w", err)
	}
	return write(dir, ca, cert, secret)
}

func write(dir string, ca, cert, key []byte) (Set, error) {
	s := Set{CA: filepath.Join(dir, "ca.pem"), Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	for _, f := range []struct {
		path, kind string
		der        []byte
		mode       os.FileMode
	}{
		{s.CA, "CERTIFICATE", ca, 0o644}, {s.Cert, "CERTIFICATE", cert, 0o644}, {s.Key, "PRIVATE KEY", key, 0o600},
	} {
		if err := os.WriteFile(f.path, pem.EncodeToMemory(&pem.Block{Type: f.kind, Bytes: f.der}), f.mode); err != nil {
			return Set{}, err
		}
	}
	return s, nil
}
