package stripe

import (
	"cmp"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
)

// Bounds of Stripe's (API reference: metadata, pagination).
const (
	maxMetadata      = 50
	maxMetadataKey   = 40
	maxMetadataValue = 500
	maxDescription   = 5000
	maxPage          = 100
	defaultPage      = 10
)

// shown is an endpoint as Stripe answers it: Connect isn't told, the secret only once.
func shown(e *Endpoint, secret bool) any {
	if e == nil {
		return nil
	}
	orNull := func(s string) any {
		if s == "" {
			return nil
		}
		return s
	}
	m := map[string]any{"id": e.ID, "object": "webhook_endpoint", "api_version": orNull(e.APIVersion), "application": nil, "created": e.Created.Unix(),
		"description": orNull(e.Description), "enabled_events": e.Events, "livemode": false, "metadata": e.Metadata, "status": "enabled", "url": e.URL}
	if e.Disabled {
		m["status"] = "disabled"
	}
	if secret {
		m["secret"] = e.Secret
	}
	return m
}

var subscript = regexp.MustCompile(`^(\w+)\[([^\]]*)\]$`)

// params are a form's parameters: plain ones, lists and hashes, as far as these calls have any.
type params struct {
	plain map[string]string
	lists map[string][]string
	hash  map[string]map[string]string
}

func read(form url.Values, known ...string) (params, error) {
	p := params{map[string]string{}, map[string][]string{}, map[string]map[string]string{}}
	names := slices.SortedFunc(maps.Keys(form), func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) }) // [9] before [10]
	for _, name := range names {
		base, key := name, ""
		m := subscript.FindStringSubmatch(name)
		if m != nil {
			base, key = m[1], m[2]
		}
		if !slices.Contains(known, base) {
			return p, refuse(http.StatusBadRequest, "parameter_unknown", base, "Received unknown parameter: %s", base)
		}
		_, number := strconv.Atoi(key)
		switch {
		case m == nil:
			p.plain[base] = form.Get(name)
		case key == "", number == nil:
			p.lists[base] = append(p.lists[base], form[name]...)
		default:
			if p.hash[base] == nil {
				p.hash[base] = map[string]string{}
			}
			p.hash[base][key] = form.Get(name)
		}
	}
	return p, nil
}

func (s *Service) list(form url.Values) (any, error) {
	p, err := read(form, "limit", "starting_after", "ending_before", "expand")
	if err != nil {
		return nil, err
	}
	limit := defaultPage
	if text, ok := p.plain["limit"]; ok {
		if limit, err = strconv.Atoi(text); err != nil {
			return nil, refuse(http.StatusBadRequest, "parameter_invalid_integer", "limit", "Invalid integer: %s", text)
		}
		if limit < 1 || limit > maxPage {
			return nil, refuse(http.StatusBadRequest, "", "limit", "Invalid limit: must be between 1 and 100.")
		}
	}
	all := s.there()
	slices.Reverse(all) // newest first
	if id, ok := p.plain["starting_after"]; ok {
		e, err := s.live(id)
		if err != nil {
			return nil, refuse(http.StatusBadRequest, "resource_missing", "starting_after", "No such webhook endpoint: '%s'", id)
		}
		all = all[slices.Index(all, e)+1:]
	}
	more := len(all) > limit
	data := []any{}
	for _, e := range all[:min(limit, len(all))] {
		data = append(data, shown(e, false))
	}
	return map[string]any{"object": "list", "data": data, "has_more": more, "url": prefix}, nil
}

func (s *Service) create(form url.Values) (any, error) {
	p, err := read(form, "url", "enabled_events", "api_version", "connect", "description", "metadata", "expand")
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"url", "enabled_events"} {
		if p.plain[name] == "" && len(p.lists[name]) == 0 {
			return nil, refuse(http.StatusBadRequest, "parameter_missing", name, "Missing required param: %s.", name)
		}
	}
	e := Endpoint{Metadata: map[string]string{}}
	if v, ok := p.plain["api_version"]; ok {
		if !slices.Contains(apiVersions(), v) {
			return nil, refuse(http.StatusBadRequest, "", "api_version", "Invalid API version: %s", v)
		}
		e.APIVersion = v
	}
	switch v := p.plain["connect"]; v {
	case "", "true", "false":
		e.Connect = v == "true"
	default:
		return nil, refuse(http.StatusBadRequest, "parameter_invalid_boolean", "connect", "Invalid boolean: %s", v)
	}
	if err := set(&e, p); err != nil {
		return nil, err
	}
	if len(s.there()) >= MaxEndpoints {
		return nil, refuse(http.StatusBadRequest, "", "", "You have reached the maximum of %d test webhook endpoints.", MaxEndpoints)
	}
	return shown(s.add(e), true), nil
}

func (s *Service) update(id string, form url.Values) (any, error) {
	e, err := s.live(id)
	if err != nil {
		return nil, err
	}
	p, err := read(form, "url", "enabled_events", "disabled", "description", "metadata", "expand")
	if err != nil {
		return nil, err
	}
	next := e.clone()
	switch v, ok := p.plain["disabled"]; {
	case !ok:
	case v == "true" || v == "false":
		next.Disabled = v == "true"
	default:
		return nil, refuse(http.StatusBadRequest, "parameter_invalid_boolean", "disabled", "Invalid boolean: %s", v)
	}
	if err := set(&next, p); err != nil {
		return nil, err
	}
	*e = next
	return shown(e, false), nil
}

// set is what create and update have in common.
func set(e *Endpoint, p params) error {
	if v, ok := p.plain["url"]; ok {
		u, err := url.Parse(v)
		switch {
		case err != nil || u.Scheme != "http" && u.Scheme != "https":
			return refuse(http.StatusBadRequest, "url_invalid", "url", "Invalid URL: An explicit scheme (such as https) must be provided.")
		case u.Host == "":
			return refuse(http.StatusBadRequest, "url_invalid", "url", "Invalid URL: %s", v)
		}
		e.URL = v
	}
	if v, ok := p.plain["enabled_events"]; ok {
		return refuse(http.StatusBadRequest, "", "enabled_events", "Invalid array: %s", v)
	}
	if list := p.lists["enabled_events"]; list != nil {
		for i, t := range list {
			if !slices.Contains(eventTypes(), t) {
				return refuse(http.StatusBadRequest, "", "enabled_events["+strconv.Itoa(i)+"]", "Invalid enabled_events[%d]: %s is not a valid event type", i, t)
			}
		}
		e.Events = list
	}
	if v, ok := p.plain["description"]; ok {
		if len(v) > maxDescription {
			return refuse(http.StatusBadRequest, "parameter_invalid_string_too_long", "description", "Invalid string: must be at most %d characters", maxDescription)
		}
		e.Description = v
	}
	for k, v := range p.hash["metadata"] {
		switch {
		case len(k) > maxMetadataKey:
			return refuse(http.StatusBadRequest, "", "metadata", "Metadata keys can be at most %d characters long.", maxMetadataKey)
		case len(v) > maxMetadataValue:
			return refuse(http.StatusBadRequest, "", "metadata["+k+"]", "Metadata values can have up to %d characters, but you passed in a value that is %d characters.", maxMetadataValue, len(v))
		case v == "":
			delete(e.Metadata, k)
			continue
		}
		e.Metadata[k] = v
	}
	if len(e.Metadata) > maxMetadata {
		return refuse(http.StatusBadRequest, "", "metadata", "You can only have up to %d metadata keys.", maxMetadata)
	}
	return nil
}
