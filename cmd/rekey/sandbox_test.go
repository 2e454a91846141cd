package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/rastup/rekey/internal/apply"
)

// What sandbox prints is enough for programs to work with it; both services end with it.
func TestSandboxServesUntilItIsStopped(t *testing.T) {
	out, in := io.Pipe()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	var errs bytes.Buffer
	go func() {
		p := process{clock: apply.Machine{Time: time.Now}, out: in, errs: &errs}
		ended <- run(ctx, p, []string{"sandbox", "--listen", "127.0.0.1:0", "--github", "0"})
		_ = in.Close()
	}()
	env := map[string]string{}
	for s := bufio.NewScanner(out); env["GITHUB_TOKEN"] == "" && s.Scan(); {
		for pair := range strings.FieldsSeq(strings.TrimPrefix(s.Text(), "export ")) {
			name, value, _ := strings.Cut(pair, "=")
			env[name] = value
		}
	}
	c := sts.New(sts.Options{Region: env["AWS_REGION"], BaseEndpoint: new(env["AWS_ENDPOINT_URL"]),
		Credentials: credentials.NewStaticCredentialsProvider(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], "")})
	if who, err := c.GetCallerIdentity(ctx, nil); err != nil || *who.Account != "111111111111" {
		t.Errorf("AWS: %v", err)
	}
	ask := func(path, token string) (status int, body []byte) {
		r, err := http.NewRequest("GET", env["GITHUB_API_URL"]+"/repos/"+env["GITHUB_REPOSITORY"]+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			return 0, nil
		}
		defer res.Body.Close()
		body, err = io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, body
	}
	var list struct{ Environments []struct{ Name string } }
	status, body := ask("/environments", env["GITHUB_TOKEN"])
	if err := json.Unmarshal(body, &list); err != nil || status != 200 || len(list.Environments) != 6 {
		t.Errorf("GitHub answers %d: %s", status, body)
	}
	if status, _ := ask("", "ghp_another"); status != http.StatusUnauthorized {
		t.Errorf("another token is answered %d", status)
	}
	if !strings.HasPrefix(env["GITHUB_API_URL"], "http://127.0.0.1:") {
		t.Errorf("GitHub listens on %s", env["GITHUB_API_URL"])
	}
	stop()
	if code := <-ended; code != 0 {
		t.Errorf("ended with %d: %s", code, errs.String())
	}
	if status, _ := ask("", env["GITHUB_TOKEN"]); status != 0 {
		t.Errorf("GitHub goes on: %d", status)
	}
}

func TestSandboxRefusesOtherAddresses(t *testing.T) {
	for _, args := range [][]string{{"--listen", "0.0.0.0:0"}, {"--listen", "127.0.0.1:0", "--github", "70000"}, {"--listen", "127.0.0.1:0", "--github", "0.0.0.0:80"}} {
		var errs bytes.Buffer
		p := process{clock: apply.Machine{Time: time.Now}, out: io.Discard, errs: &errs}
		if code := run(t.Context(), p, append([]string{"sandbox"}, args...)); code != exitUsage {
			t.Errorf("%v: ended with %d: %s", args, code, errs.String())
		}
	}
}
