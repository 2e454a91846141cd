package comment

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/report/markdown"
	"github.com/rastup/rekey/internal/rotation"
)

// AfterReviewKey names the after-review of one break-glass: one for each attempt and what it was for.
func AfterReviewKey(rotation, secret, environment string, attempt int, scope string) string {
	return key("after-review", rotation, secret, environment, strconv.Itoa(attempt), scope)
}

// AfterReview is the issue about a break-glass of an environment, one of its Standing.Broken. ok is false when v has no
// such environment. The body begins with its marker, see ParseAfterReview. pull is the URL of the request's pull
// request; "" unknown. call are people to mention besides the owner.
func AfterReview(v report.View, environment string, a rotation.Approval, pull string, call []string, o Options) (title, body string, ok bool) {
	v, s, ok := in(v, environment)
	if !ok || s.Began == 0 {
		return "", "", false
	}
	who := people(a.By, false)
	d := &document{marker: marker(reviewMarker, About{AfterReviewKey(v.Rotation, v.Secret, s.Name, s.Attempt, a.For), s.Name, v.Secret, s.Began})}
	d.add(0, broken(report.Standing{Broken: []rotation.Approval{a}}))
	d.add(0, fmt.Sprintf("On %s the %s of **%s** went on in **%s** without an approval.", utc(a.SeenAt), name(a.For), name(v.Secret), name(s.Name)))
	d.add(0, fmt.Sprintf("Now: %s. Old credential: %s.", markdown.Cut(s.Short, nameWidth), markdown.Cut(s.Old, lineWidth)))
	d.add(0, fmt.Sprintf("**Your move%s:** have somebody other than %s look at it, write what they found, and close this issue.",
		labelled(",", people(append([]string{owner(v)}, call...), true)), who))
	d.add(0, strings.Join([]string{
		"- Is the reason true, and couldn't it wait for a reviewer?",
		"- Was only done what the reason needed? See the steps and the evidence.",
		"- What made it necessary, and is that mended?",
	}, "\n"))
	request := labelled("request", markdown.Cut(v.Path, lineWidth))
	if pull != "" {
		request = join(markdown.Link("the pull request", pull), request)
	}
	d.add(1, join(request, o.ran(a.Run)))
	d.add(3, details("Steps", "| | "+name(s.Name)+" |\n|---|:-:|\n"+steps(v, s)))
	d.add(2, "Evidence: "+orElse(join(o.evidence(v, s), report.Count(s.Records, "record"), head(s.Head)), "none"))
	d.add(2, about(v, o))
	d.add(0, fmt.Sprintf("<sub>Only a person closes this issue. While it is open, no rotation of %s begins in %s but for reason compromise. Restores, and the removal of old credentials, go on.</sub>", name(v.Secret), name(s.Name)))
	return markdown.Title(fmt.Sprintf("After-review: break-glass on %s in %s by %s", v.Secret, s.Name, strings.Join(a.By, ", ")), 200), d.within(Most), true
}
