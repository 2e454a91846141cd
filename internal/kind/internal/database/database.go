package database

import (
	"context"
	"fmt"
	"strings"

	"github.com/rastup/rekey/internal/kind"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/secret"
	"github.com/rastup/rekey/internal/staging"
)

// Steps, and facts of theirs besides staging's.
const (
	preflight, create, set, promote = "preflight", "create", "set", "promote"

	factOwner  = "owner"    // the account whose rights count
	factUser   = "user"     // the account that is live
	factNext   = "new_user" // the account that becomes live; the same with one account
	factServer = "server"   // host:port
	factEnded  = "ended"    // of decommission and discard: sessions, in words, that were still ending
	factMark   = "mark"     // of set: sessions from before it

	factRefused = "refused" // the server's code when the old login was tried
)

// Recipe is the steps for a target. With one account and no second password, restore undoes set, not promote alone.
func Recipe(t *Target) []rotation.Spec {
	undoes := promote
	if t.Plan() == SingleUser {
		undoes = set
	}
	old := []string{preflight, create, set, promote}
	return []rotation.Spec{
		{Phase: rotation.Preconditions, Name: preflight, Looks: true},
		{Phase: rotation.Create, Name: create, Reads: []string{preflight}},
		{Phase: rotation.Create, Name: set, Reads: []string{preflight, create}},
		{Phase: rotation.Create, Name: "test", Looks: true, Reads: []string{preflight, create}},
		{Phase: rotation.Deploy, Name: promote, Reads: []string{preflight, create}},
		{Phase: rotation.Decommission, Name: "adopted", After: promote, Delay: rotation.Retain, Looks: true, Lapses: true, Reads: old},
		{Phase: rotation.Decommission, Name: "decommission", After: promote, Delay: rotation.Retain, Final: true, Reads: old},
		{Phase: rotation.Decommission, Name: "refused", Looks: true, Reads: old},
		{Phase: rotation.Rollback, Name: "restore", Undoes: undoes, Reads: old},
		{Phase: rotation.Rollback, Name: "discard", Undoes: create, Reads: []string{preflight, create, set}},
	}
}

// New makes the handler of an engine for one environment.
func New(e Engine, d kind.Deps) rotation.Handler {
	h := &handler{engine: e, keep: d.Keep, dial: d.Dial,
		labels: &staging.Labels{Client: d.SecretsManager, IAM: d.IAM, Identity: d.Identity, Region: d.Region, Keep: d.Keep}}
	out := rotation.Handler{}
	for name, f := range map[string]func(context.Context, *Target, rotation.Past) (rotation.Result, error){
		preflight: h.preflight, "preview": h.preview, create: h.create, set: h.set, "test": h.test, promote: h.promote,
		"adopted": h.adopted, "decommission": h.decommission, "refused": h.refused, "restore": h.restore, "discard": h.discard,
	} {
		out[name] = func(ctx context.Context, s rotation.Step, past rotation.Past) (rotation.Result, error) {
			var t Target
			if err := s.Into(&t); err != nil {
				return rotation.Result{}, err
			}
			return f(ctx, &t, past)
		}
	}
	return out
}

type handler struct {
	engine Engine
	labels *staging.Labels
	keep   secret.Keeper
	dial   Dial
}

func (t *Target) secret() staging.Secret { return staging.Secret{Name: t.Secret, KMSKey: t.KMSKey} }

// accounts are those that preflight recorded.
func accounts(past rotation.Past) (Accounts, error) {
	a := Accounts{past.Fact(preflight, factOwner), past.Fact(preflight, factUser), past.Fact(preflight, factNext)}
	if a.Owner == "" || a.Old == "" || a.New == "" {
		return a, fmt.Errorf("the records hold no preflight of this account")
	}
	return a, nil
}

// open logs in as l.
func (h *handler) open(ctx context.Context, l Login) (Conn, error) {
	c, err := h.engine.Open(ctx, h.dial, l)
	if err != nil {
		return nil, judge(err, fmt.Sprintf("log in to %s at %s as %q", h.engine.Called, document{host: l.Host, port: l.Port}.server(), l.User))
	}
	return c, nil
}

// admin logs in with the administering account, at the server that its own secret or the registry names: an account's
// secret that names another one can't draw the administering password there.
func (h *handler) admin(ctx context.Context, t *Target, at document) (Conn, error) {
	content, err := h.labels.Live(ctx, t.Admin)
	if err != nil {
		return nil, err
	}
	d, err := h.read(content, fmt.Sprintf("the administering secret %q", t.Admin))
	if err != nil {
		return nil, err
	}
	if d.host == "" {
		d.host = t.Host
	}
	switch {
	case d.host == "":
		return nil, rotation.Failf("name the server as host in the registry, or in the administering secret", "neither the administering secret %q nor the registry names a server", t.Admin)
	case t.Host != "" && !strings.EqualFold(d.host, t.Host):
		return nil, rotation.Failf("have them name one server in the same words", "the registry names the server %q, the administering secret %q", t.Host, d.host)
	case !strings.EqualFold(d.host, at.host) || d.port != at.port:
		return nil, rotation.Failf("the administering account logs in only where its own secret, or the registry, says: have both secrets name one server in the same words",
			"%q names the server %s, the administering secret %s", t.Secret, at.server(), d.server())
	}
	if d.name == "" {
		d.name = at.name
	}
	return h.open(ctx, d.login(t))
}

// old is the document that was live before, by the recorded version.
func (h *handler) old(ctx context.Context, t *Target, past rotation.Past) (staging.Content, document, error) {
	c, err := h.labels.Old(ctx, past)
	if err != nil || c.Empty() {
		return c, document{}, err
	}
	d, err := h.read(c, fmt.Sprintf("the old version of %q", t.Secret))
	return c, d, err
}

// new is the document that create stored, by the recorded version; empty where it recorded none.
func (h *handler) new(ctx context.Context, t *Target, past rotation.Past) (document, error) {
	c, err := h.labels.New(ctx, past)
	if err != nil || c.Empty() {
		return document{}, err
	}
	return h.read(c, fmt.Sprintf("the new version of %q", t.Secret))
}
