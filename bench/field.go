//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"weir/core/campaign"
	"weir/core/event"
	"weir/loadtest/process"
	"weir/server/keys"
	"weir/server/token"
)

const (
	readyTimeout   = time.Minute
	requestTimeout = 10 * time.Second
	passStart      = "wp1."
	passLife       = 12 * time.Hour
	syncsMetric    = "weir_journal_syncs_total "

	issuer     = "bench"
	audience   = "weir"
	adminToken = "not-a-secret-either" // of all weirs of the bench
)

// secret signs identity tokens.
var secret = bytes.Repeat([]byte("not a secret "), 4)

// field is the servers side by side, and what people need to book at them.
type field struct {
	targets []*target
	rules   *campaign.Definition
	ring    *token.Ring
	born    campaign.Date

	dir    string // of everything that the servers keep
	binary string
	plan   plan

	servers  []*process.Server
	children []*childServer
	last     []func() error // stop what is stopped after those
}

// withField has run use a field whose campaign is as large as a whole
// country's, with slots of that capacity, and stops and removes all of it
// afterwards.
func withField(ctx context.Context, o *options, capacity int, run func(f *field) error) (err error) {
	dir, err := os.MkdirTemp(o.dir, "weir-bench-")
	if err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	p := plan{slots: httpSlots, capacity: capacity}
	if o.quick {
		p.slots = o.slots
	}
	f, err := newField(ctx, o, dir, p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.stop()) }()
	return run(f)
}

// inRounds calls take for each round. Round 0 warms up and is to be dropped.
func (o *options) inRounds(take func(n int) error) error {
	for n := range o.rounds + 1 {
		if err := take(n); err != nil {
			return fmt.Errorf("invalid, do not quote: %w", err)
		}
	}
	return nil
}

// newField prepares what all servers need: campaign, keys and the binary. It
// starts none yet.
func newField(ctx context.Context, o *options, dir string, p plan) (f *field, err error) {
	f = &field{dir: dir, plan: p, binary: o.weir}
	if f.rules, err = p.definition(); err != nil {
		return nil, err
	}
	if f.born, err = campaign.ParseDate(bornOn); err != nil {
		return nil, err
	}
	opened, err := keys.Open(f.keysDir())
	if err != nil {
		return nil, err
	}
	f.ring = opened.Ring
	if f.binary == "" {
		if f.binary, err = process.Build(ctx, dir); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// start starts bare server and weirs, each a process of its own.
func (f *field) start(ctx context.Context) error {
	var weirs []*target
	for _, journal := range []string{"memory", "durable"} {
		t, err := f.startWeir(ctx, journal, "--journal", journal)
		if err != nil {
			return err
		}
		weirs = append(weirs, t)
	}
	task, err := f.answerOf(ctx, weirs...)
	if err != nil {
		return err
	}
	bare, err := f.startBare(ctx, task)
	if err != nil {
		return err
	}
	f.targets = append([]*target{bare}, weirs...)
	return nil
}

func (f *field) keysDir() string { return filepath.Join(f.dir, "keys") }

// startWeir starts a weir of that name, with the field's campaign and a data
// directory of its own.
func (f *field) startWeir(ctx context.Context, name string, args ...string) (*target, error) {
	file, err := f.plan.save(f.dir)
	if err != nil {
		return nil, err
	}
	secretFile := filepath.Join(f.dir, "secret")
	if err := os.WriteFile(secretFile, secret, 0o600); err != nil {
		return nil, fmt.Errorf("make secret: %w", err)
	}
	tokenFile := filepath.Join(f.dir, "admin-token")
	if err := os.WriteFile(tokenFile, []byte(adminToken), 0o600); err != nil {
		return nil, fmt.Errorf("make admin token: %w", err)
	}
	server, err := process.Start(f.binary, nil, append([]string{
		"--campaign", file, "--data", filepath.Join(f.dir, name), "--keys-dir", f.keysDir(),
		"--identity-hs256-file", secretFile, "--identity-issuer", issuer, "--identity-audience", audience,
		"--admin-token-file", tokenFile,
	}, args...)...)
	if err != nil {
		return nil, err
	}
	f.servers = append(f.servers, server)
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := server.Ready(ctx); err != nil {
		return nil, err
	}
	return &target{name: "weir, " + name, addr: server.Addr, admin: server.Admin, pids: []int{server.PID()}}, nil
}

// startBare starts a bare server.
func (f *field) startBare(ctx context.Context, task *bareTask) (*target, error) {
	child, err := f.startChild(ctx, "bare", task)
	if err != nil {
		return nil, err
	}
	return &target{name: "bare fasthttp", addr: child.addr, pids: []int{child.pid()}}, nil
}

// startChild starts a server that stops with the field.
func (f *field) startChild(ctx context.Context, name string, task any) (*childServer, error) {
	child, err := startChild(ctx, name, task)
	if err == nil {
		f.children = append(f.children, child)
	}
	return child, err
}

// answerOf books at all weirs once and returns what the last of them answered.
func (f *field) answerOf(ctx context.Context, weirs ...*target) (*bareTask, error) {
	first, err := f.crowd(-1, 1, f.anySlot)
	if err != nil {
		return nil, err
	}
	var task *bareTask
	for _, t := range weirs {
		if task, err = record(ctx, t, first.asks()(0, nil), created); err != nil {
			return nil, fmt.Errorf("%s: %w", t.name, err)
		}
	}
	task.bareRequest = bookingRequest
	return task, nil
}

func (f *field) stop() error {
	var failures []error
	for _, s := range f.servers {
		failures = append(failures, s.Stop())
	}
	for _, c := range f.children {
		failures = append(failures, c.stop())
	}
	for _, stop := range f.last {
		failures = append(failures, stop())
	}
	return errors.Join(failures...)
}

// record sends one request, as it will be measured, and keeps the answer, which
// has to pass the check.
func record(ctx context.Context, t *target, request []byte, passes check) (*bareTask, error) {
	sent, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(request)))
	if err != nil {
		return nil, fmt.Errorf("read own request: %w", err)
	}
	sent.RequestURI, sent.URL.Scheme, sent.URL.Host = "", "http", t.addr
	client := http.Client{Timeout: requestTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(sent.WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("record an answer: %w", err)
	}
	body, err := io.ReadAll(answer.Body)
	if err := errors.Join(err, answer.Body.Close(), passes(0, answer.StatusCode, body)); err != nil {
		return nil, fmt.Errorf("record an answer: %w", err)
	}
	task := &bareTask{Status: answer.StatusCode, Body: string(body)}
	for name, values := range answer.Header {
		if name != "Connection" { // this one request's
			task.Headers = append(task.Headers, [2]string{name, values[0]})
		}
	}
	slices.SortFunc(task.Headers, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	return task, nil
}

// fsyncs reads how many the target has done; 0 where it has no log.
func (t *target) fsyncs(ctx context.Context) (float64, error) {
	if t.admin == "" {
		return 0, nil
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+t.admin+"/metrics", nil)
	if err != nil {
		return 0, fmt.Errorf("read metrics: %w", err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, fmt.Errorf("read metrics: %w", err)
	}
	text, err := io.ReadAll(answer.Body)
	if err := errors.Join(err, answer.Body.Close()); err != nil {
		return 0, fmt.Errorf("read metrics: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, syncsMetric); ok {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, nil
}

// crowd is some people with a pass each.
type crowd struct {
	credentials
	rules  *campaign.Definition
	slot   func(n uint64) event.SlotID // that the nth person wants
	from   uint64
	length int    // of a request's body
	header string // lines of its head, beside those that each has
}

// anySlot is a slot for the nth person, spread over all of them.
func (f *field) anySlot(n uint64) event.SlotID {
	return event.SlotID(scatter(n) % uint64(f.rules.SlotCount()))
}

// crowd mints the passes of the people from to from+count-1.
func (f *field) crowd(from, count int, slot func(n uint64) event.SlotID) (*crowd, error) {
	c := &crowd{rules: f.rules, slot: slot, from: uint64(from), length: len(appendWish(nil, f.rules, 0))}
	claims := token.Claims{
		Kind: token.Pass, Campaign: token.CampaignHash(campaignID), Born: f.born,
		Expires: event.Time(time.Now().Add(passLife).UnixMilli()),
	}
	err := c.mint(count, func(dst []byte, n int) []byte {
		claims.Person = person(c.from + uint64(n))
		return f.ring.Append(dst, &claims)
	})
	return c, err
}

// credentials are those of some people. They have one length, so they lie behind
// each other in one piece of memory.
type credentials struct {
	text []byte
	size int // of each
}

// mint makes count of them, of which next appends the nth.
func (c *credentials) mint(count int, next func(dst []byte, n int) []byte) error {
	for n := range count {
		before := len(c.text)
		c.text = next(c.text, n)
		if n == 0 {
			c.size = len(c.text)
			c.text = slices.Grow(c.text, c.size*(count-1))
		}
		if len(c.text)-before != c.size {
			return errors.New("credentials differ in length")
		}
	}
	return nil
}

func (c *credentials) of(n int) []byte { return c.text[n*c.size : (n+1)*c.size] }

// asks returns what the loader calls for each request: the next person's
// booking. It is for one thread, and starts with the first person.
func (c *crowd) asks() func(conn int, dst []byte) []byte {
	n := 0
	return func(_ int, dst []byte) []byte {
		dst = append(dst, "POST "+bookingsPath+" HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: "...)
		dst = strconv.AppendInt(dst, int64(c.length), 10)
		dst = append(dst, "\r\nAuthorization: Bearer "...)
		dst = append(dst, c.of(n)...)
		dst = append(dst, "\r\n"...)
		dst = append(append(dst, c.header...), "\r\n"...)
		slot := c.slot(c.from + uint64(n))
		n++
		return appendWish(dst, c.rules, slot)
	}
}

// appendWish appends the body that asks for slot. All slot ids of the bench
// have one length.
func appendWish(dst []byte, rules *campaign.Definition, slot event.SlotID) []byte {
	dst = append(dst, `{"slot":"`...)
	return append(rules.AppendSlotID(dst, slot), `"}`...)
}
