package ecs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/rastup/rekey/internal/cloud"
	"github.com/rastup/rekey/internal/consumer"
	"github.com/rastup/rekey/internal/rotation"
)

const (
	// fresh is how old an intent may be when its call leaves, by AWS's clock.
	fresh = time.Minute
	// patience is how long after its intent a call can still bring a deployment to light: AWS takes a signed call for five
	// minutes, of an attempt that left within one of the intent and may have been turned away for another; then it is shown.
	patience = 8 * time.Minute
	// settling is how long a deployment that was answered may not be shown.
	settling = time.Minute
	// every is the pause between two looks at a rollout.
	every = 10 * time.Second
)

// A roll is one step that has a service start its tasks anew.
type roll struct {
	Shape
	step       rotation.Step
	past       rotation.Past
	forward    bool
	own        string    // its deployment; "" before there is one
	before     []string  // deployments there were when it was asked for
	definition string    // the task definition it goes with
	base       string    // the one that its revision was made of
	since      time.Time // when its first deployment began
}

func (h *handler) deploy(ctx context.Context, s rotation.Step, past rotation.Past) (rotation.Result, error) {
	return h.roll(ctx, s, past, true)
}

// back is asked for after what is live is the old version again. Whether deploy ever got to do anything doesn't matter:
// tasks may have started meanwhile, for whatever reason.
func (h *handler) back(ctx context.Context, s rotation.Step, past rotation.Past) (rotation.Result, error) {
	return h.roll(ctx, s, past, false)
}

func (h *handler) roll(ctx context.Context, s rotation.Step, past rotation.Past, forward bool) (rotation.Result, error) {
	r := roll{step: s, past: past, forward: forward, own: past.Fact(s.Key, factDeployment), before: strings.Fields(past.Fact(s.Key, factBefore)),
		definition: past.Fact(s.Key, factDefinition), base: past.Fact(s.Key, factBase)}
	if err := s.Into(&r.Shape); err != nil {
		return rotation.Result{}, err
	}
	if consumer.Found(s, past, factService) == "" {
		return rotation.Result{}, errors.New("the records hold no preflight of the service " + r.Service)
	}
	r.since, _ = time.Parse(time.RFC3339Nano, past.Fact(s.Key, factSince)) // absent: zero
	l, err := h.look(ctx, r.Shape)
	if err != nil {
		return rotation.Result{}, err
	}
	switch {
	case l.gone != "" && !forward:
		return rotation.Result{Text: "nothing of " + r.Service + " runs any more: " + l.gone}, nil
	case l.gone != "":
		return rotation.Result{}, rotation.Failf("see who deleted it", "the service %s is gone: %s", r.Service, l.gone)
	case r.own != "":
		return h.watch(ctx, r, l)
	}
	return h.begin(ctx, r, l)
}

// begin forces a deployment, or adopts the one that a call without an answer made.
func (h *handler) begin(ctx context.Context, r roll, l look) (rotation.Result, error) {
	asked := r.past.Fact(r.step.Key, factAsked)
	mine := h.take(r.step.ID + asked)
	since, bad := time.Parse(time.RFC3339, asked)
	if asked != "" && bad != nil {
		return rotation.Result{}, fmt.Errorf("the record of %s: %w", r.step.Key, bad)
	}
	if asked != "" {
		left := patience - l.now.Sub(since)
		switch d := r.appeared(l); {
		case d != nil && r.foreign(d):
			if !mine && r.forward {
				return rotation.Result{}, r.replaced(d)
			} // no call has left, or there is nothing to wait for: it is looked at like any other
		case d != nil: // whoever asked for it, another secret's rotation perhaps: it began after the look that is on record
			return r.adopt(d), nil
		case !mine && left > 0:
			return rotation.Result{Wait: "a deployment of " + r.Service + " that may have been begun without an answer to come to light", Again: min(left, 30*time.Second)}, nil
		}
	}
	if under, ok := l.steady(); !ok && r.forward { // on the way back nothing is worth waiting for
		if mine { // and stays unused
			h.give(r.step.ID + asked)
		}
		return rotation.Result{Wait: r.Service + " " + under, Again: every}, nil
	}
	if !mine || l.now.Sub(since) > fresh || l.ids() != strings.Join(r.before, " ") || r.forward && aws.ToString(l.TaskDefinition) != cmp.Or(r.base, r.definition) {
		return h.intend(ctx, r, l)
	}
	d, err := h.force(ctx, r, r.step.ID+asked)
	if err != nil {
		return rotation.Result{}, err
	}
	return r.adopt(d), nil
}

// foreign says whether a deployment's tasks may read something else than the step is to have them read.
func (r roll) foreign(d *types.Deployment) bool {
	return (r.forward || r.Revision) && aws.ToString(d.TaskDefinition) != r.definition
}

// appeared is the deployment that wasn't there when the step asked for one; nil when there is none. One that a circuit
// breaker gave up goes first: what took its place began after it.
func (r roll) appeared(l look) *types.Deployment {
	for i := range l.Deployments {
		if d := &l.Deployments[i]; r.forward && d.RolloutState == types.DeploymentRolloutStateFailed && !slices.Contains(r.before, aws.ToString(d.Id)) {
			return d
		}
	}
	if d := l.primary(); d != nil && !slices.Contains(r.before, aws.ToString(d.Id)) {
		return d
	}
	return nil
}

// adopt puts on record which deployment is the step's.
func (r roll) adopt(d *types.Deployment) rotation.Result {
	facts := map[string]string{factDeployment: aws.ToString(d.Id)}
	if r.since.IsZero() {
		facts[factSince] = aws.ToTime(d.CreatedAt).UTC().Format(time.RFC3339Nano)
	}
	return rotation.Result{Facts: facts, Wait: fmt.Sprintf("the deployment %s of %s to be on record", aws.ToString(d.Id), r.Service)}
}

// intend puts on record that a deployment is about to be forced, after a look at a task definition that is another one
// than preflight's, or once its revision is there.
func (h *handler) intend(ctx context.Context, r roll, l look) (rotation.Result, error) {
	definition := aws.ToString(l.TaskDefinition)
	if r.Revision {
		revision := r.past.Fact(r.step.Key, factRevision)
		if ok, err := h.deployable(ctx, revision, definition); err != nil {
			return rotation.Result{}, err
		} else if !ok || r.base != definition {
			return h.revise(ctx, r, definition)
		}
		definition = revision
	} else if r.forward && definition != consumer.Found(r.step, r.past, factDefinition) && definition != r.definition {
		if _, err := h.examine(ctx, r.Shape, definition, r.past); err != nil {
			return rotation.Result{}, err
		}
	}
	asked := l.now.Format(time.RFC3339)
	h.give(r.step.ID + asked)
	return rotation.Result{Facts: map[string]string{factAsked: asked, factBefore: l.ids(), factDefinition: definition, factDeployment: "", factSince: ""},
		Wait: "it to be on record that a deployment of " + r.Service + " is about to be forced"}, nil
}

// force calls UpdateService, once.
func (h *handler) force(ctx context.Context, r roll, intent string) (*types.Deployment, error) {
	arn := consumer.Found(r.step, r.past, factService)
	in := &ecs.UpdateServiceInput{Cluster: &r.Cluster, Service: &arn, ForceNewDeployment: true}
	if r.Revision && r.definition != r.base { // what it runs with may be INACTIVE by now, and couldn't be named
		in.TaskDefinition = &r.definition
	}
	out, err := h.ecs.UpdateService(ctx, in, func(o *ecs.Options) { o.Retryer = cloud.Once() })
	if err != nil {
		if errors.Is(err, rotation.ErrNoLease) || cloud.Code(err) == "ThrottlingException" { // it never left, or was turned away
			h.give(intent)
		}
		return nil, cloud.Judge(err, "force a new deployment of "+r.Service)
	}
	if out.Service != nil {
		l := look{Service: *out.Service}
		if d := l.primary(); d != nil && !slices.Contains(r.before, aws.ToString(d.Id)) {
			h.saw(aws.ToString(d.Id))
			return d, nil
		}
	}
	return nil, fmt.Errorf("force a new deployment of %s: the answer shows none", r.Service)
}

// take uses an intent that this process recorded, once.
func (h *handler) take(intent string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	mine := h.unspent[intent]
	delete(h.unspent, intent)
	return mine
}

func (h *handler) give(intent string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.unspent[intent] = true
}

// saw remembers that this process saw a deployment under way; forget says whether it had.
func (h *handler) saw(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.watched[id] = true
}

func (h *handler) forget(id string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	was := h.watched[id]
	delete(h.watched, id)
	return was
}
