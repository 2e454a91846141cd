package http

import (
	"bytes"
	"context"
	"fmt"
	"io"
	nethttp "net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/check"
	"github.com/rastup/rekey/internal/rotation"
)

// maxBody is how much of an answer is read, for BodyContains, in bytes.
const maxBody = 1 << 20

// NewClient makes a client as this check wants it: certificates verified by the system's roots, no proxy from
// anywhere, a new connection for each look, so that a kept one can't hide that nobody takes new ones.
func NewClient() *nethttp.Client {
	return &nethttp.Client{Transport: &nethttp.Transport{DisableKeepAlives: true, ForceAttemptHTTP2: true,
		TLSHandshakeTimeout: noLatency, MaxResponseHeaderBytes: 64 << 10}}
}

// New makes the handler for one environment.
func New(d check.Deps) rotation.Handler {
	client := *d.HTTP
	client.CheckRedirect, client.Jar, client.Timeout = sameHost, nil, 0
	h := handler{&client, d.Now}
	return rotation.Handler{"baseline": h.look, "validate": h.look}
}

// sameHost lets the answer stand that wants to lead elsewhere.
func sameHost(next *nethttp.Request, via []*nethttp.Request) error {
	first, last := via[0].URL, via[len(via)-1].URL
	if len(via) >= 5 || next.URL.Host != first.Host && (next.URL.Hostname() != first.Hostname() || first.Scheme == next.URL.Scheme) ||
		last.Scheme == "https" && next.URL.Scheme != "https" {
		return nethttp.ErrUseLastResponse
	}
	return nil
}

type handler struct {
	client *nethttp.Client
	now    func() time.Time
}

// look asks once. Whatever isn't green may still become so: the step's deadline decides.
func (h handler) look(ctx context.Context, s rotation.Step, _ rotation.Past) (rotation.Result, error) {
	var p Shape
	if err := s.Into(&p); err != nil {
		return rotation.Result{}, err
	}
	status, took, lacks := h.get(ctx, p)
	if err := ctx.Err(); err != nil {
		return rotation.Result{}, fmt.Errorf("GET %s: %w", p.URL, context.Cause(ctx))
	}
	if lacks != "" {
		return rotation.Result{Wait: "GET " + p.URL + " " + lacks, Again: time.Duration(or(p.Every, DefaultEvery))}, nil
	}
	text := fmt.Sprintf("GET %s %d in %s", p.URL, status, span(took))
	if p.Latency != 0 {
		text += fmt.Sprintf(" (limit %s)", span(time.Duration(p.Latency)))
	}
	return rotation.Result{Text: text, Facts: map[string]string{"status": strconv.Itoa(status), "took": took.Round(time.Millisecond).String()}}, nil
}

// get is one request; lacks says what isn't green about it.
func (h handler) get(ctx context.Context, p Shape) (status int, took time.Duration, lacks string) {
	limit := time.Duration(p.Latency)
	if limit == 0 {
		limit = noLatency
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	req, err := nethttp.NewRequestWithContext(limited, nethttp.MethodGet, p.URL, nil)
	if err != nil {
		return 0, 0, "is no request that can be sent"
	}
	req.Header.Set("User-Agent", "rekey-check")
	req.Header.Set("Cache-Control", "no-cache")
	begin := h.now()
	res, err := h.client.Do(req)
	if err != nil {
		return 0, 0, reason(err, limit)
	}
	defer res.Body.Close()
	var body []byte
	if p.BodyContains != "" {
		body, err = io.ReadAll(io.LimitReader(res.Body, maxBody))
	}
	took = h.now().Sub(begin)
	want := p.Status
	if len(want) == 0 {
		want = []int{nethttp.StatusOK}
	}
	switch {
	case !slices.Contains(want, res.StatusCode):
		return 0, 0, fmt.Sprintf("answered %d, want %s", res.StatusCode, list(want))
	case err != nil:
		return 0, 0, reason(err, limit)
	case p.Latency != 0 && took > time.Duration(p.Latency):
		return 0, 0, fmt.Sprintf("took %s, limit %s", span(took), span(time.Duration(p.Latency)))
	case !bytes.Contains(body, []byte(p.BodyContains)):
		return 0, 0, fmt.Sprintf("answered %d without the text asked for", res.StatusCode)
	}
	return res.StatusCode, took, ""
}

func list(codes []int) string {
	each := make([]string, len(codes))
	for i, c := range codes {
		each[i] = strconv.Itoa(c)
	}
	return strings.Join(each, " or ")
}

// span is a duration as people write it.
func span(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Round(time.Millisecond).Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return fmt.Sprintf("%.0f s", d.Seconds())
}
