package hooks_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rastup/rekey/internal/sandbox/hooks"
)

const (
	path = "/services/T000/B000/XXXX"
	key  = "0123456789abcdef0123456789abcdef"
)

func ask(t *testing.T, h http.Handler, method, path, kind, body string) (status int, text string) {
	t.Helper()
	server := httptest.NewServer(h)
	defer server.Close()
	req, err := http.NewRequest(method, server.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", kind)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, ""
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func TestWhatSlackRefuses(t *testing.T) {
	const jsonKind, fine = "application/json; charset=utf-8", `{"text":"x"}`
	section := func(text string) string {
		b, _ := json.Marshal(text)
		return `{"text":"x","blocks":[{"type":"section","text":{"type":"mrkdwn","text":` + string(b) + `}}]}`
	}
	for what, c := range map[string]struct {
		method, path, kind, body string
		status                   int
		text                     string
	}{
		"fine":              {"POST", path, jsonKind, fine, 200, "ok"},
		"a section":         {"POST", path, jsonKind, section(strings.Repeat("ä", 3000)), 200, "ok"},
		"a long section":    {"POST", path, jsonKind, section(strings.Repeat("ä", 3001)), 400, "invalid_blocks"},
		"an empty section":  {"POST", path, jsonKind, section(""), 400, "invalid_blocks"},
		"no JSON":           {"POST", path, jsonKind, `{"text":`, 400, "invalid_payload"},
		"a form":            {"POST", path, "application/x-www-form-urlencoded", fine, 400, "invalid_payload"},
		"nothing":           {"POST", path, jsonKind, `{}`, 400, "no_text"},
		"empty":             {"POST", path, jsonKind, `{"text":""}`, 400, "no_text"},
		"another webhook":   {"POST", path + "Y", jsonKind, fine, 404, "no_service"},
		"a look":            {"GET", path, jsonKind, "", 405, "method_not_allowed"},
		"an archived":       {"POST", "/archived", jsonKind, fine, 410, "channel_is_archived"},
		"a revoked":         {"POST", "/revoked", jsonKind, fine, 403, "invalid_token"},
		"a channel gone":    {"POST", "/gone", jsonKind, fine, 404, "channel_not_found"},
		"a forbidden place": {"POST", "/forbidden", jsonKind, fine, 403, "action_prohibited"},
	} {
		s := hooks.NewSlack(path)
		for p, word := range map[string]string{"/archived": "channel_is_archived", "/revoked": "invalid_token", "/gone": "channel_not_found", "/forbidden": "action_prohibited"} {
			s.Refuse(p, word)
		}
		status, text := ask(t, s, c.method, c.path, c.kind, c.body)
		if status != c.status || text != c.text || len(s.Messages()) != map[bool]int{true: 1}[status == 200] {
			t.Errorf("%s: %d %s, %d messages", what, status, text, len(s.Messages()))
		}
	}
}

func TestWhatPagerDutyRefuses(t *testing.T) {
	with := func(change func(m, payload map[string]any)) string {
		payload := map[string]any{"summary": "s", "source": "here", "severity": "critical"}
		m := map[string]any{"routing_key": key, "event_action": "trigger", "dedup_key": "k", "payload": payload}
		change(m, payload)
		b, _ := json.Marshal(m)
		return string(b)
	}
	for what, c := range map[string]struct {
		body   string
		status int
		text   string
	}{
		"fine":             {with(func(m, p map[string]any) {}), 202, `"dedup_key":"k"`},
		"resolve":          {with(func(m, p map[string]any) { m["event_action"] = "resolve"; delete(m, "payload") }), 202, `"status":"success"`},
		"no JSON":          {"{", 400, "invalid event"},
		"no key":           {with(func(m, p map[string]any) { delete(m, "routing_key") }), 400, "'routing_key' is missing or blank"},
		"a short key":      {with(func(m, p map[string]any) { m["routing_key"] = "x" }), 400, "Length of 'routing_key' is incorrect (should be 32 characters)"},
		"an odd key":       {with(func(m, p map[string]any) { m["routing_key"] = strings.Repeat("-", 32) }), 400, "'routing_key' cannot contain non-alphanumeric characters."},
		"another key":      {with(func(m, p map[string]any) { m["routing_key"] = strings.Repeat("0", 32) }), 400, "Invalid routing key"},
		"no action":        {with(func(m, p map[string]any) { delete(m, "event_action") }), 400, "'event_action' is missing"},
		"no payload":       {with(func(m, p map[string]any) { delete(m, "payload") }), 400, "'payload' is missing"},
		"no summary":       {with(func(m, p map[string]any) { p["summary"] = "" }), 400, "'payload.summary' is missing"},
		"a long summary":   {with(func(m, p map[string]any) { p["summary"] = strings.Repeat("ä", 1025) }), 400, "too long"},
		"no source":        {with(func(m, p map[string]any) { delete(p, "source") }), 400, "'payload.source' is missing"},
		"another severity": {with(func(m, p map[string]any) { p["severity"] = "SEV1" }), 400, "'payload.severity' is invalid"},
		"a long dedup_key": {with(func(m, p map[string]any) { m["dedup_key"] = strings.Repeat("k", 256) }), 400, "too long"},
		"what to resolve?": {with(func(m, p map[string]any) { m["event_action"] = "resolve"; delete(m, "dedup_key") }), 400, "'dedup_key' is missing"},
		"a link to no URL": {with(func(m, p map[string]any) { m["links"] = []any{map[string]string{"text": "x"}} }), 400, "'links.href' is missing"},
	} {
		if status, text := ask(t, hooks.NewPagerDuty(key), "POST", "/v2/enqueue", "application/json", c.body); status != c.status || !strings.Contains(text, c.text) {
			t.Errorf("%s: %d %s", what, status, text)
		}
	}
	if status, _ := ask(t, hooks.NewPagerDuty(key), "POST", "/v2/other", "application/json", "{}"); status != 404 {
		t.Errorf("another path: %d", status)
	}
}

// Events with one key make one alert until it is resolved; what is to be resolved and isn't there is dropped.
func TestAlertsAreKnownAgain(t *testing.T) {
	p := hooks.NewPagerDuty(key)
	send := func(action string) {
		if status, text := ask(t, p, "POST", "/v2/enqueue", "application/json", `{"routing_key":"`+key+`","event_action":"`+action+`","dedup_key":"k","payload":{"summary":"s","source":"here","severity":"info"}}`); status != 202 {
			t.Fatal(text)
		}
	}
	for _, action := range []string{"resolve", "trigger", "trigger", "resolve", "resolve", "trigger"} {
		send(action)
	}
	a := p.Alerts()
	if len(a) != 2 || !a[0].Resolved || a[0].Triggers != 2 || a[1].Resolved {
		t.Errorf("%+v", a)
	}
}

func TestFaults(t *testing.T) {
	s := hooks.NewSlack(path)
	for fault, taken := range map[error]int{&hooks.Answer{Status: 429}: 0, hooks.ErrLost: 1, errors.New("cut"): 0} {
		before := len(s.Messages())
		s.Fail(func(hooks.Call) error { return fault })
		status, _ := ask(t, s, "POST", path, "application/json", `{"text":"x"}`)
		if got := len(s.Messages()) - before; got != taken || status != 0 && status != 429 {
			t.Errorf("%v: %d, %d messages", fault, status, got)
		}
	}
	if len(s.Calls()) != 3 {
		t.Errorf("%d calls", len(s.Calls()))
	}
}
