package deliver

import "testing"

// What is used stays; and however much comes, twice the size is all that is kept.
func TestRecentIsBounded(t *testing.T) {
	r := newRecent[int, int](10)
	r.put(-1, 1)
	for i := range 1000 {
		r.put(i, i)
		if v, ok := r.find(-1); !ok || v != 1 {
			t.Fatalf("after %d others what is used is %d, %v", i, v, ok)
		}
		if n := len(r.young) + len(r.old); n > 20 {
			t.Fatalf("%d are kept", n)
		}
	}
	if _, ok := r.find(0); ok {
		t.Error("what was not used for long is kept")
	}
	if v, ok := r.find(999); !ok || v != 999 {
		t.Errorf("the last is %d, %v", v, ok)
	}
}
