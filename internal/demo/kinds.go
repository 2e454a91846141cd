package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/rastup/rekey/internal/report"
	"github.com/rastup/rekey/internal/sandbox"
	"github.com/rastup/rekey/internal/sandbox/kms"
	"github.com/rastup/rekey/internal/sandbox/rds"
	"github.com/rastup/rekey/internal/sandbox/secretsmanager"
	"github.com/rastup/rekey/internal/sandbox/stripe"
	"github.com/rastup/rekey/internal/sandbox/typesense"
)

func kmsKey() other {
	const alias = "alias/shop-dev"
	var old string
	return other{kind: "kms", secret: "shop/encryption", service: "KMS", target: "{alias: " + alias + "}",
		stand: func(_ context.Context, s *scene) (err error) {
			old, err = s.AWS.KMS.MakeByHand(sandbox.Home, kms.Make{Alias: alias, Description: "the shop's, in dev"}, s.now())
			return err
		},
		says: func(_ context.Context, s *scene) (string, error) {
			keys := map[string]kms.Key{}
			for _, k := range s.AWS.KMS.Keys(sandbox.Home, s.now()) {
				keys[k.ARN] = k
			}
			live, before := keys[s.AWS.KMS.At(sandbox.Home, alias)], keys[old]
			text := fmt.Sprintf("%s names key %s, %s; key %s is %s", alias, live.ID, live.State, before.ID, before.State)
			if !before.Deletion.IsZero() {
				text += fmt.Sprintf(", deleted in %.0f days", before.Deletion.Sub(s.now()).Hours()/24)
			}
			return text, nil
		}}
}

func stripeWebhook() other {
	const stored, apiKey = "rekey/dev/stripe-webhook", "rk_test_sandbox_only_never_a_real_key"
	var shop *stripe.Processor
	var events []string
	send := func(ctx context.Context, s *scene) error { // and what wasn't taken, again
		client := &http.Client{Transport: s.Services()}
		events = append(events, s.AWS.Stripe.Emit(ctx, client, "charge.refunded"))
		s.AWS.Stripe.Retry(ctx, client)
		return nil
	}
	return other{kind: "stripe-webhook", secret: "payments/stripe", service: "Stripe", target: `
secret: ` + stored + `
url: https://shop.example/stripe
api_key: {secret: rekey/dev/stripe-api-key}`,
		stand: func(ctx context.Context, s *scene) error {
			s.AWS.Stripe.AddKey(apiKey, stripe.Write)
			old := s.AWS.Stripe.Add(stripe.Endpoint{URL: "https://shop.example/stripe", Events: []string{"charge.refunded", "charge.succeeded"}, Description: "the shop's, in dev"})
			_, err1 := s.AWS.PutByHand("rekey/dev/stripe-api-key", apiKey)
			_, err2 := s.AWS.PutByHand(stored, old.Secret)
			shop = &stripe.Processor{Clock: s.Clock, Secrets: func() []string {
				v := s.AWS.Secret(stored)
				return []string{v.At(secretsmanager.Current).Text, v.At(secretsmanager.Previous).Text}
			}}
			return errors.Join(err1, err2, s.HostHTTPS(ctx, "api.stripe.com", 443, s.AWS.Stripe), s.HostHTTPS(ctx, "shop.example", 443, shop))
		},
		meanwhile: send,
		says: func(ctx context.Context, s *scene) (string, error) {
			if err := send(ctx, s); err != nil {
				return "", err
			}
			lost := 0
			for _, e := range events {
				if shop.Took(e) == 0 {
					lost++
				}
			}
			var all []string
			for _, e := range s.AWS.Stripe.Endpoints() {
				is := "enabled"
				switch {
				case e.Deleted:
					is = "deleted"
				case e.Disabled:
					is = "disabled"
				}
				all = append(all, fmt.Sprintf("endpoint %s is %s", e.ID, is))
			}
			return fmt.Sprintf("%s; of %s sent since the merge %d were lost", strings.Join(all, ", "), report.Count(len(events), "event"), lost), nil
		}}
}

func masterUser() other {
	const stored, instance = "rekey/dev/shop-master", "shop-dev"
	old := login{"postgres", "shop-dev.example", 5432, "shop", "master", "sandbox-only-master-2026-10"}
	return other{kind: "rds-master", secret: "shop/master", service: "RDS", alone: true, target: "{secret: " + stored + ", instance: " + instance + "}",
		stand: func(_ context.Context, s *scene) error {
			s.AWS.RDS.MakeByHand(sandbox.Home, rds.Database{ID: instance, Username: old.Username, Password: old.Password})
			_, err := s.AWS.PutByHand(stored, old.String())
			return err
		},
		says: func(_ context.Context, s *scene) (string, error) {
			now, err := current(s, stored)
			state, words := s.AWS.RDS.Look(sandbox.Home, false, instance, s.now()), map[bool]string{true: "takes", false: "refuses"}
			return fmt.Sprintf("%s is %s; its master user %s what is stored, and %s the old password", instance, state.Status,
				words[state.Accepts(now.Password)], words[state.Accepts(old.Password)]), err
		}}
}

func typesenseKey() other {
	const stored, admin = "rekey/dev/typesense-search", "rekey/dev/typesense-admin"
	const path = "/collections/products/documents/search?q=*&query_by=name"
	var old typesense.Key
	return other{kind: "typesense", secret: "shop/search", service: "Typesense", target: `
secret: ` + stored + `
nodes: [https://search.example:8108]
admin: {secret: ` + admin + `}
proof: ` + path,
		stand: func(ctx context.Context, s *scene) error {
			old = s.AWS.Typesense.Add(typesense.Key{Value: "sandbox-only-typesense-search-01", Description: "search of the shop", Actions: []string{"documents:search"}, Collections: []string{"products"}})
			_, err1 := s.AWS.PutByHand(stored, old.Value)
			_, err2 := s.AWS.PutByHand(admin, sandbox.TypesenseKey)
			return errors.Join(err1, err2, s.HostHTTPS(ctx, "search.example", 8108, s.AWS.Typesense))
		},
		says: func(ctx context.Context, s *scene) (string, error) {
			ask := func(key string) (string, error) {
				r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://search.example:8108"+path, nil)
				if err != nil {
					return "", err
				}
				r.Header.Set(typesense.Header, key)
				a, err := (&http.Client{Transport: s.Services()}).Do(r)
				if err != nil {
					return "", err
				}
				return a.Status, a.Body.Close()
			}
			now, err1 := ask(s.AWS.Secret(stored).At(secretsmanager.Current).Text)
			before, err2 := ask(old.Value)
			return fmt.Sprintf("a search with the value that is stored: %s; with the old one: %s", now, before), errors.Join(err1, err2)
		}}
}
