package stripewebhook

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Every request that a rotation, there and back, sends to Stripe is also sent to stripe-mock, which holds it against
// Stripe's own description of its API. What comes of it is the sandbox's to say: stripe-mock has no state.
func TestEveryRequestIsOneThatStripeMockTakes(t *testing.T) {
	base := mock(t)
	n := 0
	for _, key := range []string{"", "signing"} {
		for _, steps := range [][]string{forward, {"preflight", "create", "test", "promote", "accepted", "disable", "enable", "restore", "discard"}} {
			l := newLab(t, func(t *Target) { t.Key = key; t.Connect = key != "" })
			l.seen = func(r *http.Request, body []byte, res *http.Response) {
				n++
				if text, status := ask(t, base, r, body); status/100 != 2 {
					t.Errorf("%s %s: stripe-mock answered %d %s", r.Method, r.URL.Path, status, text)
				}
				if res.StatusCode/100 != 2 && !(res.StatusCode == 404 && r.Method == http.MethodGet) {
					t.Errorf("%s %s: the sandbox answered %d", r.Method, r.URL.Path, res.StatusCode)
				}
			}
			l.run(steps...)
		}
	}
	if n < 30 {
		t.Errorf("only %d requests were judged", n)
	}
}

// What the sandbox refuses as malformed, stripe-mock refuses, too: the judge above can fail.
func TestStripeMockRefusesWhatTheSandboxRefuses(t *testing.T) {
	base := mock(t)
	l := newLab(t, nil)
	for _, tt := range []struct{ method, path, body, key string }{
		{"POST", "", "url=https%3A%2F%2Fa.test&enabled_events[0]=no.such.event", apiKey},
		{"POST", "", "url=https%3A%2F%2Fa.test&enabled_events[0]=*&disabled=true", apiKey},
		{"POST", "", "enabled_events[0]=*", apiKey},
		{"POST", "", "url=https%3A%2F%2Fa.test", apiKey},
		{"POST", "", "url=https%3A%2F%2Fa.test&enabled_events=charge.succeeded", apiKey},
		{"POST", "/we_1", "api_version=2023-10-16", apiKey},
		{"POST", "/we_1", "connect=true", apiKey},
		{"GET", "?limit=many", "", apiKey},
		{"GET", "?page=2", "", apiKey},
		{"GET", "", "", "key"},
		{"GET", "", "", ""},
		{"PUT", "/we_1", "disabled=true", apiKey},
	} {
		req, err := http.NewRequest(tt.method, "https://stripe.test/v1/webhook_endpoints"+tt.path, strings.NewReader(tt.body))
		l.ok(err)
		if tt.key != "" {
			req.Header.Set("Authorization", "Bearer "+tt.key)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if l.first.ID != "" {
			req.URL.Path = strings.Replace(req.URL.Path, "we_1", l.first.ID, 1)
		}
		text, theirs := ask(t, base, req, []byte(tt.body))
		res, err := l.RoundTrip(req)
		l.ok(err)
		if res.StatusCode < 400 || theirs < 400 {
			t.Errorf("%+v: the sandbox answered %d, stripe-mock %d %s", tt, res.StatusCode, theirs, text)
		}
	}
}

func ask(t *testing.T, base string, r *http.Request, body []byte) (string, int) {
	t.Helper()
	req, err := http.NewRequest(r.Method, base+r.URL.RequestURI(), strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = r.Header.Clone()
	if a := req.Header.Get("Authorization"); strings.HasPrefix(a, "Bearer rk_test_") { // it knows sk_test_ alone
		req.Header.Set("Authorization", "Bearer sk_test_"+strings.TrimPrefix(a, "Bearer rk_test_"))
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	return string(text), res.StatusCode
}

// mock starts stripe-mock on a free port and answers its address.
func mock(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("stripe-mock")
	if err != nil {
		path, err = exec.LookPath(filepath.Join("..", "..", "..", ".tools", "bin", "stripe-mock"))
	}
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("stripe-mock isn't there: make tools builds it")
		}
		t.Skip("stripe-mock isn't there: make tools builds it")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, path, "-http-addr", addr)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = cmd.Wait() })
	for until := time.Now().Add(30 * time.Second); time.Now().Before(until); {
		if c, err := net.Dial("tcp", addr); err == nil {
			_ = c.Close()
			return fmt.Sprintf("http://%s", addr)
		}
		<-time.After(50 * time.Millisecond)
	}
	t.Fatal("stripe-mock doesn't answer")
	return ""
}
