package main

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// config is what is in force: every setting, parsed.
type config struct {
	data           string
	listen         string
	admin          string
	campaigns      []string // file names, or "sample:" and a name
	keysDir        string   // never empty once loaded
	issuers        []issuer
	adminTokenFile string
	rehearseAt     time.Time // zero: no rehearsal
	tlsCert        string
	tlsKey         string
	adminTLSCert   string
	adminTLSKey    string
	journal        string // journalDurable or journalMemory
	commitDeadline time.Duration
	passTTL        time.Duration
	ticketTTL      time.Duration
	maxConnections int
	maxInFlight    int
	admission      string
	clientHeader   string
	trustedProxies []netip.Prefix
	pollBudget     int // questions a second of all who wait
	readTimeout    time.Duration
	writeTimeout   time.Duration
	idleTimeout    time.Duration
	minFree        int64 // bytes
	resumeFree     int64 // bytes
	snapshotEvery  time.Duration
	snapshotRate   int64 // bytes a second
	keepLog        time.Duration
	ballast        int64 // bytes
	logFormat      string
	logLevel       string

	// freePorts lets a listener take any free port where its own is taken. No
	// setting: it is the demo's.
	freePorts bool
}

// issuer is one party whose identity tokens are believed. Exactly one of the
// three sources of keys is set.
type issuer struct {
	name      string
	audience  string
	hs256File string
	jwksFile  string
	jwksURL   string
}

const (
	journalDurable = "durable"
	journalMemory  = "memory"
)

// setting is one line of the configuration. Its flag is --name, its variable
// WEIR_NAME, its key in the file name with underscores.
type setting struct {
	name  string
	value string // unless given; empty: not set
	usage string
	list  bool // may be given several times
	path  bool // names a file: in the configuration file, relative to that file
	key   string
	apply func(c *config, value string) error
}

// settings are all of them, in the order in which they are printed.
var settings = []setting{
	{name: "data", value: "weir-data", path: true, usage: "data `directory`: the log and its identity", apply: text(func(c *config) *string { return &c.data })},
	{name: "listen", value: "127.0.0.1:8080", usage: "`address` of the public listener", apply: address(func(c *config) *string { return &c.listen })},
	{name: "admin", value: "127.0.0.1:8081", usage: "`address` of the admin listener", apply: address(func(c *config) *string { return &c.admin })},
	{name: "campaign", key: "campaigns", list: true, path: true, usage: "campaign definition `file`, or sample:kr-2021-50s; may be repeated (default: the log's campaigns; the sample where it has none)", apply: func(c *config, v string) error {
		c.campaigns = append(c.campaigns, v)
		return nil
	}},
	{name: "keys-dir", path: true, usage: "`directory` of the secrets (default: weir.keys beside the data directory)", apply: text(func(c *config) *string { return &c.keysDir })},
	{name: "identity-hs256-file", path: true, usage: "`file` with the HS256 secret that signs identity tokens", apply: issuerText(func(i *issuer) *string { return &i.hs256File })},
	{name: "identity-jwks-file", path: true, usage: "JWKS `file` with the keys that sign identity tokens", apply: issuerText(func(i *issuer) *string { return &i.jwksFile })},
	{name: "identity-jwks-url", usage: "JWKS `URL` with the keys that sign identity tokens", apply: issuerText(func(i *issuer) *string { return &i.jwksURL })},
	{name: "identity-issuer", usage: "`name` that identity tokens carry as iss", apply: issuerText(func(i *issuer) *string { return &i.name })},
	{name: "identity-audience", usage: "`name` that identity tokens carry as aud", apply: issuerText(func(i *issuer) *string { return &i.audience })},
	{name: "admin-token-file", path: true, usage: "`file` with the token of the admin listener", apply: text(func(c *config) *string { return &c.adminTokenFile })},
	{name: "rehearse-at", usage: "let the clock read this `time` at the start (RFC 3339), in a data directory for rehearsals", apply: rehearseAt},
	{name: "tls-cert", path: true, usage: "certificate `file` (PEM) of the public listener", apply: text(func(c *config) *string { return &c.tlsCert })},
	{name: "tls-key", path: true, usage: "key `file` (PEM) of the public listener", apply: text(func(c *config) *string { return &c.tlsKey })},
	{name: "admin-tls-cert", path: true, usage: "certificate `file` (PEM) of the admin listener", apply: text(func(c *config) *string { return &c.adminTLSCert })},
	{name: "admin-tls-key", path: true, usage: "key `file` (PEM) of the admin listener", apply: text(func(c *config) *string { return &c.adminTLSKey })},
	{name: "journal", value: journalDurable, usage: "`kind` of journal: durable, or memory (nothing survives the process)", apply: oneOf(func(c *config) *string { return &c.journal }, journalDurable, journalMemory)},
	{name: "commit-deadline", value: "2s", usage: "`how long` an answer waits for the disk before it is \"outcome unknown\"", apply: duration(func(c *config) *time.Duration { return &c.commitDeadline }, 10*time.Millisecond, time.Minute)},
	{name: "pass-ttl", value: "30m", usage: "`how long` a pass is good for", apply: duration(func(c *config) *time.Duration { return &c.passTTL }, time.Second, 24*time.Hour)},
	{name: "ticket-ttl", value: "24h", usage: "`how long` a ticket is good for, at most", apply: duration(func(c *config) *time.Duration { return &c.ticketTTL }, time.Second, 24*time.Hour)},
	{name: "poll-budget", value: "20000", usage: "`number` of questions a second, of all who wait together", apply: count(func(c *config) *int { return &c.pollBudget }, 1, 10_000_000)},
	{name: "max-connections", value: "16000", usage: "`number` of open connections at most", apply: count(func(c *config) *int { return &c.maxConnections }, 1, 1<<20)},
	{name: "max-in-flight", value: "8192", usage: "`number` of requests being served at a time at most", apply: count(func(c *config) *int { return &c.maxInFlight }, 1, 1<<20)},
	{name: "admission", value: "on", usage: "whether requests are refused early under overload: on or off", apply: oneOf(func(c *config) *string { return &c.admission }, "on", "off")},
	{name: "client-header", value: "none", usage: "`header` in which trusted proxies name the client: none, x-forwarded-for or forwarded", apply: oneOf(func(c *config) *string { return &c.clientHeader }, "none", "x-forwarded-for", "forwarded")},
	{name: "trusted-proxy", key: "trusted_proxies", list: true, usage: "`network` (CIDR) of proxies whose client-header is believed; may be repeated", apply: func(c *config, v string) error {
		network, err := netip.ParsePrefix(v)
		if err != nil {
			return fmt.Errorf("%q is no network such as 10.0.0.0/8", v)
		}
		c.trustedProxies = append(c.trustedProxies, network.Masked())
		return nil
	}},
	{name: "read-timeout", value: "5s", usage: "`how long` a request may take to arrive", apply: duration(func(c *config) *time.Duration { return &c.readTimeout }, 100*time.Millisecond, time.Hour)},
	{name: "write-timeout", value: "10s", usage: "`how long` an answer may take to leave", apply: duration(func(c *config) *time.Duration { return &c.writeTimeout }, 100*time.Millisecond, time.Hour)},
	{name: "idle-timeout", value: "30s", usage: "`how long` a connection may stay open between requests", apply: duration(func(c *config) *time.Duration { return &c.idleTimeout }, 100*time.Millisecond, time.Hour)},
	{name: "min-free", value: "256MiB", usage: "`size` of free disk space below which changes are refused", apply: size(func(c *config) *int64 { return &c.minFree })},
	{name: "resume-free", value: "512MiB", usage: "`size` of free disk space above which they are taken again", apply: size(func(c *config) *int64 { return &c.resumeFree })},
	{name: "snapshot-every", value: "1m", usage: "`how often` the state is written out, so that a start need not read the whole log", apply: duration(func(c *config) *time.Duration { return &c.snapshotEvery }, time.Second, 24*time.Hour)},
	{name: "snapshot-rate", value: "32MiB", usage: "`size` of what is written out in a second at most", apply: size(func(c *config) *int64 { return &c.snapshotRate })},
	{name: "keep-log", value: "24h", usage: "`how far back` the state can be restored to any moment", apply: duration(func(c *config) *time.Duration { return &c.keepLog }, 0, 10000*time.Hour)},
	{name: "ballast", value: "64MiB", usage: "`size` of a file in the data directory that may be deleted when the disk is full", apply: size(func(c *config) *int64 { return &c.ballast })},
	{name: "log-format", value: "text", usage: "`form` of the process's own log on stderr: text or json", apply: oneOf(func(c *config) *string { return &c.logFormat }, "text", "json")},
	{name: "log-level", value: "info", usage: "least `level` that is logged: debug, info, warn or error", apply: oneOf(func(c *config) *string { return &c.logLevel }, "debug", "info", "warn", "error")},
}

// fileKey is the setting's name in the configuration file.
func (s *setting) fileKey() string {
	if s.key != "" {
		return s.key
	}
	return strings.ReplaceAll(s.name, "-", "_")
}

// variable is the setting's name in the environment.
func (s *setting) variable() string {
	return environmentPrefix + strings.ToUpper(strings.ReplaceAll(s.name, "-", "_"))
}

// ofIssuer tells whether the setting describes the one issuer that flags and
// variables can name. In the file issuers are a list (config_file.go).
func (s *setting) ofIssuer() bool { return strings.HasPrefix(s.name, "identity-") }

func text(field func(*config) *string) func(*config, string) error {
	return func(c *config, v string) error {
		*field(c) = v
		return nil
	}
}

func issuerText(field func(*issuer) *string) func(*config, string) error {
	return func(c *config, v string) error {
		if len(c.issuers) == 0 {
			c.issuers = make([]issuer, 1)
		}
		*field(&c.issuers[0]) = v
		return nil
	}
}

func address(field func(*config) *string) func(*config, string) error {
	return func(c *config, v string) error {
		_, port, err := net.SplitHostPort(v)
		if err != nil {
			return fmt.Errorf("%q is no address: it has the form 127.0.0.1:8080", v)
		}
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return fmt.Errorf("%q is no address: its port is no number from 0 to 65535", v)
		}
		*field(c) = v
		return nil
	}
}

func oneOf(field func(*config) *string, allowed ...string) func(*config, string) error {
	return func(c *config, v string) error {
		if !slices.Contains(allowed, v) {
			return fmt.Errorf("%q is none of %s", v, strings.Join(allowed, ", "))
		}
		*field(c) = v
		return nil
	}
}

func duration(field func(*config) *time.Duration, least, most time.Duration) func(*config, string) error {
	return func(c *config, v string) error {
		d, err := time.ParseDuration(v)
		if err != nil {
			return fmt.Errorf("%q is no duration: it has the form 90s, 30m or 1h30m", v)
		}
		if d < least || d > most {
			return fmt.Errorf("%v is out of range: from %v to %v", d, least, most)
		}
		*field(c) = d
		return nil
	}
}

func count(field func(*config) *int, least, most int) func(*config, string) error {
	return func(c *config, v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < least || n > most {
			return fmt.Errorf("%q is no whole number from %d to %d", v, least, most)
		}
		*field(c) = n
		return nil
	}
}

// units of sizes, the longest names first.
var units = []struct {
	name  string
	bytes int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"B", 1}, {"", 1}}

func size(field func(*config) *int64) func(*config, string) error {
	return func(c *config, v string) error {
		for _, u := range units {
			number, ok := strings.CutSuffix(v, u.name)
			if !ok {
				continue
			}
			n, err := strconv.ParseInt(number, 10, 64)
			if err != nil || n < 1 || n > (1<<50)/u.bytes {
				break
			}
			*field(c) = n * u.bytes
			return nil
		}
		return fmt.Errorf("%q is no size: it has the form 500MiB or 2GiB", v)
	}
}

func rehearseAt(c *config, v string) error {
	t, err := time.Parse(time.RFC3339, v)
	if err != nil {
		return fmt.Errorf("%q is no time with its offset: it has the form 2021-07-19T19:59:00+09:00", v)
	}
	c.rehearseAt = t
	return nil
}

// checkIssuer refuses an issuer that could not be believed.
func checkIssuer(i *issuer) error {
	if i.name == "" || i.audience == "" {
		return fmt.Errorf("an issuer needs its name and its audience")
	}
	sources := 0
	for _, s := range []string{i.hs256File, i.jwksFile, i.jwksURL} {
		if s != "" {
			sources++
		}
	}
	if sources != 1 {
		return fmt.Errorf("issuer %q needs exactly one of an HS256 secret file, a JWKS file and a JWKS URL; it has %d", i.name, sources)
	}
	if i.jwksURL == "" {
		return nil
	}
	u, err := url.Parse(i.jwksURL)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return fmt.Errorf("issuer %q: the JWKS URL is no http or https address", i.name)
	}
	return nil
}
