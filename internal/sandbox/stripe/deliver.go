package stripe

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

// tolerance is how old a signature may be for a processor that uses Stripe's libraries.
const tolerance = 300 * time.Second

// A Delivery is one event on its way to one endpoint.
type Delivery struct {
	Event    string // its ID
	Endpoint string
	Status   int // of the last try; 0: no answer
	body     []byte
	over     bool // delivered, or the endpoint was disabled or gone at a try
}

// Emit makes an event of a type and sends it to every endpoint that is enabled and asks for it. What isn't taken with a
// 2xx is kept for Retry. It answers the event's ID.
func (s *Service) Emit(ctx context.Context, client *http.Client, eventType string) (event string) {
	s.mu.Lock()
	s.events++
	event = fmt.Sprintf("evt_%06d", s.events)
	var to []*Delivery
	for _, e := range s.there() {
		if e.Disabled || !slices.Contains(e.Events, eventType) && !slices.Contains(e.Events, "*") {
			continue
		}
		body, _ := json.Marshal(map[string]any{"id": event, "object": "event", "type": eventType, "api_version": e.APIVersion,
			"created": s.clock.Now().Unix(), "livemode": false, "data": map[string]any{"object": map[string]any{}}}) // plain data
		to = append(to, &Delivery{Event: event, Endpoint: e.ID, body: body})
	}
	s.backlog = append(s.backlog, to...)
	s.mu.Unlock()
	for _, d := range to {
		s.try(ctx, client, d)
	}
	return event
}

// Retry sends again what wasn't taken, signed anew. An endpoint that is disabled or gone by then gets nothing any more.
func (s *Service) Retry(ctx context.Context, client *http.Client) {
	s.mu.Lock()
	open := slices.DeleteFunc(slices.Clone(s.backlog), func(d *Delivery) bool { return d.over })
	s.mu.Unlock()
	for _, d := range open {
		s.try(ctx, client, d)
	}
}

func (s *Service) try(ctx context.Context, client *http.Client, d *Delivery) {
	s.mu.Lock()
	e := s.find(d.Endpoint)
	url, header := e.URL, Sign(s.clock.Now(), d.body, e.Secret)
	if d.over = e.Disabled || e.Deleted; d.over {
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(d.body))
	if err != nil {
		return
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("User-Agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
	req.Header.Set("Stripe-Signature", header)
	status := 0
	if res, err := client.Do(req); err == nil {
		_ = res.Body.Close()
		status = res.StatusCode
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d.Status, d.over = status, status/100 == 2
}

// Sign is the Stripe-Signature header of a payload.
func Sign(at time.Time, payload []byte, secret string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = fmt.Fprintf(mac, "%d.%s", at.Unix(), payload)
	return fmt.Sprintf("t=%d,v1=%s", at.Unix(), hex.EncodeToString(mac.Sum(nil)))
}

// A Processor takes events as an application does that uses Stripe's libraries with several secrets.
type Processor struct {
	Clock    wire.Clock
	Secrets  func() []string // that it knows now
	Careless bool            // takes everything without a look at the signature

	mu   sync.Mutex
	took map[string]int // event ID → how often
}

// Took is how often an event was taken.
func (p *Processor) Took(event string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.took[event]
}

// ServeHTTP is the processor's webhook.
func (p *Processor) ServeHTTP(out http.ResponseWriter, in *http.Request) {
	body, err := io.ReadAll(io.LimitReader(in.Body, maxBody))
	if err != nil || in.Method != http.MethodPost {
		http.Error(out, "POST events here", http.StatusMethodNotAllowed)
		return
	}
	var e struct{ ID, Type string }
	if !p.Careless && !p.genuine(in.Header.Get("Stripe-Signature"), body) {
		http.Error(out, "Webhook signature verification failed.", http.StatusBadRequest)
		return
	}
	if json.Unmarshal(body, &e) != nil || e.ID == "" || e.Type == "" {
		http.Error(out, "no event", http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.took == nil {
		p.took = map[string]int{}
	}
	p.took[e.ID]++
}

func (p *Processor) genuine(header string, body []byte) bool {
	var at time.Time
	var given []string
	for _, pair := range strings.Split(header, ",") {
		switch k, v, _ := strings.Cut(pair, "="); k {
		case "t":
			n, err := strconv.ParseInt(v, 10, 64)
			if err != nil {
				return false
			}
			at = time.Unix(n, 0)
		case "v1":
			given = append(given, v)
		}
	}
	if p.Clock.Now().Sub(at) > tolerance {
		return false
	}
	for _, secret := range p.Secrets() {
		_, want, _ := strings.Cut(Sign(at, body, secret), ",v1=")
		if slices.ContainsFunc(given, func(v string) bool { return hmac.Equal([]byte(v), []byte(want)) }) {
			return true
		}
	}
	return false
}
