package jira

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// mostText is what a text field holds, comments too.
const mostText = 32767

var (
	unseen = &Error{Status: http.StatusNotFound, Messages: []string{"Issue does not exist or you do not have permission to see it."}}
	nobody = &Error{Status: http.StatusUnauthorized, Text: "Client must be authenticated to access this resource."}
)

func bad(messages ...string) *Error { return &Error{Status: http.StatusBadRequest, Messages: messages} }

func badField(name, text string) *Error {
	return &Error{Status: http.StatusBadRequest, Errors: map[string]string{name: text}}
}

var route = regexp.MustCompile(`^/rest/api/2/(?:(myself)|issue/([^/]+)(?:/(comment|transitions)(?:/([^/]+))?)?)$`)

// act does a call, signed in as whoever its header says.
func (s *Service) act(in *http.Request, body []byte) (int, any, *Error) {
	m := route.FindStringSubmatch(in.URL.Path)
	if m == nil {
		s.unknown = append(s.unknown, in.Method+" "+in.URL.Path)
		return 0, nil, &Error{Status: http.StatusNotFound, Text: "null for uri: " + in.URL.Path}
	}
	who := s.users[signed(in)]
	if who == "" && !s.cloud { // Cloud takes it for nobody's call; Data Center refuses a personal access token it doesn't know
		return 0, nil, nobody
	}
	if m[1] != "" {
		if who == "" {
			return 0, nil, nobody
		}
		return http.StatusOK, s.user(who), nil
	}
	x := s.find(m[2])
	if x == nil || who == "" {
		return 0, nil, unseen
	}
	switch what := in.Method + " " + m[3]; {
	case what == "GET " && m[4] == "":
		return http.StatusOK, s.issue(x), nil
	case what == "GET comment" && m[4] == "":
		return http.StatusOK, s.page(x, in.URL.Query().Get("startAt"), in.URL.Query().Get("maxResults")), nil
	case what == "POST comment" && m[4] == "":
		text, e := textOf(body)
		if e != nil {
			return 0, nil, e
		}
		return http.StatusCreated, s.comment(s.say(x, who, text)), nil
	case (what == "PUT comment" || what == "DELETE comment") && m[4] != "":
		return s.one(in.Method, x, m[4], who, body)
	case what == "GET transitions":
		return http.StatusOK, map[string]any{"expand": "transitions", "transitions": s.offers(x, in.URL.Query().Get("expand"))}, nil
	case what == "POST transitions":
		return s.move(x, who, body)
	}
	s.unknown = append(s.unknown, in.Method+" "+in.URL.Path)
	return 0, nil, &Error{Status: http.StatusMethodNotAllowed, Text: "Method Not Allowed"}
}

func signed(in *http.Request) string {
	if user, token, ok := in.BasicAuth(); ok {
		return "Basic " + user + ":" + token
	}
	return in.Header.Get("Authorization")
}

func (s *Service) user(account string) map[string]any {
	if s.cloud {
		return map[string]any{"accountId": account, "accountType": "atlassian", "displayName": account, "active": true}
	}
	return map[string]any{"key": "JIRAUSER" + account, "name": account, "displayName": account, "active": true}
}

func (s *Service) status(name string) map[string]any {
	i := slices.IndexFunc(s.statuses, func(o Status) bool { return o.Name == name })
	if i < 0 {
		return map[string]any{"name": name, "statusCategory": map[string]any{"key": "undefined"}}
	}
	return map[string]any{"id": s.statuses[i].ID, "name": name, "statusCategory": map[string]any{"key": s.statuses[i].Category, "name": s.statuses[i].Category}}
}

func (s *Service) issue(x *Issue) map[string]any {
	return map[string]any{"id": "1" + x.Key[strings.Index(x.Key, "-")+1:], "key": x.Key, "fields": map[string]any{"summary": x.Summary, "status": s.status(x.Status)}}
}

func (s *Service) comment(c Comment) map[string]any {
	body := c.Body
	if s.cloud {
		body = again(body)
	}
	at := c.Created.UTC().Format("2006-01-02T15:04:05.000-0700")
	return map[string]any{"id": c.ID, "author": s.user(c.Author), "updateAuthor": s.user(c.Author), "body": body, "created": at, "updated": at}
}

var needless = regexp.MustCompile(`\\([-_+?@%])`)

// again is a comment as Cloud gives it back: it keeps a document, and makes wiki markup of that anew. This is no model of
// its converter: it only keeps anybody from counting on the bytes that were sent.
func again(body string) string {
	return strings.TrimSpace(needless.ReplaceAllString(body, "$1"))
}

func (s *Service) page(x *Issue, start, most string) map[string]any {
	from, _ := strconv.Atoi(start)
	n, err := strconv.Atoi(most)
	if err != nil || n > 100 {
		n = 100 // more is never given in one answer
	}
	list := []any{}
	for i := max(from, 0); i < len(x.Comments) && len(list) < n; i++ {
		list = append(list, s.comment(x.Comments[i]))
	}
	return map[string]any{"startAt": from, "maxResults": n, "total": len(x.Comments), "comments": list}
}

func textOf(body []byte) (string, *Error) {
	var in struct {
		Body any `json:"body"`
	}
	if json.Unmarshal(body, &in) != nil {
		return "", bad("There was an error parsing JSON. Check that your request body is valid.")
	}
	text, ok := in.Body.(string)
	switch {
	case in.Body != nil && !ok:
		return "", badField("comment", "Comment body is not valid!") // a document is version 3's
	case strings.TrimSpace(text) == "":
		return "", badField("comment", "Comment body can not be empty!")
	case utf8.RuneCountInString(text) > mostText:
		return "", badField("comment", "The entered text is too long. It exceeds the allowed limit of 32,767 characters.")
	}
	return text, nil
}

func (s *Service) one(method string, x *Issue, id, who string, body []byte) (int, any, *Error) {
	i := slices.IndexFunc(x.Comments, func(c Comment) bool { return c.ID == id })
	if i < 0 {
		return 0, nil, &Error{Status: http.StatusNotFound, Messages: []string{fmt.Sprintf("Can not find a comment for the id: %s.", id)}}
	}
	if x.Comments[i].Author != who {
		return 0, nil, bad("You do not have the permission for this comment.")
	}
	if method == http.MethodDelete {
		x.Comments = slices.Delete(x.Comments, i, i+1)
		return http.StatusNoContent, nil, nil
	}
	text, e := textOf(body)
	if e != nil {
		return 0, nil, e
	}
	x.Comments[i].Body = text
	return http.StatusOK, s.comment(x.Comments[i]), nil
}

// open are the transitions that an issue has now.
func (s *Service) open(x *Issue) (all []Transition) {
	for _, t := range s.transitions {
		if t.From == nil && t.To != x.Status || slices.Contains(t.From, x.Status) {
			all = append(all, t)
		}
	}
	return all
}

func (s *Service) offers(x *Issue, expand string) []any {
	all := []any{}
	for _, t := range s.open(x) {
		one := map[string]any{"id": t.ID, "name": t.Name, "to": s.status(t.To), "hasScreen": len(t.Fields) > 0, "isAvailable": true}
		if strings.Contains(expand, "transitions.fields") {
			fields := map[string]any{}
			for _, f := range t.Fields {
				shown := map[string]any{"required": f.Required, "name": f.Name, "key": f.ID, "hasDefaultValue": f.Default, "operations": []string{"set"}}
				if f.Allowed != nil {
					values := []any{}
					for i, v := range f.Allowed {
						values = append(values, map[string]any{"id": fmt.Sprint(10000 + i), "name": v})
					}
					shown["allowedValues"] = values
				}
				fields[f.ID] = shown
			}
			one["fields"] = fields
		}
		all = append(all, one)
	}
	return all
}

func (s *Service) move(x *Issue, who string, body []byte) (int, any, *Error) {
	var in struct {
		Transition *struct {
			ID any `json:"id"`
		} `json:"transition"`
		Fields map[string]map[string]any `json:"fields"`
	}
	if json.Unmarshal(body, &in) != nil {
		return 0, nil, bad("There was an error parsing JSON. Check that your request body is valid.")
	}
	if in.Transition == nil || in.Transition.ID == nil {
		return 0, nil, bad("Missing 'transition' identifier")
	}
	id := fmt.Sprint(in.Transition.ID)
	open := s.open(x)
	i := slices.IndexFunc(open, func(t Transition) bool { return t.ID == id })
	if i < 0 {
		return 0, nil, bad(fmt.Sprintf("Transition id '%s' is not valid for this issue.", id))
	}
	for name := range in.Fields {
		if !slices.ContainsFunc(open[i].Fields, func(f Field) bool { return f.ID == name }) {
			return 0, nil, badField(name, fmt.Sprintf("Field '%s' cannot be set. It is not on the appropriate screen, or unknown.", name))
		}
	}
	resolution := ""
	for _, f := range open[i].Fields {
		value := fmt.Sprint(in.Fields[f.ID]["name"])
		switch {
		case in.Fields[f.ID] == nil && f.Required && !f.Default:
			return 0, nil, badField(f.ID, f.Name+" is required.")
		case in.Fields[f.ID] != nil && f.Allowed != nil && !slices.Contains(f.Allowed, value):
			return 0, nil, badField(f.ID, fmt.Sprintf("%s '%s' is not valid", f.Name, value))
		case in.Fields[f.ID] != nil && f.ID == "resolution":
			resolution = value
		}
	}
	x.Status, x.Resolution, x.Moves = open[i].To, resolution, append(x.Moves, who+": "+open[i].Name)
	return http.StatusNoContent, nil, nil
}
