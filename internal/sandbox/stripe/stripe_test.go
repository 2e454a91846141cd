package stripe_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rastup/rekey/internal/sandbox"
	"github.com/rastup/rekey/internal/sandbox/stripe"
	"github.com/rastup/rekey/internal/sandbox/wire"
)

const key = "sk_test_000000000000000000000001"

type answer struct {
	ID, Object, Secret, Status, URL string
	Data                            []answer
	HasMore                         bool `json:"has_more"`
	Error                           struct{ Type, Code, Message, Param string }
	status                          int
	replayed                        bool
}

func open() (*stripe.Service, *sandbox.Clock) {
	c := sandbox.NewClock(time.Date(2026, 11, 25, 2, 0, 0, 0, time.UTC))
	s := stripe.New(c, wire.NewRandom(1))
	s.AddKey(key, stripe.Write)
	return s, c
}

func call(t *testing.T, s *stripe.Service, key, method, path, idempotency string, form url.Values) (a answer) {
	t.Helper()
	r := httptest.NewRequest(method, "/v1/webhook_endpoints"+path, strings.NewReader(form.Encode()))
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Idempotency-Key", idempotency)
	out := httptest.NewRecorder()
	s.ServeHTTP(out, r)
	if err := json.Unmarshal(out.Body.Bytes(), &a); err != nil {
		t.Fatal(err)
	}
	a.status, a.replayed = out.Code, out.Header().Get("Idempotent-Replayed") == "true"
	return a
}

func form(u string) url.Values { return url.Values{"url": {u}, "enabled_events[0]": {"*"}} }

func TestASecretIsSaidOnceAndReplayedForADay(t *testing.T) {
	s, c := open()
	made := call(t, s, key, "POST", "", "k", form("https://a.test"))
	if made.status != 200 || !strings.HasPrefix(made.Secret, "whsec_") {
		t.Fatalf("%+v", made)
	}
	if got := call(t, s, key, "GET", "/"+made.ID, "", nil); got.Secret != "" || got.ID != made.ID {
		t.Errorf("%+v", got)
	}
	if got := call(t, s, key, "GET", "", "", nil); len(got.Data) != 1 || got.Data[0].Secret != "" {
		t.Errorf("%+v", got)
	}
	c.Move(23 * time.Hour)
	if got := call(t, s, key, "POST", "", "k", form("https://a.test")); got.ID != made.ID || got.Secret != made.Secret || !got.replayed {
		t.Errorf("%+v", got)
	}
	if got := call(t, s, key, "POST", "", "k", form("https://b.test")); got.status != 400 || got.Error.Type != "idempotency_error" {
		t.Errorf("%+v", got)
	}
	c.Move(2 * time.Hour)
	if got := call(t, s, key, "POST", "", "k", form("https://a.test")); got.ID == made.ID || got.replayed {
		t.Errorf("%+v", got)
	}
}

func TestWhatFailsItsValidationIsNotKept(t *testing.T) {
	s, _ := open()
	if got := call(t, s, key, "POST", "", "k", form("a.test")); got.status != 400 || got.Error.Code != "url_invalid" {
		t.Errorf("%+v", got)
	}
	if got := call(t, s, key, "POST", "", "k", form("https://a.test")); got.status != 200 || got.replayed {
		t.Errorf("%+v", got)
	}
}

func TestTheLimitIsSixteen(t *testing.T) {
	s, _ := open()
	var last answer
	for i := range 17 {
		last = call(t, s, key, "POST", "", "", form(fmt.Sprintf("https://a.test/%d", i)))
	}
	if last.status != 400 || last.Error.Message != "You have reached the maximum of 16 test webhook endpoints." {
		t.Errorf("%+v", last)
	}
	first := call(t, s, key, "GET", "", "", nil)
	if len(first.Data) != 10 || !first.HasMore || first.Data[0].URL != "https://a.test/15" {
		t.Fatalf("%+v", first)
	}
	rest := call(t, s, key, "GET", "?limit=100&starting_after="+first.Data[9].ID, "", nil)
	if len(rest.Data) != 6 || rest.HasMore || rest.Data[5].URL != "https://a.test/0" {
		t.Errorf("%+v", rest)
	}
}

func TestRefusals(t *testing.T) {
	s, _ := open()
	s.AddKey("rk_test_reads", stripe.Read)
	s.AddKey("rk_test_nothing", stripe.None)
	id := s.Add(stripe.Endpoint{URL: "https://a.test", Events: []string{"*"}}).ID
	for _, tt := range []struct {
		key, method, path string
		form              url.Values
		status            int
		code, param       string
	}{
		{"sk_test_unknown", "GET", "", nil, 401, "", ""},
		{"rk_test_nothing", "GET", "", nil, 403, "", ""},
		{"rk_test_reads", "POST", "/" + id, url.Values{"disabled": {"true"}}, 403, "", ""},
		{key, "GET", "/we_none", nil, 404, "resource_missing", "webhook_endpoint"},
		{key, "DELETE", "/we_none", nil, 404, "resource_missing", "webhook_endpoint"},
		{key, "DELETE", "", nil, 404, "", ""},
		{key, "POST", "/" + id + "/roll", nil, 404, "", ""},
		{key, "POST", "", url.Values{"url": {"https://a.test"}}, 400, "parameter_missing", "enabled_events"},
		{key, "POST", "", url.Values{"url": {"https://a.test"}, "enabled_events[0]": {"charge.eaten"}}, 400, "", "enabled_events[0]"},
		{key, "POST", "", url.Values{"url": {"https://a.test"}, "enabled_events[0]": {"*"}, "disabled": {"true"}}, 400, "parameter_unknown", "disabled"},
		{key, "POST", "/" + id, url.Values{"api_version": {"2023-10-16"}}, 400, "parameter_unknown", "api_version"},
		{key, "POST", "/" + id, url.Values{"disabled": {"yes"}}, 400, "parameter_invalid_boolean", "disabled"},
	} {
		got := call(t, s, tt.key, tt.method, tt.path, "", tt.form)
		if got.status != tt.status || got.Error.Code != tt.code || got.Error.Param != tt.param || got.Error.Message == "" {
			t.Errorf("%+v: %d %+v", tt, got.status, got.Error)
		}
	}
	if e := s.Endpoint(id); e.Disabled || e.Deleted {
		t.Errorf("a refused call changed %+v", e)
	}
}

// A disabled endpoint gets no event, and what was on its way to it isn't sent again.
func TestDeliveriesStopWhereTheEndpointIsDisabled(t *testing.T) {
	s, c := open()
	var known []string
	p := &stripe.Processor{Clock: c, Secrets: func() []string { return known }}
	server := httptest.NewServer(p)
	defer server.Close()
	e := s.Add(stripe.Endpoint{URL: server.URL, Events: []string{"charge.succeeded"}})
	one := s.Emit(t.Context(), http.DefaultClient, "charge.succeeded")
	two := s.Emit(t.Context(), http.DefaultClient, "charge.succeeded")
	other := s.Emit(t.Context(), http.DefaultClient, "charge.refunded")
	known = []string{"whsec_other", e.Secret}
	s.Retry(t.Context(), http.DefaultClient)
	s.Retry(t.Context(), http.DefaultClient)
	if p.Took(one) != 1 || p.Took(two) != 1 || p.Took(other) != 0 {
		t.Errorf("took %d, %d, %d", p.Took(one), p.Took(two), p.Took(other))
	}
	known = nil
	three := s.Emit(t.Context(), http.DefaultClient, "charge.succeeded")
	call(t, s, key, "POST", "/"+e.ID, "", url.Values{"disabled": {"true"}})
	known = []string{e.Secret}
	s.Retry(t.Context(), http.DefaultClient)
	call(t, s, key, "POST", "/"+e.ID, "", url.Values{"disabled": {"false"}})
	s.Retry(t.Context(), http.DefaultClient)
	if p.Took(three) != 0 {
		t.Error("an event was sent again after its endpoint had been disabled")
	}
}

func TestOldSignaturesAreRefused(t *testing.T) {
	_, c := open()
	p := &stripe.Processor{Clock: c, Secrets: func() []string { return []string{"whsec_a"} }}
	body := `{"id":"evt_1","type":"a.b"}`
	for age, want := range map[time.Duration]int{0: 200, 299 * time.Second: 200, 301 * time.Second: 400} {
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.Header.Set("Stripe-Signature", stripe.Sign(c.Now().Add(-age), []byte(body), "whsec_a"))
		out := httptest.NewRecorder()
		p.ServeHTTP(out, r)
		if out.Code != want {
			t.Errorf("%s old: %d", age, out.Code)
		}
	}
}
