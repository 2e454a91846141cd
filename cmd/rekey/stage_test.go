package main

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/sandbox"
	consumer "github.com/rastup/rekey/internal/sandbox/app"
	"github.com/rastup/rekey/internal/sandbox/github"
)

//go:embed testdata/repository
var repository embed.FS

// A stage is the world of one script: services, an application that uses the secret, and their clock.
type stage struct {
	world    *sandbox.World
	scenario sandbox.Scenario
	clock    *sandbox.Clock
	app      *consumer.App
	life     context.Context
	hub      *github.Service
	first    map[string]string // version that was live before, by environment
	seen     int               // calls so far, at the last mark
}

type stageKey struct{}

func newStage(e *testscript.Env) *stage {
	life, end := context.WithCancel(context.Background())
	e.Defer(end)
	return &stage{life: life, first: map[string]string{}}
}

// onStage is a script's command that doesn't take "!".
func onStage(f func(*stage, *testscript.TestScript, []string)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg {
			ts.Fatalf("! isn't for this command")
		}
		f(ts.Value(stageKey{}).(*stage), ts, args)
	}
}

// start serves a seeded world and the application, and writes the repository, as far as the script has none:
//
//	sandbox
func start(s *stage, ts *testscript.TestScript, _ []string) {
	now, err := time.Parse(time.RFC3339, ts.Getenv(clockVariable))
	ts.Check(err)
	s.clock = sandbox.NewClock(now.AddDate(0, 0, -97))
	s.world = sandbox.New(s.clock)
	s.world.STS.Outlast()
	s.scenario, err = sandbox.Seed(s.world)
	ts.Check(err)
	s.clock.Move(now.Sub(s.clock.Now()))
	for env, name := range s.scenario.Secrets {
		s.first[env] = s.world.Secret(name).Labels["AWSCURRENT"]
	}
	server, err := sandbox.Serve(s.life, s.world, "127.0.0.1:0")
	ts.Check(err)
	s.app = consumer.New(s.world, s.scenario.Secrets, 0)
	site := httptest.NewServer(s.app.Handler())
	context.AfterFunc(s.life, site.Close)
	for name, value := range map[string]string{"AWS_ENDPOINT_URL": server.URL(), "AWS_REGION": s.scenario.Region,
		"AWS_ACCESS_KEY_ID": sandbox.AccessKeyID, "AWS_SECRET_ACCESS_KEY": sandbox.SecretAccessKey} {
		ts.Setenv(name, value)
	}
	for from, to := range map[string]string{"rekey.yml": ".github/rekey.yml", "registry.md": "ops/config/registry.md",
		"request.yaml": "rotations/2026/11/2026-11-23-app-database.yaml"} {
		b, err := os.ReadFile(ts.MkAbs(to))
		if err != nil {
			b, err = repository.ReadFile("testdata/repository/" + from)
			ts.Check(err)
		}
		ts.Check(os.MkdirAll(filepath.Dir(ts.MkAbs(to)), 0o755))
		ts.Check(os.WriteFile(ts.MkAbs(to), bytes.ReplaceAll(b, []byte("ENDPOINT"), []byte(site.URL)), 0o644))
	}
}

// at moves the clock of rekey and of the services to a time or on by a duration: at 2026-11-25T10:00:00Z, at +48h
func at(s *stage, ts *testscript.TestScript, args []string) {
	now, err := time.Parse(time.RFC3339, ts.Getenv(clockVariable))
	ts.Check(err)
	if by, ok := strings.CutPrefix(args[0], "+"); ok {
		d, err := time.ParseDuration(by)
		ts.Check(err)
		now = now.Add(d)
	} else {
		now, err = time.Parse(time.RFC3339, args[0])
		ts.Check(err)
	}
	if s.clock != nil {
		s.clock.Move(now.Sub(s.clock.Now()))
	}
	ts.Setenv(clockVariable, now.Format(time.RFC3339))
}

// deployFile is a workflow that the consumer can start.
const deployFile = "run-name: deploy ${{ inputs.rekey }}\non: {workflow_dispatch: {inputs: {rekey: {}, version: {}}}}\njobs: {}\n"

// serveHub serves a GitHub whose runs of deploy.yml end in a conclusion at the third look, to a token of ana-sec's that
// may read or start workflows: hub read|write CONCLUSION
func serveHub(s *stage, ts *testscript.TestScript, args []string) {
	if s.hub == nil {
		s.hub = github.New(s.clock, github.Options{Repository: "rastup/shop"})
		s.hub.AddUser("ana-sec", "write", false)
		s.hub.Commit("main", "ana-sec", "Deploy", map[string]string{".github/workflows/deploy.yml": deployFile})
		site := httptest.NewServer(s.hub.Handler())
		context.AfterFunc(s.life, site.Close)
		for name, value := range map[string]string{"GITHUB_API_URL": site.URL, "GITHUB_REPOSITORY": "rastup/shop", "GITHUB_TOKEN": "ghp_canary"} {
			ts.Setenv(name, value)
		}
	}
	s.hub.AddToken("ghp_canary", "ana-sec", map[string]string{"actions": args[0], "contents": "read"})
	looks := map[string]int{}
	s.hub.Fail(func(c github.Call) error {
		if strings.HasSuffix(c.Route, "/actions/runs/{run_id}") {
			if looks[c.Path]++; looks[c.Path] == 3 {
				id, err := strconv.ParseInt(c.Path[strings.LastIndexByte(c.Path, '/')+1:], 10, 64)
				if err != nil {
					return err
				}
				s.hub.EndRun(id, args[1])
			}
		}
		return nil
	})
}

// application breaks the application in an environment or mends it: app dev 503, app dev 200, app dev old-only
func application(s *stage, ts *testscript.TestScript, args []string) {
	if args[1] == "old-only" {
		s.app.Accept(args[0], s.first[args[0]])
		return
	}
	status, err := strconv.Atoi(args[1])
	ts.Check(err)
	if status == 200 {
		status = 0
	}
	s.app.Break(args[0], status)
}

// look says in the file "said" what Secrets Manager has, whatever the journal says: secret ENV
func look(s *stage, ts *testscript.TestScript, args []string) {
	secret := s.world.Secret(s.scenario.Secrets[args[0]])
	var lines []string
	for label, id := range secret.Labels {
		which := "a new version"
		if id == s.first[args[0]] {
			which = "the first version"
		}
		lines = append(lines, label+" is on "+which)
	}
	for key, value := range secret.Tags {
		lines = append(lines, "tagged "+key+"="+value)
	}
	slices.Sort(lines)
	ts.Check(os.WriteFile(ts.MkAbs("said"), []byte(strings.Join(lines, "\n")+"\n"), 0o644))
}

// byHand is a person in the console who stores another value: byhand ENV LABEL
func byHand(s *stage, ts *testscript.TestScript, args []string) {
	_, err := s.world.PutByHand(s.scenario.Secrets[args[0]], `{"password":"a colleague's"}`, args[1])
	ts.Check(err)
}

// tamper stores other bytes under a key of the evidence bucket: tamper KEY [TEXT]; a TEXT of "-" leaves the bytes
func tamper(s *stage, ts *testscript.TestScript, args []string) {
	text := []byte(`{"forged":true}`)
	if len(args) > 1 {
		text = []byte(args[1])
	}
	s.world.S3.PutByHand(s.scenario.Bucket, args[0], text, s.world.Now())
}

// deny refuses an action to everybody, or permits it again: deny secretsmanager:PutSecretValue, deny -back ACTION
func deny(s *stage, _ *testscript.TestScript, args []string) {
	if args[0] == "-back" {
		s.world.Permit("*", args[1], "*")
		return
	}
	s.world.Deny("*", args[0], "*")
}

func mark(s *stage, _ *testscript.TestScript, _ []string) { s.seen = len(s.world.Calls()) }

// unchanged holds that since the mark every call was one that only reads, and that there was one: unchanged [none]
func unchanged(s *stage, ts *testscript.TestScript, args []string) {
	calls := s.world.Calls()[s.seen:]
	if none := len(args) > 0; none != (len(calls) == 0) {
		ts.Fatalf("there were %d calls", len(calls))
	}
	for _, c := range calls {
		if !slices.ContainsFunc([]string{"Get", "Describe", "List", "Head", "Filter", "Simulate", "AssumeRole"}, func(read string) bool {
			return strings.HasPrefix(c.Operation, read)
		}) {
			ts.Fatalf("%s %s %s changes something", c.Service, c.Operation, c.Target)
		}
	}
}

// bucket makes another bucket, with a lock or without: bucket NAME [unlocked]
func bucket(s *stage, _ *testscript.TestScript, args []string) {
	s.world.S3.MakeBucket(sandbox.Home, args[0], len(args) == 1, s.world.Now())
}

// folderOfEvidence copies the evidence out of the bucket, as a download does: folder DIR
func folderOfEvidence(s *stage, ts *testscript.TestScript, args []string) {
	for _, v := range slices.Backward(s.world.S3.Versions(s.scenario.Bucket, "")) { // oldest first
		path := filepath.Join(ts.MkAbs(args[0]), filepath.FromSlash(v.Key))
		ts.Check(os.MkdirAll(filepath.Dir(path), 0o755))
		ts.Check(os.WriteFile(path, v.Body, 0o644))
	}
}

// stuck lets a runner be killed where it was about to make the new value live: stuck ENV
func stuck(s *stage, ts *testscript.TestScript, args []string) {
	arrived, ended := make(chan bool, 10), make(chan bool)
	s.world.Fail(func(c sandbox.Call) error {
		if c.Operation != "UpdateSecretVersionStage" {
			return nil
		}
		arrived <- true
		<-ended
		return sandbox.Broken(c)
	})
	c := command(ts, "apply", "--environment", args[0])
	ts.Check(c.Start())
	<-arrived
	ts.Check(c.Process.Kill())
	_ = c.Wait() // it was killed
	close(ended)
	s.world.Fail(nil)
}

// head notes the head of the chain of app/database as people do: head ENV FILE. It is in $HEAD, too.
func head(s *stage, ts *testscript.TestScript, args []string) {
	all := s.world.S3.Versions(s.scenario.Bucket, "journal/"+args[0]+"/app~database/")
	last := all[len(all)-1]
	seq, err := strconv.Atoi(strings.TrimSuffix(filepath.Base(last.Key), ".json"))
	ts.Check(err)
	text := fmt.Sprintf("%s/app/database@%d=%s", args[0], seq, rotation.Digest(last.Body))
	ts.Setenv("HEAD", text)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte("# noted at the end of the run\n"+text+"\n"), 0o644))
}
