package pushtest_test

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/canopychat/canopy/services/deliver/target/pushtest"
)

func raw(t *testing.T, s string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The example of RFC 8291, section 5.
func TestABrowserDecryptsTheExampleOfTheRFC(t *testing.T) {
	private, err := ecdh.P256().NewPrivateKey(raw(t, "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"))
	if err != nil {
		t.Fatal(err)
	}
	auth := raw(t, "BTBZMqHH6r4Tts7J_aSIgg")
	body := raw(t, "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN")
	got, err := pushtest.Decrypt(private, auth, body)
	if err != nil || string(got) != "When I grow up, I want to be a watermelon" {
		t.Errorf("it reads %q: %v", got, err)
	}
	for i := range body {
		body[i] ^= 1
		if i < 16 || i > 20 { // the record size only bounds
			if got, err := pushtest.Decrypt(private, auth, body); err == nil {
				t.Errorf("with byte %d changed it reads %q", i, got)
			}
		}
		body[i] ^= 1
		if got, err := pushtest.Decrypt(private, auth, body[:i]); err == nil {
			t.Errorf("cut at %d it reads %q", i, got)
		}
	}
	auth[0] ^= 1
	if _, err := pushtest.Decrypt(private, auth, body); err == nil {
		t.Error("another secret does")
	}
}

func TestWhoIsNotTheServerOfTheSubscriptionIsFound(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	k := base64.RawURLEncoding.EncodeToString(public)
	token := func(alg, aud, sub string, exp time.Time) string {
		e := base64.RawURLEncoding
		text := e.EncodeToString(fmt.Appendf(nil, `{"typ":"JWT","alg":%q}`, alg)) + "." + e.EncodeToString(fmt.Appendf(nil, `{"aud":%q,"sub":%q,"exp":%d}`, aud, sub, exp.Unix()))
		sum := sha256.Sum256([]byte(text))
		r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		return text + "." + e.EncodeToString(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
	}
	const origin, sub = "https://push.example.org", "mailto:ops@example.org"
	soon := time.Now().Add(time.Hour)
	good := "vapid t=" + token("ES256", origin, sub, soon) + ", k=" + k
	if err := pushtest.CheckVAPID(good, origin, k); err != nil {
		t.Error(err)
	}
	for name, c := range map[string][2]string{
		"no scheme":        {good[len("vapid "):], k},
		"another audience": {"vapid t=" + token("ES256", "https://evil.example", sub, soon) + ", k=" + k, k},
		"expired":          {"vapid t=" + token("ES256", origin, sub, time.Now().Add(-time.Minute)) + ", k=" + k, k},
		"for too long":     {"vapid t=" + token("ES256", origin, sub, time.Now().Add(25*time.Hour)) + ", k=" + k, k},
		"no contact":       {"vapid t=" + token("ES256", origin, "", soon) + ", k=" + k, k},
		"twice mailto":     {"vapid t=" + token("ES256", origin, "mailto:"+sub, soon) + ", k=" + k, k},
		"not signed":       {"vapid t=" + token("none", origin, sub, soon) + ", k=" + k, k},
		"a cut signature":  {good[:20] + good[21:], k},
		"another key":      {good, "other"},
	} {
		if err := pushtest.CheckVAPID(c[0], origin, c[1]); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestAWrongSignatureIsFound(t *testing.T) {
	secret, body := []byte("0123456789abcdef0123456789abcdef"), []byte(`{"a":1}`)
	signed := func(at time.Time) http.Header {
		unix := strconv.FormatInt(at.Unix(), 10)
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte("id." + unix + "." + string(body)))
		return http.Header{"Webhook-Id": {"id"}, "Webhook-Timestamp": {unix}, "Webhook-Signature": {"v1a,other v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))}}
	}
	if err := pushtest.CheckSignature(signed(time.Now()), body, secret); err != nil {
		t.Error(err)
	}
	other := signed(time.Now())
	other.Set("Webhook-Id", "other")
	for name, err := range map[string]error{
		"another body":   pushtest.CheckSignature(signed(time.Now()), []byte(`{"a":2}`), secret),
		"another secret": pushtest.CheckSignature(signed(time.Now()), body, []byte("x")),
		"another id":     pushtest.CheckSignature(other, body, secret),
		"a replay":       pushtest.CheckSignature(signed(time.Now().Add(-6*time.Minute)), body, secret),
		"of tomorrow":    pushtest.CheckSignature(signed(time.Now().Add(6*time.Minute)), body, secret),
		"no headers":     pushtest.CheckSignature(http.Header{}, body, secret),
	} {
		if err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
