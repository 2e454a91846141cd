package stripewebhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/webhookendpoint"

	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/fence"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/secret"
)

// maxEndpoints is Stripe's limit for each account and mode.
const maxEndpoints = 16

// client is Stripe's webhook endpoints, by one API key. It never tries again by itself: the step does, which looks first.
type client struct{ api webhookendpoint.Client }

func connect(base string, transport http.RoundTripper, key secret.Value) client {
	return client{webhookendpoint.Client{Key: string(key.Reveal()), B: stripe.GetBackendWithConfig(stripe.APIBackend, &stripe.BackendConfig{
		URL: stripe.String(base), MaxNetworkRetries: stripe.Int64(0), EnableTelemetry: stripe.Bool(false),
		LeveledLogger: &stripe.LeveledLogger{Level: stripe.LevelNull}, // its words go past the redactor
		HTTPClient:    (&fence.Transport{Base: plain{transport}}).Client(),
	})}}
}

// plain leaves out the header in which the library tells Stripe this machine's name and kernel.
type plain struct{ base http.RoundTripper }

func (p plain) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Del("X-Stripe-Client-User-Agent")
	if p.base == nil {
		return http.DefaultTransport.RoundTrip(req)
	}
	return p.base.RoundTrip(req)
}

// list is all endpoints of the account and mode that the key is for.
func (c client) list(ctx context.Context) (all []*stripe.WebhookEndpoint, err error) {
	p := &stripe.WebhookEndpointListParams{ListParams: stripe.ListParams{Context: ctx, Limit: stripe.Int64(100)}}
	it := c.api.List(p)
	for it.Next() {
		if all = append(all, it.WebhookEndpoint()); len(all) > 1000 {
			return nil, errors.New("list the webhook endpoints: Stripe's list doesn't end")
		}
	}
	return all, judge(it.Err(), "list the webhook endpoints")
}

func (c client) get(ctx context.Context, id string) (*stripe.WebhookEndpoint, error) {
	e, err := c.api.Get(id, &stripe.WebhookEndpointParams{Params: stripe.Params{Context: ctx}})
	return e, judge(err, "look at endpoint "+id)
}

// create makes an endpoint. replayed says that Stripe had made it before, for the same key.
func (c client) create(ctx context.Context, l like, metadata map[string]string, key string) (e *stripe.WebhookEndpoint, err error) {
	p := &stripe.WebhookEndpointParams{Params: stripe.Params{Context: ctx, IdempotencyKey: &key}, Metadata: metadata,
		URL: &l.URL, EnabledEvents: stripe.StringSlice(l.Events)}
	if l.APIVersion != "" {
		p.APIVersion = &l.APIVersion
	}
	if l.Description != "" {
		p.Description = &l.Description
	}
	if l.Connect {
		p.Connect = &l.Connect
	}
	if e, err = c.api.New(p); err != nil {
		return nil, judge(err, "make an endpoint at "+l.URL)
	}
	if e.ID == "" {
		return nil, errors.New("make an endpoint: Stripe's answer names none")
	}
	return e, nil
}

// set enables or disables an endpoint.
func (c client) set(ctx context.Context, id string, disabled bool) error {
	doing, want := "enable endpoint "+id, "enabled"
	if disabled {
		doing, want = "disable endpoint "+id, "disabled"
	}
	e, err := c.api.Update(id, &stripe.WebhookEndpointParams{Params: stripe.Params{Context: ctx}, Disabled: &disabled})
	if err != nil {
		return judge(err, doing)
	}
	if e.Status != want {
		return fmt.Errorf("%s: Stripe answered that it is %s", doing, cloud.Line(e.Status))
	}
	return nil
}

// remove deletes an endpoint; one that isn't there any more is fine.
func (c client) remove(ctx context.Context, id string) error {
	_, err := c.api.Del(id, &stripe.WebhookEndpointParams{Params: stripe.Params{Context: ctx}})
	if gone(err) {
		return nil
	}
	return judge(err, "delete endpoint "+id)
}

// answered is what may be shown of a call that went wrong. Stripe's texts and bodies stay out of it.
type answered struct {
	text   string
	status int
	kind   stripe.ErrorType
	again  bool // the answer is the one that Stripe gave before to the same idempotency key
	cause  error
}

func (a *answered) Error() string { return a.text }

// Is tells a refused lease and an ended context; the rest of the cause stays in here, so that nobody prints it.
func (a *answered) Is(target error) bool {
	return slices.Contains([]error{rotation.ErrNoLease, context.Canceled, context.DeadlineExceeded}, target) && errors.Is(a.cause, target)
}

// judge makes a *rotation.Failure of what Stripe refuses for good, and keeps everything else as an error whose outcome
// is unknown. doing names what was tried.
func judge(err error, doing string) error {
	if err == nil {
		return nil
	}
	var e *stripe.Error
	if !errors.As(err, &e) {
		return &answered{text: doing + ": " + reason(err), cause: err}
	}
	text := fmt.Sprintf("%s: Stripe answered %d", doing, e.HTTPStatusCode)
	for _, part := range []string{string(e.Type), string(e.Code), e.Param} {
		if part != "" {
			text += " " + cloud.Line(part)
		}
	}
	if e.RequestID != "" {
		text += " (request " + cloud.Line(e.RequestID) + ")"
	}
	a := &answered{text: text, status: e.HTTPStatusCode, kind: e.Type, cause: err}
	if e.LastResponse != nil {
		a.again = e.LastResponse.Header.Get("Idempotent-Replayed") == "true"
	}
	definite := []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusPaymentRequired, http.StatusForbidden, http.StatusNotFound}
	if !slices.Contains(definite, a.status) || a.kind == stripe.ErrorTypeIdempotency {
		return a
	}
	return refusal{&rotation.Failure{Msg: text, Hint: hint(a.status)}, a}
}

// refusal is a Failure that still knows the answer.
type refusal struct {
	*rotation.Failure
	a *answered
}

func (r refusal) Unwrap() []error { return []error{r.Failure, r.a} }

func hint(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "see the secret that api_key names: Stripe doesn't know that key (any more)"
	case http.StatusForbidden:
		return "give the restricted key the permission Webhook Endpoints: Write"
	case http.StatusNotFound:
		return "see whether the API key is of the account and mode (test or live) that the endpoint is in"
	}
	return "look the request up in the Stripe Dashboard, under Developers, Logs"
}

// reason is what happened to a call without an answer that can be read.
func reason(err error) string {
	var u *url.Error
	switch {
	case errors.Is(err, rotation.ErrNoLease):
		return rotation.ErrNoLease.Error()
	case errors.As(err, &u):
		return cloud.Line(u.Err.Error())
	}
	return "Stripe's answer can't be read" // the library's words quote it
}

func answerOf(err error) *answered {
	var a *answered
	if errors.As(err, &a) {
		return a
	}
	return &answered{}
}

// gone says whether Stripe answered that there is no such endpoint. It takes judged errors and the library's.
func gone(err error) bool {
	var e *stripe.Error
	if errors.As(err, &e) {
		return e.HTTPStatusCode == http.StatusNotFound
	}
	return err != nil && answerOf(err).status == http.StatusNotFound
}

// spent says whether an idempotency key can never lead to an endpoint any more: Stripe keeps a failure under it, or has
// seen it with other parameters.
func spent(err error) bool {
	a := answerOf(err)
	return a.kind == stripe.ErrorTypeIdempotency && a.status == http.StatusBadRequest || a.again && a.status >= 500
}

// like is what the new endpoint has in common with the old one.
type like struct {
	URL         string            `json:"url"`
	Events      []string          `json:"events"`
	APIVersion  string            `json:"api_version,omitempty"`
	Description string            `json:"description,omitempty"`
	Metadata    map[string]string `json:"metadata,omitempty"` // the old one's own
	Connect     bool              `json:"connect,omitempty"`
}

// Metadata of ours: what made an endpoint, for people, and the version ID that its secret is stored as.
const (
	metaRotation = "rotation_id"
	metaVersion  = "rotation_version"
)

func likeOf(t Target, e *stripe.WebhookEndpoint) like {
	l := like{URL: e.URL, Events: e.EnabledEvents, APIVersion: e.APIVersion, Description: e.Description, Connect: t.Connect}
	for k, v := range e.Metadata {
		if k != metaRotation && k != metaVersion {
			if l.Metadata == nil {
				l.Metadata = map[string]string{}
			}
			l.Metadata[k] = v
		}
	}
	return l
}

// differs names the first thing in which an endpoint isn't like l; "" is none.
func (l like) differs(e *stripe.WebhookEndpoint) string {
	a, b := slices.Sorted(slices.Values(l.Events)), slices.Sorted(slices.Values(e.EnabledEvents))
	switch {
	case e.URL != l.URL:
		return "URL"
	case !slices.Equal(a, b):
		return "events (" + strings.Join(e.EnabledEvents, ", ") + ")"
	case e.APIVersion != l.APIVersion:
		return "API version"
	case e.Description != l.Description:
		return "description"
	}
	for k, v := range l.Metadata {
		if e.Metadata[k] != v {
			return "metadata"
		}
	}
	return ""
}
