package kms

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/rastup/rekey/internal/cloud"
)

func (h *handler) grants(ctx context.Context, arn string) (all []types.GrantListEntry, err error) {
	p := kms.NewListGrantsPaginator(h.kms, &kms.ListGrantsInput{KeyId: &arn})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Grants...)
	}
	return all, nil
}

// aliases are the names of a key, as they are listed: that may lag.
func (h *handler) aliases(ctx context.Context, arn string) (names []string, err error) {
	p := kms.NewListAliasesPaginator(h.kms, &kms.ListAliasesInput{KeyId: &arn})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx)
		if err != nil {
			return nil, cloud.Judge(err, "list the aliases of "+called(arn))
		}
		for _, a := range page.Aliases {
			names = append(names, aws.ToString(a.AliasName))
		}
	}
	return names, nil
}

// naming is all that still names a key, in words; "" when nothing is seen to.
func (h *handler) naming(ctx context.Context, arn string) (string, error) {
	names, err := h.aliases(ctx, arn)
	if err != nil {
		return "", err
	}
	if len(names) > 0 {
		return fmt.Sprintf("%s: still named by %s", called(arn), strings.Join(names, ", ")), nil
	}
	grants, err := h.grants(ctx, arn)
	if err != nil {
		return "", cloud.Judge(err, "list the grants of "+called(arn))
	}
	if len(grants) > 0 {
		return fmt.Sprintf("%s: %s on it, one of %s", called(arn), count(len(grants), "grant"), aws.ToString(grants[0].GranteePrincipal)), nil
	}
	secret, err := h.secret(ctx, arn)
	if err != nil || secret == "" {
		return "", err
	}
	return fmt.Sprintf("%s: still encrypts %s in Secrets Manager", called(arn), secret), nil
}

// secret is one that is encrypted with a key, or has a labelled version that is; "" when there is none. A secret whose
// key was changed keeps versions under the former one (Secrets Manager API reference, UpdateSecret), so all are asked.
func (h *handler) secret(ctx context.Context, arn string) (string, error) {
	p := secretsmanager.NewListSecretsPaginator(h.secrets, &secretsmanager.ListSecretsInput{IncludePlannedDeletion: aws.Bool(true)})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx)
		if err != nil {
			return "", cloud.Judge(err, "list the secrets")
		}
		for _, s := range page.SecretList {
			name := aws.ToString(s.Name)
			if is(aws.ToString(s.KmsKeyId), arn) {
				return name, nil
			}
			version, err := h.version(ctx, aws.ToString(s.ARN), arn)
			if err != nil {
				return "", cloud.Judge(err, "list the versions of "+name)
			}
			if version != "" {
				return "version " + version + " of " + name, nil
			}
		}
	}
	return "", nil
}

func (h *handler) version(ctx context.Context, secret, arn string) (string, error) {
	p := secretsmanager.NewListSecretVersionIdsPaginator(h.secrets, &secretsmanager.ListSecretVersionIdsInput{SecretId: &secret})
	for p.HasMorePages() {
		page, err := p.NextPage(ctx)
		if err != nil {
			return "", err
		}
		for _, v := range page.Versions {
			for _, key := range v.KmsKeyIds {
				if is(key, arn) {
					return aws.ToString(v.VersionId), nil
				}
			}
		}
	}
	return "", nil
}

// is says whether a key's name, ID or ARN, is that of the key with this ARN.
func is(name, arn string) bool { return name == arn || name != "" && name == id(arn) }
