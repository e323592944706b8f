//go:build linux

package main

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

//go:embed book.sql
var bookSchema string

const (
	bookQuery = "SELECT book($1, $2)"
	poolLife  = 24 * time.Hour // no connection is exchanged during a run
)

// postgresSettings are for a small table on a machine of its own. A commit
// waits for the disk; everything that a run of minutes can do without is off
// its path: no replica's part of the log, no checkpoint in the middle.
var postgresSettings = []string{
	"fsync=on", "synchronous_commit=on", "full_page_writes=on",
	"shared_buffers=512MB", "wal_buffers=64MB", "wal_level=minimal", "max_wal_senders=0",
	"max_wal_size=16GB", "checkpoint_timeout=1h", "jit=off", "listen_addresses=127.0.0.1", "max_connections=100",
}

// postgresServer is a PostgreSQL cluster of the bench's own.
type postgresServer struct {
	*daemon
	port int
	pool *pgxpool.Pool
}

func startPostgres(ctx context.Context, parent, name string, p plan) (_ *postgresServer, err error) {
	binaries, err := postgresBinaries()
	if err != nil {
		return nil, err
	}
	who, err := postgresUser()
	if err != nil {
		return nil, err
	}
	dir, err := daemonDir(parent, name)
	if err != nil {
		return nil, err
	}
	if who != nil {
		if err := os.Chown(dir, int(who.Uid), int(who.Gid)); err != nil {
			return nil, fmt.Errorf("set up %s: %w", name, err)
		}
	}
	data := filepath.Join(dir, "data")
	if err := initCluster(ctx, binaries, data, who); err != nil {
		return nil, fmt.Errorf("set up %s: %w", name, err)
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	arguments := []string{"-D", data, "-c", "unix_socket_directories=" + dir, "-c", "port=" + strconv.Itoa(port)}
	for _, setting := range postgresSettings {
		arguments = append(arguments, "-c", setting)
	}
	command := exec.Command(filepath.Join(binaries, "postgres"), arguments...)
	command.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	d, err := startDaemon(name, dir, command, syscall.SIGINT) // "fast": waits for no client
	if err != nil {
		return nil, err
	}
	s := &postgresServer{daemon: d, port: port}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.stop())
		}
	}()
	if s.pool, err = postgresPool(ctx, s.address()); err != nil {
		return nil, err
	}
	if err := d.await(ctx, s.pool.Ping); err != nil {
		return nil, err
	}
	if err := s.fill(ctx, p); err != nil {
		return nil, fmt.Errorf("fill %s: %w", name, err)
	}
	return s, nil
}

// initCluster makes a new cluster, trusting whoever reaches its socket.
func initCluster(ctx context.Context, binaries, data string, who *syscall.Credential) error {
	command := exec.CommandContext(ctx, filepath.Join(binaries, "initdb"), "-D", data, "-U", "weir", "--auth=trust",
		"--locale=C", "--encoding=UTF8", "--no-sync")
	command.Dir = filepath.Dir(data)
	command.SysProcAttr = &syscall.SysProcAttr{Credential: who, Pdeathsig: syscall.SIGKILL}
	output, err := command.CombinedOutput()
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("initdb: %w: can user postgres reach %s? Choose another -dir", err, data)
	}
	if err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, output)
	}
	return nil
}

// postgresBinaries is the directory of PostgreSQL's programs. Debian keeps
// them out of the path, a directory for each version; the newest is taken.
func postgresBinaries() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil {
		return "", fmt.Errorf("find PostgreSQL: %w", err)
	}
	version := func(name string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(name)))) // no number is no version
		return n
	}
	if len(found) > 0 {
		newest := slices.MaxFunc(found, func(a, b string) int { return cmp.Compare(version(a), version(b)) })
		return filepath.Dir(newest), nil
	}
	name, err := exec.LookPath("postgres")
	if err == nil {
		name, err = filepath.EvalSymlinks(name)
	}
	if err != nil {
		return "", fmt.Errorf("%w: %w", errNoPeers, err)
	}
	return filepath.Dir(name), nil
}

// postgresUser is whom to run PostgreSQL as: it refuses to run as root. nil is
// whoever runs the bench.
func postgresUser() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	account, err := user.Lookup("postgres") // made by Debian's package
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoPeers, err)
	}
	uid, err1 := strconv.ParseUint(account.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(account.Gid, 10, 32)
	if err := errors.Join(err1, err2); err != nil {
		return nil, fmt.Errorf("find user postgres: %w", err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

func (s *postgresServer) fill(ctx context.Context, p plan) error {
	for _, statement := range []string{
		bookSchema,
		fmt.Sprintf("INSERT INTO slots (slot, capacity) SELECT n, %d FROM generate_series(0, %d) n", p.capacity, p.sites()*slotsPerSite-1),
		"VACUUM ANALYZE",
		"CHECKPOINT", // the next one comes after the run
	} {
		if _, err := s.pool.Exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

func (s *postgresServer) address() storeAddress {
	return storeAddress{
		Kind: "postgres", Socket: s.command.Dir, TCP: fmt.Sprintf("127.0.0.1:%d", s.port), Connections: 1,
	}
}

func (s *postgresServer) books(ctx context.Context) (bookings, taken int64, err error) {
	err = s.pool.QueryRow(ctx, "SELECT (SELECT count(*) FROM bookings), (SELECT sum(taken) FROM slots)").Scan(&bookings, &taken)
	if err != nil {
		return 0, 0, fmt.Errorf("read books: %w", err)
	}
	return bookings, taken, nil
}

func (s *postgresServer) stop() error {
	if s.pool != nil {
		s.pool.Close()
	}
	return s.daemon.stop()
}

// postgresStore books at a PostgreSQL by the function. The query is prepared
// once on every connection, which is pgx's default.
type postgresStore struct{ pool *pgxpool.Pool }

func openPostgres(ctx context.Context, address *storeAddress) (*postgresStore, error) {
	pool, err := postgresPool(ctx, *address)
	if err != nil {
		return nil, err
	}
	return &postgresStore{pool}, nil
}

func postgresPool(ctx context.Context, address storeAddress) (*pgxpool.Pool, error) {
	host, port, err := net.SplitHostPort(address.TCP)
	if err != nil {
		return nil, fmt.Errorf("set up pool: %w", err)
	}
	config, err := pgxpool.ParseConfig(fmt.Sprintf("user=weir dbname=postgres sslmode=disable host=%s port=%s", host, port))
	if err != nil {
		return nil, fmt.Errorf("set up pool: %w", err)
	}
	if address.Connections != asItComes {
		config.ConnConfig.Host, config.ConnConfig.ConnectTimeout = address.Socket, requestTimeout
		config.MaxConns, config.MinConns = int32(address.Connections), int32(address.Connections)
		config.MaxConnLifetime, config.MaxConnIdleTime = poolLife, poolLife
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("set up pool: %w", err)
	}
	return pool, nil
}

// book decides one booking in a transaction of its own, and several in one
// transaction, sent together. Two of those at a time could wait for each
// other's rows, until PostgreSQL gives one of them up.
func (s *postgresStore) book(ctx context.Context, bookings []*booking) error {
	if len(bookings) == 1 {
		return s.bookOne(ctx, bookings[0])
	}
	return s.bookAll(ctx, bookings)
}

func (s *postgresStore) bookOne(ctx context.Context, b *booking) error {
	if err := s.pool.QueryRow(ctx, bookQuery, b.arguments()...).Scan(&b.outcome); err != nil {
		return fmt.Errorf("book at PostgreSQL: %w", err)
	}
	return nil
}

func (s *postgresStore) bookAll(ctx context.Context, bookings []*booking) (err error) {
	var batch pgx.Batch
	for _, b := range bookings {
		batch.Queue(bookQuery, b.arguments()...)
	}
	results := s.pool.SendBatch(ctx, &batch)
	for _, b := range bookings {
		if err = results.QueryRow().Scan(&b.outcome); err != nil {
			break
		}
	}
	if err := errors.Join(err, results.Close()); err != nil { // Close waits for the commit
		return fmt.Errorf("book at PostgreSQL: %w", err)
	}
	return nil
}

func (b *booking) arguments() []any {
	return []any{pgtype.UUID{Bytes: b.person, Valid: true}, int32(b.slot)}
}

func (s *postgresStore) close() error {
	s.pool.Close()
	return nil
}
