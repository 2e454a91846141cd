package sandbox_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/rastup/rekey/internal/sandbox"
	own "github.com/rastup/rekey/internal/sandbox/rds"
)

const wasPassword = "was-a-planted-password"

type databases struct {
	*bench
	t   *testing.T
	rds *rds.Client
}

func newDatabases(t *testing.T) *databases {
	b := newBench(t)
	d := &databases{b, t, rds.NewFromConfig(config(b.url, sandbox.AccessKeyID, sandbox.SecretAccessKey, ""))}
	b.world.RDS.MakeByHand(sandbox.Home, own.Database{ID: "shop", Password: wasPassword})
	b.world.RDS.MakeByHand(sandbox.Home, own.Database{ID: "ledger", Cluster: true, Engine: "aurora-mysql", Password: wasPassword})
	b.world.RDS.MakeByHand(sandbox.Home, own.Database{ID: "ledger-1", Engine: "aurora-mysql", MemberOf: "ledger"})
	b.world.RDS.MakeByHand(sandbox.Home, own.Database{ID: "managed", Managed: "arn:aws:secretsmanager:us-east-1:111111111111:secret:rds!db-1-AbCdEf"})
	return d
}

// seen is an instance's status, and what is pending.
func (d *databases) seen() (status, pending string) {
	d.t.Helper()
	out := must[*rds.DescribeDBInstancesOutput](d.t)(d.rds.DescribeDBInstances(ctx, &rds.DescribeDBInstancesInput{DBInstanceIdentifier: aws.String("Shop")}))
	i := out.DBInstances[0]
	if p := i.PendingModifiedValues; p != nil {
		pending = aws.ToString(p.MasterUserPassword)
	}
	return *i.DBInstanceStatus, pending
}

func (d *databases) set(password string) error {
	out, err := d.rds.ModifyDBInstance(ctx, &rds.ModifyDBInstanceInput{DBInstanceIdentifier: aws.String("shop"), MasterUserPassword: &password, ApplyImmediately: aws.Bool(true)})
	if err == nil && (*out.DBInstance.PendingModifiedValues.MasterUserPassword != "****" || *out.DBInstance.MasterUsername != "master") {
		d.t.Errorf("answered %+v", out.DBInstance)
	}
	return err
}

func (d *databases) look() own.State {
	return d.world.RDS.Look(sandbox.Home, false, "shop", d.world.Now())
}

func TestRDSTakesAPasswordAndAppliesItLater(t *testing.T) {
	d := newDatabases(t)
	check1(t, d.set("first-password"))
	check1(t, d.set("second-password")) // before it begins, the later one wins
	for _, tt := range []struct {
		after                     time.Duration
		status, pending, in, next string
	}{
		{0, own.Available, "", wasPassword, "second-password"},
		{3 * time.Second, own.Available, "****", wasPassword, "second-password"},
		{20 * time.Second, own.Resetting, "****", wasPassword, "second-password"},
		{45 * time.Second, own.Available, "", "second-password", ""},
	} {
		d.clock.Move(start.Add(tt.after).Sub(d.clock.Now()))
		status, pending := d.seen()
		if l := d.look(); status != tt.status || pending != tt.pending || l.Password != tt.in || l.Next != tt.next {
			t.Errorf("after %s: %s, pending %q, %+v", tt.after, status, pending, l)
		}
		if tt.status == own.Resetting {
			refused(t, d.set("third-password"), 400, "InvalidDBInstanceState", "Database instance is not in available state.")
		}
	}
	d.world.RDS.SetByHand(sandbox.Home, false, "shop", d.world.Now(), func(x *own.Database) { x.Upgrade = "16.4" })
	must[*rds.ModifyDBInstanceOutput](t)(d.rds.ModifyDBInstance(ctx, &rds.ModifyDBInstanceInput{DBInstanceIdentifier: aws.String("shop"), MasterUserPassword: aws.String("second-password")}))
	if l := d.look(); l.Upgrade != "16.4" {
		t.Errorf("%+v", l)
	}
	check1(t, d.set("second-password"))
	if l := d.look(); l.Upgrade != "" {
		t.Errorf("what waited for the window wasn't applied immediately: %+v", l)
	}
	d.world.RDS.SetByHand(sandbox.Home, false, "shop", d.world.Now(), func(x *own.Database) { x.Password = "by-hand" })
	if l := d.look(); !l.Accepts("by-hand") || l.Accepts("second-password") || len(l.Former) != 2 {
		t.Errorf("%+v", l)
	}
}

func TestRDSChangesClusters(t *testing.T) {
	d := newDatabases(t)
	id := aws.String("ledger")
	must[*rds.ModifyDBClusterOutput](t)(d.rds.ModifyDBCluster(ctx, &rds.ModifyDBClusterInput{DBClusterIdentifier: id, MasterUserPassword: aws.String("new-password"), ApplyImmediately: aws.Bool(true)}))
	d.clock.Move(20 * time.Second)
	out := must[*rds.DescribeDBClustersOutput](t)(d.rds.DescribeDBClusters(ctx, &rds.DescribeDBClustersInput{DBClusterIdentifier: id}))
	if c := out.DBClusters[0]; *c.Status != own.Resetting || *c.PendingModifiedValues.MasterUserPassword != "****" || *c.Engine != "aurora-mysql" || *c.DBClusterArn != "arn:aws:rds:us-east-1:111111111111:cluster:ledger" {
		t.Errorf("%+v", c)
	}
	_, err := d.rds.ModifyDBCluster(ctx, &rds.ModifyDBClusterInput{DBClusterIdentifier: id, MasterUserPassword: aws.String("new-password"), ApplyImmediately: aws.Bool(true)})
	refused(t, err, 400, "InvalidDBClusterStateFault", "")
	d.clock.Move(time.Minute)
	if l := d.world.RDS.Look(sandbox.Home, true, "ledger", d.world.Now()); !l.Accepts("new-password") {
		t.Errorf("%+v", l)
	}
}

func TestRDSRefuses(t *testing.T) {
	d := newDatabases(t)
	for _, tt := range []struct {
		id, password, code string
		status             int
	}{
		{"none", "new-password", "DBInstanceNotFound", 404},
		{"ledger-1", "new-password", "InvalidParameterCombination", 400},
		{"managed", "new-password", "InvalidParameterCombination", 400},
		{"shop", "short", "InvalidParameterValue", 400},
		{"shop", "with/a-slash", "InvalidParameterValue", 400},
	} {
		_, err := d.rds.ModifyDBInstance(ctx, &rds.ModifyDBInstanceInput{DBInstanceIdentifier: &tt.id, MasterUserPassword: &tt.password, ApplyImmediately: aws.Bool(true)})
		refused(t, err, tt.status, tt.code, "")
	}
	_, err := d.rds.ModifyDBInstance(ctx, &rds.ModifyDBInstanceInput{DBInstanceIdentifier: aws.String("shop"), MultiAZ: aws.Bool(true)})
	refused(t, err, 400, "InvalidParameterCombination", "the sandbox doesn't serve ModifyDBInstance with MultiAZ")
	_, err = d.rds.DescribeDBClusters(ctx, &rds.DescribeDBClustersInput{DBClusterIdentifier: aws.String("none")})
	refused(t, err, 404, "DBClusterNotFoundFault", "DBCluster none not found.")
	d.world.Deny("*", "rds:Modify*", "*:db:shop")
	refused(t, d.set("new-password"), 403, "AccessDenied", "")
	d.world.RDS.PendByHand(sandbox.Home, false, "shop", "somebody's")
	if _, pending := d.seen(); pending != "****" {
		t.Errorf("pending %q", pending)
	}
	other := rds.NewFromConfig(config(d.url, sandbox.AccessKeyID, "another-secret", ""))
	_, err = other.DescribeDBInstances(ctx, &rds.DescribeDBInstancesInput{DBInstanceIdentifier: aws.String("shop")})
	refused(t, err, 403, "SignatureDoesNotMatch", "")
}
