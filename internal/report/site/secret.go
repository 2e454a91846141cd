package site

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/rastup/rekey/internal/overdue"
)

// A secretPage is all that is known of one secret.
type secretPage struct {
	*overdue.Standing
	OwnerHref string
	Source    string // its row, as a page of the repository; "" unknown
	Places    []place
	Open      []place // those of Places with a rotation under way
	Findings  []overdue.Finding
	Past      []past
	Since     string // what began before isn't in Past; "" nothing is known of what began
}

// A place is the secret in one environment.
type place struct {
	overdue.Here
	Days     int    // of age; -1: unknown
	Said     string // whose word the age is
	Share    int    // of its interval, in percent; -1: unknown
	Bar      string // that as a width, of twice the interval
	Rotation string // page of the rotation under way; "" none
	Pull     string // its pull request; "" unknown
}

// A past rotation, and its page where it has one.
type past struct {
	Past
	Href string
}

var said = map[overdue.Source]string{overdue.Live: "the service", overdue.Evidence: "the journal", overdue.Registry: "the registry"}

func (s *site) onSecret(one *overdue.Standing) secretPage {
	v := secretPage{Standing: one, OwnerHref: s.owner[one.Owner] + ".html", Source: s.source(one.File, one.Line)}
	for _, h := range one.Places {
		p := place{Here: h, Days: s.days(h.Age), Share: -1}
		if h.Age != nil {
			p.Said = said[h.Age.Source]
		}
		if n, known := s.share(h, one); known {
			p.Share, p.Bar = n, percent(float64(min(max(n, 0), 200))/2)
		}
		if h.Open != nil {
			p.Rotation = s.page(rotated{one.Secret, h.Open.Rotation})
			if h.Open.Pull > 0 && s.Repository != "" {
				p.Pull = fmt.Sprintf("%s/pull/%d", s.Repository, h.Open.Pull)
			}
			v.Open = append(v.Open, p)
		}
		v.Places = append(v.Places, p)
	}
	for _, i := range s.about[one.Secret] {
		v.Findings = append(v.Findings, s.Scan.Findings[i])
	}
	for _, p := range s.History[one.Secret] {
		v.Past = append(v.Past, s.past(one.Secret, p))
	}
	if !s.Since.IsZero() {
		v.Since = s.Since.UTC().Format("January 2006")
	}
	return v
}

func (s *site) past(secret string, p Past) past {
	h := past{p, ""}
	if i, shown := s.rotation[rotated{secret, p.Rotation}]; shown {
		h.Href, h.Stood = s.rotationPage[i], s.Rotations[i].View.Headline()
	}
	return h
}

// source is a line of a file of the repository.
func (s *site) source(file string, line int) string {
	if s.Repository == "" || file == "" {
		return ""
	}
	var parts []string
	for part := range strings.SplitSeq(file, "/") {
		parts = append(parts, url.PathEscape(part))
	}
	return fmt.Sprintf("%s/blob/HEAD/%s?plain=1#L%d", s.Repository, strings.Join(parts, "/"), line)
}
