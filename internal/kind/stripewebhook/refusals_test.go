package stripewebhook

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/rastup/rekey/internal/goldentest"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox/stripe"
)

var requests = regexp.MustCompile(`\(request [^)]*\)`)

func upTo(step string) []string {
	for i, s := range forward {
		if s == step {
			return forward[:i]
		}
	}
	return nil
}

// A definite no of every kind: what people read, and that nothing was changed.
var refused = []struct {
	name   string
	target func(*Target)
	after  []string
	world  func(*lab)
	step   string
}{
	{"no such secret", func(t *Target) { t.Secret = "payments/strip" }, nil, nil, "preflight"},
	{"no such API key", func(t *Target) { t.APIKey.Secret = "payments/none" }, nil, nil, "preflight"},
	{"what is stored is no signing secret", nil, nil, func(l *lab) { must(l.aws.PutByHand(stored, "planted-password-of-somebody")) }, "preflight"},
	{"signing secret with a line end", nil, nil, func(l *lab) { must(l.aws.PutByHand(stored, l.first.Secret+"\n")) }, "preflight"},
	{"what is stored is no API key", nil, nil, func(l *lab) { must(l.aws.PutByHand(apiKeyAt, "pk_test_planted00000000000000")) }, "preflight"},
	{"API key revoked", nil, nil, func(l *lab) { l.stripe.DropKey(apiKey) }, "preflight"},
	{"API key without the right to read", nil, nil, func(l *lab) { l.stripe.AddKey(apiKey, stripe.None) }, "preflight"},
	{"no endpoint at the URL", func(t *Target) { t.URL = "https://shop.test/Stripe" }, nil, nil, "preflight"},
	{"endpoint disabled", nil, nil, func(l *lab) { l.stripe.Edit(l.first.ID, func(e *stripe.Endpoint) { e.Disabled = true }) }, "preflight"},
	{"two endpoints at the URL", nil, nil, func(l *lab) { l.stripe.Add(stripe.Endpoint{URL: hookURL, Events: []string{"*"}}) }, "preflight"},
	{"another endpoint is named", func(t *Target) { t.Endpoint = "we_none" }, nil, nil, "preflight"},
	{"no room, and a careless processor", nil, nil, func(l *lab) {
		for range 15 {
			l.stripe.Add(stripe.Endpoint{URL: "https://shop.test/other", Events: []string{"*"}})
		}
		l.processor.Careless = true
	}, "preflight"},
	{"leftover of another rotation", func(t *Target) { t.Endpoint = "" }, nil, func(l *lab) {
		l.stripe.Edit(l.first.ID, func(e *stripe.Endpoint) { e.Metadata["rotation_version"] = l.look().Labels["AWSCURRENT"] })
		l.stripe.Add(stripe.Endpoint{URL: hookURL, Events: []string{"*"}, Metadata: map[string]string{"rotation_version": "x", "rotation_id": "2026-10-01-x\n**bold**"}})
	}, "preflight"},
	{"processor has another secret", nil, nil, func(l *lab) { l.processor.Secrets = func() []string { return []string{"whsec_other"} } }, "preflight"},
	{"processor elsewhere", func(t *Target) { t.Processors = []string{"https://stripe.test/hook"} }, nil, nil, "preflight"},
	{"endpoint edited since preflight", nil, upTo("create"), func(l *lab) {
		l.stripe.Edit(l.first.ID, func(e *stripe.Endpoint) { e.Events = []string{"*"} })
	}, "create"},
	{"endpoint disabled since preflight", nil, upTo("create"), func(l *lab) {
		l.stripe.Edit(l.first.ID, func(e *stripe.Endpoint) { e.Disabled = true })
	}, "create"},
	{"limit reached since preflight", nil, upTo("create"), func(l *lab) {
		for range 15 {
			l.stripe.Add(stripe.Endpoint{URL: "https://shop.test/other", Events: []string{"*"}})
		}
	}, "create"},
	{"API key without the right to write", nil, upTo("create"), func(l *lab) { l.stripe.AddKey(apiKey, stripe.Read) }, "create"},
	{"new endpoint edited", nil, upTo("test"), func(l *lab) {
		l.stripe.Edit(l.fact("create", "endpoint"), func(e *stripe.Endpoint) { e.Description = "mine now" })
	}, "test"},
	{"new endpoint deleted", nil, upTo("test"), func(l *lab) {
		l.stripe.Edit(l.fact("create", "endpoint"), func(e *stripe.Endpoint) { e.Deleted = true })
	}, "test"},
	{"processor became careless", nil, upTo("accepted"), func(l *lab) { l.processor.Careless = true }, "accepted"},
	{"moved before disable", nil, upTo("disable"), func(l *lab) { must(l.aws.PutByHand(stored, "whsec_byhand0000000000000000")) }, "disable"},
	{"new endpoint disabled before disable", nil, upTo("disable"), func(l *lab) {
		l.stripe.Edit(l.fact("create", "endpoint"), func(e *stripe.Endpoint) { e.Disabled = true })
	}, "disable"},
	{"new endpoint deleted before decommission", nil, upTo("decommission"), func(l *lab) {
		l.stripe.Edit(l.fact("create", "endpoint"), func(e *stripe.Endpoint) { e.Deleted = true })
	}, "decommission"},
	{"old endpoint enabled again before decommission", nil, upTo("decommission"), func(l *lab) {
		l.stripe.Edit(l.first.ID, func(e *stripe.Endpoint) { e.Disabled = false })
	}, "decommission"},
	{"moved before decommission", nil, upTo("decommission"), func(l *lab) { must(l.aws.PutByHand(stored, "whsec_byhand0000000000000000")) }, "decommission"},
	{"old endpoint there after all", nil, upTo("refused"), func(l *lab) { l.stripe.Edit(l.first.ID, func(e *stripe.Endpoint) { e.Deleted = false }) }, "refused"},
	{"discard of the live endpoint", nil, upTo("accepted"), nil, "discard"},
	{"old endpoint deleted before enable", nil, upTo("decommission"), func(l *lab) { l.stripe.Edit(l.first.ID, func(e *stripe.Endpoint) { e.Deleted = true }) }, "enable"},
}

func TestRefusals(t *testing.T) {
	var all strings.Builder
	for _, tt := range refused {
		l := newLab(t, tt.target).run(tt.after...)
		if tt.world != nil {
			tt.world(l)
		}
		before := l.state()
		_, err := l.ask(t.Context(), tt.step)
		var f *rotation.Failure
		if !errors.As(err, &f) || f.Hint == "" {
			t.Errorf("%s: got %v, want a failure with a hint", tt.name, err)
		}
		if l.state() != before {
			t.Errorf("%s: changed to\n%s\nwas\n%s", tt.name, l.state(), before)
		}
		l.silent()
		text := l.said[len(l.said)-1]
		if strings.Contains(text, "planted") {
			t.Errorf("%s: a value shows", tt.name)
		}
		fmt.Fprintf(&all, "# %s\n%s\n\n", tt.name, requests.ReplaceAllString(l.named(text), "(request ID)"))
	}
	goldentest.Equal(t, "refusals.txt", all.String())
}

// An outcome that isn't known is no refusal, and nothing of an answer is in it.
func TestWhatIsNotKnownIsNoRefusal(t *testing.T) {
	for name, world := range map[string]func(*lab){
		"throttled": func(l *lab) { l.stripe.Fail(func(stripe.Call) error { return stripe.Throttled() }) },
		"broken":    func(l *lab) { l.stripe.Fail(func(stripe.Call) error { return stripe.Broken(false) }) },
		"lost":      func(l *lab) { l.stripe.Fail(func(stripe.Call) error { return stripe.ErrLost }) },
		"no JSON":   func(l *lab) { l.alter = func(*http.Request, []byte) []byte { return []byte("<html>planted") } },
		"cut off":   func(l *lab) { l.alter = func(_ *http.Request, b []byte) []byte { return b[:len(b)/2] } },
		"empty":     func(l *lab) { l.alter = func(*http.Request, []byte) []byte { return []byte("{}") } },
	} {
		l := newLab(t, nil).run("preflight")
		world(l)
		_, err := l.ask(t.Context(), "create")
		if err == nil || errors.As(err, new(*rotation.Failure)) && name != "empty" {
			t.Errorf("%s: got %v", name, err)
		}
		if strings.Contains(fmt.Sprint(err), "planted") || strings.Contains(fmt.Sprint(err), "whsec_") {
			t.Errorf("%s: the answer shows: %v", name, err)
		}
		l.silent()
	}
}

func TestMistakesInATargetAreAllReported(t *testing.T) {
	const good = "secret: payments/stripe\nurl: https://shop.example.com/stripe\napi_key: {secret: payments/stripe-api}\n"
	for _, tt := range []struct{ yaml, want string }{
		{good, ""},
		{good + "key: signing\nconnect: true\nprocessors: [https://a.example.com/stripe, http://b.example.com/stripe]\nwithin: 1h\nevent: rekey.test\nendpoint: we_1\napi_base: http://127.0.0.1:12111\n", ""},
		{"url: https://shop.example.com\n", "t.yaml:1:1: it lacks api_key [missing-key]\nt.yaml:1:1: it lacks secret [missing-key]"},
		{"secret: a b\nurl: shop.example.com/stripe\napi_key: {secret: \"?\"}\nprocessors:\n  - https://u:p@a.example.com\n  - https://b.example.com/#x\n  - https://c.example.com\n  - https://c.example.com\nwithin: 7h\nevent: Any Event\nendpoint: ep_1\n",
			`t.yaml:1:9: "a b" is no name of a secret [secret-name]
    hint: letters, digits and /_+=.@- are allowed, 512 characters at most
t.yaml:2:6: "shop.example.com/stripe" is no http or https address [url]
    hint: write it as the Stripe Dashboard shows it, such as https://shop.example.com/stripe
t.yaml:3:19: "?" is no name of a secret [secret-name]
    hint: letters, digits and /_+=.@- are allowed, 512 characters at most
t.yaml:5:5: the address holds credentials [url-credentials]
    hint: addresses are printed: let it have no credentials in it
t.yaml:6:5: "https://b.example.com/#x" has a fragment, which is never sent [url]
    hint: write the address that takes Stripe's events there, such as https://shop.example.com/stripe
t.yaml:8:5: "https://c.example.com" is named twice [duplicate]
    hint: leave it out here
t.yaml:9:9: within is not between 0 and 6 hours [out-of-range]
    hint: give it at most 6h
t.yaml:10:8: "Any Event" is no type of an event [event-type]
    hint: such as rekey.signature_test
t.yaml:11:11: "ep_1" is no ID of a webhook endpoint [endpoint-id]
    hint: it begins with we_; leave it out where only one enabled endpoint has the URL`},
		{"secret: a\nurl: https://a.example.com\napi_key: {secret: a}\n", "t.yaml:3:10: the API key and the signing secret are in the same place [same-secret]\n    hint: name the secret, or its key, that holds the API key (rk_… or sk_…)"},
		{"secret: a\nkey: signing\nurl: https://a.example.com\napi_key: {secret: a, key: api}\n", ""},
	} {
		var list problem.List
		problem.Decode(problem.Source{File: "t.yaml", Text: []byte(tt.yaml)}, new(Target), &list)
		var got []string
		for _, p := range list.Sorted() {
			got = append(got, p.String())
		}
		if s := strings.Join(got, "\n"); s != tt.want {
			t.Errorf("%s\ngot\n%s\nwant\n%s", tt.yaml, s, tt.want)
		}
	}
}

func TestTwoKindsOfOneSecretAreOneTarget(t *testing.T) {
	a, b := Target{Secret: "payments/stripe"}, Target{Secret: "arn:aws:secretsmanager:eu-central-1:111122223333:secret:payments/stripe-AbCdEf", Key: "x"}
	if a.Identity() != b.Identity() || a.Identity() != "secretsmanager/payments/stripe" {
		t.Errorf("%q, %q", a.Identity(), b.Identity())
	}
}
