package kindtest

import (
	"context"
	"net"
	"net/http"
	"os/exec"
	"testing"
	"time"
)

// Moto starts moto, which others wrote, on a free port and answers its address. Where it isn't installed the test is
// skipped: a second opinion is an extra.
func Moto(t *testing.T) string {
	t.Helper()
	if exec.Command("moto_server", "--help").Run() != nil {
		t.Skip("moto_server isn't installed here; the sandbox's tests hold all the same")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	_ = l.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "moto_server", "-H", "127.0.0.1", "-p", port)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = cmd.Wait() })
	url := "http://127.0.0.1:" + port
	for until := time.Now().Add(30 * time.Second); time.Now().Before(until); {
		if res, err := http.Post(url+"/moto-api/reset", "", nil); err == nil {
			_ = res.Body.Close()
			return url
		}
		<-time.After(50 * time.Millisecond)
	}
	t.Fatal("moto_server doesn't answer")
	return ""
}
