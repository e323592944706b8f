package identity

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"

	"weir/core/campaign"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testIssuer   = "https://id.example"
	testAudience = "weir"
)

var (
	testNow    = time.Date(2021, 7, 19, 11, 0, 0, 0, time.UTC)
	testSecret = []byte("0123456789abcdef0123456789abcdef")
	testBorn   = mustDate("1968-03-01")
)

func mustDate(text string) campaign.Date {
	d, err := campaign.ParseDate(text)
	if err != nil {
		panic(err)
	}
	return d
}

// signers are one key of each kind, made once: RSA keys take their time.
var signers = sync.OnceValue(func() (s struct {
	ed       ed25519.PrivateKey
	ec, ec2  *ecdsa.PrivateKey
	p384     *ecdsa.PrivateKey
	rsa      *rsa.PrivateKey
	rsaShort *rsa.PrivateKey
},
) {
	var errs [6]error
	_, s.ed, errs[0] = ed25519.GenerateKey(rand.Reader)
	s.ec, errs[1] = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	s.ec2, errs[2] = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	s.p384, errs[3] = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	s.rsa, errs[4] = rsa.GenerateKey(rand.Reader, 2048)
	s.rsaShort, errs[5] = rsa.GenerateKey(rand.Reader, 1024)
	if err := errors.Join(errs[:]...); err != nil {
		panic(err)
	}
	return s
})

// jwkOf writes the public half of key as a JWK without "alg".
func jwkOf(t testing.TB, key crypto.Signer, kid string) map[string]any {
	t.Helper()
	jwk, err := jwkset.NewJWKFromKey(key.Public(), jwkset.JWKOptions{Metadata: jwkset.JWKMetadataOptions{KID: kid}})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(jwk.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	fields := make(map[string]any)
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatal(err)
	}
	delete(fields, "alg")
	return fields
}

func jwksOf(t testing.TB, keys ...map[string]any) []byte {
	t.Helper()
	text, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func writeFile(t testing.TB, name string, text []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func secretIssuer(t testing.TB) Issuer {
	return Issuer{Name: testIssuer, Audience: testAudience, HS256File: writeFile(t, "secret", testSecret)}
}

func jwksIssuer(t testing.TB, keys ...map[string]any) Issuer {
	return Issuer{Name: testIssuer, Audience: testAudience, JWKSFile: writeFile(t, "jwks.json", jwksOf(t, keys...))}
}

func open(t testing.TB, issuers ...Issuer) *Verifier {
	t.Helper()
	v, err := Open(Config{Issuers: issuers})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

// goodClaims are of a token that passes; tests change one thing of them.
func goodClaims() jwt.MapClaims {
	return jwt.MapClaims{
		"iss": testIssuer, "aud": testAudience, "sub": "person-1", "birthdate": "1968-03-01",
		"iat": testNow.Unix(), "exp": testNow.Unix() + 600,
	}
}

func sign(t testing.TB, method jwt.SigningMethod, key any, kid string, claims jwt.MapClaims) []byte {
	t.Helper()
	token := jwt.NewWithClaims(method, claims)
	if kid != "" {
		token.Header["kid"] = kid
	}
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return []byte(text)
}

func TestMintedTokensVerify(t *testing.T) {
	v := open(t, secretIssuer(t))
	tok := Mint(testSecret, testIssuer, testAudience, "person-1", testBorn, testNow, time.Hour)
	got, err := v.Verify([]byte(tok), testNow)
	want := Claims{Issuer: testIssuer, Subject: "person-1", Born: testBorn, Expires: testNow.Add(time.Hour)}
	if err != nil || got.Issuer != want.Issuer || got.Subject != want.Subject || got.Born != want.Born || !got.Expires.Equal(want.Expires) {
		t.Errorf("verified %+v, %v; want %+v", got, err, want)
	}
}

func TestEveryAlgorithm(t *testing.T) {
	s := signers()
	v := open(t, jwksIssuer(t, jwkOf(t, s.ed, "ed"), jwkOf(t, s.ec, "ec"), jwkOf(t, s.rsa, "rsa")))
	for kid, by := range map[string]struct {
		method jwt.SigningMethod
		key    any
	}{
		"ed": {jwt.SigningMethodEdDSA, s.ed}, "ec": {jwt.SigningMethodES256, s.ec}, "rsa": {jwt.SigningMethodRS256, s.rsa},
	} {
		tok := sign(t, by.method, by.key, kid, goodClaims())
		if got, err := v.Verify(tok, testNow); err != nil || got.Subject != "person-1" {
			t.Errorf("%s: %+v, %v", kid, got, err)
		}
		tok[len(tok)-10] = map[bool]byte{true: 'B', false: 'A'}[tok[len(tok)-10] == 'A']
		if _, err := v.Verify(tok, testNow); !errors.Is(err, errSignature) {
			t.Errorf("%s with a changed signature: %v, want %v", kid, err, errSignature)
		}
	}
}

// A key is good for its own algorithm and nothing else, whatever a token says.
func TestAlgorithmConfusion(t *testing.T) {
	s := signers()
	der, err := x509.MarshalPKIXPublicKey(s.rsa.Public())
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	v := open(t, jwksIssuer(t, jwkOf(t, s.rsa, "rsa"), jwkOf(t, s.ec, "ec"), jwkOf(t, s.ed, "ed")))
	edPublic := s.ed.Public().(ed25519.PublicKey)
	for name, test := range map[string]struct {
		tok  []byte
		want error
	}{
		"none":                         {sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "rsa", goodClaims()), errAlgorithm},
		"HS256 with the RSA key's PEM": {sign(t, jwt.SigningMethodHS256, text, "rsa", goodClaims()), errAlgorithm},
		"HS256 with the RSA key's DER": {sign(t, jwt.SigningMethodHS256, der, "rsa", goodClaims()), errAlgorithm},
		"HS256 with the modulus":       {sign(t, jwt.SigningMethodHS256, s.rsa.N.Bytes(), "rsa", goodClaims()), errAlgorithm},
		"HS256 with the Ed25519 key":   {sign(t, jwt.SigningMethodHS256, []byte(edPublic), "ed", goodClaims()), errAlgorithm},
		"RS512 with the right key":     {sign(t, jwt.SigningMethodRS512, s.rsa, "rsa", goodClaims()), errAlgorithm},
		"PS256 with the right key":     {sign(t, jwt.SigningMethodPS256, s.rsa, "rsa", goodClaims()), errAlgorithm},
		"RS256 under the id of ES256":  {sign(t, jwt.SigningMethodRS256, s.rsa, "ec", goodClaims()), errAlgorithm},
		"another key of the same kind": {sign(t, jwt.SigningMethodES256, s.ec2, "ec", goodClaims()), errSignature},
		"an unknown key":               {sign(t, jwt.SigningMethodES256, s.ec, "other", goodClaims()), errKey},
		"no key among several":         {sign(t, jwt.SigningMethodES256, s.ec, "", goodClaims()), errKey},
	} {
		if got, err := v.Verify(test.tok, testNow); !errors.Is(err, test.want) || !errors.Is(err, ErrRefused) || got != (Claims{}) {
			t.Errorf("%s: %+v, %v; want %v", name, got, err, test.want)
		}
	}
	hs := open(t, secretIssuer(t))
	for name, tok := range map[string][]byte{
		"none":  sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, "", goodClaims()),
		"HS384": sign(t, jwt.SigningMethodHS384, testSecret, "", goodClaims()),
		"RS256": sign(t, jwt.SigningMethodRS256, s.rsa, "", goodClaims()),
	} {
		if _, err := hs.Verify(tok, testNow); !errors.Is(err, ErrRefused) {
			t.Errorf("%s at an issuer with a secret: %v", name, err)
		}
	}
}

func TestIssuersDoNotVouchForEachOther(t *testing.T) {
	s := signers()
	other := Issuer{Name: "other", Audience: "elsewhere", JWKSFile: writeFile(t, "jwks.json", jwksOf(t, jwkOf(t, s.ec, "k")))}
	v := open(t, secretIssuer(t), other)
	claims := goodClaims()
	claims["iss"], claims["aud"] = "other", "elsewhere"
	if _, err := v.Verify(sign(t, jwt.SigningMethodES256, s.ec, "k", claims), testNow); err != nil {
		t.Errorf("the other issuer's own: %v", err)
	}
	if _, err := v.Verify(sign(t, jwt.SigningMethodHS256, testSecret, "k", claims), testNow); !errors.Is(err, errAlgorithm) {
		t.Errorf("in its name by the first: %v", err)
	}
	claims["aud"] = testAudience
	if _, err := v.Verify(sign(t, jwt.SigningMethodES256, s.ec, "k", claims), testNow); !errors.Is(err, errAudience) {
		t.Errorf("for the first one's audience: %v", err)
	}
	if _, err := v.Verify(sign(t, jwt.SigningMethodES256, s.ec, "k", goodClaims()), testNow); !errors.Is(err, ErrRefused) {
		t.Errorf("in the first one's name: %v", err)
	}
}

func TestClaims(t *testing.T) {
	v := open(t, secretIssuer(t))
	now := testNow.Unix()
	for name, test := range map[string]struct {
		claim string
		value any // nil: left out
		want  error
	}{
		"as it is":                       {"x", 1, nil},
		"aud among several":              {"aud", []string{"a", testAudience}, nil},
		"aud another":                    {"aud", "weirs", errAudience},
		"aud missing":                    {"aud", nil, errAudience},
		"aud empty":                      {"aud", []string{}, errAudience},
		"aud a number":                   {"aud", 1, errMalformed},
		"iss another":                    {"iss", testIssuer + "/", errIssuer},
		"iss missing":                    {"iss", nil, errIssuer},
		"iss a list":                     {"iss", []string{testIssuer}, errMalformed},
		"exp missing":                    {"exp", nil, errExpiry},
		"exp zero":                       {"exp", 0, errExpiry},
		"exp negative":                   {"exp", -5, errExpiry},
		"exp beyond all calendars":       {"exp", 1e300, errExpiry},
		"exp text":                       {"exp", "tomorrow", errMalformed},
		"exp now":                        {"exp", now, ErrExpired},
		"exp in a second":                {"exp", now + 1, nil},
		"exp half a second ago":          {"exp", float64(now) - 0.5, ErrExpired},
		"nbf within the leeway":          {"nbf", now + 5, nil},
		"nbf beyond it":                  {"nbf", now + 6, errNotYet},
		"nbf beyond all calendars":       {"nbf", 1e300, errNotYet},
		"iat within the leeway":          {"iat", now + 5, nil},
		"iat beyond it":                  {"iat", now + 6, errNotYet},
		"iat missing":                    {"iat", nil, nil},
		"sub missing":                    {"sub", nil, errSubject},
		"sub empty":                      {"sub", "", errSubject},
		"sub of 255":                     {"sub", strings.Repeat("s", 255), nil},
		"sub of 256":                     {"sub", strings.Repeat("s", 256), errSubject},
		"sub a number":                   {"sub", 7, errMalformed},
		"sub null":                       {"sub", json.RawMessage("null"), errMalformed},
		"exp null":                       {"exp", json.RawMessage("null"), errMalformed},
		"aud with other things":          {"aud", []any{1, nil, testAudience}, nil},
		"birthdate missing":              {"birthdate", nil, errBirthdate},
		"birthdate empty":                {"birthdate", "", errBirthdate},
		"birthdate the year":             {"birthdate", "1968", errBirthdate},
		"birthdate without a year":       {"birthdate", "0000-03-01", errBirthdate},
		"birthdate without a day":        {"birthdate", "1968-03-00", errBirthdate},
		"birthdate year and month":       {"birthdate", "1968-03", errBirthdate},
		"birthdate of no calendar":       {"birthdate", "1967-02-29", errBirthdate},
		"birthdate on a leap day":        {"birthdate", "1968-02-29", nil},
		"birthdate with a time":          {"birthdate", "1968-03-01T00:00:00Z", errBirthdate},
		"birthdate as people write it":   {"birthdate", "1968. 3. 1.", errBirthdate},
		"birthdate a number":             {"birthdate", 19680301, errMalformed},
		"birthdate in full-width digits": {"birthdate", "１968-03-01", errBirthdate},
	} {
		claims := goodClaims()
		claims[test.claim] = test.value
		if test.value == nil {
			delete(claims, test.claim)
		}
		got, err := v.Verify(sign(t, jwt.SigningMethodHS256, testSecret, "", claims), testNow)
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
		if (err != nil) != (got == Claims{}) || errors.Is(err, ErrExpired) && errors.Is(err, ErrRefused) {
			t.Errorf("%s: %+v with %v", name, got, err)
		}
	}
}

func TestLeewayIsConfigurableAndNeverOnExpiry(t *testing.T) {
	v, err := Open(Config{Issuers: []Issuer{secretIssuer(t)}, Leeway: MaxLeeway})
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	claims := goodClaims()
	claims["nbf"] = testNow.Add(MaxLeeway).Unix()
	tok := sign(t, jwt.SigningMethodHS256, testSecret, "", claims)
	if _, err := v.Verify(tok, testNow); err != nil {
		t.Errorf("nbf within a leeway of a minute: %v", err)
	}
	if _, err := v.Verify(tok, testNow.Add(10*time.Minute)); !errors.Is(err, ErrExpired) {
		t.Errorf("at exp: %v, want ErrExpired", err)
	}
}

func TestTokensThatAreNone(t *testing.T) {
	v := open(t, secretIssuer(t))
	good := string(sign(t, jwt.SigningMethodHS256, testSecret, "", goodClaims()))
	parts := strings.Split(good, ".")
	segment := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	resigned := func(header string) string {
		text := segment(header) + "." + parts[1]
		signature, err := jwt.SigningMethodHS256.Sign(text, testSecret)
		if err != nil {
			t.Fatal(err)
		}
		return text + "." + base64.RawURLEncoding.EncodeToString(signature)
	}
	for name, test := range map[string]struct {
		tok  string
		want error
	}{
		"empty":                        {"", errMalformed},
		"dots":                         {"..", errMalformed},
		"two parts":                    {parts[0] + "." + parts[1], errMalformed},
		"four parts":                   {good + ".x", errMalformed},
		"padded":                       {good + "=", errMalformed},
		"with a space":                 {good + " ", errMalformed},
		"a header that is none":        {segment("[]") + "." + parts[1] + "." + parts[2], errMalformed},
		"claims that are none":         {parts[0] + "." + segment("null") + "." + parts[2], errMalformed},
		"claims after claims":          {parts[0] + "." + segment(`{"iss":"a"}{}`) + "." + parts[2], errMalformed},
		"without a signature":          {parts[0] + "." + parts[1] + ".", errSignature},
		"an unknown algorithm":         {segment(`{"alg":"HS257"}`) + "." + parts[1] + "." + parts[2], errAlgorithm},
		"no algorithm":                 {segment(`{}`) + "." + parts[1] + "." + parts[2], errAlgorithm},
		"a critical header":            {resigned(`{"alg":"HS256","crit":["b64"],"b64":false}`), errCritical},
		"a kid that is a number":       {resigned(`{"alg":"HS256","kid":7}`), errMalformed},
		"an empty kid":                 {resigned(`{"alg":"HS256","kid":""}`), errKey},
		"a name twice, the last right": {resigned(`{"alg":"none","alg":"HS256"}`), nil},
		"a name twice, the last wrong": {resigned(`{"alg":"HS256","alg":"none"}`), errAlgorithm},
		"a line break inside":          {good[:len(good)-3] + "\n" + good[len(good)-3:], errMalformed},
		"a kid that is too long":       {resigned(`{"alg":"HS256","kid":"` + strings.Repeat("k", 256) + `"}`), errKey},
		"any other kid":                {resigned(`{"alg":"HS256","kid":"whatever"}`), nil},
		"too long":                     {good + strings.Repeat("A", MaxToken), errSize},
		"a ticket":                     {"wt1.AQAAAAH3iKowsTo0LUpIK6KCEejQ", errMalformed},
	} {
		if _, err := v.Verify([]byte(test.tok), testNow); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}

func TestVerifyByMany(t *testing.T) {
	v := open(t, secretIssuer(t))
	tok := sign(t, jwt.SigningMethodHS256, testSecret, "", goodClaims())
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 200 {
				if got, err := v.Verify(tok, testNow); err != nil || got.Subject != "person-1" {
					t.Errorf("%+v, %v", got, err)
					return
				}
			}
		})
	}
	group.Wait()
}

func TestConfigurationsThatAreRefused(t *testing.T) {
	good := secretIssuer(t)
	short := writeFile(t, "short", []byte("0123456789abcdef\n"))
	for name, test := range map[string]struct {
		cfg  Config
		want string
	}{
		"no name":      {Config{Issuers: []Issuer{{Audience: "a", HS256File: good.HS256File}}}, "must be given"},
		"no audience":  {Config{Issuers: []Issuer{{Name: "a", HS256File: good.HS256File}}}, "must be given"},
		"no key":       {Config{Issuers: []Issuer{{Name: "a", Audience: "a"}}}, "it needs one of"},
		"two keys":     {Config{Issuers: []Issuer{{Name: "a", Audience: "a", HS256File: "x", JWKSURL: "https://x"}}}, "it needs one of"},
		"twice":        {Config{Issuers: []Issuer{good, good}}, "twice"},
		"no file":      {Config{Issuers: []Issuer{{Name: "a", Audience: "a", HS256File: "no/such"}}}, "no such file"},
		"short secret": {Config{Issuers: []Issuer{{Name: "a", Audience: "a", HS256File: short}}}, "openssl rand"},
		"no JWKS":      {Config{Issuers: []Issuer{{Name: "a", Audience: "a", JWKSFile: "no/such"}}}, "no such file"},
		"ftp":          {Config{Issuers: []Issuer{{Name: "a", Audience: "a", JWKSURL: "ftp://x/y"}}}, "https://"},
		"no URL":       {Config{Issuers: []Issuer{{Name: "a", Audience: "a", JWKSURL: "https://a b"}}}, "not a URL"},
		"leeway":       {Config{Leeway: time.Hour}, "leeway"},
		"no leeway":    {Config{Leeway: -1}, "leeway"},
	} {
		v, err := Open(test.cfg)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want an error with %q", name, err, test.want)
		}
		if v != nil {
			v.Close()
		}
	}
}

func TestReadSecret(t *testing.T) {
	text := strings.Repeat("s3cret!~", 4)
	binary := append(bytes.Repeat([]byte{0xfe}, 31), '\n')
	for name, test := range map[string]struct{ file, want []byte }{
		"text":                       {[]byte(text), []byte(text)},
		"text with a line's end":     {[]byte(text + "\n"), []byte(text)},
		"text from elsewhere":        {[]byte(text + "\r\n"), []byte(text)},
		"bytes that end like a line": {binary, binary},
	} {
		got, err := ReadSecret(writeFile(t, "secret", test.file))
		if err != nil || !bytes.Equal(got, test.want) {
			t.Errorf("%s: %q, %v; want %q", name, got, err, test.want)
		}
	}
	for _, size := range []int{0, minSecret - 1, maxSecret + 1} {
		if got, err := ReadSecret(writeFile(t, "secret", bytes.Repeat([]byte{'x'}, size))); err == nil {
			t.Errorf("a secret of %d bytes was read: %q", size, got)
		}
	}
}

func FuzzVerify(f *testing.F) {
	v := open(f, secretIssuer(f))
	good := sign(f, jwt.SigningMethodHS256, testSecret, "k", goodClaims())
	f.Add(good)
	f.Add([]byte("eyJhbGciOiJub25lIn0.e30."))
	f.Add([]byte("..."))
	f.Fuzz(func(t *testing.T, tok []byte) {
		before := bytes.Clone(tok)
		got, err := v.Verify(tok, testNow)
		if !bytes.Equal(tok, before) {
			t.Fatal("verify changed its input")
		}
		if err == nil && !bytes.Equal(tok, good) {
			t.Fatalf("%q passed as %+v", tok, got)
		}
		if err != nil && !errors.Is(err, ErrRefused) && !errors.Is(err, ErrExpired) {
			t.Fatalf("an error of no class: %v", err)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	s := signers()
	other := jwksIssuer(b, jwkOf(b, s.ed, "ed"), jwkOf(b, s.ec, "ec"), jwkOf(b, s.rsa, "rsa"))
	hs, keys := open(b, secretIssuer(b)), open(b, other)
	for _, bench := range []struct {
		name string
		v    *Verifier
		tok  []byte
	}{
		{"HS256", hs, sign(b, jwt.SigningMethodHS256, testSecret, "", goodClaims())},
		{"EdDSA", keys, sign(b, jwt.SigningMethodEdDSA, s.ed, "ed", goodClaims())},
		{"ES256", keys, sign(b, jwt.SigningMethodES256, s.ec, "ec", goodClaims())},
		{"RS256", keys, sign(b, jwt.SigningMethodRS256, s.rsa, "rsa", goodClaims())},
		{"garbage", keys, bytes.Repeat([]byte("A.A"), 100)},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := bench.v.Verify(bench.tok, testNow); (err != nil) != (bench.name == "garbage") {
					b.Fatal(err)
				}
			}
		})
	}
}
