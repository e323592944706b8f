package server

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"
)

func TestDecodeWish(t *testing.T) {
	for body, want := range map[string]string{
		`{"slot":"a/b"}`:                       "a/b",
		" \t\r\n{ \"slot\" : \"a\" }\n":        "a",
		`{"\u0073lot":"\u00e9\ud83d\ude00\/"}`: "é😀/",
		`{"slot":""}`:                          "",
		`{"slot":"\"\\\b\f\n\r\t"}`:            "\"\\\b\f\n\r\t",
	} {
		w, _, err := decodeWish([]byte(body), nil, true)
		if err != nil || string(w.slot) != want || w.hasHold {
			t.Errorf("%s: %q, %v", body, w.slot, err)
		}
	}
	w, _, err := decodeWish([]byte(`{"hold":"x"}`), nil, true)
	if err != nil || string(w.hold) != "x" || w.hasSlot {
		t.Errorf("hold: %+v, %v", w, err)
	}
	if _, _, err := decodeWish([]byte(`{"hold":"x"}`), nil, false); err == nil {
		t.Error("a hold where none belongs was taken")
	}
}

// FuzzDecodeWish holds the decoder against encoding/json: what it takes is
// JSON with that value, and what it refuses is not a lone string field.
func FuzzDecodeWish(f *testing.F) {
	for _, seed := range badBodies {
		f.Add([]byte(seed))
	}
	f.Add([]byte(`{"\u0073lot":"\ud83d\ude00"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		before := bytes.Clone(body)
		w, _, err := decodeWish(body, nil, true)
		if !bytes.Equal(before, body) {
			t.Fatal("the body was changed")
		}
		var fields map[string]json.RawMessage
		sound := json.Unmarshal(body, &fields) == nil && utf8.Valid(body)
		var slot, hold string
		if err == nil {
			if !sound || len(fields) != 1 {
				t.Fatalf("took %q", body)
			}
			value, name := w.slot, "slot"
			if w.hasHold {
				value, name = w.hold, "hold"
			}
			if json.Unmarshal(fields[name], &slot) != nil || slot != string(value) {
				t.Fatalf("%q: got %q, want %q", body, value, slot)
			}
			return
		}
		if sound && len(fields) == 1 && bytes.Count(body, []byte{':'}) == 1 && !bytes.Contains(body, []byte(`\u`)) &&
			(isString(fields["slot"], &slot) || isString(fields["hold"], &hold)) {
			t.Fatalf("refused %q", body)
		}
	})
}

func isString(raw json.RawMessage, into *string) bool {
	return len(raw) > 0 && raw[0] == '"' && json.Unmarshal(raw, into) == nil
}

func FuzzAppendString(f *testing.F) {
	f.Add("가 <script> & \" \\ \x00 \xff \u2028")
	f.Fuzz(func(t *testing.T, s string) {
		text := appendString(nil, s)
		var back string
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatalf("%q became %s: %v", s, text, err)
		}
		want, err := json.Marshal(s)
		must(t, err)
		var normal string
		must(t, json.Unmarshal(want, &normal))
		if back != normal || bytes.ContainsAny(text, "<>&") {
			t.Fatalf("%q became %s", s, text)
		}
	})
}
