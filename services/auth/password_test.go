package auth_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/canopychat/canopy/schemas/fault"
	"github.com/canopychat/canopy/services/auth"
)

func TestAPasswordIsTheOneItsHashWasMadeOf(t *testing.T) {
	ctx, p := context.Background(), auth.NewPasswords(2)
	hash, err := p.Hash(ctx, "correct horse")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("the hash does not say what it was made with: %s", hash)
	}
	again, err := p.Hash(ctx, "correct horse")
	if err != nil || again == hash {
		t.Errorf("two hashes of one password are the same (%v): there is no salt", err)
	}
	for password, want := range map[string]bool{
		"correct horse": true, "correct hors": false, "": false, "Correct horse": false,
		strings.Repeat("x", 1<<20): false,
	} {
		if ok, err := p.Verify(ctx, hash, password); err != nil || ok != want {
			t.Errorf("Verify(%.20q) = %v, %v; want %v", password, ok, err, want)
		}
	}
}

func TestAHashOfOtherParametersIsVerifiedWithThem(t *testing.T) {
	// phc-winner-argon2: echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1 -l 24
	const reference = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	ok, err := auth.NewPasswords(1).Verify(context.Background(), reference, "password")
	if err != nil || !ok {
		t.Errorf("the reference implementation's hash: %v, %v", ok, err)
	}
}

func TestWhatIsNoHashIsOfNoPassword(t *testing.T) {
	p := auth.NewPasswords(2)
	for _, hash := range []string{
		"", "x", "$argon2id$", "$argon2i$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"$argon2id$v=19$m=19456,t=2,p=1$$",
		"$argon2id$v=19$m=4294967295,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"$argon2id$v=19$m=19456,t=4294967295,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"$argon2id$v=19$m=19456,t=2,p=0$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
		"$argon2id$v=16$m=19456,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
	} {
		for _, password := range []string{"", "password"} {
			if ok, err := p.Verify(context.Background(), hash, password); ok || err != nil {
				t.Errorf("Verify(%q, %q) = %v, %v", hash, password, ok, err)
			}
		}
	}
}

func TestANewPasswordIsNeitherTooShortNorTooLong(t *testing.T) {
	for _, password := range []string{"", "1234567", strings.Repeat("x", 129), "1234567\xff"} {
		if _, err := auth.NewPasswords(1).Hash(context.Background(), password); !fault.Is(err, fault.Invalid) {
			t.Errorf("Hash(%.20q): %v", password, err)
		}
	}
}

func TestACrowdAtTheDoorIsRefusedAndNotQueuedForEver(t *testing.T) {
	p := auth.NewPasswords(1)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var crowd sync.WaitGroup
	var mu sync.Mutex
	kinds := map[fault.Kind]int{}
	for range 200 {
		crowd.Go(func() {
			_, err := p.Verify(ctx, "", "some password")
			mu.Lock()
			defer mu.Unlock()
			kinds[fault.KindOf(err)]++
			cancel() // whoever comes first: the others' clients go away
		})
	}
	crowd.Wait()
	if kinds[fault.RateLimited] == 0 || kinds[fault.RateLimited] > 200-65 {
		t.Errorf("of 200 at once, %v", kinds)
	}
	if ok, err := p.Verify(context.Background(), "", "some password"); ok || err != nil {
		t.Errorf("after the crowd: %v, %v", ok, err)
	}
}
