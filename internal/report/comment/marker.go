package comment

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/rastup/rekey/internal/rotation"
)

// Every text begins with a marker: an HTML comment that isn't shown, by which the text is found again. A marker
// proves nothing by itself: whoever may comment can write one, so the author counts, too.
const (
	statusMarker    = "status"
	auditMarker     = "audit"
	incidentMarker  = "incident"
	closedMarker    = "incident-closed"
	escalatedMarker = "incident-escalated"
	notifiedMarker  = "notified"
	reviewMarker    = "after-review"
	ticketMarker    = "ticket"
	planMarker      = "plan"
	datesMarker     = "dates"
	overdueMarker   = "overdue"
	lateMarker      = "overdue-told"
	rotateMarker    = "rotate"
)

// marker holds v as JSON of printable ASCII without the characters that end an HTML comment.
func marker(name string, v any) string {
	return "<!-- rekey:" + name + " " + encode(v) + " -->"
}

// encode is JSON in which every character that means something to HTML, or isn't ASCII, is an escape.
func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "{}" // our own types of strings and numbers: they always marshal
	}
	var out strings.Builder
	quoted := false
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		switch {
		case r == '\\':
			out.WriteByte(b[i])
			out.WriteByte(b[i+1])
			i += 2
			continue
		case r == '"':
			quoted = !quoted
			out.WriteByte('"')
		case quoted && r == '-' && i > 0 && b[i-1] == '-', quoted && r == '@', r == 0x7f:
			fmt.Fprintf(&out, `\u%04x`, r)
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(&out, `\u%04x\u%04x`, 0xd800+(r>>10), 0xdc00+(r&0x3ff))
		case r >= utf8.RuneSelf:
			fmt.Fprintf(&out, `\u%04x`, r)
		default:
			out.WriteByte(b[i])
		}
		i += n
	}
	return out.String()
}

// parse reads the marker that body begins with into v. Nothing that marker wouldn't write is taken.
func parse(body, name string, v any) bool {
	line, _, _ := strings.Cut(body, "\n")
	line = strings.TrimSuffix(line, "\r")
	text, ok := strings.CutPrefix(line, "<!-- rekey:"+name+" ")
	text, ok2 := strings.CutSuffix(text, " -->")
	if !ok || !ok2 {
		return false
	}
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.DisallowUnknownFields()
	return d.Decode(v) == nil && encode(v) == text
}

// A status marker holds how many records its text was made of: of two texts the one with more is the newer. What comes
// after it has that digest, as long as nobody edited it.
type status struct {
	Records int    `json:"records"`
	Text    string `json:"text,omitempty"` // "" in one by an older program
}

// sealed is a status as d's text has it, and its digest. room is how much it may take.
func sealed(records int, d *document, room int) string {
	d.marker = marker(statusMarker, status{records, rotation.Digest(nil)}) // as long as what takes its place
	_, text, _ := strings.Cut(d.within(room), "\n")
	return marker(statusMarker, status{records, plainDigest(text)}) + "\n" + text
}

// plainDigest doesn't see what GitHub may change of a body: line ends, and white space around it.
func plainDigest(text string) string {
	return rotation.Digest([]byte(strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n"))))
}

// EditedStatus says whether body is a status comment whose text isn't as it was written.
func EditedStatus(body string) bool {
	var s status
	_, text, _ := strings.Cut(body, "\n")
	return parse(body, statusMarker, &s) && s.Text != "" && s.Text != plainDigest(text)
}

// ParseStatus says whether body is a status comment, and how many records it was made of.
func ParseStatus(body string) (records int, ok bool) {
	var s status
	ok = parse(body, statusMarker, &s)
	return s.Records, ok && s.Records >= 0
}

// An anchor is an entry of an audit comment as its marker holds it.
type anchor struct {
	Key         string `json:"key"`
	Environment string `json:"environment"`
	Secret      string `json:"secret"`
	Seq         int    `json:"seq,omitempty"`
	Digest      string `json:"digest,omitempty"`
}

type audit struct {
	Entries []anchor `json:"entries"`
}

// ParseAudit says whether body is an audit comment, and which entries it covers; see Entry.Key.
func ParseAudit(body string) (keys []string, ok bool) {
	a, ok := parseAudit(body)
	for _, e := range a.Entries {
		keys = append(keys, e.Key)
	}
	return keys, ok
}

// Anchors are the chain heads that an audit comment holds; none when body isn't one.
func Anchors(body string) (heads []rotation.Head) {
	a, _ := parseAudit(body)
	for _, e := range a.Entries {
		if e.Seq > 0 {
			heads = append(heads, rotation.Head{Chain: rotation.Chain{Environment: e.Environment, Secret: e.Secret}, Seq: e.Seq, Digest: e.Digest})
		}
	}
	return heads
}

func parseAudit(body string) (audit, bool) {
	var a audit
	if !parse(body, auditMarker, &a) || len(a.Entries) == 0 {
		return audit{}, false
	}
	for _, e := range a.Entries {
		if !isHex(e.Key, 16) || e.Seq < 0 || (e.Seq > 0) != (e.Digest != "") {
			return audit{}, false
		}
		if digest, ok := strings.CutPrefix(e.Digest, "sha256:"); e.Seq > 0 && (!ok || !isHex(digest, 64)) {
			return audit{}, false
		}
	}
	return a, true
}

func isHex(s string, n int) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(s) == n && hex.EncodeToString(b) == s
}

// About is what the marker of an incident or after-review holds: which one it is, and the claim it is about, by which a later success on the
// same chain is known to end it.
type About struct {
	Key         string `json:"key"` // see IncidentKey, AfterReviewKey
	Environment string `json:"environment"`
	Secret      string `json:"secret"`
	Claim       int    `json:"claim"` // its record's number in the chain
}

// Chain is the one that it is about.
func (a About) Chain() rotation.Chain {
	return rotation.Chain{Environment: a.Environment, Secret: a.Secret}
}

// A subject is what the comment that closes an incident is about.
type subject struct {
	Key string `json:"key"`
}

// A closing is what a ticket's summary is about; Left says that the ticket couldn't be closed with it.
type closing struct {
	Key  string `json:"key"`
	Left bool   `json:"left,omitempty"`
}

// ParseIncident says whether body is an incident's, and what it is about.
func ParseIncident(body string) (about About, ok bool) { return parseAbout(body, incidentMarker) }

// ParseAfterReview says whether body is an after-review's, and what it is about.
func ParseAfterReview(body string) (about About, ok bool) { return parseAbout(body, reviewMarker) }

func parseAbout(body, name string) (about About, ok bool) {
	ok = parse(body, name, &about) && isHex(about.Key, 16) && about.Claim > 0
	return about, ok
}

// ParseIncidentClosed says whether body is the comment that closes an incident, and its key.
func ParseIncidentClosed(body string) (key string, ok bool) { return parseSubject(body, closedMarker) }

// ParseTicket says whether body is a ticket's closing summary, its key (see TicketKey), and whether it says that the ticket
// was left open.
func ParseTicket(body string) (key string, left, ok bool) {
	var c closing
	ok = parse(body, ticketMarker, &c) && isHex(c.Key, 16)
	return c.Key, c.Left, ok
}

// IsPlan says whether body is a plan comment.
func IsPlan(body string) bool { return parse(body, planMarker, &struct{}{}) }

// IsDates says whether body is that of the pull request for dates.
func IsDates(body string) bool { return parse(body, datesMarker, &struct{}{}) }

func parseSubject(body, name string) (string, bool) {
	var s subject
	ok := parse(body, name, &s) && isHex(s.Key, 16)
	return s.Key, ok
}

// key is a short name for parts, which may be anything.
func key(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(strconv.Itoa(len(p)) + ":" + p))
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
