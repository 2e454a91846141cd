// Package databasetest is what the tests of database kinds share: real servers, a person's view of Secrets Manager, and
// the steps of a rotation one by one. It is for tests only, and must never be part of the program.
package databasetest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A Server is a real one on loopback, for all tests of a process. It ends, and its folder goes, when the process does,
// whichever way that ends: its keeper, a shell, waits for the end of a pipe.
type Server struct {
	Host            string
	Port            int
	Admin, Password string // may do everything
	CA              string // PEM of its certificate
	Socket          string // of MariaDB
	keep            *os.File
}

var (
	postgres = sync.OnceValues(func() (*Server, error) {
		return start("postgres", "/usr/lib/postgresql/15/bin/postgres", postgresScript)
	})
	mariadb = sync.OnceValues(func() (*Server, error) { return start("mysql", "/usr/sbin/mariadbd", mariadbScript) })
)

// Postgres is PostgreSQL 15 with an administrator called admin.
func Postgres(t testing.TB) *Server { return ready(t, "postgresql", postgres) }

// MariaDB is MariaDB 10.11 with an administrator called admin.
func MariaDB(t testing.TB) *Server { return ready(t, "mariadb-server", mariadb) }

var (
	errMissing = errors.New("isn't installed")
	errTaken   = errors.New("the port is taken")
)

func ready(t testing.TB, pkg string, get func() (*Server, error)) *Server {
	t.Helper()
	s, err := get()
	if errors.Is(err, errMissing) && os.Getenv("CI") == "" {
		t.Skipf("%v: apt-get install %s", err, pkg)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// What the keeper runs: $1 the folder, $2 the port. It is killed by nobody: reading ends with the test's process.
const (
	postgresScript = `B=/usr/lib/postgresql/15/bin
		$B/initdb -D "$1/data" -U admin --auth=scram-sha-256 --pwfile="$1/password" -N -E UTF8 --locale=C >>"$1/log" 2>&1 || exit 1
		$B/postgres -D "$1/data" -p "$2" -c listen_addresses=127.0.0.1 -c unix_socket_directories="$1" -c fsync=off -c max_connections=300 \
			-c ssl=on -c ssl_cert_file="$1/cert.pem" -c ssl_key_file="$1/key.pem" -c log_statement=all -c log_connections=on >>"$1/log" 2>&1 &`
	mariadbScript = `export TMPDIR="$1" # several that are made at once would take each other's temporary tables away
		mariadb-install-db --no-defaults --datadir="$1/data" --skip-test-db --auth-root-authentication-method=normal >>"$1/log" 2>&1 || exit 1
		mariadbd --no-defaults --datadir="$1/data" --bind-address=127.0.0.1 --port="$2" --socket="$1/socket" --skip-name-resolve --max-connections=300 \
			--innodb-flush-log-at-trx-commit=0 --general-log-file="$1/general" \
			--init-file="$1/init.sql" --ssl-cert="$1/cert.pem" --ssl-key="$1/key.pem" >>"$1/log" 2>&1 &`
	keeper = `
		p=$!
		cat >/dev/null
		kill -QUIT $p; kill -TERM $p; wait $p
		rm -rf "$1"`
)

// start takes a port that is free, and another one when somebody was faster.
func start(account, binary, script string) (s *Server, err error) {
	for range 5 {
		if s, err = begin(account, binary, script); !errors.Is(err, errTaken) {
			return s, err
		}
		_ = s.keep.Close()
	}
	return nil, err
}

func begin(account, binary, script string) (*Server, error) {
	if _, err := os.Stat(binary); err != nil {
		return nil, fmt.Errorf("%s %w", binary, errMissing)
	}
	dir, err := os.MkdirTemp("/tmp", "rekey-"+account+"-") // a socket's path must be short
	if err != nil {
		return nil, err
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{Host: "127.0.0.1", Port: free.Addr().(*net.TCPAddr).Port, Admin: "admin", Password: "administers-everything-1", Socket: filepath.Join(dir, "socket")}
	_ = free.Close()
	cert, key, err := certificate()
	if err != nil {
		return nil, err
	}
	s.CA = string(cert)
	attr := &syscall.SysProcAttr{Setpgid: true} // Ctrl-C ends the test, and that ends the server
	uid, gid := os.Getuid(), os.Getgid()
	if uid == 0 { // servers refuse to be root
		if uid, gid, err = ids(account); err != nil {
			return nil, err
		}
		attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	init := "CREATE USER admin@'%' IDENTIFIED BY '" + s.Password + "';\nGRANT ALL ON *.* TO admin@'%' WITH GRANT OPTION;\nSET GLOBAL general_log = ON;\n" // of what comes after
	for name, data := range map[string][]byte{"password": []byte(s.Password), "cert.pem": cert, "key.pem": key, "init.sql": []byte(init)} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path, data, 0o600), os.Chown(path, uid, gid)); err != nil {
			return nil, err
		}
	}
	if err := os.Chown(dir, uid, gid); err != nil {
		return nil, err
	}
	in, keep, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	s.keep = keep
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	p, err := os.StartProcess("/bin/sh", []string{"sh", "-c", script + keeper, "sh", dir, strconv.Itoa(s.Port)},
		&os.ProcAttr{Dir: dir, Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}, Files: []*os.File{in, null, null}, Sys: attr})
	if err != nil {
		return nil, err
	}
	return s, errors.Join(in.Close(), null.Close(), p.Release(), answers(filepath.Join(dir, "log")))
}

func answers(log string) error {
	deadline, tick := time.After(60*time.Second), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for {
		said, _ := os.ReadFile(log)
		if bytes.Contains(said, []byte("ready to accept connections")) || bytes.Contains(said, []byte("ready for connections")) {
			return nil
		}
		if bytes.Contains(said, []byte("Address already in use")) {
			return fmt.Errorf("%w: %s", errTaken, said)
		}
		select {
		case <-deadline:
			return fmt.Errorf("the server doesn't answer: %s", said)
		case <-tick.C:
		}
	}
}

// Log is what the server has logged so far, in whichever file.
func (s *Server) Log(t testing.TB) string {
	t.Helper()
	var all []byte
	for _, name := range []string{"log", "general"} {
		b, err := os.ReadFile(filepath.Join(filepath.Dir(s.Socket), name))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	return string(all)
}

func ids(account string) (uid, gid int, err error) {
	u, err := user.Lookup(account)
	if err != nil {
		return 0, 0, err
	}
	uid, err = strconv.Atoi(u.Uid)
	if err != nil {
		return 0, 0, err
	}
	gid, err = strconv.Atoi(u.Gid)
	return uid, gid, err
}

func certificate() (cert, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "database"}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		return nil, nil, err
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), nil
}
