package github

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/rotation"
)

// TokenOptions are where a job gets its identity token: ACTIONS_ID_TOKEN_REQUEST_URL and ACTIONS_ID_TOKEN_REQUEST_TOKEN,
// which a job has only with permissions: id-token: write (GitHub documentation, OpenID Connect reference).
type TokenOptions struct {
	URL       string
	Bearer    string
	Audience  string            // who the token is for: sts.amazonaws.com; "" is GitHub's default
	Transport http.RoundTripper // nil: Go's own
	Clock     Clock
}

// IDToken is a fresh identity token (a JWT) of this job. It asks again, a few times, where GitHub is in trouble. What
// it asks for changes nothing, so it may be asked for at any time; neither token is ever in an error.
func IDToken(ctx context.Context, o TokenOptions) (string, error) {
	const doing = "ask GitHub for this job's identity"
	if o.URL == "" || o.Bearer == "" {
		return "", rotation.Failf("give the job permissions: id-token: write", "%s: it has none", doing)
	}
	if o.Clock == nil {
		return "", errors.New(doing + ": no clock")
	}
	u, err := address(o.URL)
	if err != nil {
		return "", rotation.Failf("ACTIONS_ID_TOKEN_REQUEST_URL is GitHub's to set", "%s: %v", doing, err)
	}
	if o.Transport == nil {
		o.Transport = http.DefaultTransport
	}
	query := u.Query()
	if o.Audience != "" {
		query.Set("audience", o.Audience)
	}
	u.RawQuery = query.Encode()
	wire := &transport{base: o.Transport, api: u, token: o.Bearer, readOnly: true, limits: &limits{clock: o.Clock, patience: time.Minute}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return "", errors.New(doing + ": it can't be asked at ACTIONS_ID_TOKEN_REQUEST_URL")
	}
	req.Header.Set("Accept", "application/json")
	res, err := wire.RoundTrip(req) // not a client's: that would follow redirects
	if err != nil {
		return "", fmt.Errorf("%s: %w", doing, err)
	}
	text, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return "", fmt.Errorf("%s: %w", doing, err)
	case res.StatusCode/100 == 4 && res.StatusCode != http.StatusRequestTimeout:
		return "", rotation.Failf("give the job permissions: id-token: write", "%s: GitHub answered %d", doing, res.StatusCode)
	case res.StatusCode != http.StatusOK:
		return "", fmt.Errorf("%s: GitHub answered %d", doing, res.StatusCode)
	}
	var answer struct {
		Value string `json:"value"`
	}
	if json.Unmarshal(text, &answer) != nil || strings.Count(answer.Value, ".") != 2 || strings.ContainsAny(answer.Value, " \t\r\n") {
		return "", errors.New(doing + ": the answer holds no token")
	}
	return answer.Value, nil
}
