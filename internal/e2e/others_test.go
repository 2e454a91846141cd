package e2e

import (
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"
)

const folderConfig = `environments:
  - name: dev
    approval: none
    region: us-east-1
evidence:
  store: file://evidence
`

// serverKeys open every server of other people here.
var serverKeys = credentials.NewStaticCredentialsProvider(keyID, secretKey, "")

// TestAWholeRotationAgainstMoto has nothing but AWS_ENDPOINT_URL: the evidence goes to a folder.
func TestAWholeRotationAgainstMoto(t *testing.T) {
	t.Parallel()
	url := moto(t)
	s := newStage(t, files(httpCheck, atOnce))
	s.write(map[string]string{".github/rekey.yml": folderConfig})
	s.env = environment("AWS_ENDPOINT_URL="+url, "AWS_ACCESS_KEY_ID="+keyID, "AWS_SECRET_ACCESS_KEY="+secretKey)
	client := secretsmanager.NewFromConfig(aws.Config{Region: "us-east-1", BaseEndpoint: &url, Credentials: serverKeys})
	name := aws.String("rekey/dev/app-database")
	made, err := client.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: name, SecretString: aws.String(`{"user":"app","password":"the old one"}`)})
	if err != nil {
		t.Fatal(err)
	}
	s.must("init")
	s.must("plan", "--live")
	r := s.must("apply", "-e", "dev", "--json")
	if all := r.outcomes(t); len(all) != 1 || all[0].State != "finished" {
		t.Fatalf("%+v\n%s", all, r.err)
	}
	out, err := client.DescribeSecret(t.Context(), &secretsmanager.DescribeSecretInput{SecretId: name})
	if err != nil {
		t.Fatal(err)
	}
	live := 0
	for id, labels := range out.VersionIdsToStages {
		if slices.Contains(labels, "AWSCURRENT") {
			live++
		}
		if len(labels) > 0 && (id == *made.VersionId || !slices.Equal(labels, []string{"AWSCURRENT"})) {
			t.Errorf("version %s has %v", id, labels)
		}
	}
	if live != 1 {
		t.Errorf("labels %v", out.VersionIdsToStages)
	}
	s.must("verify")
	s.must("verify", "--evidence", "file://evidence")
}

// TestEvidenceInVersitygwCantBeTakenAwayOrReplacedUnnoticed keeps evidence in other people's S3 with Object Lock, the
// secrets being the sandbox's, or moto's where that is.
func TestEvidenceInVersitygwCantBeTakenAwayOrReplacedUnnoticed(t *testing.T) {
	t.Parallel()
	url := versitygw(t)
	s := newStage(t, files(smokeCheck, slowly))
	s.write(map[string]string{".github/rekey.yml": strings.Replace(config, "s3://rekey-evidence", "s3://audit/rekey", 1)})
	s.env = append(s.env, "AWS_ENDPOINT_URL_S3="+url)
	client := s3.NewFromConfig(aws.Config{Region: "us-east-1", BaseEndpoint: &url, Credentials: serverKeys}, func(o *s3.Options) { o.UsePathStyle = true })
	bucket := aws.String("audit")
	if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: bucket, ObjectLockEnabledForBucket: aws.Bool(true)}); err != nil {
		t.Fatal(err)
	}
	s.must("init")
	s.must("apply", "-e", "dev")
	s.must("verify")

	key := aws.String("rekey/journal/dev/app~database/000004.json")
	versions, err := client.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: bucket, Prefix: key})
	if err != nil || len(versions.Versions) != 1 {
		t.Fatalf("%v, %v", versions, err)
	}
	_, err = client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: bucket, Key: key, VersionId: versions.Versions[0].VersionId})
	var refused smithy.APIError
	if !errors.As(err, &refused) || refused.ErrorCode() != "AccessDenied" {
		t.Errorf("the deletion of a locked record: %v", err)
	}
	_, err = client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: bucket, Key: key, VersionId: versions.Versions[0].VersionId, BypassGovernanceRetention: aws.Bool(true)})
	if err == nil {
		t.Error("the lock of a record is lifted by who asks for it")
	}
	s.must("verify")

	if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: key, Body: strings.NewReader(`{"forged":true}`)}); err != nil {
		t.Fatal(err)
	}
	if v := s.rekey("verify"); v.code != 1 || !strings.Contains(v.out, "000004.json: somebody wrote over it: 2 versions") {
		t.Errorf("verify ended with %d:\n%s", v.code, v.out)
	}
	before := s.secret()
	if r := s.rekey("apply", "-e", "dev", "--again"); r.code != 1 || !strings.Contains(r.err, "000004.json: somebody wrote over it") {
		t.Errorf("apply ended with %d:\n%s%s", r.code, r.out, r.err)
	}
	if after := s.secret(); after.Versions != before.Versions {
		t.Error("apply made a new version on a chain that was tampered with")
	}
	if _, err := client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: bucket, Key: aws.String("rekey/journal/dev/app~database/000002.json")}); err != nil {
		t.Fatal(err)
	}
	if v := s.rekey("verify"); v.code != 1 || !strings.Contains(v.out, "000002.json") || !strings.Contains(v.out, "[deleted]") {
		t.Errorf("verify after a deletion ended with %d:\n%s", v.code, v.out)
	}
}

// moto starts one on a free port and answers its address. It is an extra, where it is installed.
func moto(t *testing.T) string {
	t.Helper()
	if exec.Command("moto_server", "--help").Run() != nil {
		t.Skip("moto_server isn't installed here: the rotation against it did not run; those against the sandbox did")
	}
	addr := freeAddress(t)
	_, port, _ := net.SplitHostPort(addr)
	c := exec.Command("moto_server", "-H", "127.0.0.1", "-p", port)
	url := "http://" + addr
	serve(t, c, func() bool {
		res, err := http.Post(url+"/moto-api/reset", "", nil)
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	return url
}

// versitygw starts one; CI must have it.
func versitygw(t *testing.T) string {
	t.Helper()
	places := []string{"versitygw", filepath.Join("..", "..", ".tools", "bin", "versitygw")}
	if out, err := exec.Command("go", "env", "GOPATH").Output(); err == nil {
		places = append(places, filepath.Join(strings.TrimSpace(string(out)), "bin", "versitygw"))
	}
	i := slices.IndexFunc(places, func(p string) bool { _, err := exec.LookPath(p); return err == nil })
	switch {
	case i < 0 && os.Getenv("CI") != "":
		t.Fatal("versitygw isn't installed: CI must have it")
	case i < 0:
		t.Skip("versitygw isn't installed: go install github.com/versity/versitygw/cmd/versitygw@v1.8.0")
	}
	dir := t.TempDir()
	data, versions := filepath.Join(dir, "data"), filepath.Join(dir, "versions")
	if err := errors.Join(os.Mkdir(data, 0o755), os.Mkdir(versions, 0o755)); err != nil {
		t.Fatal(err)
	}
	addr := freeAddress(t)
	c := exec.Command(places[i], "--port", addr, "--region", "us-east-1", "--quiet", "posix", "--versioning-dir", versions, data)
	c.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+keyID, "ROOT_SECRET_KEY="+secretKey)
	serve(t, c, func() bool {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
	return "http://" + addr
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// serve starts a server, waits until it answers and ends it after the test.
func serve(t *testing.T, c *exec.Cmd, answers func() bool) {
	t.Helper()
	var log strings.Builder
	c.Stdout, c.Stderr = &log, &log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { _ = c.Wait(); close(done) }()
	t.Cleanup(func() { _ = c.Process.Kill(); <-done })
	deadline, tick := time.After(30*time.Second), time.NewTicker(30*time.Millisecond)
	defer tick.Stop()
	for !answers() {
		select {
		case <-done:
			t.Fatalf("%s ended:\n%s", c.Path, log.String())
		case <-deadline:
			t.Fatalf("%s doesn't answer", c.Path)
		case <-tick.C:
		}
	}
}
