package hooks

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"unicode/utf8"
)

// PagerDuty is an account's Events API v2 (PagerDuty developer documentation, "Send an Alert Event"; its errors as
// the API reference and envato/pagerduty issue 70, blockpane/tenderduty issue 10 show them). Safe for concurrent use.
type PagerDuty struct {
	door
	keys   []string
	alerts []Alert
}

// An Alert is what events with one dedup_key made, until it is resolved.
type Alert struct {
	Key, Summary, Source, Severity string
	Links                          []string
	Triggers                       int // events that were put together in it
	Resolved                       bool
}

// NewPagerDuty makes an account with integration keys.
func NewPagerDuty(keys ...string) *PagerDuty { return &PagerDuty{keys: keys} }

// Alerts are all there ever were, in order.
func (p *PagerDuty) Alerts() []Alert {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.alerts)
}

type pagerDutyEvent struct {
	RoutingKey  string `json:"routing_key"`
	EventAction string `json:"event_action"`
	DedupKey    string `json:"dedup_key"`
	Client      string `json:"client"`
	ClientURL   string `json:"client_url"`
	Payload     *struct {
		Summary   string         `json:"summary"`
		Source    string         `json:"source"`
		Severity  string         `json:"severity"`
		Timestamp string         `json:"timestamp"`
		Component string         `json:"component"`
		Group     string         `json:"group"`
		Class     string         `json:"class"`
		Details   map[string]any `json:"custom_details"`
	} `json:"payload"`
	Links []struct {
		Href string `json:"href"`
		Text string `json:"text"`
	} `json:"links"`
}

// ServeHTTP is events.pagerduty.com.
func (p *PagerDuty) ServeHTTP(out http.ResponseWriter, in *http.Request) {
	out.Header().Set("Content-Type", "application/json")
	p.serve(out, in, func(body []byte) *Answer {
		if in.URL.Path != "/v2/enqueue" || in.Method != http.MethodPost {
			return &Answer{Status: http.StatusNotFound, Body: `{"error":{"message":"Not Found","code":2100}}`}
		}
		var e pagerDutyEvent
		if json.Unmarshal(body, &e) != nil {
			return invalid("JSON is invalid")
		}
		if errors := e.wrong(); len(errors) > 0 {
			return invalid(errors...)
		}
		if !slices.Contains(p.keys, e.RoutingKey) {
			return &Answer{Status: http.StatusBadRequest, Body: `{"status":"Invalid routing key","message":"Invalid routing key"}`}
		}
		p.take(e)
		answer, _ := json.Marshal(map[string]string{"status": "success", "message": "Event processed", "dedup_key": e.DedupKey})
		return &Answer{Status: http.StatusAccepted, Body: string(answer)}
	})
}

func invalid(errors ...string) *Answer {
	body, _ := json.Marshal(map[string]any{"status": "invalid event", "message": "Event object is invalid", "errors": errors})
	return &Answer{Status: http.StatusBadRequest, Body: string(body)}
}

var alphanumeric = regexp.MustCompile(`^[A-Za-z0-9]*$`)

func (e pagerDutyEvent) wrong() (errors []string) {
	add := func(is bool, text string) {
		if is {
			errors = append(errors, text)
		}
	}
	missing := func(value, name string) { add(value == "", "'"+name+"' is missing or blank") }
	missing(e.RoutingKey, "routing_key")
	missing(e.EventAction, "event_action")
	add(e.RoutingKey != "" && len(e.RoutingKey) != 32, "Length of 'routing_key' is incorrect (should be 32 characters)")
	add(!alphanumeric.MatchString(e.RoutingKey), "'routing_key' cannot contain non-alphanumeric characters.")
	add(e.EventAction != "" && !slices.Contains([]string{"trigger", "acknowledge", "resolve"}, e.EventAction), "'event_action' is invalid")
	add(utf8.RuneCountInString(e.DedupKey) > 255, "'dedup_key' is too long (maximum is 255 characters)")
	add(e.EventAction != "trigger" && e.DedupKey == "", "'dedup_key' is missing or blank")
	if e.EventAction != "trigger" {
		return errors
	}
	if e.Payload == nil {
		return append(errors, "'payload' is missing or blank")
	}
	missing(e.Payload.Summary, "payload.summary")
	missing(e.Payload.Source, "payload.source")
	missing(e.Payload.Severity, "payload.severity")
	add(utf8.RuneCountInString(e.Payload.Summary) > 1024, "'payload.summary' is too long (maximum is 1024 characters)")
	add(!slices.Contains([]string{"", "critical", "error", "warning", "info"}, e.Payload.Severity), "'payload.severity' is invalid (must be one of the following: 'critical', 'warning', 'error' or 'info')")
	for _, l := range e.Links {
		missing(l.Href, "links.href")
	}
	return errors
}

// take puts a trigger to the open alert with its key, or opens one; what is to be resolved and isn't there is dropped.
func (p *PagerDuty) take(e pagerDutyEvent) {
	i := slices.IndexFunc(p.alerts, func(a Alert) bool { return a.Key == e.DedupKey && !a.Resolved })
	switch {
	case e.EventAction == "resolve" && i >= 0:
		p.alerts[i].Resolved = true
	case e.EventAction == "trigger" && i >= 0:
		p.alerts[i].Triggers++
	case e.EventAction == "trigger":
		a := Alert{Key: e.DedupKey, Summary: e.Payload.Summary, Source: e.Payload.Source, Severity: e.Payload.Severity, Triggers: 1}
		for _, l := range e.Links {
			a.Links = append(a.Links, l.Href)
		}
		p.alerts = append(p.alerts, a)
	}
}
