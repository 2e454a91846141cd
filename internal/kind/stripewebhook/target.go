// Package stripewebhook is the kind of signing secrets of Stripe's webhook endpoints. Stripe has no call that makes a new
// secret for an endpoint, so a second endpoint is made, with the same URL, events, API version and description; its
// secret, which Stripe says once, is stored in AWS Secrets Manager at once.
//
//   - Old and new overlap: both endpoints deliver every event, each under its own secret. A processor that doesn't know
//     the new secret yet refuses those of the new endpoint, and Stripe sends them again, for three days in live mode.
//   - The proof is a payload signed with the new secret, sent to each processor: it must be taken, and one signed with no
//     secret of ours must not be, else the proof says nothing.
//   - The old endpoint is disabled, which can be taken back, and deleted at the end of the retention, which can't.
//   - Afterwards Stripe doesn't know the old endpoint any more: nothing is signed with its secret. Whether processors
//     still take that secret is tried, and said; where it was stolen, they must refuse it.
//
// A secret is never lost sight of: the call that makes an endpoint carries an idempotency key of the rotation, and the
// endpoint the rotation's ID. After a lost answer Stripe answers the same call with the same secret for a day; later the
// endpoint found by that ID is recorded, deleted and made anew.
//
// It must never delete an endpoint that no record names, nor the one whose secret is live, nor show what Stripe or a
// processor answers beyond status, code and request ID: an answer to create holds the secret.
package stripewebhook

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/staging"
)

// Defaults and bounds of a Target.
const (
	DefaultAPIBase = "https://api.stripe.com"
	DefaultEvent   = "rekey.signature_test"
	DefaultWithin  = rotation.Duration(15 * time.Minute)
	MostWithin     = rotation.Duration(6 * time.Hour)
)

// A Target is one webhook endpoint, and where its signing secret is stored.
type Target struct {
	// Secret is the name or ARN of the secret in AWS Secrets Manager that holds the signing secret (whsec_…).
	Secret string `json:"secret" yaml:"secret" rekey:"required" jsonschema:"required"`
	// Key of the secret's JSON value that holds it. Left out, the whole value is the signing secret.
	Key string `json:"key,omitempty" yaml:"key"`
	// KMSKey is the key that the secret must be encrypted with: ID, ARN or alias, as the secret names it. Left out, any.
	KMSKey string `json:"kms_key,omitempty" yaml:"kms_key"`
	// URL of the endpoint, as Stripe has it.
	URL string `json:"url" yaml:"url" rekey:"required" jsonschema:"required"`
	// Endpoint is the endpoint's ID (we_…), for the first rotation: needed only where several enabled ones have the URL.
	Endpoint string `json:"endpoint,omitempty" yaml:"endpoint"`
	// Connect says that the endpoint gets the events of connected accounts. Stripe doesn't tell that of an endpoint.
	Connect bool `json:"connect,omitempty" yaml:"connect"`
	// APIKey is where the Stripe API key lies that makes and deletes endpoints. It is read, never written.
	APIKey Key `json:"api_key" yaml:"api_key" rekey:"required" jsonschema:"required"`
	// Processors are the addresses that are sent a signed test event, to prove that each takes the new secret. Default:
	// the endpoint's URL. Name every instance that has the secret by itself.
	Processors []string `json:"processors,omitempty" yaml:"processors"`
	// Event is the type of the test event, one that processors pass over. Default: rekey.signature_test.
	Event string `json:"event,omitempty" yaml:"event"`
	// Within is how long processors may take to accept the new secret, at most 6h. Default: 15m.
	Within rotation.Duration `json:"within,omitempty" yaml:"within"`
	// APIBase is Stripe's address, for emulators. Default: https://api.stripe.com.
	APIBase string `json:"api_base,omitempty" yaml:"api_base"`
}

// A Key is a secret that is only read.
type Key struct {
	// Secret is its name or ARN in AWS Secrets Manager.
	Secret string `json:"secret" yaml:"secret" rekey:"required" jsonschema:"required"`
	// Key of the secret's JSON value. Left out, the whole value.
	Key string `json:"key,omitempty" yaml:"key"`
}

// Identity is that of the stored secret.
func (t *Target) Identity() string { return staging.Identity(t.Secret) }

func (t *Target) stored() staging.Secret { return staging.Secret{Name: t.Secret, KMSKey: t.KMSKey} }

func (t *Target) processors() []string {
	if len(t.Processors) == 0 {
		return []string{t.URL}
	}
	return t.Processors
}

func (t *Target) event() string { return cmp.Or(t.Event, DefaultEvent) }
func (t *Target) base() string {
	return strings.TrimSuffix(cmp.Or(t.APIBase, DefaultAPIBase), "/")
}

// Check reports what can't be right whatever Stripe says.
func (t *Target) Check(r *problem.Report) {
	for field, name := range map[string]string{"secret": t.Secret, "api_key.secret": t.APIKey.Secret} {
		if msg, hint := staging.CheckName(name); msg != "" {
			r.Add(field, "secret-name", hint, "%s %s", problem.Quote(name), msg)
		}
	}
	if t.Secret != "" && staging.Identity(t.Secret) == staging.Identity(t.APIKey.Secret) && (t.Key == t.APIKey.Key || t.Key == "") {
		r.Add("api_key", "same-secret", "name the secret, or its key, that holds the API key (rk_… or sk_…)", "the API key and the signing secret are in the same place")
	}
	if t.Endpoint != "" && !strings.HasPrefix(t.Endpoint, "we_") {
		r.Add("endpoint", "endpoint-id", "it begins with we_; leave it out where only one enabled endpoint has the URL", "%s is no ID of a webhook endpoint", problem.Quote(t.Endpoint))
	}
	checkURL(r, "url", t.URL, "write it as the Stripe Dashboard shows it, such as https://shop.example.com/stripe")
	checkURL(r, "api_base", t.APIBase, "leave it out for "+DefaultAPIBase)
	seen := map[string]bool{}
	for i, p := range t.Processors {
		field := fmt.Sprintf("processors[%d]", i)
		checkURL(r, field, p, "write the address that takes Stripe's events there, such as https://shop.example.com/stripe")
		if seen[p] {
			r.Add(field, "duplicate", "leave it out here", "%s is named twice", problem.Quote(p))
		}
		seen[p] = true
	}
	if t.Event != "" && strings.ContainsFunc(t.Event, func(c rune) bool { return (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '_' }) {
		r.Add("event", "event-type", "such as rekey.signature_test", "%s is no type of an event", problem.Quote(t.Event))
	}
	if t.Within < 0 || t.Within > MostWithin {
		r.Add("within", "out-of-range", "give it at most 6h", "within is not between 0 and 6 hours")
	}
}

func checkURL(r *problem.Report, field, text, hint string) {
	if text == "" {
		return
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "":
		r.Add(field, "url", hint, "%s is no http or https address", problem.Quote(text))
	case u.User != nil:
		r.Add(field, "url-credentials", "addresses are printed: let it have no credentials in it", "the address holds credentials")
	case u.Fragment != "":
		r.Add(field, "url", hint, "%s has a fragment, which is never sent", problem.Quote(text))
	}
}
