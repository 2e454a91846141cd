package github

import (
	"net/http"
	"slices"
	"strconv"
	"time"
)

// usage is when a login called, for its rate limits.
type usage struct {
	hour   time.Time // when the present hour of the primary limit began
	used   int
	minute []point
	made   []time.Time // content-creating requests of the last hour
}

type point struct {
	at   time.Time
	cost int
}

// orDefault is GitHub's own value for zero, and none for a negative one.
func orDefault(n, standard int) int {
	switch {
	case n == 0:
		return standard
	case n < 0:
		return 1 << 30
	}
	return n
}

// spend counts a request against its login's limits, sets the headers and refuses the one too many. A refused request
// is not counted against the secondary limits.
//
// GitHub doesn't say which requests create content: here all POST, PUT and PATCH do. Source: REST API documentation,
// "Rate limits for the REST API".
func (s *Service) spend(r *request) error {
	now := s.clock.Now().UTC()
	u := s.limited[r.login]
	if u == nil {
		u = &usage{}
		s.limited[r.login] = u
	}
	standard := 5000
	switch r.login {
	case "":
		standard = 60
	case "github-actions[bot]":
		standard = 1000
	}
	limit := orDefault(s.o.Limits.PerHour, standard)
	if u.hour.IsZero() || !now.Before(u.hour.Add(time.Hour)) {
		u.hour, u.used = now, 0
	}
	over := u.used >= limit
	if !over {
		u.used++
	}
	for name, n := range map[string]int64{"Limit": int64(limit), "Remaining": int64(limit - u.used), "Used": int64(u.used), "Reset": u.hour.Add(time.Hour).Unix() + 1} {
		r.header.Set("X-Ratelimit-"+name, strconv.FormatInt(n, 10))
	}
	r.header.Set("X-Ratelimit-Resource", "core")
	if over {
		return &Error{Status: http.StatusForbidden, Message: "API rate limit exceeded for installation.", URL: "https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api"}
	}
	return s.spendSecondary(r, u, now)
}

func (s *Service) spendSecondary(r *request, u *usage, now time.Time) error {
	cost, creates := 1, false
	switch r.in.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		cost, creates = 5, true
	case http.MethodDelete:
		cost = 5
	}
	u.minute = slices.DeleteFunc(u.minute, func(p point) bool { return !now.Before(p.at.Add(time.Minute)) })
	u.made = slices.DeleteFunc(u.made, func(t time.Time) bool { return !now.Before(t.Add(time.Hour)) })
	sum := cost
	for _, p := range u.minute {
		sum += p.cost
	}
	if sum > orDefault(s.o.Limits.PointsPerMinute, 900) {
		return Throttled(wait(u.minute[0].at.Add(time.Minute), now))
	}
	if creates {
		recent := slices.IndexFunc(u.made, func(t time.Time) bool { return now.Before(t.Add(time.Minute)) })
		if recent >= 0 && len(u.made)-recent >= orDefault(s.o.Limits.CreatePerMinute, 80) {
			return Throttled(wait(u.made[recent].Add(time.Minute), now))
		}
		if len(u.made) >= orDefault(s.o.Limits.CreatePerHour, 500) {
			return Throttled(wait(u.made[0].Add(time.Hour), now))
		}
		u.made = append(u.made, now)
	}
	u.minute = append(u.minute, point{now, cost})
	return nil
}

// wait is in whole seconds, rounded up.
func wait(until, now time.Time) time.Duration {
	return (until.Sub(now) + time.Second - 1).Truncate(time.Second)
}
