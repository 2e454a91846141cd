package parameter

import (
	"context"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/consumer"
	"github.com/rastup/rekey/internal/rotation"
)

// relabel moves the label to a version of the parameter that holds what is wanted; which one that is, is on record before.
func (h *handler) relabel(ctx context.Context, c call, want string) (rotation.Result, error) {
	made := c.past.Fact(c.step.Key, factMade)
	if made == "" {
		n, err := h.version(ctx, c, "", want)
		if err != nil {
			return rotation.Result{}, err
		}
		made = strconv.FormatInt(n, 10)
		return rotation.Result{Facts: map[string]string{factMade: made}, Wait: fmt.Sprintf("version %s of parameter %s to be on record", made, c.Name)}, nil
	}
	n, err := strconv.ParseInt(made, 10, 64)
	if err != nil {
		return rotation.Result{}, fmt.Errorf("the record of %s: %w", c.step.Key, err)
	}
	if err := h.label(ctx, c, n); err != nil {
		return rotation.Result{}, err
	}
	res, err := h.seen(ctx, c, want)
	res.Facts = map[string]string{factMade: made}
	return res, err
}

// unlabel moves the label back to the version that it was on at preflight; to another one with the same in it, where that
// isn't kept any more.
func (h *handler) unlabel(ctx context.Context, c call, old string) error {
	n, err := h.version(ctx, c, consumer.Found(c.step, c.past, factVersion), old)
	if err != nil {
		return err
	}
	return h.label(ctx, c, n)
}

// version is the number of the parameter's version that holds a value: the preferred one, else the newest, else one that is
// made. What a call without an answer made is found here, too.
func (h *handler) version(ctx context.Context, c call, preferred, value string) (found int64, err error) {
	var p types.Parameter
	pages := ssm.NewGetParameterHistoryPaginator(h.client, &ssm.GetParameterHistoryInput{Name: &c.Name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return 0, cloud.Judge(err, "list the versions of parameter "+c.Name)
		}
		for _, v := range page.Parameters {
			if p = (types.Parameter{DataType: v.DataType, Version: v.Version}); v.Type != types.ParameterTypeString || aws.ToString(v.Value) != value {
				continue
			}
			if found = v.Version; strconv.FormatInt(found, 10) == preferred {
				return found, nil
			}
		}
	}
	if found > 0 {
		return found, nil
	}
	return h.put(ctx, c, p, value)
}

// label moves the label, which has neither a token nor a condition: from wherever it is by then, and to the same place
// however often it is called.
func (h *handler) label(ctx context.Context, c call, to int64) error {
	out, err := h.client.LabelParameterVersion(ctx, &ssm.LabelParameterVersionInput{Name: &c.Name, ParameterVersion: &to, Labels: []string{c.Label}})
	switch {
	case cloud.Code(err) == "ParameterVersionLabelLimitExceeded":
		return rotation.Failf("take a label off it that nobody needs", "version %d of parameter %s has as many labels as there can be", to, c.Name)
	case err != nil:
		return cloud.Judge(err, fmt.Sprintf("move label %s to version %d of parameter %s", c.Label, to, c.Name))
	case len(out.InvalidLabels) > 0:
		return rotation.Failf("give it another name", "Parameter Store doesn't take %s for a label", c.Label)
	}
	return nil
}
