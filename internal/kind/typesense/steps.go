package typesense

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rastup/rekey/internal/rotation"
	"github.com/rastup/rekey/internal/secret"
	"github.com/rastup/rekey/internal/staging"
)

// create generates the new value and stores it as pending. Its first letters are no other key's.
func (h handler) create(ctx context.Context, c call) (rotation.Result, error) {
	api, err := h.admin(ctx, c)
	if err != nil {
		return rotation.Result{}, err
	}
	all, err := api.list(ctx)
	if err != nil {
		return rotation.Result{}, err
	}
	return h.labels.Create(ctx, c.past, func(_ context.Context, old staging.Content) (secret.Value, error) {
		for {
			v, err := h.keep.Generate(c.t.Generate)
			if err != nil {
				return v, err
			}
			if slices.ContainsFunc(all, func(k key) bool { return k.Prefix != "" && strings.HasPrefix(string(v.Reveal()), k.Prefix) }) {
				continue
			}
			return h.labels.With(c.t.Secret, c.t.Key, old, v)
		}
	})
}

// set has Typesense take the stored value as a key like the old one. The same value makes one key, however often it is
// sent: a conflict says that it is there.
func (h handler) set(ctx context.Context, c call) (rotation.Result, error) {
	var like key
	if err := json.Unmarshal([]byte(c.past.Fact("preflight", factLike)), &like); err != nil {
		return rotation.Result{}, fmt.Errorf("the records hold no preflight of the key in %s", c.t.Secret)
	}
	content, err := h.labels.New(ctx, c.past)
	if err != nil {
		return rotation.Result{}, err
	}
	if content.Empty() {
		return rotation.Result{Wait: "the new version to become readable", Again: 3 * time.Second}, nil
	}
	v, err := h.value(c.t.Secret, c.t.Key, content)
	if err != nil {
		return rotation.Result{}, err
	}
	api, err := h.admin(ctx, c)
	if err != nil {
		return rotation.Result{}, err
	}
	done := func(id int64, how string) (rotation.Result, error) {
		return rotation.Result{Facts: map[string]string{factID: fmt.Sprint(id)}, Text: fmt.Sprintf("key %d %s, with actions, collections and expiry of key %s", id, how, c.past.Fact("preflight", factID))}, nil
	}
	all, err := api.list(ctx)
	if err != nil {
		return rotation.Result{}, err
	}
	if k, ok := c.mine(all); ok {
		return done(k.ID, "is there")
	}
	like.Description = strings.TrimSpace(like.Description + " " + c.mark())
	id, conflict, err := api.create(ctx, like, v)
	if err != nil {
		return rotation.Result{}, err
	}
	if !conflict {
		return done(id, "is made")
	}
	if all, err = api.list(ctx); err != nil {
		return rotation.Result{}, err
	}
	if k, ok := c.mine(all); ok {
		return done(k.ID, "is there")
	}
	return rotation.Result{Wait: "Typesense to list the key that it says has the new value already", Again: 3 * time.Second}, nil
}

// test reads the new value back, and tries it on every node.
func (h handler) test(ctx context.Context, c call) (rotation.Result, error) {
	was, is, res, err := h.labels.Proof(ctx, c.t.stored(), c.past)
	if err != nil || res.Wait != "" {
		return res, err
	}
	made, err := h.labels.Made(c.t.Secret, c.t.Key, was, is)
	if err != nil {
		return rotation.Result{}, err
	}
	for _, node := range c.t.Nodes {
		status, err := connect(h.transport, node, made).try(ctx, c.t.Proof)
		if err != nil {
			return rotation.Result{}, err
		}
		if status != http.StatusOK { // followers may lag; the step's deadline decides
			return rotation.Result{Wait: fmt.Sprintf("GET %s%s to be answered 200 with the new value, not %d", node, c.t.Proof, status), Again: 3 * time.Second}, nil
		}
	}
	res.Text += fmt.Sprintf("; GET %s answered 200 with it on %s", c.t.Proof, strings.Join(c.t.Nodes, ", "))
	return res, nil
}

// adopted comes once the scoped keys that were derived from the old key have run out: the plan holds it back that long.
func (h handler) adopted(ctx context.Context, c call) (rotation.Result, error) {
	if err := h.labels.Promoted(ctx, c.past); err != nil {
		return rotation.Result{}, err
	}
	return rotation.Result{Text: "scoped keys derived from the old key have run out: it was replaced " + c.t.Scoped.String() + " ago"}, nil
}

// decommission takes the labels off the old version and deletes the old key, and those that a superseded rotation kept.
func (h handler) decommission(ctx context.Context, c call) (rotation.Result, error) {
	api, err := h.admin(ctx, c)
	if err != nil {
		return rotation.Result{}, err
	}
	all, err := api.list(ctx)
	if err != nil {
		return rotation.Result{}, err
	}
	made := c.past.Fact("set", factID)
	if !at(all, made) {
		return rotation.Result{}, rotation.Failf("see who deleted it; roll back, so that the old one is used", "the new key %s is gone: the old one stays", made)
	}
	res, err := h.labels.Decommission(ctx, c.past)
	if err != nil || res.Wait != "" {
		return res, err
	}
	olds := append([]string{c.past.Fact("preflight", factID)}, c.past.Inherited("preflight", factID)...)
	var gone []string
	for _, k := range all {
		if id := fmt.Sprint(k.ID); slices.Contains(olds, id) && id != made {
			if err := api.remove(ctx, k.ID); err != nil {
				return rotation.Result{}, err
			}
			gone = append(gone, id)
		}
	}
	if len(gone) == 0 {
		gone = []string{"none was left"}
	}
	return rotation.Result{Text: "keys deleted: " + strings.Join(gone, ", ") + "; " + res.Text}, nil
}

// refused tries the old value on every node, until all refuse it.
func (h handler) refused(ctx context.Context, c call) (rotation.Result, error) {
	content, err := h.labels.Old(ctx, c.past)
	if err != nil {
		return rotation.Result{}, err
	}
	if content.Empty() {
		return h.unlisted(ctx, c)
	}
	old, err := h.value(c.t.Secret, c.t.Key, content)
	if err != nil {
		return rotation.Result{}, err
	}
	for _, node := range c.t.Nodes {
		status, err := connect(h.transport, node, old).try(ctx, c.t.Proof)
		switch {
		case err != nil:
			return rotation.Result{}, err
		case status == http.StatusOK:
			return rotation.Result{Wait: node + " to refuse the old value", Again: 5 * time.Second}, nil
		case status != http.StatusUnauthorized:
			return rotation.Result{}, fmt.Errorf("GET %s%s with the old value: Typesense answered %d, which says nothing", node, c.t.Proof, status)
		}
	}
	return rotation.Result{Facts: map[string]string{factRefused: "401"}, Text: fmt.Sprintf("GET %s answered 401 with the old value on %s", c.t.Proof, strings.Join(c.t.Nodes, ", "))}, nil
}

// unlisted is what can be shown where the old value isn't there any more to be tried.
func (h handler) unlisted(ctx context.Context, c call) (rotation.Result, error) {
	api, err := h.admin(ctx, c)
	if err != nil {
		return rotation.Result{}, err
	}
	all, err := api.list(ctx)
	if err != nil {
		return rotation.Result{}, err
	}
	old := c.past.Fact("preflight", factID)
	if at(all, old) {
		return rotation.Result{}, rotation.Failf("delete it", "Typesense still lists key %s", old)
	}
	return rotation.Result{Text: "Typesense lists no key " + old + "; its value was not tried: Secrets Manager no longer has it"}, nil
}

// discard takes the labels off the new version, which it refuses while that is live, and deletes the new key. One that
// set never came to record is looked for twice, and recorded before it is deleted.
func (h handler) discard(ctx context.Context, c call) (rotation.Result, error) {
	res, err := h.labels.Discard(ctx, c.past)
	if err != nil || res.Wait != "" {
		return res, err
	}
	api, err := h.admin(ctx, c)
	if err != nil {
		return rotation.Result{}, err
	}
	all, err := api.list(ctx)
	if err != nil {
		return rotation.Result{}, err
	}
	known := []string{c.past.Fact("set", factID), c.past.Fact("discard", factID)}
	k, there := c.mine(all)
	switch {
	case there && !slices.Contains(known, fmt.Sprint(k.ID)):
		return rotation.Result{Facts: map[string]string{factID: fmt.Sprint(k.ID)}, Wait: fmt.Sprintf("the key found, %d, to be on record before it goes", k.ID)}, nil
	case there:
		if err := api.remove(ctx, k.ID); err != nil {
			return rotation.Result{}, err
		}
		res.Text += fmt.Sprintf("; key %d deleted", k.ID)
		return res, nil
	case known[0] == "" && known[1] == "" && c.past.Fact("discard", factSought) == "":
		return rotation.Result{Facts: map[string]string{factSought: "once"}, Wait: "a second look for a key that set may have made", Again: 5 * time.Second}, nil
	}
	res.Text += "; no key of it is left at Typesense"
	return res, nil
}
