package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/rastup/rekey/internal/sandbox"
)

const (
	region = "us-east-1"
	bucket = "rekey-evidence"
	group  = "/rekey/audit"
)

// A world is a kind of emulator. serve makes a fresh one with these secrets, the bucket and the log group.
type world struct {
	name  string
	serve func(secrets []string) (http.Handler, error)
	delay time.Duration // of each answer
}

// value is what each secret begins with.
const value = `{"engine": "postgres", "username": "app", "password": "the first one"}`

// A running clock: the sandbox's own stands still.
type running struct{}

func (running) Now() time.Time { return time.Now().UTC() }

func serveSandbox(secrets []string) (http.Handler, error) {
	w := sandbox.New(running{})
	s, err := sandbox.Seed(w)
	if err != nil {
		return nil, err
	}
	w.Allow(s.Principal, "*", "*")
	for _, name := range secrets {
		if _, err := w.PutByHand(name, value); err != nil {
			return nil, err
		}
	}
	return w.Handler(), nil
}

// startMoto starts moto where it is installed; serve is nil where it isn't. Each world is moto, reset.
func startMoto() (serve func([]string) (http.Handler, error), stop func(), err error) {
	if exec.Command("moto_server", "--help").Run() != nil {
		fmt.Fprintln(os.Stderr, "moto_server isn't installed: left out")
		return nil, func() {}, nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	_ = l.Close()
	cmd := exec.Command("moto_server", "-H", "127.0.0.1", "-p", port)
	if err := cmd.Start(); err != nil {
		return nil, nil, fmt.Errorf("start moto_server: %w", err)
	}
	stop = func() { _, _ = cmd.Process.Kill(), cmd.Wait() }
	at := &url.URL{Scheme: "http", Host: "127.0.0.1:" + port}
	reset := func() error {
		res, err := http.Post(at.String()+"/moto-api/reset", "", nil)
		if err != nil {
			return err
		}
		return res.Body.Close()
	}
	for try := 0; ; try++ {
		if err := reset(); err == nil {
			break
		} else if try == 100 {
			stop()
			return nil, nil, fmt.Errorf("moto_server doesn't answer: %w", err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	proxy := httputil.NewSingleHostReverseProxy(at)
	return func(secrets []string) (http.Handler, error) {
		if err := reset(); err != nil {
			return nil, err
		}
		return proxy, furnish(at.String(), secrets)
	}, stop, nil
}

func configuration(endpoint string) aws.Config {
	return aws.Config{Region: region, BaseEndpoint: &endpoint,
		Credentials: credentials.NewStaticCredentialsProvider(sandbox.AccessKeyID, sandbox.SecretAccessKey, "")}
}

func furnish(endpoint string, secrets []string) error {
	ctx, cfg := context.Background(), configuration(endpoint)
	buckets := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })
	if _, err := buckets.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(bucket), ObjectLockEnabledForBucket: aws.Bool(true)}); err != nil {
		return err
	}
	if _, err := cloudwatchlogs.NewFromConfig(cfg).CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: aws.String(group)}); err != nil {
		return err
	}
	sm := secretsmanager.NewFromConfig(cfg)
	for _, name := range secrets {
		if _, err := sm.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: &name, SecretString: aws.String(value)}); err != nil {
			return err
		}
	}
	return nil
}

// current is the version of each secret that AWSCURRENT is on.
func current(endpoint string, secrets []string) (versions []string, err error) {
	sm := secretsmanager.NewFromConfig(configuration(endpoint))
	for _, name := range secrets {
		out, err := sm.GetSecretValue(context.Background(), &secretsmanager.GetSecretValueInput{SecretId: &name, VersionStage: aws.String("AWSCURRENT")})
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		if aws.ToString(out.SecretString) == "" {
			return nil, fmt.Errorf("%s is empty", name)
		}
		versions = append(versions, aws.ToString(out.VersionId))
	}
	return versions, nil
}

// open serves h behind a record of its calls, and an application that is well.
func open(h http.Handler, delay time.Duration) (services, health *httptest.Server, r *recorder) {
	r = &recorder{}
	services = httptest.NewUnstartedServer(http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		body, err := io.ReadAll(in.Body)
		if err != nil {
			http.Error(out, "", http.StatusBadRequest)
			return
		}
		in.Body = io.NopCloser(bytes.NewReader(body))
		from := time.Now()
		time.Sleep(delay)
		h.ServeHTTP(out, in)
		r.add(in, body, from, time.Now())
	}))
	services.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			r.connections.Add(1)
		}
	}
	services.Start()
	health = httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(out, `{"status":"ok"}`+"\n")
	}))
	return services, health, r
}
