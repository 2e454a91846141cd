package rds

import (
	"strings"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

// stars stand for a password in every answer.
const stars = "****"

type pendingXML struct {
	MasterUserPassword string `xml:",omitempty"`
	EngineVersion      string `xml:",omitempty"`
}

type managedXML struct{ SecretArn, SecretStatus string }

type instanceXML struct {
	DBInstanceIdentifier                  string
	DBInstanceClass                       string
	DBInstanceArn                         string
	DbiResourceId                         string
	Engine                                string
	DBInstanceStatus                      string
	MasterUsername                        string
	Endpoint                              struct{ Address, Port string }
	PendingModifiedValues                 *pendingXML
	MasterUserSecret                      *managedXML `xml:",omitempty"`
	DBClusterIdentifier                   string      `xml:",omitempty"`
	ReadReplicaSourceDBInstanceIdentifier string      `xml:",omitempty"`
	MultiTenant                           bool
}

type clusterXML struct {
	DBClusterIdentifier         string
	DBClusterArn                string
	DbClusterResourceId         string
	Engine                      string
	Status                      string
	MasterUsername              string
	Endpoint                    string
	Port                        string
	PendingModifiedValues       *pendingXML
	MasterUserSecret            *managedXML `xml:",omitempty"`
	ReplicationSourceIdentifier string      `xml:",omitempty"`
}

func port(engine string) string {
	if strings.Contains(engine, "postgres") {
		return "5432"
	}
	return "3306"
}

func (s *Service) shown(d *database, r *wire.Request) (status string, pending *pendingXML, managed *managedXML) {
	pending = &pendingXML{EngineVersion: d.Upgrade}
	if s.pending(d, r.At) {
		pending.MasterUserPassword = stars
	}
	if d.Managed != "" {
		managed = &managedXML{d.Managed, "active"}
	}
	return s.status(d, r.At), pending, managed
}

func (s *Service) instanceOf(d *database, r *wire.Request) instanceXML {
	x := instanceXML{DBInstanceIdentifier: d.ID, DBInstanceClass: "db.t4g.micro", DBInstanceArn: d.arn(), DbiResourceId: d.resource, Engine: d.Engine,
		MasterUsername: d.Username, DBClusterIdentifier: d.MemberOf, ReadReplicaSourceDBInstanceIdentifier: d.Source, MultiTenant: d.Multi}
	x.Endpoint.Address, x.Endpoint.Port = d.ID+".c0ffee."+r.Region+".rds.amazonaws.com", port(d.Engine)
	x.DBInstanceStatus, x.PendingModifiedValues, x.MasterUserSecret = s.shown(d, r)
	return x
}

func (s *Service) clusterOf(d *database, r *wire.Request) clusterXML {
	x := clusterXML{DBClusterIdentifier: d.ID, DBClusterArn: d.arn(), DbClusterResourceId: d.resource, Engine: d.Engine, MasterUsername: d.Username,
		Endpoint: d.ID + ".cluster-c0ffee." + r.Region + ".rds.amazonaws.com", Port: port(d.Engine), ReplicationSourceIdentifier: d.Source}
	x.Status, x.PendingModifiedValues, x.MasterUserSecret = s.shown(d, r)
	return x
}
