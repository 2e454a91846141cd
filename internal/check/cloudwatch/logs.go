package cloudwatch

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/rotation"
)

// trouble is how services and their clients call a refused access and a failed decryption. Some are part of others:
// whether CloudWatch finds a term within a word isn't said anywhere.
var trouble = []string{"AccessDenied", "AccessDeniedException", "KMSAccessDeniedException", "not authorized to perform", "DecryptionFailure", "DecryptionFailureException",
	"InvalidCiphertextException", "IncorrectKeyException", "KMSInvalidStateException", "DisabledException", "Access to KMS is not allowed"}

// generated finds lines with one of trouble's terms. CloudWatch can't ask for one of these and one of those as well:
// which secret a line is about is looked at here.
func generated() string {
	var l []string
	for _, t := range trouble {
		l = append(l, `?"`+t+`"`)
	}
	return strings.Join(l, " ")
}

// logs counts the lines that match, and says no word of them.
func (h handler) logs(ctx context.Context, p *Shape, at stretch, past rotation.Past, v *verdict) error {
	for _, l := range p.Logs {
		pattern, about, what := l.Pattern, (*subject)(nil), "match the pattern"
		if pattern == "" {
			if about = subjectOf(past); about == nil {
				return rotation.Failf("give it a pattern", "the records name neither the secret nor a key that lines of %s could be about", l.Group)
			}
			pattern, what = generated(), "tell of a refused access or a failed decryption of the secret"
		}
		n, first, whole, err := h.count(ctx, l, pattern, at, about)
		if err != nil {
			return err
		}
		switch {
		case n > 0:
			h.found(l.Group, what, n, first, whole, at, v)
		case !whole:
			v.unproven = append(v.unproven, fmt.Sprintf("lines of %s that may %s are too many to read", l.Group, what))
		case at.now.Before(at.ready):
		default:
			lines, _, _, err := h.count(ctx, l, "", at, nil)
			if err != nil {
				return err
			}
			if lines == 0 {
				v.unproven = append(v.unproven, "nothing at all was logged in "+l.Group+", "+at.since())
				continue
			}
			good := fmt.Sprintf("no lines of %s %s", l.Group, what)
			if l.Trail {
				good += " (a trail's events come without a promise of when)"
			}
			v.good = append(v.good, good)
		}
	}
	return nil
}

func (h handler) found(group, what string, n int, first time.Time, whole bool, at stretch, v *verdict) {
	hint := "see the log group; its lines aren't quoted here, since they may hold secrets"
	if at.before {
		hint = "find out what is wrong first: nothing was changed; or give it a pattern that leaves these out"
	}
	number, lines := fmt.Sprint(n), "lines of "+group+" "+what
	if !whole {
		number = "at least " + number
	}
	if n == 1 {
		lines = "line of " + group + " " + strings.Replace(strings.Replace(what, "match ", "matches ", 1), "tell ", "tells ", 1)
	}
	v.fail(hint, "%s %s, the first at %s, %s", number, lines, clock(first), at.since())
}

// count is how many lines match, and when the first was logged; without a pattern it ends with the first line. A page
// may be empty and not the last. whole is whether all pages were read.
func (h handler) count(ctx context.Context, l Log, pattern string, at stretch, about *subject) (n int, first time.Time, whole bool, err error) {
	in := &cloudwatchlogs.FilterLogEventsInput{LogGroupName: &l.Group, StartTime: aws.Int64(at.from.UnixMilli()), EndTime: aws.Int64(at.to.UnixMilli())}
	if l.Trail {
		in.EndTime = aws.Int64(at.now.UnixMilli())
	}
	if pattern != "" {
		in.FilterPattern = &pattern
	} else {
		in.Limit = aws.Int32(1)
	}
	for range maxPages {
		out, err := h.Logs.FilterLogEvents(ctx, in)
		if err != nil {
			return 0, first, false, cloud.Judge(err, "search log group "+problem.Quote(l.Group))
		}
		for _, e := range out.Events {
			t := time.UnixMilli(aws.ToInt64(e.Timestamp)).UTC()
			if l.Trail {
				if t = happened(aws.ToString(e.Message), t); t.Before(at.from.Truncate(time.Second)) || t.After(at.to) {
					continue
				}
			}
			if about != nil && !about.in(aws.ToString(e.Message)) {
				continue
			}
			if n++; first.IsZero() || t.Before(first) {
				first = t
			}
		}
		if in.NextToken = out.NextToken; aws.ToString(in.NextToken) == "" || n > 0 && pattern == "" {
			return n, first, true, nil
		}
	}
	return n, first, false, nil
}

// happened is when the event of a trail's line was, to the second: by which time a line of those is filed isn't said
// anywhere, and it may be that of its delivery. logged stands for what isn't there.
func happened(line string, logged time.Time) time.Time {
	var e struct{ EventTime time.Time }
	if json.Unmarshal([]byte(line), &e) != nil || e.EventTime.IsZero() {
		return logged
	}
	return e.EventTime.UTC()
}

// A subject is the names by which a line may call the secret or a key of its.
type subject struct{ names []string }

// subjectOf takes the names from the records; nil when there are none.
func subjectOf(past rotation.Past) *subject {
	var s subject
	arn := past.Fact("preflight", "arn")
	if parts := strings.SplitN(arn, ":", 7); len(parts) == 7 && parts[2] == "secretsmanager" {
		s.names = append(s.names, parts[6])
		if cut := len(parts[6]) - 7; cut > 0 && parts[6][cut] == '-' { // AWS puts six random characters after the name
			s.names = append(s.names, parts[6][:cut])
		}
	} else if arn != "" {
		s.names = append(s.names, arn)
	}
	keys := []string{past.Fact("preflight", "kms_key")}
	for _, step := range [][2]string{{"preflight", "old"}, {"create", "new"}} {
		if key := past.Fact(step[0], step[1]); strings.HasPrefix(key, "arn:") && strings.Contains(key, ":kms:") {
			keys = append(keys, key)
		}
	}
	for _, key := range keys {
		if key = strings.TrimPrefix(key[strings.LastIndexByte(key, ':')+1:], "key/"); key != "" {
			s.names = append(s.names, key)
		}
	}
	if len(s.names) == 0 {
		return nil
	}
	return &s
}

// in says whether a line names the subject: not just something whose name begins or ends likewise.
func (s *subject) in(line string) bool {
	line = strings.ReplaceAll(line, `\/`, "/")
	for _, name := range s.names {
		for i := 0; ; {
			at := strings.Index(line[i:], name)
			if at < 0 {
				break
			}
			begin, end := i+at, i+at+len(name)
			if bounded(line, begin, end) {
				return true
			}
			i = begin + 1
		}
	}
	return false
}

// bounded says whether a name ends where it is found: a full stop ends one when no more of a name comes after it. A key's
// ID comes after "key/".
func bounded(line string, begin, end int) bool {
	if before := line[:begin]; before != "" && part(before[len(before)-1]) && !strings.HasSuffix(before, "key/") {
		return false
	}
	after := line[end:]
	return after == "" || !part(after[0]) || after[0] == '.' && (len(after) == 1 || !part(after[1]))
}

// part says whether names of secrets have this character.
func part(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("/_+=.@-", c) >= 0
}
