package availability

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func FuzzAppendString(f *testing.F) {
	for _, s := range []string{"", "중앙의원", `a"b\c/`, "\x00\x1f\x7f\u2028", "\xff\xe1\x84", "\xf0\x9f\x92\x89"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := appendString([]byte("x"), s)
		if other := appendString([]byte("x"), []byte(s)); !bytes.Equal(got, other) {
			t.Fatalf("%q: %q as a string, %q as bytes", s, got, other)
		}
		var back string
		if err := json.Unmarshal(got[1:], &back); err != nil {
			t.Fatalf("%q: %v", got, err)
		}
		var want []rune
		for _, r := range s {
			want = append(want, r)
		}
		if back != string(want) || strings.ContainsRune(string(got), '\n') {
			t.Fatalf("%q came back as %q", s, back)
		}
	})
}
