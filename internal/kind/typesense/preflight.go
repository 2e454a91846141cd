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
)

// never is the expiry of a key without one (Typesense API reference, API keys).
const never = 64723363199

// leastLife is how long a key must still live for a new one with its expiry to be of use.
const leastLife = 7 * 24 * time.Hour

// preflight finds the key whose value is live, and tries that value, and one that nobody has, on every node.
func (h handler) preflight(ctx context.Context, c call) (rotation.Result, error) {
	res, content, err := h.labels.Preflight(ctx, c.t.stored(), c.past)
	if err != nil || res.Wait != "" {
		return res, err
	}
	current, err := h.value(c.t.Secret, c.t.Key, content)
	if err != nil {
		return rotation.Result{}, err
	}
	api, err := h.admin(ctx, c)
	if err != nil {
		return rotation.Result{}, err
	}
	all, err := api.list(ctx)
	if err != nil {
		return rotation.Result{}, err
	}
	live, err := h.live(ctx, c, all, content.Version, current)
	if err != nil {
		return rotation.Result{}, err
	}
	if err := h.fit(c, live); err != nil {
		return rotation.Result{}, err
	}
	if err := h.baseline(ctx, c, current); err != nil {
		return rotation.Result{}, err
	}
	like := live
	like.ID, like.Prefix, like.Description = 0, "", marked.ReplaceAllString(live.Description, "")
	text, _ := json.Marshal(like) // plain data
	res.Facts[factID], res.Facts[factLike] = fmt.Sprint(live.ID), string(text)
	res.Text += fmt.Sprintf("; key %d at Typesense may %s on %s, %s; every node takes it (%d) and refuses a wrong one", live.ID,
		strings.Join(live.Actions, ", "), strings.Join(live.Collections, ", "), expiry(live), len(c.t.Nodes))
	return res, nil
}

func expiry(k key) string {
	if k.Expires >= never {
		return "without expiry"
	}
	return "until " + time.Unix(k.Expires, 0).UTC().Format(time.RFC3339)
}

// live is the key with the current value: the one that a rotation marked with the value's version, else the one that the
// target names, else the only one that begins with the same letters.
func (h handler) live(ctx context.Context, c call, all []key, version string, current secret.Value) (key, error) {
	var same []key
	prefix := string(current.Reveal())
	prefix = prefix[:min(4, len(prefix))]
	for _, k := range all {
		if k.Prefix != prefix {
			continue
		}
		if m := markOf(version); m != "" && strings.HasSuffix(k.Description, m) || c.t.ID != nil && k.ID == *c.t.ID {
			return k, nil
		}
		same = append(same, k)
	}
	switch {
	case len(same) == 1 && c.t.ID == nil:
		return same[0], nil
	case len(same) > 1 && c.t.ID == nil:
		return key{}, rotation.Failf("name in the registry, as id, the one whose value is stored", "%d keys begin with the same letters as the current value: %s", len(same), numbers(same))
	case c.t.ID != nil:
		return key{}, rotation.Failf("name the key whose value is stored, or leave id out where only one begins with the same letters", "key %d doesn't begin with the letters of the current value, or isn't there", *c.t.ID)
	}
	// It isn't listed. Where it may list keys all the same, it is the one that the servers were started with.
	status, err := connect(h.transport, c.t.Nodes[0], current).try(ctx, "/keys")
	switch {
	case err != nil:
		return key{}, err
	case status == http.StatusOK:
		return key{}, rotation.Failf("make a key with the actions that are needed (POST /keys), store that one, and keep the bootstrap key away from applications; it changes with --api-key, when all servers are started again",
			"the current value is Typesense's bootstrap key, which no call can change")
	}
	return key{}, rotation.Failf("see whether the stored value is a key of this cluster that still exists", "Typesense lists no key that begins with the letters of the current value")
}

func numbers(keys []key) string {
	var out []string
	for _, k := range keys {
		out = append(out, fmt.Sprint(k.ID))
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// fit refuses a key that a new one like it would be of no use for.
func (h handler) fit(c call, k key) error {
	if left := time.Unix(k.Expires, 0).Sub(h.now()); k.Expires < never && left < leastLife {
		return rotation.Failf("make a key with a later expiry by hand and store it", "key %d is good %s, and the new one would be no longer", k.ID, expiry(k))
	}
	if c.t.Scoped > 0 && !slices.Equal(k.Actions, []string{"documents:search"}) {
		return rotation.Failf("leave scoped out, or have scoped keys derived from a key that may only search", "key %d may do more than documents:search: Typesense takes no scoped key that is derived from it", k.ID)
	}
	return nil
}

// baseline refuses unless every node takes the current value and refuses one that nobody has.
func (h handler) baseline(ctx context.Context, c call, current secret.Value) error {
	wrong := h.keep.Known([]byte(c.past.Token(c.step.Key, "nobody's")[:maxLength]))
	for _, node := range c.t.Nodes {
		yes, err := connect(h.transport, node, current).try(ctx, c.t.Proof)
		if err != nil {
			return err
		}
		no, err := connect(h.transport, node, wrong).try(ctx, c.t.Proof)
		if err != nil {
			return err
		}
		switch {
		case yes >= 500 || no >= 500:
			return fmt.Errorf("GET %s%s: Typesense answered %d, and %d to a wrong key", node, c.t.Proof, yes, no)
		case yes != http.StatusOK:
			return rotation.Failf("name as proof an operation that the key allows, and see whether nodes names the right cluster", "GET %s%s with the current value: Typesense answered %d", node, c.t.Proof, yes)
		case no != http.StatusUnauthorized:
			return rotation.Failf("name as proof an operation that needs a key", "GET %s%s with a wrong key: Typesense answered %d, so that it proves nothing", node, c.t.Proof, no)
		}
	}
	return nil
}
