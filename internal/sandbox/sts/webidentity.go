package sts

import (
	"crypto"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/rastup/rekey/internal/sandbox/wire"
)

// A Provider is an OpenID Connect identity provider of one account.
type Provider struct {
	ARN       string   // arn:aws:iam::ACCOUNT:oidc-provider/HOST/PATH
	Issuer    string   // iss of its tokens: https://token.actions.githubusercontent.com
	Audiences []string // client ids it may be asked for
	// Key is the issuer's public key of that id. A *wire.Error of its is the answer: IDPCommunicationError,
	// IDPRejectedClaim.
	Key func(id string) (crypto.PublicKey, error)
}

// AddProvider makes an identity provider, or replaces the one with its ARN.
func (s *Service) AddProvider(p Provider) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.providers[p.ARN] = p
}

func (s *Service) provider(account, issuer string) (Provider, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for arn, p := range s.providers {
		if p.Issuer == issuer && strings.Split(arn, ":")[4] == account {
			return p, true
		}
	}
	return Provider{}, false
}

// Texts are those that AWS answers, as far as they are known from its SDKs' threads; the codes are documented.
const (
	notAToken = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
	noKey     = "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements"
	forged    = "The web identity token that was passed could not be validated by AWS"
)

// claimKeys are the claims that trust policies may hold conditions on (IAM documentation, "Available keys for AWS OIDC
// federation", for GitHub): of any other there is no condition key.
var claimKeys = []string{"sub", "actor", "actor_id", "enterprise_id", "environment", "job_workflow_ref", "ref", "repository", "repository_id", "workflow"}

// assumeRoleWithWebIdentity is the one call nobody signs: the token says who calls.
func (s *Service) assumeRoleWithWebIdentity(r *wire.Request) (any, error) {
	q := r.Query
	arn, name, text := q.Get("RoleArn"), q.Get("RoleSessionName"), q.Get("WebIdentityToken")
	if !sessionName().MatchString(name) {
		return nil, malformed("roleSessionName", name)
	}
	if parts := strings.Split(arn, ":"); len(parts) < 6 || parts[2] != "iam" {
		return nil, wire.Refuse("ValidationError", "Request ARN is invalid")
	}
	if q.Has("Policy") || q.Has("PolicyArns.member.1.arn") {
		return nil, wire.Refuse("MalformedPolicyDocument", "the sandbox doesn't serve session policies")
	}
	p, claims, err := s.verify(strings.Split(arn, ":")[4], text, r.At)
	if err != nil {
		return nil, err
	}
	audience, err := audienceOf(p, claims)
	if err != nil {
		return nil, err
	}
	subject, _ := claims.GetSubject()
	host := strings.TrimPrefix(p.Issuer, "https://")
	keys := map[string]string{strings.ToLower(host) + ":aud": audience, "sts:rolesessionname": name}
	for _, claim := range claimKeys {
		if v, ok := claims[claim].(string); ok {
			keys[strings.ToLower(host)+":"+claim] = v
		}
	}
	role, known := s.Role(arn)
	if !known || !role.allows(caller{federated: p.ARN, keys: keys}, "sts:AssumeRoleWithWebIdentity") {
		return nil, &wire.Error{Status: http.StatusForbidden, Code: "AccessDenied", Message: "Not authorized to perform sts:AssumeRoleWithWebIdentity"}
	}
	length, err := duration(q.Get("DurationSeconds"), role, wire.Identity{})
	if err != nil {
		return nil, err
	}
	a := s.session(r, role, name, wire.Identity{}, length)
	return wire.Result{Operation: r.Operation, Value: federated{a, subject, p.ARN, audience}}, nil
}

// Unsigned says whether a request without a signature is one that needs none.
func Unsigned(in *http.Request, body []byte) bool {
	if in.Method != http.MethodPost || in.Header.Get("Authorization") != "" || !strings.HasPrefix(in.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		return false
	}
	form, err := url.ParseQuery(string(body))
	return err == nil && form.Get("Action") == "AssumeRoleWithWebIdentity"
}

type federated struct {
	assumed
	SubjectFromWebIdentityToken, Provider, Audience string
}

// verify holds a token against its issuer's key and the time.
func (s *Service) verify(account, text string, now time.Time) (Provider, jwt.MapClaims, error) {
	var p Provider
	invalid := func(format string, a ...any) error { return wire.Refuse("InvalidIdentityToken", format, a...) }
	claims := jwt.MapClaims{}
	parser := jwt.NewParser(jwt.WithoutClaimsValidation(), jwt.WithValidMethods([]string{"RS256", "RS384", "RS512", "ES256", "ES384", "ES512"}))
	_, err := parser.ParseWithClaims(text, claims, func(t *jwt.Token) (any, error) {
		issuer, _ := claims.GetIssuer()
		var ok bool
		if p, ok = s.provider(account, issuer); !ok {
			return nil, invalid("No OpenIDConnect provider found in your account for %s", issuer)
		}
		id, _ := t.Header["kid"].(string)
		key, err := p.Key(id)
		var said *wire.Error
		if err != nil && !errors.As(err, &said) {
			return nil, invalid(noKey)
		}
		return key, err
	})
	var said *wire.Error
	switch {
	case errors.As(err, &said):
		return p, nil, said
	case errors.Is(err, jwt.ErrTokenMalformed):
		return p, nil, invalid(notAToken)
	case err != nil:
		return p, nil, invalid(forged)
	}
	ends, err := claims.GetExpirationTime()
	if err != nil || ends == nil {
		return p, nil, invalid("Missing a required claim: exp")
	}
	if made, err := claims.GetIssuedAt(); err != nil || made == nil {
		return p, nil, invalid("Missing a required claim: iat")
	}
	if begins, err := claims.GetNotBefore(); err != nil || begins != nil && now.Before(begins.Time) {
		return p, nil, invalid(forged)
	}
	if !now.Before(ends.Time) {
		return p, nil, wire.Refuse("ExpiredTokenException", "Token expired: current date/time %d must be before the expiration date/time %d", now.Unix(), ends.Unix())
	}
	if sub, err := claims.GetSubject(); err != nil || sub == "" {
		return p, nil, invalid("Missing a required claim: sub")
	}
	return p, claims, nil
}

func audienceOf(p Provider, claims jwt.MapClaims) (string, error) {
	list, err := claims.GetAudience()
	if err != nil || len(list) == 0 {
		return "", wire.Refuse("InvalidIdentityToken", "Missing a required claim: aud")
	}
	for _, a := range list {
		if slices.Contains(p.Audiences, a) {
			return a, nil
		}
	}
	return "", wire.Refuse("InvalidIdentityToken", "Incorrect token audience")
}

func malformed(member, value string) error {
	return wire.Refuse("ValidationError", `1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: Member must satisfy regular expression pattern: [\w+=,.@-]*`, value, member)
}

// tagsOf reads the session tags of a request, with those that a calling session passes on.
func tagsOf(r *wire.Request) (tags map[string]string, transitive []string, err error) {
	refuse := func(text string) error { return wire.Refuse("InvalidParameterValue", "%s", text) }
	tags = map[string]string{}
	passed := map[string]bool{}
	for _, key := range r.Who.Transitive {
		tags[key], passed[strings.ToLower(key)] = r.Who.Tags[key], true
	}
	transitive = slices.Clone(r.Who.Transitive)
	seen := map[string]bool{}
	for i := 1; r.Query.Has(fmt.Sprintf("Tags.member.%d.Key", i)); i++ {
		key, value := r.Query.Get(fmt.Sprintf("Tags.member.%d.Key", i)), r.Query.Get(fmt.Sprintf("Tags.member.%d.Value", i))
		small := strings.ToLower(key)
		switch {
		case i > 50 || key == "" || len(key) > 128 || len(value) > 256 || strings.HasPrefix(small, "aws:"):
			return nil, nil, wire.Refuse("ValidationError", "1 validation error detected: the session tag %d failed to satisfy its constraints", i)
		case seen[small]:
			return nil, nil, refuse("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
		case passed[small]:
			return nil, nil, refuse("One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.")
		}
		seen[small], tags[key] = true, value
	}
	for i := 1; r.Query.Has(fmt.Sprintf("TransitiveTagKeys.member.%d", i)); i++ {
		key := r.Query.Get(fmt.Sprintf("TransitiveTagKeys.member.%d", i))
		if _, ok := tags[key]; !ok {
			return nil, nil, refuse("The specified transitive tag key must be included in the requested tags.")
		}
		if !slices.Contains(transitive, key) {
			transitive = append(transitive, key)
		}
	}
	return tags, transitive, nil
}
