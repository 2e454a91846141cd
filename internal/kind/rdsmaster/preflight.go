package rdsmaster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/staging"
)

// passing are the statuses that end by themselves (RDS user guide, viewing DB instance status).
var passing = []string{"backing-up", "configuring-enhanced-monitoring", "configuring-iam-database-auth", "configuring-log-exports", "converting-to-vpc", "creating",
	"failing-over", "maintenance", "modifying", "moving-to-vpc", "promoting", "rebooting", "renaming", resetting, "scaling-compute", "starting",
	"storage-config-upgrade", "storage-initialization", "storage-optimization", "upgrading"}

// preflight finds out whether the database's master password can be changed, and is what the secret is about.
func (h *handler) preflight(ctx context.Context, c call) (rotation.Result, error) {
	res, content, err := h.labels.Preflight(ctx, c.t.stored(), c.past)
	if err != nil || res.Wait != "" {
		return res, err
	}
	db, err := h.found(ctx, &c.t)
	if err != nil {
		return rotation.Result{}, err
	}
	if wait := idle(&c.t, db); wait != "" {
		return rotation.Result{Wait: wait, Again: rotation.Later}, nil
	}
	if err := h.matches(c, content, db); err != nil {
		return rotation.Result{}, err
	}
	may, err := h.labels.May(ctx, c.t.action(), db.arn)
	if err != nil {
		return rotation.Result{}, err
	}
	res.Facts[factResource], res.Facts[factEngine] = db.resource, db.engine
	res.Text += fmt.Sprintf("; %s; %s; %s", about(&c.t, db), may, gap)
	return res, nil
}

// gap is what people must know before they approve.
const gap = "RDS keeps one password, so old and new don't overlap: from when it applies the new one until that is promoted, seconds to a few minutes, new logins are refused; open sessions go on"

// preview reads no value.
func (h *handler) preview(ctx context.Context, c call) (rotation.Result, error) {
	res, err := h.labels.Preview(ctx, c.t.stored(), c.past)
	if err != nil || res.Wait != "" {
		return res, err
	}
	db, err := h.found(ctx, &c.t)
	if err != nil {
		return rotation.Result{}, err
	}
	res.Text += fmt.Sprintf("; %s; %s", about(&c.t, db), gap)
	return res, nil
}

// found is the database as it is, where its master password can be changed at all.
func (h *handler) found(ctx context.Context, t *Target) (database, error) {
	d, err := h.describe(ctx, t)
	if err != nil {
		return d, h.judge(err, "look at", t)
	}
	return d, fit(t, d)
}

func about(t *Target, d database) string {
	return fmt.Sprintf("%s is %s, %s, its master user %q", t.called(), d.engine, d.status, d.user)
}

func (t *Target) action() string {
	if t.Cluster != "" {
		return "rds:ModifyDBCluster"
	}
	return "rds:ModifyDBInstance"
}

// fit refuses a database that has no master password of its own that we could change.
func fit(t *Target, d database) error {
	n := t.Generate.Len()
	switch {
	case d.managed:
		return rotation.Failf("rotate it through RDS (RotateMasterUserPassword), or take its row out of the registry: RDS rotates such a secret by itself",
			"RDS itself manages the master password of %s, in %s", t.called(), d.keptIn)
	case d.member != "":
		return rotation.Failf("name that as cluster, instead of the instance", "%s belongs to the cluster %s, whose master password it has", t.called(), d.member)
	case d.source != "":
		return rotation.Failf("name the source instead: a replica has its password", "%s is a replica of %s", t.called(), d.source)
	case d.multi:
		return rotation.Failf("change it there (ModifyTenantDatabase)", "%s is multi-tenant: its master password is its tenant databases'", t.called())
	case most(d.engine) == 0:
		return rotation.Failf("this kind knows PostgreSQL, MySQL and MariaDB, and Aurora's: rotate this one another way", "%s is of the engine %q, of whose passwords nothing is known here", t.called(), d.engine)
	case n > most(d.engine):
		return rotation.Failf(fmt.Sprintf("set generate.length to %d or less", most(d.engine)), "generate makes %d characters, and %s takes %d at most", n, d.engine, most(d.engine))
	case d.status != available && !slices.Contains(passing, d.status):
		return rotation.Failf("have it available first", "%s is %s: RDS changes no password in that status", t.called(), d.status)
	case d.upgrade != "":
		return rotation.Failf("have it upgraded, or take that change back, first: it might be applied together with the password", "%s is to become version %s in its maintenance window", t.called(), d.upgrade)
	case d.pending && d.status == available:
		return rotation.Failf("see who is changing it; start again when RDS has applied that, and the secret holds it", "%s has a master password pending that isn't this rotation's", t.called())
	}
	return nil
}

// idle is what must pass before a database can be changed; "" for nothing.
func idle(t *Target, d database) string {
	if d.status == available {
		return ""
	}
	return fmt.Sprintf("%s to be available again: it is %s", t.called(), d.status)
}

// matches refuses a secret that can't be this database's, or whose password couldn't be set again.
func (h *handler) matches(c call, content staging.Content, d database) error {
	old, err := h.labels.Part(c.t.Secret, c.t.key(), content)
	var no *rotation.Failure
	if errors.As(err, &no) {
		return rotation.Failf(`have it stored as {"username":"…","password":"…"}, or name in the registry, as key, the key that holds the password`, "%q: %s", c.t.Secret, no.Msg)
	}
	if err != nil {
		return err
	}
	if why := unfit(old, d.engine); why != "" {
		return rotation.Failf("have the master password in the secret first: what RDS doesn't take can't be its password, nor be set again if this rotation failed",
			"the current password in %q %s", c.t.Secret, why)
	}
	var doc struct {
		Username *string `json:"username"`
	}
	_ = json.Unmarshal(content.Reveal(), &doc) // Part has read it; one of another type can't be compared
	if doc.Username != nil && *doc.Username != d.user {
		return rotation.Failf("name the secret of that user, or the right database; other users' passwords have the kinds postgres and mysql",
			"%q is for the user %q, and the master user of %s is %q", c.t.Secret, *doc.Username, c.t.called(), d.user)
	}
	return nil
}
