// Package cloudtrail is AWS CloudTrail inside the sandbox: the event history of the uses of keys, which it is given,
// after the delay with which CloudTrail shows events. It owns nothing and must never show an event early.
//
// Known difference: the sandbox's other services write no events.
package cloudtrail

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/sandbox/kms"
	"github.com/rastup/rekey/internal/sandbox/wire"
)

const (
	delay   = 5 * time.Minute     // CloudTrail says within 5 minutes on average
	history = 90 * 24 * time.Hour // what LookupEvents can find
)

// Service is CloudTrail of all accounts and Regions. Safe for concurrent use.
type Service struct{ uses func() []kms.Use }

// New is a service that shows these uses.
func New(uses func() []kms.Use) *Service { return &Service{uses} }

// Operations are those the sandbox serves.
func Operations() []string { return []string{"LookupEvents"} }

// Target is what the caller asks about.
func Target(r *wire.Request) string {
	var in struct{ LookupAttributes []attribute }
	if json.Unmarshal(r.Body, &in) != nil || len(in.LookupAttributes) == 0 {
		return ""
	}
	return in.LookupAttributes[0].AttributeValue
}

type attribute struct{ AttributeKey, AttributeValue string }

type resource struct{ ResourceType, ResourceName string }

type event struct {
	EventID         string `json:"EventId"`
	EventName       string
	ReadOnly        string
	EventTime       *wire.Epoch
	EventSource     string
	Username        string
	Resources       []resource
	CloudTrailEvent string
}

// Serve answers one request.
func (s *Service) Serve(r *wire.Request) (any, error) {
	if r.Operation != "LookupEvents" {
		return nil, wire.Refuse("UnknownOperationException", "the sandbox doesn't serve %s", r.Operation)
	}
	in := struct {
		LookupAttributes   []attribute
		StartTime, EndTime *float64
		MaxResults         int
		NextToken          string
	}{MaxResults: 50}
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	if err := r.May("cloudtrail:LookupEvents", "*"); err != nil {
		return nil, err
	}
	from, to := r.At.Add(-history), r.At
	if in.StartTime != nil {
		from = time.UnixMilli(int64(*in.StartTime * 1000))
	}
	if in.EndTime != nil {
		to = time.UnixMilli(int64(*in.EndTime * 1000))
	}
	switch {
	case len(in.LookupAttributes) != 1 || in.LookupAttributes[0].AttributeKey != "ResourceName":
		return nil, wire.Refuse("InvalidLookupAttributesException", "the sandbox looks up by ResourceName only")
	case to.Before(from):
		return nil, wire.Refuse("InvalidTimeRangeException", "The start time is after the end time.")
	case in.MaxResults < 1 || in.MaxResults > 50:
		return nil, wire.Refuse("InvalidMaxResultsException", "MaxResults must be between 1 and 50.")
	}
	var all []event
	for _, u := range s.uses() {
		if u.KeyARN == in.LookupAttributes[0].AttributeValue && !u.At.Before(from) && !u.At.After(to) && !r.At.Before(u.At.Add(delay)) {
			all = append(all, shown(u))
		}
	}
	slices.Reverse(all)
	begin := 0
	if in.NextToken != "" {
		raw, _ := base64.RawURLEncoding.DecodeString(in.NextToken) // what can't be decoded is no number
		var err error
		if begin, err = strconv.Atoi(string(raw)); err != nil || begin < 0 || begin > len(all) {
			return nil, wire.Refuse("InvalidNextTokenException", "Invalid token.")
		}
	}
	end, next := min(begin+in.MaxResults, len(all)), ""
	if end < len(all) {
		next = base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(end)))
	}
	return struct {
		Events    []event
		NextToken string `json:",omitempty"`
	}{append([]event{}, all[begin:end]...), next}, nil
}

func shown(u kms.Use) event {
	doc := map[string]any{"eventVersion": "1.11", "eventTime": u.At.UTC().Format(time.RFC3339), "eventSource": "kms.amazonaws.com",
		"eventName": u.Operation, "eventID": u.ID, "userIdentity": map[string]string{"arn": u.Principal}}
	if u.Code != "" {
		doc["errorCode"] = u.Code
	}
	text, _ := json.Marshal(doc) // plain data: can't fail
	return event{u.ID, u.Operation, "true", wire.EpochOf(u.At), "kms.amazonaws.com", u.Principal[strings.LastIndex(u.Principal, "/")+1:],
		[]resource{{"AWS::KMS::Key", u.KeyARN}}, string(text)}
}
