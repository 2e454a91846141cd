package github

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// What a token may create: GitHub takes 80 a minute and 500 an hour, and counts what the same account does on its
// pages and in other jobs, too (REST API documentation, rate limits). It doesn't say which calls create, but asks for
// pauses between changing calls of any kind: in a minute all of them are counted, in an hour POST and PUT.
const (
	mostAMinute = 70
	mostAnHour  = 450
)

// limits are one token's, shared by all that use it.
type limits struct {
	clock    Clock
	patience time.Duration

	mu      sync.Mutex
	until   time.Time     // nothing leaves before
	penalty time.Duration // of the last refusal that didn't say how long; 0 after an answer
	minute  []time.Time   // when changing calls left in the last minute
	hour    []time.Time   // when creating calls left in the last hour
}

// turn waits until a call may leave, and says what is left of its patience and when it leaves. It fails, and the call
// isn't made, where the wait would be longer than that.
func (l *limits) turn(ctx context.Context, method string, patience time.Duration) (time.Duration, time.Time, error) {
	for {
		if err := ctx.Err(); err != nil {
			return patience, time.Time{}, err
		}
		wait, why := l.take(method)
		if wait <= 0 {
			return patience, l.clock.Now(), nil
		}
		if wait > patience {
			return patience, time.Time{}, fmt.Errorf("not sent: %s; that ends at %s, and this job waits %s at most", why,
				l.clock.Now().Add(wait).UTC().Format("15:04:05 MST"), l.patience)
		}
		if err := l.clock.Sleep(ctx, wait); err != nil {
			return patience, time.Time{}, err
		}
		patience -= wait
	}
}

// take notes that a call leaves now, or says how long it can't and why.
func (l *limits) take(method string) (time.Duration, string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock.Now()
	if wait := l.until.Sub(now); wait > 0 {
		return wait, "GitHub's rate limit is used up"
	}
	if reads(method) {
		return 0, ""
	}
	creates := method == http.MethodPost || method == http.MethodPut
	if wait := room(&l.minute, mostAMinute, time.Minute, now); wait > 0 {
		return wait, fmt.Sprintf("more than %d changes a minute are too many for GitHub", mostAMinute)
	}
	if wait := room(&l.hour, mostAnHour, time.Hour, now); wait > 0 && creates {
		return wait, fmt.Sprintf("more than %d new things an hour are too many for GitHub", mostAnHour)
	}
	l.minute = append(l.minute, now)
	if creates {
		l.hour = append(l.hour, now)
	}
	return 0, ""
}

// room forgets what left longer than span ago, and says how long there is no room for one more.
func room(left *[]time.Time, most int, span time.Duration, now time.Time) time.Duration {
	for len(*left) > 0 && now.Sub((*left)[0]) > span {
		*left = (*left)[1:]
	}
	if len(*left) < most {
		return 0
	}
	return span - now.Sub((*left)[0]) + time.Millisecond
}

// hit says whether an answer is a rate limit's: the call didn't happen, and none leaves until the limit allows
// (GitHub REST API documentation, exceeding the rate limit). An answer that says it was the last one holds back the
// next call, too. left is when the call left.
func (l *limits) hit(res *http.Response, left time.Time) bool {
	limited := res.StatusCode == http.StatusTooManyRequests || res.StatusCode == http.StatusForbidden && limiting(res)
	after, err := strconv.Atoi(res.Header.Get("Retry-After"))
	seconds := err == nil && after >= 0
	reset, err := strconv.ParseInt(res.Header.Get("X-Ratelimit-Reset"), 10, 64)
	spent := err == nil && res.Header.Get("X-Ratelimit-Remaining") == "0"

	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock.Now()
	until := now
	switch {
	case limited && seconds:
		until = now.Add(time.Duration(after) * time.Second)
	case spent:
		until = time.Unix(reset, 0).Add(time.Second) // they are whole seconds
	case limited && !left.Before(l.until): // one that left before it was known says nothing new
		l.penalty = max(time.Minute, 2*l.penalty)
		until = now.Add(l.penalty)
	}
	if !limited {
		l.penalty = 0
	} else if least := now.Add(time.Second); until.Before(least) {
		until = least // a clock that is ahead of GitHub's must not make it ask at once, again and again
	}
	if until.After(l.until) {
		l.until = until
	}
	return limited
}

// limiting tells a 403 of a limit from one of a missing permission.
func limiting(res *http.Response) bool {
	if res.Header.Get("Retry-After") != "" || res.Header.Get("X-Ratelimit-Remaining") == "0" {
		return true
	}
	text, _ := io.ReadAll(res.Body) // of memory
	res.Body = io.NopCloser(bytes.NewReader(text))
	var said struct {
		Message       string `json:"message"`
		Documentation string `json:"documentation_url"`
	}
	_ = json.Unmarshal(text, &said) // what isn't JSON isn't GitHub's
	message := strings.ToLower(said.Message)
	return strings.Contains(message, "secondary rate limit") || strings.Contains(message, "abuse detection") ||
		strings.Contains(message, "rate limit exceeded") ||
		strings.HasSuffix(said.Documentation, "secondary-rate-limits") || strings.HasSuffix(said.Documentation, "#abuse-rate-limits")
}
