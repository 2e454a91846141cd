package rdsmaster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/aws/smithy-go/middleware"
	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/secret"
)

// Statuses: the one in which RDS takes a change, and to which it comes back, and the one while it changes the password.
const (
	available = "available"
	resetting = "resetting-master-credentials"
)

// A database is an instance or a cluster, as RDS describes it at a time of its own clock.
type database struct {
	arn, resource, engine, user, status string
	pending                             bool   // a password that isn't in force yet
	managed                             bool   // RDS rotates it itself
	keptIn                              string // ARN of the secret that RDS keeps it in
	member                              string // of which cluster
	source                              string // of what it is a replica
	multi                               bool   // multi-tenant
	upgrade                             string // of a cluster: an engine version that waits for its maintenance window
	now                                 time.Time
}

// busy says whether RDS is seen to be about something.
func (d database) busy() bool { return d.pending || d.status != available }

// describe's error is as AWS gave it.
func (h *handler) describe(ctx context.Context, t *Target) (d database, err error) {
	var secret *types.MasterUserSecret
	var m middleware.Metadata
	if t.Cluster != "" {
		out, err := h.rds.DescribeDBClusters(ctx, &rds.DescribeDBClustersInput{DBClusterIdentifier: &t.Cluster})
		if err != nil || len(out.DBClusters) != 1 {
			return d, cmp.Or(err, errNotOne)
		}
		c := out.DBClusters[0]
		d = database{arn: aws.ToString(c.DBClusterArn), resource: aws.ToString(c.DbClusterResourceId), engine: aws.ToString(c.Engine),
			user: aws.ToString(c.MasterUsername), status: aws.ToString(c.Status), source: aws.ToString(c.ReplicationSourceIdentifier)}
		if p := c.PendingModifiedValues; p != nil {
			d.pending, d.upgrade = aws.ToString(p.MasterUserPassword) != "", aws.ToString(p.EngineVersion)
		}
		secret, m = c.MasterUserSecret, out.ResultMetadata
	} else {
		out, err := h.rds.DescribeDBInstances(ctx, &rds.DescribeDBInstancesInput{DBInstanceIdentifier: &t.Instance})
		if err != nil || len(out.DBInstances) != 1 {
			return d, cmp.Or(err, errNotOne)
		}
		i := out.DBInstances[0]
		d = database{arn: aws.ToString(i.DBInstanceArn), resource: aws.ToString(i.DbiResourceId), engine: aws.ToString(i.Engine),
			user: aws.ToString(i.MasterUsername), status: aws.ToString(i.DBInstanceStatus), member: aws.ToString(i.DBClusterIdentifier), multi: aws.ToBool(i.MultiTenant),
			source: aws.ToString(cmp.Or(i.ReadReplicaSourceDBInstanceIdentifier, i.ReadReplicaSourceDBClusterIdentifier))}
		d.pending = i.PendingModifiedValues != nil && aws.ToString(i.PendingModifiedValues.MasterUserPassword) != ""
		secret, m = i.MasterUserSecret, out.ResultMetadata
	}
	if d.managed = secret != nil; d.managed {
		d.keptIn = aws.ToString(secret.SecretArn)
	}
	d.now, err = clock(m)
	return d, err
}

var errNotOne = errors.New("RDS answered about another number of databases than one")

// clock is the time at AWS when it answered: handlers have none of their own.
func clock(m middleware.Metadata) (time.Time, error) {
	at, ok := awsmiddleware.GetServerTime(m)
	if !ok || at.IsZero() {
		return time.Time{}, errors.New("the answer of RDS has no date")
	}
	return at.UTC(), nil
}

// same is the database that preflight saw, as it is now.
func (h *handler) same(ctx context.Context, c call) (database, error) {
	was := c.past.Fact(preflight, factResource)
	if was == "" {
		return database{}, fmt.Errorf("the records hold no preflight of %s", c.t.called())
	}
	d, err := h.describe(ctx, &c.t)
	if err != nil {
		return d, h.judge(err, "look at", &c.t)
	}
	if d.resource != was {
		return d, rotation.Failf("see who replaced it; then start again", "%s is another database than at preflight: %s, not %s", c.t.called(), d.resource, was)
	}
	return d, nil
}

// modify has RDS take a password, and says when it did. later is a status in which it takes none. An instance applies a
// password at once whatever ApplyImmediately says, and with it all else that waits for its maintenance window, downtime
// included: so it isn't said. A cluster needs it, for this change alone (RDS user guide, schedule modifications setting).
func (h *handler) modify(ctx context.Context, t *Target, password secret.Value) (accepted time.Time, later bool, err error) {
	var m middleware.Metadata
	once := func(o *rds.Options) { o.Retryer = cloud.Once() }
	if t.Cluster != "" {
		var out *rds.ModifyDBClusterOutput
		if out, err = h.rds.ModifyDBCluster(ctx, &rds.ModifyDBClusterInput{DBClusterIdentifier: &t.Cluster,
			MasterUserPassword: aws.String(string(password.Reveal())), ApplyImmediately: aws.Bool(true)}, once); err == nil {
			m = out.ResultMetadata
		}
	} else {
		var out *rds.ModifyDBInstanceOutput
		if out, err = h.rds.ModifyDBInstance(ctx, &rds.ModifyDBInstanceInput{DBInstanceIdentifier: &t.Instance,
			MasterUserPassword: aws.String(string(password.Reveal()))}, once); err == nil {
			m = out.ResultMetadata
		}
	}
	switch cloud.Code(err) {
	case "InvalidDBInstanceState", "InvalidDBClusterStateFault":
		return accepted, true, nil
	}
	if err != nil {
		return accepted, false, h.judge(err, "change the master user's password of", t)
	}
	accepted, err = clock(m)
	return accepted, false, err
}

func (h *handler) judge(err error, doing string, t *Target) error {
	switch code := cloud.Code(err); code {
	case "DBInstanceNotFound", "DBClusterNotFoundFault":
		return rotation.Failf("check the identifier, and the environment's region and role in .github/rekey.yml: another account has other databases",
			"no %s in %s", t.called(), h.region)
	case "InvalidParameterValue", "InvalidParameterCombination":
		return rotation.Failf("see the database's settings in the RDS console: its master password may be managed elsewhere; nothing was changed by this call",
			"%s %s: RDS answered %s", doing, t.called(), code)
	}
	return cloud.Judge(err, doing+" "+t.called())
}

// most is how long a password the engine takes; 0 for one that we don't know (RDS API reference, ModifyDBInstance).
func most(engine string) int {
	switch engine {
	case "postgres", "aurora-postgresql":
		return 128
	case "mysql", "mariadb", "aurora-mysql", "aurora":
		return 41
	}
	return 0
}

// unfit says why RDS wouldn't take a password; "" where it would.
func unfit(v secret.Value, engine string) string {
	s := string(v.Reveal())
	switch {
	case len(s) < shortest || len(s) > most(engine):
		return fmt.Sprintf("isn't %d to %d characters long, as %s wants it", shortest, most(engine), engine)
	case strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(forbidden, r) }):
		return `holds a character that RDS doesn't take: printable ASCII without / " @ and the space`
	}
	return ""
}
