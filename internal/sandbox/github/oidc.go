package github

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// TokenFor says which job an OIDC token is for.
type TokenFor struct {
	Run         int64
	Environment string // GitHub Environment of the job; "" where it names none
	Workflow    string // of the job, where it is a reusable one: "owner/name/.github/workflows/x.yml@refs/heads/main"
}

type issued struct {
	TokenFor
	repo *repository
}

// keys is the issuer's signing key, given or made when it is first needed.
type keys struct {
	once    sync.Once
	private crypto.Signer
	id      string
	err     error
}

func (k *keys) ready() error {
	k.once.Do(func() {
		if k.private == nil {
			k.private, k.err = rsa.GenerateKey(rand.Reader, 2048)
		}
		if k.err == nil {
			var text []byte
			text, k.err = x509.MarshalPKIXPublicKey(k.private.Public())
			sum := sha256.Sum256(text)
			k.id = strings.ToUpper(fmt.Sprintf("%x", sum[:20]))
		}
	})
	return k.err
}

func (k *keys) method() jwt.SigningMethod {
	if _, ok := k.private.(*ecdsa.PrivateKey); ok {
		return jwt.SigningMethodES256
	}
	return jwt.SigningMethodRS256
}

// public is the key as a JWKS has it.
func (k *keys) public() doc {
	text := base64.RawURLEncoding.EncodeToString
	about := doc{"alg": k.method().Alg(), "use": "sig", "kid": k.id}
	switch p := k.private.Public().(type) {
	case *ecdsa.PublicKey:
		point, _ := p.Bytes() // it has signed: it is on the curve
		about["kty"], about["crv"], about["x"], about["y"] = "EC", "P-256", text(point[1:33]), text(point[33:])
	case *rsa.PublicKey:
		about["kty"], about["n"], about["e"] = "RSA", text(p.N.Bytes()), "AQAB"
	}
	return about
}

// IssueToken is what a job with id-token: write gets: the path and query of ACTIONS_ID_TOKEN_REQUEST_URL below the
// service's address, and ACTIONS_ID_TOKEN_REQUEST_TOKEN. It works until the run has ended.
func (s *Service) IssueToken(o TokenFor) (path, bearer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	bearer = "job-" + itoa(s.next())
	s.jobs[bearer] = issued{o, s.repo}
	return "/_oidc/token/" + itoa(o.Run) + "?api-version=2.0", bearer
}

// Issuer is the iss of its tokens.
func (s *Service) Issuer() string { return s.o.Issuer }

// VerificationKey is the issuer's public key with this id, as its JWKS has it.
func (s *Service) VerificationKey(id string) (crypto.PublicKey, error) {
	if err := s.keys.ready(); err != nil {
		return nil, err
	}
	if id != s.keys.id {
		return nil, errors.New("the issuer has no key of that id")
	}
	return s.keys.private.Public(), nil
}

// serveOIDC answers in the shapes of the issuer and of the runner's token service. The latter's refusals aren't
// documented: they are bare statuses.
func (s *Service) serveOIDC(out http.ResponseWriter, in *http.Request) {
	if in.Method != http.MethodGet {
		http.NotFound(out, in)
		return
	}
	if err := s.keys.ready(); err != nil {
		http.Error(out, "no key", http.StatusInternalServerError)
		return
	}
	var body any
	switch path := strings.TrimPrefix(in.URL.Path, "/_oidc/"); {
	case path == ".well-known/openid-configuration":
		body = doc{
			"issuer": s.o.Issuer, "jwks_uri": "http://" + in.Host + "/_oidc/.well-known/jwks", "subject_types_supported": []string{"public", "pairwise"},
			"response_types_supported": []string{"id_token"}, "id_token_signing_alg_values_supported": []string{s.keys.method().Alg()}, "scopes_supported": []string{"openid"},
			"claims_supported": []string{"sub", "aud", "exp", "iat", "iss", "jti", "nbf", "ref", "sha", "repository", "run_id", "run_attempt", "actor", "environment", "job_workflow_ref"},
		}
	case path == ".well-known/jwks":
		body = doc{"keys": []doc{s.keys.public()}}
	case strings.HasPrefix(path, "token/"):
		text, status := s.mint(in, strings.TrimPrefix(path, "token/"))
		if status != http.StatusOK {
			http.Error(out, http.StatusText(status), status)
			return
		}
		body = doc{"count": len(text), "value": text}
	default:
		http.NotFound(out, in)
		return
	}
	out.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(out).Encode(body) // a caller that went away needs no answer
}

// mint makes the JWT of the job whose bearer asks.
func (s *Service) mint(in *http.Request, run string) (text string, status int) {
	bearer, _ := strings.CutPrefix(in.Header.Get("Authorization"), "Bearer ")
	s.mu.Lock()
	defer s.mu.Unlock()
	job, ok := s.jobs[bearer]
	if !ok || itoa(job.Run) != run {
		return "", http.StatusUnauthorized
	}
	n := job.repo.runs[job.Run]
	if n == nil || n.status == "completed" {
		return "", http.StatusForbidden
	}
	audience := in.URL.Query().Get("audience")
	if audience == "" {
		audience = pagesAt + job.repo.owner
	}
	token := jwt.NewWithClaims(s.keys.method(), s.claims(job, n, audience))
	token.Header["kid"] = s.keys.id
	text, err := token.SignedString(s.keys.private)
	if err != nil {
		return "", http.StatusInternalServerError
	}
	return text, http.StatusOK
}

// subject is repo:OWNER/NAME:environment:NAME, :pull_request or :ref:REF; of newer repositories with the ids of owner
// and repository. Source: GitHub documentation, "OpenID Connect reference".
func (s *Service) subject(job issued, n *run, ref string) string {
	r := job.repo
	whose := "repo:" + r.full() + ":"
	if s.o.SubjectIDs {
		whose = "repo:" + r.owner + "@" + itoa(r.ownerID) + "/" + r.name + "@" + itoa(r.id) + ":"
	}
	switch {
	case job.Environment != "":
		return whose + "environment:" + strings.ReplaceAll(job.Environment, ":", "%3A")
	case n.event == "pull_request":
		return whose + "pull_request"
	}
	return whose + "ref:" + ref
}

func (s *Service) claims(job issued, n *run, audience string) jwt.MapClaims {
	r, now := job.repo, s.clock.Now().UTC()
	ref := "refs/heads/" + n.branch
	if n.event == "pull_request" {
		for _, t := range r.threads {
			if t.pull != nil && t.pull.head == n.sha {
				ref = "refs/pull/" + strconv.Itoa(t.number) + "/merge"
			}
		}
	}
	workflow := r.full() + "/.github/workflows/" + n.workflow + "@" + ref
	of := job.Workflow
	if of == "" {
		of = workflow
	}
	visibility := "private"
	if r.public {
		visibility = "public"
	}
	c := jwt.MapClaims{
		"iss": s.o.Issuer, "aud": audience, "sub": s.subject(job, n, ref), "jti": "jti-" + itoa(s.next()),
		"iat": now.Unix(), "nbf": now.Add(-5 * time.Minute).Unix(), "exp": now.Add(5 * time.Minute).Unix(),
		"ref": ref, "ref_type": "branch", "ref_protected": strconv.FormatBool(n.branch == r.branch), "sha": n.sha, "repository": r.full(), "repository_id": itoa(r.id),
		"repository_owner": r.owner, "repository_owner_id": itoa(r.ownerID), "repository_visibility": visibility, "run_id": itoa(n.id), "run_number": strconv.Itoa(n.number),
		"run_attempt": strconv.Itoa(n.attempt), "runner_environment": "github-hosted", "actor": n.actor, "event_name": n.event, "head_ref": "", "base_ref": "",
		"workflow": n.title(), "workflow_ref": workflow, "workflow_sha": n.sha, "job_workflow_ref": of, "job_workflow_sha": n.sha,
	}
	if u := s.users[n.actor]; u != nil {
		c["actor_id"] = itoa(u.id)
	}
	if job.Environment != "" {
		c["environment"] = job.Environment
	}
	return c
}
