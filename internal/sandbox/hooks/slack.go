package hooks

import (
	"encoding/json"
	"mime"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

// Slack is a workspace, by its incoming webhooks (docs.slack.dev, "Sending messages using incoming webhooks"; Slack
// changelog of 17 May 2016). Safe for concurrent use.
type Slack struct {
	door
	webhooks map[string]string // by path: "", or why it refuses, in Slack's words
	messages []Message
}

// A Message is one that the workspace took.
type Message struct {
	Webhook string // path
	Text    string
	Blocks  []string // texts of sections
}

// NewSlack makes a workspace with webhooks at paths like /services/T000/B000/XXXX.
func NewSlack(paths ...string) *Slack {
	s := &Slack{webhooks: map[string]string{}}
	for _, p := range paths {
		s.webhooks[p] = ""
	}
	return s
}

// Refuse makes a webhook refuse from now on: invalid_token, no_service, channel_not_found, channel_is_archived,
// action_prohibited; "" takes messages again.
func (s *Slack) Refuse(path, word string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.webhooks[path] = word
}

// Messages are what was taken, in order.
func (s *Slack) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.messages)
}

var slackStatus = map[string]int{"invalid_token": 403, "action_prohibited": 403, "no_service": 404, "channel_not_found": 404, "channel_is_archived": 410}

// ServeHTTP is hooks.slack.com.
func (s *Slack) ServeHTTP(out http.ResponseWriter, in *http.Request) {
	out.Header().Set("Content-Type", "text/html; charset=utf-8")
	s.serve(out, in, func(body []byte) *Answer {
		word, known := s.webhooks[in.URL.Path]
		kind, _, _ := mime.ParseMediaType(in.Header.Get("Content-Type"))
		switch {
		case in.Method != http.MethodPost:
			return &Answer{Status: http.StatusMethodNotAllowed, Body: "method_not_allowed"}
		case !known:
			return &Answer{Status: http.StatusNotFound, Body: "no_service"}
		case word != "":
			return &Answer{Status: slackStatus[word], Body: word}
		case kind != "application/json":
			return &Answer{Status: http.StatusBadRequest, Body: "invalid_payload"}
		}
		m, word := slackMessage(body)
		if word != "" {
			return &Answer{Status: http.StatusBadRequest, Body: word}
		}
		m.Webhook = in.URL.Path
		s.messages = append(s.messages, m)
		return &Answer{Status: http.StatusOK, Body: "ok"}
	})
}

// slackMessage reads a message, of what Slack knows as much as is used here: what it doesn't is refused.
func slackMessage(body []byte) (m Message, word string) {
	var in struct {
		Text   *string `json:"text"`
		Blocks []struct {
			Type string `json:"type"`
			Text *struct {
				Type     string `json:"type"`
				Text     string `json:"text"`
				Verbatim bool   `json:"verbatim"`
			} `json:"text"`
		} `json:"blocks"`
	}
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.DisallowUnknownFields()
	if !utf8.Valid(body) || d.Decode(&in) != nil {
		return m, "invalid_payload"
	}
	if in.Text == nil && len(in.Blocks) == 0 || in.Text != nil && *in.Text == "" {
		return m, "no_text"
	}
	for _, b := range in.Blocks {
		if b.Type != "section" || b.Text == nil || b.Text.Type != "mrkdwn" || b.Text.Text == "" || utf8.RuneCountInString(b.Text.Text) > 3000 {
			return m, "invalid_blocks"
		}
		m.Blocks = append(m.Blocks, b.Text.Text)
	}
	if len(in.Blocks) > 50 {
		return m, "invalid_blocks"
	}
	if in.Text != nil {
		m.Text = *in.Text
	}
	return m, ""
}
