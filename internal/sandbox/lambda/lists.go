package lambda

import (
	"maps"
	"slices"
	"strconv"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

// list answers a part of what there is, to who may see it: IAM knows no resource for either list.
func (s *Service) list(r *wire.Request, path string) (any, error) {
	for member := range r.Query {
		if member != "Marker" && member != "MaxItems" {
			return nil, wire.Refuse("InvalidParameterValueException", "the sandbox doesn't serve %s with %s", lists[path].name, member)
		}
	}
	if err := r.May("lambda:"+lists[path].name, "*"); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return lists[path].do(s, r)
}

// part is the bounds of a page of n, most at most, and the marker of the next; AWS cuts what is asked for to most.
func part(r *wire.Request, n, most int) (from, to int, next string, err error) {
	if marker := r.Query.Get("Marker"); marker != "" {
		if from, err = strconv.Atoi(marker); err != nil || from < 1 || from > n {
			return 0, 0, "", wire.Refuse("InvalidParameterValueException", "Invalid marker.")
		}
	}
	if items := r.Query.Get("MaxItems"); items != "" {
		asked, err := strconv.Atoi(items)
		if err != nil || asked < 1 || asked > 10000 {
			return 0, 0, "", wire.Refuse("InvalidParameterValueException", "MaxItems must be between 1 and 10000.")
		}
		most = min(most, asked)
	}
	if to = min(from+most, n); to < n {
		next = strconv.Itoa(to)
	}
	return from, to, next, nil
}

func (s *Service) listFunctions(r *wire.Request) (any, error) {
	all := s.functions[r.Place]
	names := slices.Sorted(maps.Keys(all))
	from, to, next, err := part(r, len(names), 50)
	if err != nil {
		return nil, err
	}
	var out struct {
		NextMarker string `json:",omitempty"`
		Functions  []configurationJSON
	}
	out.NextMarker, out.Functions = next, []configurationJSON{}
	for _, name := range names[from:to] {
		c := all[name].answer(&all[name].latest, r.At)
		c.FunctionArn = all[name].arn()                                                                      // without a version here
		c.State, c.LastUpdateStatus, c.LastUpdateStatusReason, c.LastUpdateStatusReasonCode = "", "", "", "" // API reference: not in a list
		out.Functions = append(out.Functions, c)
	}
	return out, nil
}

type accessJSON struct{ Type, URI string }

type sourceJSON struct {
	UUID, FunctionArn, State   string
	EventSourceArn             string       `json:",omitempty"`
	SourceAccessConfigurations []accessJSON `json:",omitempty"`
}

func (s *Service) listSources(r *wire.Request) (any, error) {
	all := s.sources[r.Place]
	from, to, next, err := part(r, len(all), 100)
	if err != nil {
		return nil, err
	}
	var out struct {
		NextMarker          string `json:",omitempty"`
		EventSourceMappings []sourceJSON
	}
	out.NextMarker, out.EventSourceMappings = next, []sourceJSON{}
	for _, m := range all[from:to] {
		show := sourceJSON{UUID: m.id, FunctionArn: "arn:aws:lambda:" + r.Region + ":" + r.Account + ":function:" + m.Function, State: "Enabled", EventSourceArn: m.From}
		for _, kind := range slices.Sorted(maps.Keys(m.Access)) {
			show.SourceAccessConfigurations = append(show.SourceAccessConfigurations, accessJSON{kind, m.Access[kind]})
		}
		out.EventSourceMappings = append(out.EventSourceMappings, show)
	}
	return out, nil
}
