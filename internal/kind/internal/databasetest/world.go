package databasetest

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/kind"
	"github.com/rastup/rekey/internal/kind/kindtest"
	"github.com/rastup/rekey/internal/rotation"
	sm "github.com/rastup/rekey/internal/sandbox/secretsmanager"
	"github.com/rastup/rekey/internal/secret"
	"github.com/rastup/rekey/internal/staging"
)

// A Judge asks a server as its administrator, past every gate and outside of any bubble, one question at a time.
type Judge struct {
	questions chan func()
	answered  chan struct{}
}

// NewJudge must not be called in a bubble. It ends with the process.
func NewJudge() *Judge {
	j := &Judge{make(chan func()), make(chan struct{})}
	go func() {
		for f := range j.questions {
			f()
			j.answered <- struct{}{}
		}
	}()
	return j
}

// Do calls f in the judge's own goroutine.
func (j *Judge) Do(f func()) {
	j.questions <- f
	<-j.answered
}

// Accounts is how a Judge's server is looked at. None of it is called in a bubble.
type Accounts struct {
	Make     func(user, password string)           // a new account with something of its own
	Change   func(user, password string)           // by hand
	Accepts  func(user, password string) bool      // by what the server stores
	State    func(users ...string) string          // all that a rotation may change of them
	Document func(user, password string) string    // how consumers log in
	Admin    string                                // the administering document
	Sent     func(b []byte) (name string, ch bool) // see kindtest.Wire
}

// World is a real server's accounts in the conformance suite, with Secrets Manager's sandbox beside it. single has one
// account only: then what consumers read doesn't always work.
func World(k kind.Kind, a Accounts, target map[string]any, single bool) kindtest.World {
	j, n := NewJudge(), 0
	target["secret"], target["admin"] = Secret, Admin
	of := "alternating users"
	if single {
		of = "single user"
	}
	with, err := json.Marshal(target)
	if err != nil {
		panic(err)
	}
	return kindtest.World{Kind: k, Of: of, Apart: 13, New: func(now func() time.Time) kindtest.Instance {
		var p *pair
		j.Do(func() {
			n++
			p = &pair{Accounts: a, judge: j, single: single, user: fmt.Sprintf("app%d", n)}
			p.Make(p.user, firstPassword)
		})
		v, err := NewVault(now, p.Document(p.user, firstPassword), p.Admin)
		if err != nil {
			panic(err)
		}
		p.vault, p.before = v, v.Look()
		return p.instance(k, with)
	}}
}

const firstPassword = "first-password-of-all-1"

type pair struct {
	Accounts
	judge  *Judge
	vault  *Vault
	user   string
	single bool
	before sm.Secret
	hands  int
}

func (p *pair) instance(k kind.Kind, with json.RawMessage) kindtest.Instance {
	return kindtest.Instance{
		Target: with, Service: p.vault.Handler(),
		Handler: func(rt http.RoundTripper, seen func([]byte)) (rotation.Handler, func(context.Context, rotation.Past) error, error) {
			d, err := Deps(rt, rt.(kindtest.Dialer).DialContext, seen)
			if err != nil {
				return nil, nil, err
			}
			labels := &staging.Labels{Client: d.SecretsManager, Keep: secret.Keeper{Seen: seen}}
			return k.New(d), func(ctx context.Context, past rotation.Past) error { return labels.Arm(ctx, past, nil) }, nil
		},
		Reads: func(r *http.Request) bool {
			return cloud.Reads("Secrets Manager", operation(r)) || signedFor(r) != "secretsmanager"
		},
		Name:  operation,
		Wire:  kindtest.Wire{Dial: (&net.Dialer{}).DialContext, Sent: p.Sent},
		State: p.state, Live: func() string { return p.vault.Look().Labels[sm.Current] }, Always: p.always,
		Destroyed: func() (ids []string) {
			for _, v := range p.vault.Look().Versions {
				if len(v.Labels) == 0 {
					ids = append(ids, v.ID)
				}
			}
			return ids
		},
		Happened: p.happened, Finished: p.finished, Restored: p.restored,
		Value: func(id string) string { _, password := Document(p.vault.Look().Version(id).Text); return password },
		Revived: func(past rotation.Past) {
			user, password := Document(p.vault.Look().Version(past.Fact("preflight", "old")).Text)
			p.judge.Do(func() { p.Change(user, password) })
		},
		Promoted: func() string {
			p.hands++
			user, _ := Document(p.vault.Look().At(sm.Current).Text)
			password := fmt.Sprintf("by-hand-2222222-%d", p.hands)
			p.judge.Do(func() { p.Change(user, password) })
			return p.put(user, password)
		},
		Begun: func() func() error {
			id := p.put(p.user, "by-hand-333333333", sm.Pending)
			return func() error {
				if at := p.vault.Look().Labels[sm.Pending]; at != id {
					return fmt.Errorf("AWSPENDING was on %s, now on %q", id, at)
				}
				return nil
			}
		},
	}
}

func (p *pair) put(user, password string, labels ...string) string {
	id, err := p.vault.PutByHand(Secret, p.Document(user, password), labels...)
	if err != nil {
		panic(err)
	}
	return id
}

func operation(r *http.Request) string {
	if _, op, ok := strings.Cut(r.Header.Get("X-Amz-Target"), "."); ok {
		return op
	}
	return signedFor(r) + " " + r.URL.Path
}

func signedFor(r *http.Request) string {
	if p := strings.Split(r.Header.Get("Authorization"), "/"); len(p) > 3 {
		return p[3]
	}
	return ""
}

func (p *pair) state() (text string) {
	s := p.vault.Look()
	for i := range s.Versions {
		s.Versions[i].Created = time.Time{}
	}
	b, _ := json.Marshal(s)
	p.judge.Do(func() { text = string(b) + p.State(p.user, p.user+"_clone") })
	return text
}

// accepts says whether a version's login works.
func (p *pair) accepts(v sm.Version) (ok bool) {
	user, password := Document(v.Text)
	p.judge.Do(func() { ok = password != "" && p.Accepts(user, password) })
	return ok
}

func (p *pair) always() error {
	s := p.vault.Look()
	if p.accepts(s.At(sm.Current)) || p.single && p.accepts(s.At(sm.Pending)) || p.single && p.accepts(s.Version(p.before.Labels[sm.Current])) {
		return nil
	}
	return fmt.Errorf("consumers are refused with what they read: %v", s.Labels)
}

func (p *pair) happened(step string, past rotation.Past) error {
	s := p.vault.Look()
	now, was := past.Fact("create", "new"), past.Fact("preflight", "old")
	live := s.Labels[sm.Current]
	switch step {
	case "create":
		if s.Version(now).ID == "" || s.Labels[sm.Pending] != now {
			return fmt.Errorf("version %q isn't there as pending: %v", now, s.Labels)
		}
	case "set", "test":
		if !p.accepts(s.Version(now)) {
			return fmt.Errorf("the new login is refused")
		}
	case "promote", "validate/health":
		switch {
		case live != now:
			return fmt.Errorf("%s is live, not %s", live, now)
		case !p.accepts(s.Version(now)):
			return fmt.Errorf("the new login is refused")
		case !p.single && !p.accepts(s.Version(was)):
			return fmt.Errorf("the old login is refused already")
		}
	case "decommission", "refused":
		if len(s.Version(was).Labels) > 0 && step == "decommission" || p.accepts(s.Version(was)) {
			return fmt.Errorf("the old version has labels %v, or its login works", s.Version(was).Labels)
		}
	case "restore", "after-restore/health":
		if live != was || !p.accepts(s.Version(was)) {
			return fmt.Errorf("%s is live, not %s, or its login is refused", live, was)
		}
	case "discard":
		if now != "" && (len(s.Version(now).Labels) > 0 || p.accepts(s.Version(now))) {
			return fmt.Errorf("the new version has labels %v, or its login works", s.Version(now).Labels)
		}
	}
	return nil
}

func (p *pair) finished(attempts int) error {
	s := p.vault.Look()
	live := s.At(sm.Current)
	switch {
	case live.ID == p.before.Labels[sm.Current]:
		return fmt.Errorf("the old version is live")
	case !p.accepts(live):
		return fmt.Errorf("the live login is refused")
	case len(s.Versions) > 1+attempts:
		return fmt.Errorf("%d versions, at most %d are wanted", len(s.Versions), 1+attempts)
	case len(s.Labels) != 1:
		return fmt.Errorf("labels left: %v", s.Labels)
	case !strings.HasPrefix(s.Tags["version"], "202611"), s.Tags["rotated_by"] != "kim":
		return fmt.Errorf("tags %v", s.Tags)
	}
	return p.alone(live.ID)
}

// alone: of all the logins there ever were, one works.
func (p *pair) alone(id string) error {
	for _, v := range p.vault.Look().Versions {
		if v.ID != id && p.accepts(v) {
			return fmt.Errorf("the login of version %s still works", v.ID)
		}
	}
	return nil
}

func (p *pair) restored() error {
	s := p.vault.Look()
	switch {
	case fmt.Sprint(s.Labels) != fmt.Sprint(p.before.Labels):
		return fmt.Errorf("labels %v, before %v", s.Labels, p.before.Labels)
	case fmt.Sprint(s.Tags) != fmt.Sprint(p.before.Tags):
		return fmt.Errorf("tags %v, before %v", s.Tags, p.before.Tags)
	case !slices.ContainsFunc(s.Versions, func(v sm.Version) bool { return v.ID == s.Labels[sm.Current] && p.accepts(v) }):
		return fmt.Errorf("the old login is refused")
	}
	return p.alone(s.Labels[sm.Current])
}
