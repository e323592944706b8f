package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"weir/core"
	"weir/loadtest/process"
	"weir/persist/recovery"
	"weir/persist/wal"
)

const (
	rehearsalStart = "2021-07-19T19:59:00+09:00"
	sampleCampaign = samplePrefix + sampleName
)

// TestRehearsal: its clock reads the asked time, its directory is its own, and
// its time never goes back over a restart.
func TestRehearsal(t *testing.T) {
	s := newSite(t)
	server := s.start("--campaign", sampleCampaign, "--rehearse-at", rehearsalStart)
	if !strings.Contains(server.Log(), "REHEARSAL") {
		t.Errorf("no banner:\n%s", server.Log())
	}
	s.wantMetric(server, "weir_rehearsal 1")
	s.wantNotice(server, "REHEARSAL: the clock was set to "+rehearsalStart)
	first := s.now("http://" + server.Addr)
	start, err := time.Parse(time.RFC3339, rehearsalStart)
	if err != nil {
		t.Fatal(err)
	}
	if first.Before(start) || first.Sub(start) > testDeadline {
		t.Errorf("the clock reads %v, asked for %v", first, start)
	}
	token := weir(t, "token", "--hs256-file", s.secret, "--issuer", "i", "--audience", "a", "--sub", "p", "--born", "1967-08-15",
		"--at", rehearsalStart).want(t, exitDone).stdout
	status, verdict := s.ask("GET", "http://"+server.Addr+"/v1/campaigns/"+sampleName+"/eligibility", strings.TrimSpace(token), "")
	if status != http.StatusOK || verdict["reason"] != "window_not_open" {
		t.Errorf("a minute before the opening: %d %v", status, verdict)
	}
	s.stop(server)

	if said := s.refused(exitUsage); !strings.Contains(said, "rehearsal") {
		t.Errorf("in earnest: %s", said)
	}
	// An hour earlier: the log's newest time goes over it.
	earlier := start.Add(-time.Hour).Format(time.RFC3339)
	server = s.start("--rehearse-at", earlier)
	if again := s.now("http://" + server.Addr); again.Before(start) || again.Sub(start) > testDeadline {
		t.Errorf("after a restart the clock reads %v", again)
	}
	s.stop(server)
	weir(t, "verify", "--data", s.data()).want(t, exitDone, "sound")
	weir(t, "recover", "--data", s.data()).want(t, exitDone, "recovered")

	earnest := newSite(t)
	earnest.stop(earnest.start("--campaign", smallFile))
	if said := earnest.refused(exitUsage, "--rehearse-at", rehearsalStart); !strings.Contains(said, "rehearsal") {
		t.Errorf("a rehearsal in real data: %s", said)
	}
}

// now reads the server's clock.
func (s *site) now(base string) time.Time {
	s.t.Helper()
	status, c := s.ask("GET", base+"/v1/campaigns/"+sampleName, "", "")
	if status != http.StatusOK {
		s.t.Fatalf("%d %v", status, c)
	}
	now, err := time.Parse(time.RFC3339, c["now"].(string))
	if err != nil {
		s.t.Fatal(err)
	}
	return now
}

// TestTLS on the public listener, and a renewed certificate without a restart.
func TestTLS(t *testing.T) {
	s := newSite(t)
	certFile, keyFile := filepath.Join(s.dir, "cert.pem"), filepath.Join(s.dir, "key.pem")
	first := writeCertificate(t, certFile, keyFile)
	server := s.start("--campaign", smallFile, "--tls-cert", certFile, "--tls-key", keyFile)
	base := "https://" + server.Addr + "/v1/campaigns/small"
	s.trust(first)
	s.book(base, "person-1", "s1/2099-01-05/09:00/a")

	response, err := http.Get("http://" + server.Addr + "/v1/campaigns")
	if err == nil {
		_ = response.Body.Close() // not of interest
		if response.StatusCode == http.StatusOK {
			t.Error("the TLS listener answers plain HTTP")
		}
	}

	second := writeCertificate(t, certFile, keyFile)
	if err := syscall.Kill(server.PID(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	await(t, server, "the renewed certificate", func() bool { return served(t, server.Addr) == string(second) })
	s.trust(second)
	if got := s.bookings(base, "person-1"); len(got) != 1 {
		t.Errorf("%v", got)
	}
	s.stop(server)
}

// await polls a condition that nothing announces, with a deadline.
func await(t *testing.T, server *process.Server, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := contextWithDeadline(t)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s\n%s", what, server.Log())
		}
	}
}

func (s *site) trust(cert []byte) {
	s.t.Helper()
	parsed, err := x509.ParseCertificate(cert)
	if err != nil {
		s.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	s.client.CloseIdleConnections()
	s.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	s.t.Cleanup(s.client.CloseIdleConnections)
}

// served is the certificate that a new connection gets.
func served(t *testing.T, address string) string {
	t.Helper()
	dialer := &net.Dialer{Timeout: testDeadline}
	// Which certificate comes is the question, not whether it is trusted.
	conn, err := tls.DialWithDialer(dialer, "tcp", address, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }() // nothing was written
	return string(conn.ConnectionState().PeerCertificates[0].Raw)
}

func writeCertificate(t *testing.T, certFile, keyFile string) (der []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: "weir test"},
		NotBefore:    time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:        true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err = x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: der},
		keyFile:  {Type: "EC PRIVATE KEY", Bytes: keyDER},
	} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return der
}

// TestDamage: a flipped byte in the middle of the log is found by verify,
// refused by recover and by the server, and cut only on demand.
func TestDamage(t *testing.T) {
	s := newSite(t)
	server := s.start("--campaign", smallFile)
	s.book(small(server), "person-1", "s1/2099-01-05/09:00/a")
	s.book(small(server), "person-2", "s1/2099-01-05/09:30/a")
	s.stop(server)
	flipMiddle(t, s.data())

	weir(t, "verify", "--data", s.data()).want(t, exitWrong, "damaged: ", "RUNBOOK")
	a := weir(t, "verify", "--data", s.data(), "--json").want(t, exitWrong)
	var report struct {
		OK       bool
		Findings []recovery.Finding
	}
	if err := json.Unmarshal([]byte(a.stdout), &report); err != nil {
		t.Fatal(err)
	}
	if report.OK || len(report.Findings) != 1 || !strings.Contains(report.Findings[0].What, "checksum") {
		t.Errorf("%s", a.stdout)
	}
	weir(t, "recover", "--data", s.data()).want(t, exitWrong, "damaged: ")
	if said := s.refused(exitWrong); !strings.Contains(said, "weir verify --data") {
		t.Errorf("the server said: %s", said)
	}
	weir(t, "recover", "--data", s.data(), "--accept-loss").want(t, exitDone, "given up: ", "set aside in ")
	weir(t, "verify", "--data", s.data()).want(t, exitDone, "sound")
}

// flipMiddle flips a bit in the middle of the largest file of the log.
func flipMiddle(t *testing.T, data string) {
	t.Helper()
	largest, size := "", int64(0)
	err := filepath.WalkDir(filepath.Join(data, "wal"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Size() > size {
			largest, size = path, info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(largest)
	if err != nil {
		t.Fatal(err)
	}
	written := len(bytes.TrimRight(content, "\x00")) // zeros behind the log are room for more
	content[written/2] ^= 1
	if err := os.WriteFile(largest, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestJournalFailureEndsTheServer in good order, with the remedy, and leaves no
// goroutine behind.
func TestJournalFailureEndsTheServer(t *testing.T) {
	s := newSite(t)
	var stderr bytes.Buffer
	in := s.instance(&stderr)
	broken := errors.New("input/output error")
	in.ready = func(in *instance) { in.failed <- broken }
	err := in.run(t.Context())
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "nothing is confirmed") || !strings.Contains(err.Error(), "weir verify") {
		t.Errorf("%v", err)
	}
	verifyNoLeak(t)
}

// TestInstanceEndsClean: everything that was started is ended.
func TestInstanceEndsClean(t *testing.T) {
	s := newSite(t)
	for _, at := range []string{"before it starts", "once it is ready"} {
		t.Run(at, func(t *testing.T) {
			ctx, cancel := contextWithDeadline(t)
			defer cancel()
			var stderr bytes.Buffer
			in := s.instance(&stderr)
			if at == "once it is ready" {
				in.ready = func(*instance) { cancel() }
			} else {
				cancel()
			}
			if err := in.run(ctx); err != nil {
				t.Errorf("%v\n%s", err, &stderr)
			}
			verifyNoLeak(t)
		})
	}
	weir(t, "verify", "--data", s.data()).want(t, exitDone, "sound", "campaign small")
}

// TestStopWhileReading: a long log does not hold the end up, and what it was
// stopped at is as sound as before.
func TestStopWhileReading(t *testing.T) {
	s := newSite(t)
	s.stop(s.start("--campaign", smallFile))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	log, _, err := recovery.Open(ctx, s.data(), wal.Options{}, core.New(), nil)
	if log != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	weir(t, "verify", "--data", s.data()).want(t, exitDone, "sound")
}

// verifyNoLeak allows the HTTP library's cleaner, which sleeps for ten seconds
// before it notices that its server has ended.
func verifyNoLeak(t *testing.T) {
	t.Helper()
	goleak.VerifyNone(t, goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}
