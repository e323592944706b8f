package core_test

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"weir/core"
	"weir/core/event"
)

func TestCodeRoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seq := event.Seq(rapid.Uint64Range(1, 1<<45-1).Draw(rt, "seq"))
		code := core.AppendCode(nil, seq)
		if len(code) != core.CodeLen {
			rt.Fatalf("%s has %d bytes", code, len(code))
		}
		for _, typed := range []string{string(code), strings.ToLower(string(code)), strings.ReplaceAll(string(code), "-", "")} {
			if got, ok := core.ParseCode([]byte(typed)); !ok || got != seq {
				rt.Fatalf("%s, typed as %s, reads as %d, %v; want %d", code, typed, got, ok, seq)
			}
		}
		wrong := bytes.Clone(code)
		i := rapid.SampledFrom([]int{0, 1, 2, 3, 4, 6, 7, 8, 9, 10}).Draw(rt, "digit")
		wrong[i] = rapid.SampledFrom([]byte("0123456789ABCDEFGHJKMNPQRSTVWXYZ")).Draw(rt, "other")
		if _, ok := core.ParseCode(wrong); ok && wrong[i] != code[i] {
			rt.Fatalf("%s with one wrong digit, %s, is accepted", code, wrong)
		}
	})
}

func FuzzParseCode(f *testing.F) {
	f.Add([]byte("7K2QF-93TMD"))
	f.Add(core.AppendCode(nil, 12345))
	f.Fuzz(func(t *testing.T, code []byte) {
		seq, ok := core.ParseCode(code)
		if !ok {
			return
		}
		if again, ok := core.ParseCode(core.AppendCode(nil, seq)); !ok || again != seq {
			t.Fatalf("%q reads as %d, whose code reads as %d", code, seq, again)
		}
	})
}
