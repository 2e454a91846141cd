package cloud

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go/logging"
	"github.com/rastup/rekey/internal/rotation"
)

// OperatorTag is the session tag that names the person. It goes on to roles assumed further on, where none can
// change it (AWS IAM User Guide, passing session tags).
const OperatorTag = "rekey:operator"

// Codes of AssumeRoleWithWebIdentity (AWS STS API Reference).
const (
	rejectedClaim = "IDPRejectedClaim"
	unreachable   = "IDPCommunicationError" // AWS could not ask the identity provider: may be asked again
	expiredToken  = "ExpiredTokenException"
	invalidToken  = "InvalidIdentityToken"
)

// identityTokens is how many tokens are tried before AWS is believed that it takes none.
const identityTokens = 3

// actAs is whom the session's calls are signed by. Whatever it fetches is fetched over the plain transport:
// assuming a role changes nothing. It is fetched when first needed and five minutes before it ends.
func (o Options) actAs(cfg aws.Config) (aws.CredentialsProvider, error) {
	if o.WebIdentity == nil {
		if o.Role == "" {
			return cfg.Credentials, nil
		}
		return cached(o.assume(cfg)), nil
	}
	first := cmp.Or(o.Entry, o.Role)
	if first == "" {
		return nil, rotation.Failf("name the role in the configuration", "no role to exchange this job's identity for")
	}
	cfg.Credentials, cfg.Logger = aws.AnonymousCredentials{}, logging.Nop{}
	cfg.HTTPClient = &http.Client{
		Transport: base(cfg.HTTPClient), Timeout: o.CallLimit,
		// The token goes to STS and nowhere else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	entry := cached(&webIdentity{sts.NewFromConfig(cfg, func(s *sts.Options) {
		s.Retryer = retry.AddWithErrorCodes(standard(o.Backoff), unreachable)
	}), first, o.name(), o.WebIdentity})
	if o.Entry == "" || o.Role == "" || o.Role == o.Entry {
		return entry, nil
	}
	cfg.Credentials = entry
	return cached(&chained{o.assume(cfg), o.Entry, o.Role}), nil
}

func (o Options) name() string { return cmp.Or(sessionName(o.SessionName), "rekey") }

// assume takes Role with the credentials of cfg. Only where those came by way of Entry is the person a tag, too:
// other trust policies needn't allow sts:TagSession.
func (o Options) assume(cfg aws.Config) aws.CredentialsProvider {
	return stscreds.NewAssumeRoleProvider(sts.NewFromConfig(cfg), o.Role, func(a *stscreds.AssumeRoleOptions) {
		a.Duration = time.Hour // the most that STS gives to a role assumed from another role
		a.RoleSessionName = o.name()
		who := sessionName(o.SourceIdentity)
		if who == "" {
			return
		}
		a.SourceIdentity = &who
		if o.WebIdentity != nil {
			a.Tags = []types.Tag{{Key: aws.String(OperatorTag), Value: &who}}
			a.TransitiveTagKeys = []string{OperatorTag}
		}
	})
}

func cached(p aws.CredentialsProvider) aws.CredentialsProvider {
	return aws.NewCredentialsCache(p, func(c *aws.CredentialsCacheOptions) { c.ExpiryWindow = 5 * time.Minute })
}

var notInSessionName = regexp.MustCompile(`[^\w+=,.@-]`)

// sessionName makes s 2 to 64 characters that STS takes as RoleSessionName, SourceIdentity and value of a session
// tag (AWS STS API Reference, AssumeRole); "" stays "".
func sessionName(s string) string {
	s = notInSessionName.ReplaceAllString(s, "-")
	if len(s) == 1 {
		s += "-"
	}
	return s[:min(len(s), 64)]
}

// webIdentity exchanges a fresh identity token of the job for the role, at every renewal.
type webIdentity struct {
	client *sts.Client
	role   string
	name   string
	fetch  func(context.Context) (string, error)
}

// oneToken is a client without stscreds' own repeating: that sends a token again which AWS called invalid.
type oneToken struct{ *sts.Client }

func (c oneToken) AssumeRoleWithWebIdentity(ctx context.Context, in *sts.AssumeRoleWithWebIdentityInput, _ ...func(*sts.Options)) (*sts.AssumeRoleWithWebIdentityOutput, error) {
	return c.Client.AssumeRoleWithWebIdentity(ctx, in)
}

type tokenFunc func() ([]byte, error)

func (f tokenFunc) GetIdentityToken() ([]byte, error) { return f() }

// Retrieve tries another token where AWS calls one expired or invalid. Its errors hold no token: a refusal for good
// is a *rotation.Failure, anything else a *CallError or what fetching the token said.
func (w *webIdentity) Retrieve(ctx context.Context) (aws.Credentials, error) {
	for tried := 1; ; tried++ {
		var token string
		var unfetched error
		got, err := stscreds.NewWebIdentityRoleProvider(oneToken{w.client}, w.role, tokenFunc(func() ([]byte, error) {
			token, unfetched = w.fetch(ctx)
			return []byte(token), unfetched
		}), func(o *stscreds.WebIdentityRoleOptions) {
			o.RoleSessionName, o.Duration = w.name, time.Hour
		}).Retrieve(ctx)
		switch {
		case err == nil:
			return got, nil
		case unfetched != nil:
			return aws.Credentials{}, unfetched
		case slices.Contains([]string{expiredToken, invalidToken}, Code(err)) && tried < identityTokens:
			continue
		}
		return aws.Credentials{}, w.judge(err, token)
	}
}

func (w *webIdentity) judge(err error, token string) error {
	c := callOf(err)
	if quotes(c.message, token) {
		c.message = ""
	}
	text := fmt.Sprintf("exchange this job's identity for %s: %s", w.role, c)
	switch {
	case c.status >= 500:
	case slices.Contains([]string{rejectedClaim, "AccessDenied", AccessDenied}, c.code):
		return &rotation.Failure{Msg: text, Hint: w.hint(token)}
	case slices.Contains(definite, c.code):
		return &rotation.Failure{Msg: text, Hint: c.hint()}
	}
	return &CallError{text: text, cause: err}
}

// quotes is true where text holds the beginning of one of the token's parts.
func quotes(text, token string) bool {
	return slices.ContainsFunc(strings.Split(token, "."), func(part string) bool {
		return part != "" && strings.Contains(text, part[:min(len(part), 12)])
	})
}

// hint names what the trust policy would have to pin, as the refused token has it: claims are no secret.
func (w *webIdentity) hint(token string) string {
	var claims struct {
		Audience any    `json:"aud"`
		Subject  string `json:"sub"`
		Ref      string `json:"ref"`
		Workflow string `json:"job_workflow_ref"`
	}
	if parts := strings.Split(token, "."); len(parts) == 3 {
		if b, err := base64.RawURLEncoding.DecodeString(parts[1]); err == nil {
			_ = json.Unmarshal(b, &claims) // an unreadable token leaves the claims' names
		}
	}
	var pins []string
	for _, pin := range []struct{ name, value string }{{"aud", fmt.Sprint(cmp.Or(claims.Audience, any("")))}, {"sub", claims.Subject},
		{"ref", claims.Ref}, {"job_workflow_ref", claims.Workflow}} {
		if pin.value == "" {
			pins = append(pins, pin.name)
		} else {
			pins = append(pins, fmt.Sprintf("%s %q", pin.name, Line(pin.value)))
		}
	}
	return fmt.Sprintf("let the trust policy of %s allow sts:AssumeRoleWithWebIdentity to token.actions.githubusercontent.com, "+
		"pinned to what this job has: %s", w.role, strings.Join(pins, ", "))
}

// chained is the environment's role, assumed from the entry role.
type chained struct {
	aws.CredentialsProvider
	entry, role string
}

func (c *chained) Retrieve(ctx context.Context) (aws.Credentials, error) {
	got, err := c.CredentialsProvider.Retrieve(ctx)
	var refused *rotation.Failure
	var known *CallError
	switch {
	case err == nil:
		return got, nil
	case errors.As(err, &refused): // of the entry role
		return aws.Credentials{}, refused
	case errors.As(err, &known):
		return aws.Credentials{}, known
	}
	doing := fmt.Sprintf("assume %s from %s", c.role, c.entry)
	if slices.Contains([]string{"AccessDenied", AccessDenied}, Code(err)) {
		return aws.Credentials{}, &rotation.Failure{Msg: doing + ": " + callOf(err).String(),
			Hint: fmt.Sprintf("allow sts:AssumeRole, sts:TagSession and sts:SetSourceIdentity to %s in the trust policy of %s, and on that role in its own policy", c.entry, c.role)}
	}
	return aws.Credentials{}, Unknown(err, doing)
}
