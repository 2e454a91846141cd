package stripewebhook

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/webhook"

	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/fence"
	"github.com/rastup/rekey/internal/rotation"
)

// patience is the time limit of one test event.
const patience = 10 * time.Second

// A verdict is what a processor did with a test event.
type verdict struct {
	url    string
	status int    // 0: no answer
	why    string // no answer
}

func (v verdict) took() bool    { return v.status/100 == 2 }
func (v verdict) refused() bool { return slices.Contains(refusals, v.status) }

func (v verdict) String() string {
	if v.status == 0 {
		return v.url + " gave no answer (" + v.why + ")"
	}
	return v.url + " answered " + strconv.Itoa(v.status)
}

// refusals are what libraries and their users answer to a wrong signature.
var refusals = []int{http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusUnprocessableEntity}

// try sends each processor a test event under a secret, all at the same time. The event is one that processors pass over,
// so that nothing is changed by it, however often it is sent.
func (h handler) try(ctx context.Context, c call, secret []byte, version string) []verdict {
	// The answer is the status alone: a body could quote what was sent.
	client := (&fence.Transport{Base: h.transport, Limit: patience, Reads: func(*http.Request) bool { return true }}).Client()
	at := h.now()
	payload, _ := json.Marshal(map[string]any{ // plain data
		"id": "evt_rekey_" + c.past.Token(c.step.Key, "event")[:24], "object": "event", "type": c.t.event(), "api_version": version,
		"created": at.Unix(), "livemode": false, "pending_webhooks": 0, "request": map[string]any{"id": nil, "idempotency_key": nil},
		"data": map[string]any{"object": map[string]any{}},
	})
	signed := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: payload, Secret: string(secret), Timestamp: at})
	all := make([]verdict, len(c.t.processors()))
	var wg sync.WaitGroup
	for i, url := range c.t.processors() {
		wg.Go(func() { all[i] = send(ctx, client, url, signed) })
	}
	wg.Wait()
	return all
}

func send(ctx context.Context, client *http.Client, url string, signed *webhook.SignedPayload) verdict {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(signed.Payload))
	if err != nil {
		return verdict{url, 0, "no address that can be asked"}
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("User-Agent", "rekey")
	req.Header.Set("Stripe-Signature", signed.Header)
	res, err := client.Do(req)
	if err != nil {
		return verdict{url, 0, cloud.Line(reason(err))}
	}
	_ = res.Body.Close()
	return verdict{url: url, status: res.StatusCode}
}

// wrong is a signing secret that nobody has.
func (c call) wrong() []byte { return []byte("whsec_" + c.past.Token(c.step.Key, "nobody's")[:32]) }

// version is the API version that processors expect in an event: the library's where the endpoint has the account's.
func version(l like) string {
	if l.APIVersion != "" {
		return l.APIVersion
	}
	return stripe.APIVersion
}

// baseline is nil where every processor takes the current secret and refuses a wrong one: else no proof would mean
// anything.
func (h handler) baseline(ctx context.Context, c call, current []byte, l like) (text string, err error) {
	yes, no := h.try(ctx, c, current, version(l)), h.try(ctx, c, c.wrong(), version(l))
	var all problems
	for i, v := range yes {
		switch {
		case v.status == 0 || no[i].status == 0 || v.status >= 500 || no[i].status >= 500:
			return "", fmt.Errorf("send a test event: %s; to one with a wrong signature: %s", v, no[i])
		case !v.took():
			all.add("see whether that is the address that takes Stripe's events, and whether it has the secret's current value",
				"%s to a test event signed with the current secret", v)
		case no[i].took():
			all.add("have it verify signatures: as it is, anybody can send it events, and no proof would mean anything",
				"%s to a test event with a wrong signature", no[i])
		case !no[i].refused():
			all.add("have it answer 400 to a wrong signature", "%s to a test event with a wrong signature", no[i])
		}
	}
	if err := all.err(); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s the current secret and none a wrong one", count(len(yes), "processor takes", "processors take")), nil
}

// problems are refusals that are told at once.
type problems struct{ msgs, hints []string }

func (p *problems) add(hint, format string, a ...any) {
	p.msgs = append(p.msgs, fmt.Sprintf(format, a...))
	if !slices.Contains(p.hints, hint) {
		p.hints = append(p.hints, hint)
	}
}

func (p *problems) err() error {
	if len(p.msgs) == 0 {
		return nil
	}
	return &rotation.Failure{Msg: join(p.msgs), Hint: join(p.hints)}
}
