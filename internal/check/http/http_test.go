package http_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	nethttp "net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/check"
	"github.com/rastup/rekey/internal/check/http"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/rotation"
)

const body = "hunter22-in-the-body"

// clock goes forward by step each time it is read.
type clock struct {
	at   time.Time
	step time.Duration
}

func (c *clock) now() time.Time { c.at = c.at.Add(c.step); return c.at }

func ask(t *testing.T, client *nethttp.Client, function string, p http.Shape) (rotation.Result, error) {
	t.Helper()
	with, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	c := clock{step: 41 * time.Millisecond}
	h := http.New(check.Deps{HTTP: client, Now: c.now})
	return h[function](context.Background(), rotation.Step{With: with}, rotation.Past{})
}

func server(t *testing.T) *httptest.Server {
	t.Helper()
	mux := nethttp.NewServeMux()
	mux.HandleFunc("/ok", func(w nethttp.ResponseWriter, _ *nethttp.Request) { fmt.Fprint(w, body) })
	mux.HandleFunc("/503", func(w nethttp.ResponseWriter, _ *nethttp.Request) { nethttp.Error(w, body, 503) })
	mux.HandleFunc("/204", func(w nethttp.ResponseWriter, _ *nethttp.Request) { w.WriteHeader(204) })
	mux.HandleFunc("/hang", func(_ nethttp.ResponseWriter, r *nethttp.Request) { <-r.Context().Done() })
	mux.HandleFunc("/endless", func(w nethttp.ResponseWriter, r *nethttp.Request) {
		for r.Context().Err() == nil {
			if _, err := fmt.Fprint(w, strings.Repeat("x", 1<<16)); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/here", func(w nethttp.ResponseWriter, r *nethttp.Request) { nethttp.Redirect(w, r, "/ok", 302) })
	mux.HandleFunc("/away", func(w nethttp.ResponseWriter, r *nethttp.Request) {
		nethttp.Redirect(w, r, "http://other.example/ok", 302)
	})
	mux.HandleFunc("/loop", func(w nethttp.ResponseWriter, r *nethttp.Request) { nethttp.Redirect(w, r, "/loop", 302) })
	mux.HandleFunc("/strict", func(w nethttp.ResponseWriter, r *nethttp.Request) {
		for _, name := range []string{"Authorization", "Cookie", "Proxy-Authorization"} {
			if r.Header.Get(name) != "" {
				w.WriteHeader(400)
			}
		}
		nethttp.SetCookie(w, &nethttp.Cookie{Name: "a", Value: "b"})
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func TestWhatIsGreenAndWhatMayStillBecomeIt(t *testing.T) {
	s := server(t)
	ms := func(n int) rotation.Duration { return rotation.Duration(time.Duration(n) * time.Millisecond) }
	for _, c := range []struct {
		p          http.Shape
		text, wait string
	}{
		{http.Shape{URL: "/ok"}, "GET /ok 200 in 41 ms", ""},
		{http.Shape{URL: "/ok", Latency: ms(500)}, "GET /ok 200 in 41 ms (limit 500 ms)", ""},
		{http.Shape{URL: "/ok", Latency: ms(40)}, "", "GET /ok took 41 ms, limit 40 ms"},
		{http.Shape{URL: "/ok", BodyContains: "in-the"}, "GET /ok 200 in 41 ms", ""},
		{http.Shape{URL: "/ok", BodyContains: "healthy"}, "", "GET /ok answered 200 without the text asked for"},
		{http.Shape{URL: "/endless", BodyContains: "healthy"}, "", "GET /endless answered 200 without the text asked for"},
		{http.Shape{URL: "/endless"}, "GET /endless 200 in 41 ms", ""},
		{http.Shape{URL: "/503"}, "", "GET /503 answered 503, want 200"},
		{http.Shape{URL: "/503", Status: []int{503}}, "GET /503 503 in 41 ms", ""},
		{http.Shape{URL: "/204", Status: []int{200, 204}}, "GET /204 204 in 41 ms", ""},
		{http.Shape{URL: "/503", Status: []int{200, 204}}, "", "GET /503 answered 503, want 200 or 204"},
		{http.Shape{URL: "/hang", Latency: ms(60)}, "", "GET /hang gave no answer within 60 ms"},
		{http.Shape{URL: "/here"}, "GET /here 200 in 41 ms", ""},
		{http.Shape{URL: "/away"}, "", "GET /away answered 302, want 200"},
		{http.Shape{URL: "/loop"}, "", "GET /loop answered 302, want 200"},
		{http.Shape{URL: "/strict"}, "GET /strict 200 in 41 ms", ""},
	} {
		for _, function := range []string{"baseline", "validate"} {
			p := c.p
			p.URL = s.URL + p.URL
			res, err := ask(t, http.NewClient(), function, p)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.ReplaceAll(res.Text, s.URL, ""); got != c.text {
				t.Errorf("%+v: text %q, want %q", c.p, got, c.text)
			}
			if got := strings.ReplaceAll(res.Wait, s.URL, ""); got != c.wait {
				t.Errorf("%+v: wait %q, want %q", c.p, got, c.wait)
			}
			if all := fmt.Sprint(res); strings.Contains(all, "hunter22") {
				t.Errorf("the answer's body is told: %s", all)
			}
			if green := c.wait == ""; green != (res.Facts["status"] != "" && res.Facts["took"] == "41ms") || !green && res.Again != 5*time.Second {
				t.Errorf("%+v: facts %v, again in %v", c.p, res.Facts, res.Again)
			}
		}
	}
	res, err := ask(t, http.NewClient(), "validate", http.Shape{URL: s.URL + "/503", Every: ms(1500)})
	if err != nil || res.Again != 1500*time.Millisecond {
		t.Errorf("again in %v, %v", res.Again, err)
	}
}

// raw is a server that says whatever to whom connects.
func raw(t *testing.T, say string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 1<<16)) // what isn't read would make closing a reset
			_, _ = io.WriteString(c, say)
			_ = c.Close()
		}
	}()
	return l.Addr().String()
}

func TestNoAnswerIsNotGreenYetAndQuotesNothing(t *testing.T) {
	quiet := func(s *httptest.Server) *httptest.Server {
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.StartTLS()
		t.Cleanup(s.Close)
		return s
	}
	untrusted := quiet(httptest.NewUnstartedServer(nethttp.NotFoundHandler()))
	trusting := untrusted.Client()
	closed := httptest.NewServer(nil)
	closed.Close()
	missing := http.NewClient()
	missing.Transport = failing{&net.DNSError{Err: "no such host", Name: "nowhere.example", IsNotFound: true}}
	unresolved := http.NewClient()
	unresolved.Transport = failing{&net.DNSError{Err: "server misbehaving", Name: "nowhere.example", IsTemporary: true}}
	port := func(s *httptest.Server) string { return strings.TrimPrefix(s.URL, "https://127.0.0.1") }
	for name, c := range map[string]struct {
		client    *nethttp.Client
		url, want string
	}{
		"refused":     {http.NewClient(), closed.URL, "can't be asked: dial: connection refused"},
		"untrusted":   {http.NewClient(), untrusted.URL, "can't be asked: its certificate is signed by an authority that isn't trusted here"},
		"other name":  {trusting, "https://localhost" + port(untrusted), "can't be asked: its certificate is for another name"},
		"no TLS":      {http.NewClient(), "https://" + raw(t, "HTTP/1.0 200 hunter22\r\n\r\n"), "broke off, or isn't HTTP"},
		"TLS garbage": {http.NewClient(), "https://" + raw(t, "hunter22 hunter22"), "can't be asked: it doesn't speak TLS"},
		"no HTTP":     {http.NewClient(), "http://" + raw(t, "hunter22\r\n\r\n"), "broke off, or isn't HTTP"},
		"silent":      {http.NewClient(), "http://" + raw(t, ""), "broke off, or isn't HTTP"},
		"no host":     {missing, "https://nowhere.example/", "can't be asked: no such host"},
		"no resolver": {unresolved, "https://nowhere.example/", "can't be asked: its host's name can't be resolved now"},
	} {
		res, err := ask(t, c.client, "validate", http.Shape{URL: c.url})
		if got := strings.TrimPrefix(res.Wait, "GET "+c.url+" "); err != nil || got != c.want && !(name == "no TLS" && got == "can't be asked: it doesn't speak TLS") {
			t.Errorf("%s: %q, %v, want %q", name, got, err, c.want)
		}
	}
}

type failing struct{ err error }

func (f failing) RoundTrip(*nethttp.Request) (*nethttp.Response, error) { return nil, f.err }

func TestCancellingIsAnUnknownOutcome(t *testing.T) {
	s := server(t)
	why := errors.New("lease lost")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(why)
	h := http.New(check.Deps{HTTP: http.NewClient(), Now: time.Now})
	var failure *rotation.Failure
	res, err := h["validate"](ctx, rotation.Step{With: fmt.Appendf(nil, `{"url":%q}`, s.URL+"/ok")}, rotation.Past{})
	if !errors.Is(err, why) || errors.As(err, &failure) || res.Wait != "" || res.Text != "" {
		t.Errorf("%+v, %v", res, err)
	}
}

func TestTheClientUsesNoProxyAndVerifies(t *testing.T) {
	tr, ok := http.NewClient().Transport.(*nethttp.Transport)
	if !ok || tr.Proxy != nil || tr.TLSClientConfig != nil && tr.TLSClientConfig.InsecureSkipVerify {
		t.Errorf("%+v", tr)
	}
}

func TestParametersAreReadStrictly(t *testing.T) {
	for in, want := range map[string]string{
		"url: https://api.example.com/health\nstatus: [200, 204]\nlatency: 500ms\nwithin: 5m\nevery: 10s\nbody_contains: ok\n": "",
		"url: http://[::1]:8080/health?full=1":           "",
		"url: ''":                                        "x.yml:1:6: url is empty [url]\n    hint: write it like https://api.example.com/health\n",
		"url: api.example.com/health":                    "x.yml:1:6: \"api.example.com/health\" must begin with https:// or http:// [url]\n    hint: write it like https://api.example.com/health\n",
		"url: ftp://api.example.com":                     "x.yml:1:6: \"ftp://api.example.com\" must begin with https:// or http:// [url]\n    hint: write it like https://api.example.com/health\n",
		"url: https:///health":                           "x.yml:1:6: \"https:///health\" names no host [url]\n    hint: write it like https://api.example.com/health\n",
		"url: https://ana:hunter22@api.example.com":      "x.yml:1:6: \"https://…@api.example.com\" holds a user name or password [url]\n    hint: use an address that needs no login: this one would be printed\n",
		"url: https://api.example.com/?api_key=hunter22": "x.yml:1:6: \"https://api.example.com/?…\" has the parameter \"api_key\", which looks like a credential [url]\n    hint: use an address that needs no credential: this one would be printed\n",
		"url: https://api.example.com/#top":              "x.yml:1:6: \"https://api.example.com/#top\" has a #fragment [url]\n    hint: leave it out: it isn't sent\n",
		"url: https://a.example\nwithin: 2h":             "x.yml:2:9: within is longer than an hour [out-of-range]\n    hint: give it at most 1h\n",
		"url: https://a.example\nevery: 10ms":            "x.yml:2:8: every is shorter than a second [out-of-range]\n    hint: leave it out for 5s\n",
		"url: https://a.example\nevery: 3m":              "x.yml:2:8: every 3m0s is longer than within 2m0s: there would be one look only [out-of-range]\n    hint: make within longer or every shorter\n",
		"url: https://a.example\nlatency: 2m":            "x.yml:2:10: latency is longer than a minute [out-of-range]\n",
	} {
		var l problem.List
		shape := http.Check().Shape()
		problem.Decode(problem.Source{File: "x.yml", What: "the check", Text: []byte(in)}, shape, &l)
		if got := l.String(); got != want {
			t.Errorf("%s:\n got %q\nwant %q", in, got, want)
		}
	}
}

func TestUnknownAndMissingParametersAreRefused(t *testing.T) {
	for in, rule := range map[string]string{
		"status: [200]": "[missing-key]", "url: https://a.example\nstatus: [99]": "[value]",
		"url: https://a.example\nheaders: {authorization: abc}": "[unknown-key]",
	} {
		var l problem.List
		if problem.Decode(problem.Source{File: "x.yml", Text: []byte(in)}, http.Check().Shape(), &l); !strings.Contains(l.String(), rule) {
			t.Errorf("%s: %q", in, l.String())
		}
	}
}

func TestParametersComeBackFromAPlan(t *testing.T) {
	var l problem.List
	shape := http.Check().Shape()
	problem.Decode(problem.Source{File: "x.yml", What: "the check", Text: []byte("url: https://a.example\nlatency: 500ms\nwithin: 5m")}, shape, &l)
	b, err := json.Marshal(shape)
	if want := `{"url":"https://a.example","latency":"500ms","within":"5m0s"}`; err != nil || string(b) != want {
		t.Errorf("%s, %v", b, err)
	}
	var back http.Shape
	if err := (rotation.Step{With: b}).Into(&back); err != nil || back.Deadline() != rotation.Duration(5*time.Minute) {
		t.Errorf("%+v, %v", back, err)
	}
	if (&http.Shape{}).Deadline() != rotation.Duration(2*time.Minute) {
		t.Error("default deadline")
	}
}
