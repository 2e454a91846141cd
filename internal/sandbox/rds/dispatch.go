package rds

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

// An operation answers with the lock held.
type operation struct {
	do      func(*Service, *wire.Request, bool) (any, error)
	cluster bool
	takes   []string // parameters, besides Action and Version
}

func operations() map[string]operation {
	return map[string]operation{
		"DescribeDBInstances": {(*Service).describe, false, []string{"DBInstanceIdentifier"}},
		"DescribeDBClusters":  {(*Service).describe, true, []string{"DBClusterIdentifier"}},
		"ModifyDBInstance":    {(*Service).modify, false, []string{"DBInstanceIdentifier", "MasterUserPassword", "ApplyImmediately"}},
		"ModifyDBCluster":     {(*Service).modify, true, []string{"DBClusterIdentifier", "MasterUserPassword", "ApplyImmediately"}},
	}
}

// Operations are those the sandbox serves, by AWS's names.
func Operations() []string {
	var l []string
	for name := range operations() {
		l = append(l, name)
	}
	slices.Sort(l)
	return l
}

// Target is the instance or cluster that the caller names.
func Target(r *wire.Request) string {
	return cmp.Or(r.Query.Get("DBInstanceIdentifier"), r.Query.Get("DBClusterIdentifier"))
}

// Serve answers one request: a wire.Result, or a *wire.Error.
func (s *Service) Serve(r *wire.Request) (any, error) {
	op, ok := operations()[r.Operation]
	if !ok {
		return nil, wire.Refuse("InvalidAction", "Could not find operation %s for version 2014-10-31", r.Operation)
	}
	for name := range r.Query {
		if name != "Action" && name != "Version" && !slices.Contains(op.takes, name) {
			return nil, wire.Refuse("InvalidParameterCombination", "the sandbox doesn't serve %s with %s", r.Operation, name)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return op.do(s, r, op.cluster)
}

// find is the database that the caller names and may act on.
func (s *Service) find(r *wire.Request, cluster bool) (*database, error) {
	id := Target(r)
	if strings.HasPrefix(id, "arn:") {
		id = id[strings.LastIndexByte(id, ':')+1:]
	}
	if err := r.May("rds:"+r.Operation, arnOf(r.Place, nameOf(cluster, id))); err != nil {
		return nil, err
	}
	d := s.dbs[r.Place][nameOf(cluster, id)]
	switch {
	case d != nil:
		return d, nil
	case cluster:
		return nil, &wire.Error{Status: http.StatusNotFound, Code: "DBClusterNotFoundFault", Message: "DBCluster " + id + " not found."}
	}
	return nil, &wire.Error{Status: http.StatusNotFound, Code: "DBInstanceNotFound", Message: "DBInstance " + id + " not found."}
}

// describe wants a name: a list of all isn't served.
func (s *Service) describe(r *wire.Request, cluster bool) (any, error) {
	if Target(r) == "" {
		return nil, wire.Refuse("InvalidParameterCombination", "the sandbox doesn't serve %s of all", r.Operation)
	}
	d, err := s.find(r, cluster)
	if err != nil {
		return nil, err
	}
	if cluster {
		var out struct {
			DBClusters struct{ DBCluster []clusterXML }
		}
		out.DBClusters.DBCluster = []clusterXML{s.clusterOf(d, r)}
		return wire.Result{Operation: r.Operation, Value: out}, nil
	}
	var out struct {
		DBInstances struct{ DBInstance []instanceXML }
	}
	out.DBInstances.DBInstance = []instanceXML{s.instanceOf(d, r)}
	return wire.Result{Operation: r.Operation, Value: out}, nil
}

func (s *Service) modify(r *wire.Request, cluster bool) (any, error) {
	d, err := s.find(r, cluster)
	if err != nil {
		return nil, err
	}
	password, now := r.Query.Get("MasterUserPassword"), r.Query.Get("ApplyImmediately") == "true"
	switch {
	case !r.Query.Has("MasterUserPassword") || cluster && !now:
		return nil, wire.Refuse("InvalidParameterCombination", "the sandbox serves %s for a password, of clusters one that is applied immediately, and for nothing else", r.Operation)
	case d.MemberOf != "":
		return nil, wire.Refuse("InvalidParameterCombination", "The specified DB Instance is a member of a cluster. Modify the master user password for the DB Cluster using the ModifyDbCluster API")
	case d.Managed != "":
		return nil, wire.Refuse("InvalidParameterCombination", "You can't specify MasterUserPassword for an instance with ManageMasterUserPassword enabled.")
	case d.Source != "" || d.Multi:
		return nil, wire.Refuse("InvalidParameterCombination", "You can't specify MasterUserPassword for this DB instance.")
	}
	if err := valid(d.Engine, password); err != nil {
		return nil, err
	}
	if status := s.status(d, r.At); status != Available {
		if cluster {
			return nil, wire.Refuse("InvalidDBClusterStateFault", "DB cluster isn't available for modification with status %s.", status)
		}
		return nil, wire.Refuse("InvalidDBInstanceState", "Database instance is not in available state.")
	}
	since := r.At
	if d.next != nil {
		since = d.next.since
	}
	d.next = &change{password, r.At, since}
	if now {
		d.Upgrade = ""
	}
	if cluster {
		out := struct{ DBCluster clusterXML }{s.clusterOf(d, r)}
		out.DBCluster.PendingModifiedValues.MasterUserPassword = stars
		return wire.Result{Operation: r.Operation, Value: out}, nil
	}
	out := struct{ DBInstance instanceXML }{s.instanceOf(d, r)}
	out.DBInstance.PendingModifiedValues.MasterUserPassword = stars
	return wire.Result{Operation: r.Operation, Value: out}, nil
}

// valid refuses what the engine takes for no password (RDS API reference, ModifyDBInstance).
func valid(engine, password string) error {
	most := 128
	if strings.Contains(engine, "mysql") || engine == "mariadb" {
		most = 41
	}
	const is = "The parameter MasterUserPassword is not a valid password"
	switch {
	case len(password) < 8:
		return wire.Refuse("InvalidParameterValue", "%s because it is shorter than 8 characters.", is)
	case len(password) > most:
		return wire.Refuse("InvalidParameterValue", "%s because it is longer than %d characters.", is, most)
	case strings.ContainsFunc(password, func(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune(`/"@`, c) }):
		return wire.Refuse("InvalidParameterValue", "%s. Only printable ASCII characters besides '/', '@', '\"', ' ' may be used.", is)
	}
	return nil
}
