package rdsmaster

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/rastup/rekey/internal/goldentest"
	"github.com/rastup/rekey/internal/problem"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox"
	"github.com/rastup/rekey/internal/sandbox/rds"
	"github.com/rastup/rekey/internal/secret/spec"
)

// A definite no of every kind: what people read, and that nothing was changed.
var refusals = []struct {
	name  string
	after []string
	world func(*lab)
	step  string
}{
	{"no such secret", nil, func(l *lab) { l.change(func(t *Target) { t.Secret = "shop/none" }, nil) }, preflight},
	{"no such instance", nil, func(l *lab) { l.change(func(t *Target) { t.Instance = "none" }, nil) }, preflight},
	{"no such cluster", nil, func(l *lab) { l.change(func(t *Target) { t.Instance, t.Cluster = "", "none" }, nil) }, preflight},
	{"RDS manages it", nil, func(l *lab) {
		l.change(nil, func(d *rds.Database) {
			d.Managed = "arn:aws:secretsmanager:us-east-1:111111111111:secret:rds!db-1-AbCdEf"
		})
	}, preflight},
	{"member of a cluster", nil, func(l *lab) { l.change(nil, func(d *rds.Database) { d.MemberOf = "ledger" }) }, preflight},
	{"replica", nil, func(l *lab) { l.change(nil, func(d *rds.Database) { d.Source = "other" }) }, preflight},
	{"multi-tenant", nil, func(l *lab) { l.change(nil, func(d *rds.Database) { d.Engine, d.Multi = "oracle-ee-cdb", true }) }, preflight},
	{"unknown engine", nil, func(l *lab) { l.change(nil, func(d *rds.Database) { d.Engine = "oracle-ee" }) }, preflight},
	{"stopped", nil, func(l *lab) { l.change(nil, func(d *rds.Database) { d.Status = "stopped" }) }, preflight},
	{"failed", nil, func(l *lab) { l.change(nil, func(d *rds.Database) { d.Status = "incompatible-parameters" }) }, preflight},
	{"somebody else's change", nil, func(l *lab) { l.aws.RDS.PendByHand(sandbox.Home, false, "shop", "theirs-planted") }, preflight},
	{"a cluster that is to be upgraded", nil, func(l *lab) {
		l.aws.RDS.MakeByHand(sandbox.Home, rds.Database{ID: "shop", Cluster: true, Password: first, Upgrade: "16.4"})
		l.change(func(t *Target) { t.Instance, t.Cluster = "", "shop" }, nil)
	}, preflight},
	{"too long for MySQL", nil, func(l *lab) {
		l.change(func(t *Target) { t.Generate = spec.Spec{Length: 64} }, func(d *rds.Database) { d.Engine = "mysql" })
	}, preflight},
	{"another user", nil, func(l *lab) { l.change(nil, func(d *rds.Database) { d.Username = "root" }) }, preflight},
	{"no JSON", nil, func(l *lab) { _, err := l.aws.PutByHand(stored, "planted-plain-text"); l.ok(err) }, preflight},
	{"no password in it", nil, func(l *lab) { _, err := l.aws.PutByHand(stored, `{"username":"master"}`); l.ok(err) }, preflight},
	{"a current password that RDS can't have", nil, func(l *lab) { l.put("planted/with-a-slash") }, preflight},
	{"a current password that is too short", nil, func(l *lab) { l.put("short") }, preflight},
	{"may not describe", nil, func(l *lab) { l.aws.Deny("*", "rds:Describe*", "*") }, preflight},
	{"may not modify", nil, func(l *lab) { l.aws.Deny("*", "rds:ModifyDBInstance", "*:db:shop") }, preflight},
	{"rotated by hand before set", forward[:2], func(l *lab) { l.promoted() }, set},
	{"another database of the name before set", forward[:2], func(l *lab) {
		l.aws.RDS.MakeByHand(sandbox.Home, rds.Database{ID: "shop", Password: "planted-another"})
	}, set},
	{"managed by RDS before set", forward[:2], func(l *lab) {
		l.change(nil, func(d *rds.Database) {
			d.Managed = "arn:aws:secretsmanager:us-east-1:111111111111:secret:rds!db-1-AbCdEf"
		})
	}, set},
	{"permission lost before set", forward[:2], func(l *lab) { l.aws.Deny("*", "rds:Modify*", "*") }, set},
	{"rotated by hand before promote", forward[:4], func(l *lab) { l.promoted() }, promote},
	{"rotated by hand before decommission", forward[:5], func(l *lab) { l.promoted() }, "decommission"},
	{"rotated by hand before restore", forward[:5], func(l *lab) { l.promoted() }, restore},
	{"another database of the name before restore", forward[:5], func(l *lab) {
		l.aws.RDS.MakeByHand(sandbox.Home, rds.Database{ID: "shop", Password: "planted-another"})
	}, restore},
	{"discard of the live one", forward[:5], nil, "discard"},
}

func TestRefusals(t *testing.T) {
	var all strings.Builder
	for _, tt := range refusals {
		l := newLab(t, Target{}).run(tt.after...)
		if tt.world != nil {
			tt.world(l)
		}
		before := l.state()
		_, err := l.ask(t.Context(), tt.step)
		var f *rotation.Failure
		if !errors.As(err, &f) || f.Hint == "" {
			t.Errorf("%s: got %v, want a failure with a hint", tt.name, err)
		}
		if l.state() != before {
			t.Errorf("%s: changed to\n%s\nwas\n%s", tt.name, l.state(), before)
		}
		l.silent()
		text := l.said[len(l.said)-1]
		if i := strings.Index(text, " (request "); i >= 0 {
			j := strings.Index(text[i:], ")")
			text = text[:i] + text[i+j+1:]
		}
		fmt.Fprintf(&all, "# %s\n%s\n\n", tt.name, l.named(text))
	}
	goldentest.Equal(t, "refusals.txt", all.String())
}

func TestMistakesInATargetAreAllReported(t *testing.T) {
	for _, tt := range []struct{ yaml, want string }{
		{"secret: shop/master\ninstance: shop\n", ""},
		{"secret: shop/master\ncluster: shop-1\nkey: pass\nkms_key: alias/shop\ngenerate: {length: 128, alphabet: printable}\n", ""},
		{"key: a\n", "t.yaml:1:1: it names no database [instance-or-cluster]\n    hint: name the DB instance as instance, or the Aurora cluster as cluster\nt.yaml:1:1: it lacks secret [missing-key]"},
		{"secret: a b\ninstance: arn:aws:rds:eu-central-1:1:db:shop\ncluster: shop\ngenerate: {length: 200, characters: \"abcdefgh@/\"}\n", `t.yaml:1:9: "a b" is no name of a secret [secret-name]
    hint: letters, digits and /_+=.@- are allowed, 512 characters at most
t.yaml:2:11: "arn:aws:rds:eu-central-1:1:db:shop" is no identifier of a database [identifier]
    hint: letters, digits and single hyphens, beginning with a letter, 63 characters at most; not the ARN, nor the endpoint
t.yaml:3:10: instance and cluster are both given [instance-or-cluster]
    hint: an Aurora instance's password is its cluster's: then keep cluster alone
t.yaml:4:20: 200 characters: RDS takes 128 at most [generate]
    hint: leave it out for 32
t.yaml:4:37: RDS takes none of / " @ in a password [generate]
    hint: leave them out`},
		{"secret: a\ninstance: shop\ngenerate: {length: 4}\n", "t.yaml:3:20: 4 characters out of 62 have 24 bits of entropy, at least 64 are needed [generate]\n    hint: make it 11 or longer, or allow more characters"},
	} {
		var list problem.List
		problem.Decode(problem.Source{File: "t.yaml", Text: []byte(tt.yaml)}, new(Target), &list)
		var got []string
		for _, p := range list.Sorted() {
			got = append(got, p.String())
		}
		if s := strings.Join(got, "\n"); s != tt.want {
			t.Errorf("%s\ngot\n%s\nwant\n%s", tt.yaml, s, tt.want)
		}
	}
}

func TestNoPasswordHoldsWhatRDSDoesNotTake(t *testing.T) {
	for _, alphabet := range spec.Alphabets {
		if set := (&Target{Generate: spec.Spec{Alphabet: alphabet}}).generate().Set(); strings.ContainsAny(set, forbidden+" ") {
			t.Errorf("%s: %q", alphabet, set)
		}
	}
}
