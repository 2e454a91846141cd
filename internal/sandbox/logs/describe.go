package logs

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

func page[T any](all []T, asked *int, token string) ([]T, string, error) {
	size, err := limit(asked, 50)
	if err != nil {
		return nil, "", err
	}
	from := 0
	if token != "" && (!scan(token, "n/%d", &from) || from > len(all)) {
		return nil, "", wire.Refuse("InvalidParameterException", "The specified nextToken is invalid.")
	}
	to, next := min(from+size, len(all)), ""
	if to < len(all) {
		next = fmt.Sprintf("n/%d", to)
	}
	return all[from:to], next, nil
}

type describedGroup struct {
	Name        string `json:"logGroupName"`
	Created     int64  `json:"creationTime"`
	Filters     int    `json:"metricFilterCount"`
	ARN         string `json:"arn"`
	Stored      int64  `json:"storedBytes"`
	Class       string `json:"logGroupClass"`
	LogGroupARN string `json:"logGroupArn"`
}

func (s *Service) describeGroups(r *wire.Request) (any, error) {
	var in struct {
		LogGroupNamePrefix, LogGroupNamePattern, NextToken string
		Limit                                              *int
	}
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	if err := r.May("logs:DescribeLogGroups", arn(r.Place, "*")); err != nil {
		return nil, err
	}
	all := []describedGroup{}
	for _, g := range s.groups[r.Place] {
		if strings.HasPrefix(g.name, in.LogGroupNamePrefix) && strings.Contains(g.name, in.LogGroupNamePattern) {
			all = append(all, describedGroup{g.name, g.created.UnixMilli(), 0, g.arn + ":*", 0, "STANDARD", g.arn})
		}
	}
	slices.SortFunc(all, func(a, b describedGroup) int { return cmp.Compare(a.Name, b.Name) })
	found, next, err := page(all, in.Limit, in.NextToken)
	if err != nil {
		return nil, err
	}
	return struct {
		Groups []describedGroup `json:"logGroups"`
		Next   string           `json:"nextToken,omitempty"`
	}{found, next}, nil
}

type describedStream struct {
	Name    string `json:"logStreamName"`
	Created int64  `json:"creationTime"`
	First   *int64 `json:"firstEventTimestamp,omitempty"`
	Last    *int64 `json:"lastEventTimestamp,omitempty"`
	Ingest  *int64 `json:"lastIngestionTime,omitempty"`
	ARN     string `json:"arn"`
	Stored  int64  `json:"storedBytes"`
}

func (s *Service) describeStreams(r *wire.Request) (any, error) {
	var in struct {
		LogGroupName, LogGroupIdentifier, LogStreamNamePrefix, OrderBy, NextToken string
		Descending                                                                bool
		Limit                                                                     *int
	}
	if err := r.Into(&in); err != nil {
		return nil, err
	}
	g, err := s.open(r, in.LogGroupName, in.LogGroupIdentifier, "")
	switch {
	case err != nil:
		return nil, err
	case in.OrderBy == "LastEventTime" && in.LogStreamNamePrefix != "":
		return nil, wire.Refuse("InvalidParameterException", "Cannot order by LastEventTime with a logStreamNamePrefix.")
	}
	all := []describedStream{}
	for _, st := range g.streams {
		if !strings.HasPrefix(st.name, in.LogStreamNamePrefix) {
			continue
		}
		d := describedStream{Name: st.name, Created: st.created.UnixMilli(), ARN: st.arn}
		if n := len(st.events); n > 0 {
			first, last, ingested := st.events[0].Timestamp, st.events[n-1].Timestamp, st.ingested.UnixMilli()
			d.First, d.Last, d.Ingest = &first, &last, &ingested
		}
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b describedStream) int {
		if in.OrderBy == "LastEventTime" && a.Last != nil && b.Last != nil && *a.Last != *b.Last {
			return cmp.Compare(*a.Last, *b.Last)
		}
		return cmp.Compare(a.Name, b.Name)
	})
	if in.Descending {
		slices.Reverse(all)
	}
	found, next, err := page(all, in.Limit, in.NextToken)
	if err != nil {
		return nil, err
	}
	return struct {
		Streams []describedStream `json:"logStreams"`
		Next    string            `json:"nextToken,omitempty"`
	}{found, next}, nil
}
